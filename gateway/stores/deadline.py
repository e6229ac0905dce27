"""How long a server of the store may take: time in which this worker could not look is not the server's.

After a turn of the loop that took long, or on a machine that stood still, timers are due before anything is read that
came meanwhile: libuv runs them before it polls. A deadline that comes late is therefore put off until what came has
been read.
"""

import asyncio
import time
from types import TracebackType
from typing import Final

LATE_S: Final = 0.02
"""A timer that fires later than this was held up; the loop's clock counts whole milliseconds."""

LOOK_S: Final = 0.1
"""How long a late deadline is put off."""

LOOKS: Final = 4
"""How often: to read an answer and to wake whoever waits for it takes two turns of the loop."""


class Deadline:
    """``async with Deadline(seconds)``: raises ``TimeoutError`` when they are over."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._looks = 0
        self._limit = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._set(self._seconds)

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, fault, trace)

    def _set(self, seconds: float) -> None:
        self._due = time.monotonic() + seconds
        self._timer = self._loop.call_later(seconds, self._over)

    def _over(self) -> None:
        if self._looks < LOOKS and time.monotonic() - self._due > LATE_S:
            self._looks += 1
            self._set(LOOK_S)
        else:
            self._limit.reschedule(self._loop.time())
