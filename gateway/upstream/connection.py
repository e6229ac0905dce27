"""One connection to the application behind: writing, holding back, and the one timer of its deadlines."""

import asyncio
import select
from collections.abc import Callable
from math import inf
from typing import Protocol, cast

BUFFER_HIGH_BYTES = 262_144  # above this much unread the application is held back
BUFFER_LOW_BYTES = 65_536
_TIMER_SLACK_S = 0.002  # event loops keep time in milliseconds


class Sink(Protocol):
    """What a connection's input goes to."""

    def received(self, data: bytes) -> None: ...

    def lost(self, error: Exception | None) -> None: ...

    def due(self) -> float:
        """The loop's time at which `overdue` is to be called unless something happens; inf for never."""

    def overdue(self) -> None: ...


class ConnectionOwner(Protocol):
    """Who counts connections: told once when one is free for reuse, once when one is gone."""

    def returned(self, connection: "Connection") -> None: ...

    def gone(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """The transport's side: writes, holds back, and keeps one timer that moves only when it must."""

    __slots__ = (
        "_drained", "_idle_until", "_loop", "_owner", "_poll", "_timer", "_timer_at", "_transport",
        "_writing_paused", "busy", "closed", "freed", "pin", "reading_paused", "reused", "sink",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: ConnectionOwner) -> None:
        self._loop = loop
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._drained: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._idle_until = inf
        self._writing_paused = self.reading_paused = False
        self.pin: str | None = None  # the connection-bound login it belongs to
        self.busy = False  # of a pinned one: it is somebody's turn
        self.freed: Callable[[], None] | None = None  # told once, when the exchange that it is used for is over
        self.sink: Sink | None = None
        self.reused = False
        self.closed = False

    # For the exchange

    def is_quiet(self) -> bool:
        """Whether a resting connection may be used: nothing has arrived that the event loop has not yet told of.

        Bytes that wait there would be taken for the answer to the next request; an end would lose that request.
        """
        return not self.closed and not self._poll.poll(0)

    def begin(self, sink: Sink) -> None:
        self.sink = sink
        if self.closed:
            self._tell_freed()
            sink.lost(None)

    def end(self, *, clean: bool) -> None:
        """The exchange is over; only after a clean one is the connection used again."""
        self.sink = None
        self._tell_freed()
        transport = self._transport
        if not clean or self.closed or transport is None or transport.get_write_buffer_size():
            self.abort()
            return
        self.reused = True
        self._owner.returned(self)

    def rest(self, idle_s: float) -> None:
        """Wait for the next exchange, at most so long; anything that arrives meanwhile ends the connection."""
        self._idle_until = self._loop.time() + idle_s
        self.watch(self._idle_until)

    def write(self, data: bytes) -> None:
        if not self.closed and self._transport is not None:
            self._transport.write(data)

    def write_parts(self, parts: tuple[bytes, ...]) -> None:
        if not self.closed and self._transport is not None:
            # not writelines: asyncio's never holds a sender back in Python 3.12.0 to 3.13.1 (CVE-2024-12254)
            self._transport.write(b"".join(parts))

    async def drained(self) -> None:
        """Wait until the application takes more."""
        if self._writing_paused and not self.closed:
            if self._drained is None:
                self._drained = self._loop.create_future()
            await asyncio.shield(self._drained)

    def hold_back(self) -> None:
        transport = self._transport
        if not self.reading_paused and transport is not None and not transport.is_closing():
            self.reading_paused = True
            transport.pause_reading()

    def resume_reading(self) -> None:
        transport = self._transport
        if self.reading_paused and transport is not None and not transport.is_closing():
            self.reading_paused = False
            transport.resume_reading()

    def abort(self) -> None:
        """Drop at once; what is not yet sent stays unsent."""
        if self.closed:
            return
        if self._transport is not None:
            self._transport.abort()
        self._leave()

    def shut(self) -> None:
        """Drop at once, and say so to whoever uses it."""
        self._input_ended(ConnectionAbortedError())

    def close(self) -> None:
        """End after what is written has left."""
        if self._transport is not None and not self.closed:
            self._transport.close()

    def watch(self, due: float) -> None:
        """Call the sink's `overdue` (or drop an idle connection) no later than at this loop time."""
        if due < self._timer_at and not self.closed:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = due
            self._timer = self._loop.call_at(due, self._look_at_clock)

    # For the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast("asyncio.Transport", transport)
        stream.set_write_buffer_limits(high=BUFFER_HIGH_BYTES, low=BUFFER_LOW_BYTES)
        self._transport = stream
        self._poll.register(stream.get_extra_info("socket").fileno(), select.POLLIN)
        if self.closed:
            stream.abort()

    def data_received(self, data: bytes) -> None:
        if self.sink is None:
            self.abort()
        else:
            self.sink.received(data)

    def eof_received(self) -> None:
        self._input_ended(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._input_ended(error)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._release_writer()

    def _release_writer(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def _input_ended(self, error: Exception | None) -> None:
        if not self.closed and self.sink is not None:
            self.sink.lost(error)
        self.abort()

    def _tell_freed(self) -> None:
        freed, self.freed = self.freed, None
        if freed is not None:
            freed()

    def _leave(self) -> None:
        self.closed = True
        self._tell_freed()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._release_writer()
        self._owner.gone(self)

    def _look_at_clock(self) -> None:
        self._timer, self._timer_at = None, inf
        due = self._idle_until if self.sink is None else self.sink.due()
        if due > self._loop.time() + _TIMER_SLACK_S:
            if due < inf:
                self.watch(due)
        elif self.sink is None:
            self.abort()
        else:
            self.sink.overdue()
