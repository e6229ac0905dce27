"""How much one of many may have at once of what all of them share: who reads nothing holds no more than that."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class ShareTaken(Exception):
    """Somebody has as much as may be theirs, and nothing of it came back in time."""


class Shares:
    """Turns by name, so many for ``each``; a name is kept only while somebody has or awaits a turn of it."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._using: dict[str, int] = {}

    @contextlib.asynccontextmanager
    async def turn(self, whose: str, within_s: float) -> AsyncIterator[None]:
        """Around what takes a turn; waits for one of one's own to end. Raises ``ShareTaken`` after ``within_s``."""
        turns = self._turns.setdefault(whose, asyncio.Semaphore(self._each))
        self._using[whose] = self._using.get(whose, 0) + 1
        try:
            try:
                async with asyncio.timeout(within_s if turns.locked() else None):
                    await turns.acquire()
            except TimeoutError as error:
                raise ShareTaken from error
            try:
                yield
            finally:
                turns.release()
        finally:
            self._using[whose] -= 1
            if not self._using[whose]:
                del self._using[whose], self._turns[whose]
