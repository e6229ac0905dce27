"""Who has gone while an application takes its time is not waited for: its connection is wanted by others.

Only what reads is broken off: the result of what an application executes is never lost on the way.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Final

from gateway.incoming import ClientGone

LOOK_AFTER_S: Final = 1.0
"""Most answers come sooner, and are spared the look."""

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


async def client_gone(receive: Receive) -> None:
    """Wait until the client has closed its connection; its request has come whole."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Leaving:
    """``async with Leaving(receive)``: raises ``ClientGone`` in there as soon as the client has gone, looked at after a
    second. ``gone``: who waits for that, if anybody does yet; it is the one who may."""

    def __init__(self, receive: Receive) -> None:
        self.gone: asyncio.Future[None] | None = None
        self._receive = receive
        self._limit = asyncio.timeout(None)

    async def __aenter__(self) -> "Leaving":
        await self._limit.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(LOOK_AFTER_S, self._look)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self.gone is not None:
            self.gone.remove_done_callback(self._break_off)
            if kind is not None:
                self.gone.cancel()
        try:
            await self._limit.__aexit__(kind, fault, trace)
        except TimeoutError as over:
            raise ClientGone from over

    def _look(self) -> None:
        self.gone = asyncio.ensure_future(client_gone(self._receive))
        self.gone.add_done_callback(self._break_off)

    def _break_off(self, gone: "asyncio.Future[None]") -> None:
        if not gone.cancelled():
            self._limit.reschedule(self._loop.time())
