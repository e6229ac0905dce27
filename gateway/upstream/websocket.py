"""A WebSocket to the application behind (RFC 6455), whole messages, without compression."""

import asyncio
import logging
from base64 import b64encode
from collections import deque
from collections.abc import Sequence
from math import inf
from secrets import token_bytes

from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol, Side
from websockets.utils import accept_key

from gateway.upstream.connection import BUFFER_HIGH_BYTES, BUFFER_LOW_BYTES, Connection
from gateway.upstream.exchange import Deadlines, Exchange
from gateway.upstream.message import Headers, ResponseReader, UpstreamFault, request_head
from gateway.upstream.pool import Pool

MAX_MESSAGE_BYTES = 1_048_576
MAX_FRAGMENTS = 4_096  # of one message: empty fragments have no size, yet take memory
_MESSAGE_OVERHEAD_BYTES = 64
_CLOSE_WAIT_S = 5.0
# At debug level the library logs payloads: it never may.
_LOGGER = logging.getLogger("gateway.upstream.websocket")
_LOGGER.setLevel(logging.WARNING)
_OURS = (b"connection", b"upgrade", b"sec-websocket-")


class UpstreamRefusedUpgrade(Exception):
    """The application answered the handshake with something other than 101."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the application answered {status}")
        self.status = status


async def open_websocket(
    pool: Pool,
    target: bytes,
    headers: Headers,
    subprotocols: Sequence[str],
    deadlines: Deadlines,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
) -> "UpstreamWebSocket":
    """Shake hands over a connection of its own. The deadlines hold until then: a WebSocket may be silent for hours."""
    if any(name.lower().startswith(_OURS) for name, _ in headers):
        raise ValueError("the handshake's headers are the connector's")
    key = b64encode(token_bytes(16)).decode()
    upgrade = [
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-key", key.encode()),
        (b"sec-websocket-version", b"13"),
    ]
    if subprotocols:
        upgrade.append((b"sec-websocket-protocol", ", ".join(subprotocols).encode("ascii")))
    head = request_head(b"GET", target, headers, length=None, body=False, upgrade=upgrade)
    loop = asyncio.get_running_loop()
    now = loop.time()
    total_at = inf if deadlines.total_s is None else now + deadlines.total_s
    connection = await pool.acquire(None, fresh=True, connect_by=min(total_at, now + deadlines.connect_s))
    exchange = Exchange(connection, ResponseReader(b"GET", upgrade_asked=True), deadlines, loop, total_at)
    await exchange.head(head, None, None)
    try:
        subprotocol = _check_handshake(exchange.reader, key, subprotocols)
    except BaseException:
        await exchange.close()
        raise
    pool.upgraded(connection)
    return UpstreamWebSocket(exchange, subprotocol, max_message_bytes)


def _check_handshake(reader: ResponseReader, key: str, subprotocols: Sequence[str]) -> str | None:
    """RFC 6455 §4.1. Raises UpstreamRefusedUpgrade or UpstreamFault; the value is the subprotocol chosen."""
    if reader.status != 101:
        raise UpstreamRefusedUpgrade(reader.status)

    def values(name: bytes) -> list[str]:
        return [value.decode("latin-1") for field, value in reader.headers if field.lower() == name]

    connection = {token.strip().lower() for value in values(b"connection") for token in value.split(",")}
    if "upgrade" not in connection or [value.lower() for value in values(b"upgrade")] != ["websocket"]:
        raise UpstreamFault("upstream_malformed", "upgraded to something else")
    if values(b"sec-websocket-accept") != [accept_key(key)]:
        raise UpstreamFault("upstream_malformed", "sec-websocket-accept")
    if values(b"sec-websocket-extensions"):
        raise UpstreamFault("upstream_malformed", "an extension nobody asked for")
    chosen = values(b"sec-websocket-protocol")
    if not chosen:
        return None
    if len(chosen) > 1 or chosen[0] not in subprotocols:
        raise UpstreamFault("upstream_malformed", "a subprotocol nobody asked for")
    return chosen[0]


class UpstreamWebSocket:
    """An open WebSocket. `close_code` and `close_reason` are known once `receive` gave None."""

    def __init__(self, exchange: Exchange, subprotocol: str | None, max_message_bytes: int) -> None:
        self.subprotocol = subprotocol
        self.headers = exchange.reader.headers
        self._protocol = Protocol(Side.CLIENT, state=OPEN, max_size=max_message_bytes, logger=_LOGGER)
        self._messages: deque[tuple[str | bytes, int]] = deque()
        self._buffered_bytes = 0
        self._fragments: list[Frame] = []
        self._failed = False
        self._waiter: asyncio.Future[None] | None = None
        self._over = asyncio.Event()
        self._connection: Connection = exchange.hand_over(self)
        if exchange.reader.surplus:
            self.received(exchange.reader.surplus)
        if self._connection.closed:
            self.lost(None)

    @property
    def close_code(self) -> int:
        """1006 where the application did not close in order (RFC 6455 §7.1.5)."""
        closed = self._protocol.close_rcvd
        return 1006 if closed is None else closed.code

    @property
    def close_reason(self) -> str:
        closed = self._protocol.close_rcvd
        return "" if closed is None else closed.reason

    async def receive(self) -> str | bytes | None:
        """The next whole message, text or binary; None once closed. One caller at a time."""
        while not self._messages:
            if self._over.is_set():
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            except asyncio.CancelledError:
                self._connection.abort()
                self._end()
                raise
            finally:
                self._waiter = None
        message, size_bytes = self._messages.popleft()
        self._buffered_bytes -= size_bytes
        if self._buffered_bytes <= BUFFER_LOW_BYTES:
            self._connection.resume_reading()
        return message

    async def send(self, message: str | bytes) -> None:
        """Send one message. Raises UpstreamFault (`upstream_truncated`) when the WebSocket is closed."""
        if self._over.is_set() or self._protocol.state is not OPEN:
            raise UpstreamFault("upstream_truncated", "the websocket is closed")
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        self._flush()
        try:
            await self._connection.drained()
        except asyncio.CancelledError:
            self._connection.abort()
            raise

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close in order, waiting a little for the application's part; idempotent. Unread messages are dropped."""
        try:
            if not self._over.is_set() and self._protocol.state is OPEN:
                self._protocol.send_close(code, reason)
                self._flush()
            self._messages.clear()
            self._buffered_bytes = 0
            self._connection.resume_reading()
            async with asyncio.timeout(_CLOSE_WAIT_S):
                await self._over.wait()
        except TimeoutError:
            pass  # an application that does not answer the close is dropped
        except ProtocolError as error:
            raise ValueError(str(error)) from None
        finally:
            self._connection.abort()
            self._end()

    # For the connection

    def received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and not self._failed:
                self._take(event)
        self._flush()
        if self._buffered_bytes > BUFFER_HIGH_BYTES:
            self._connection.hold_back()
        if self._failed or self._protocol.close_rcvd is not None or self._protocol.parser_exc is not None:
            self._end()
        elif self._messages:
            self._wake()

    def lost(self, error: Exception | None) -> None:
        self._end()

    def due(self) -> float:
        return inf

    def overdue(self) -> None:
        """Never: a WebSocket has no deadline."""

    # Inside

    def _take(self, frame: Frame) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        self._fragments.append(frame)
        if len(self._fragments) > MAX_FRAGMENTS:
            self._fail(1009, "too many fragments")
        if not frame.fin or self._failed:
            return
        fragments, self._fragments = self._fragments, []
        data = b"".join([bytes(fragment.data) for fragment in fragments])
        message: str | bytes = data
        if fragments[0].opcode is Opcode.TEXT:
            try:
                message = data.decode()
            except UnicodeDecodeError:
                self._fail(1007, "not UTF-8")
                return
        size_bytes = len(data) + _MESSAGE_OVERHEAD_BYTES
        self._messages.append((message, size_bytes))
        self._buffered_bytes += size_bytes

    def _fail(self, code: int, reason: str) -> None:
        self._failed = True
        self._fragments = []
        self._protocol.fail(code, reason)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._connection.write(data)

    def _end(self) -> None:
        """Closed by the application, or by an error: nothing more is to be expected."""
        self._over.set()
        self._connection.close()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
