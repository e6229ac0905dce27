"""One exchange with the application behind: heads, bodies both ways at once, back-pressure, deadlines."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from gateway.upstream.connection import BUFFER_HIGH_BYTES, BUFFER_LOW_BYTES, Connection, Sink
from gateway.upstream.message import ResponseReader, UpstreamFault


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long the application may take, in seconds; settable per route. Exceeded: `upstream_timeout`."""

    connect_s: float = 5
    """Waiting for a free connection, connecting and the TLS handshake, together."""
    header_s: float = 30
    """From the request fully sent (or the last interim answer) to the head of the answer."""
    idle_s: float = 30
    """Between two pieces of the answer or of our sending."""
    total_s: float | None = None
    """The whole exchange, waiting included."""


class Exchange:
    """One request and its response over one connection.

    The connection goes back only if both bodies are drained, nothing went wrong, and the answer was not early.
    """

    __slots__ = (
        "_connection", "_deadlines", "_error", "_finished", "_loop", "_pieces", "_progress_at",
        "_sender", "_sent", "_total_at", "_waiter", "buffered_bytes", "early", "reader",
    )  # fmt: skip

    def __init__(
        self,
        connection: Connection,
        reader: ResponseReader,
        deadlines: Deadlines,
        loop: asyncio.AbstractEventLoop,
        total_at: float,
    ) -> None:
        self._connection = connection
        self._deadlines = deadlines
        self._loop = loop
        self._total_at = total_at
        self._pieces: deque[bytes] = deque()
        self.buffered_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._sender: asyncio.Task[None] | None = None
        self._sent = False
        self._finished = False
        self._error: BaseException | None = None
        self._progress_at = 0.0
        self.early = False
        self.reader = reader

    # For the caller

    async def head(self, head: bytes, body: AsyncIterator[bytes] | None, length: int | None) -> None:
        """Send the request and wait for the answer's head. Raises UpstreamFault, or what the body raised."""
        connection = self._connection
        connection.begin(self)
        connection.write(head)
        self._progress_at = self._loop.time()
        self._sent = body is None or length == 0
        if body is not None:
            self._sender = self._loop.create_task(self._send(body, length))
        try:
            while True:
                if self._error is not None and not self.reader.ended:
                    raise self._error
                if self.reader.head_complete:
                    break
                await self._wait()
        except BaseException as error:
            self.fail(error)
            await self._stop_sending()
            raise
        self.early = not self._sent
        if self.reader.ended and not self.reader.has_body and self.reader.status != 101:
            self._finish()

    async def read(self) -> bytes:
        """The next piece of the body, b"" at its end. Raises UpstreamFault, or what the request's body raised."""
        pieces = self._pieces
        while not pieces:
            if self.reader.ended:
                self._finish()
                return b""
            if self._error is not None:
                raise self._error
            try:
                self._progress_at = self._loop.time()
                await self._wait()
            except asyncio.CancelledError as error:
                self.fail(error)
                raise
        piece = pieces.popleft()
        self.buffered_bytes -= len(piece)
        if self.buffered_bytes <= BUFFER_LOW_BYTES:
            self._connection.resume_reading()
        if self.reader.ended and not pieces:
            self._finish()
        return piece

    async def close(self) -> None:
        if not self._finished:
            self.fail(UpstreamFault("upstream_truncated", "closed before its end"))
            self._finished = True
            self._pieces.clear()
        await self._stop_sending()

    def hand_over(self, sink: Sink) -> Connection:
        """After 101: the connection, speaking another protocol from now on."""
        self._finished = True
        self._connection.sink = sink
        return self._connection

    @property
    def arrived(self) -> bool:
        """Whether a piece, the end or an error is there already."""
        return bool(self._pieces) or self.reader.ended or self._error is not None

    @property
    def held_back(self) -> bool:
        """Whether the application has to wait for the reader."""
        return self._connection.reading_paused

    @property
    def went_stale(self) -> bool:
        """A kept connection that had died before this exchange: not one byte of an answer came."""
        error = self._error
        return (
            self._connection.reused
            and not self.reader.started
            and isinstance(error, UpstreamFault)
            and error.reason == "upstream_truncated"
        )

    # For the connection

    def received(self, data: bytes) -> None:
        reader = self.reader
        interim_answers = reader.interim_answers
        try:
            piece = reader.feed(data)
        except UpstreamFault as fault:
            self.fail(fault)
            return
        if reader.head_complete or reader.interim_answers != interim_answers:
            self._progress_at = self._loop.time()
        if piece:
            self._pieces.append(piece)
            self.buffered_bytes += len(piece)
            if self.buffered_bytes > BUFFER_HIGH_BYTES:
                self._connection.hold_back()
        if piece or reader.ended or reader.head_complete:
            self._wake()

    def lost(self, error: Exception | None) -> None:
        if isinstance(error, ssl.SSLError):
            self.fail(UpstreamFault("upstream_tls", error.reason or ""))
        elif error is not None:
            self.fail(UpstreamFault("upstream_truncated", "the connection broke"))
        else:
            try:
                self.reader.end_of_input()
            except UpstreamFault as fault:
                self.fail(fault)
        self._wake()

    def due(self) -> float:
        if self._waiter is None:  # the caller is slow, not the application
            return self._total_at
        in_head = self._sent and not self.reader.head_complete
        allowed_s = self._deadlines.header_s if in_head else self._deadlines.idle_s
        return min(self._total_at, self._progress_at + allowed_s)

    def overdue(self) -> None:
        self.fail(UpstreamFault("upstream_timeout", "no progress within the deadline"))

    def fail(self, error: BaseException) -> None:
        """Drop the connection; the first error is the one told. A complete answer stays readable."""
        if self._error is None and not self._finished:
            cancelled = isinstance(error, asyncio.CancelledError)  # told once, to whom it was meant for
            self._error = UpstreamFault("upstream_truncated", "cancelled") if cancelled else error
        if self._sender is not None and self._sender is not asyncio.current_task(self._loop):
            self._sender.cancel()
        if not self._finished:
            self._connection.sink = None
            self._connection.abort()
        self._wake()

    # Inside

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        self._connection.watch(self.due())
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _send(self, body: AsyncIterator[bytes], length: int | None) -> None:
        try:
            sent_bytes = 0
            async for piece in body:
                if not piece:
                    continue  # an empty chunk would end the body
                sent_bytes += len(piece)
                if length is None:
                    self._connection.write_parts((b"%x\r\n" % len(piece), piece, b"\r\n"))
                elif sent_bytes > length:
                    raise ValueError("the body is longer than announced")
                else:
                    self._connection.write(piece)
                    self._sent = sent_bytes == length  # the answer may come before the iterator says that it is over
                await self._connection.drained()
                self._progress_at = self._loop.time()
            if length is None:
                self._connection.write(b"0\r\n\r\n")
            elif sent_bytes < length:
                raise ValueError("the body is shorter than announced")
            self._sent = True
            self._progress_at = self._loop.time()
            self._connection.watch(self.due())
        except BaseException as error:
            # Whatever stops the body, cancellation too, the request must not look complete to the application.
            self.fail(error)

    async def _stop_sending(self) -> None:
        sender = self._sender
        if sender is not None and not sender.done():
            sender.cancel()
            await asyncio.wait((sender,))

    def _finish(self) -> None:
        """The answer has been read to its end."""
        if self._finished:
            return
        self._finished = True
        reader = self.reader
        if self._sender is not None:
            self._sender.cancel()
        self._connection.end(clean=self._sent and not self.early and reader.keep_alive and not reader.surplus)
