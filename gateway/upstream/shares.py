"""How much one of many may hold at once of what all of them share: half of what the others leave.

So two who hold on to theirs leave a quarter, and eight of them one of 256.
"""

import asyncio
from collections import Counter, deque


class ShareTaken(Exception):
    """Somebody has as much as may be theirs, and nothing came back in time."""


class Shares:
    """Turns by name, of ``limit`` for all together; a name is kept only while somebody has or awaits a turn of it.

    Whoever has none gets one, also where all are in use: how many there really are is kept elsewhere.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: Counter[str] = Counter()
        self._all_held = 0
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def take(self, whose: str, until: float) -> None:
        """Have a turn, once one's share is not in use; raises ``ShareTaken`` at the loop's time ``until``."""
        if whose not in self._waiting and self._may(whose):
            self._hold(whose)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(whose, deque()).append(turn)
        try:
            async with asyncio.timeout_at(until):
                await turn
        except BaseException as fault:
            self._leave(whose, turn)
            if isinstance(fault, TimeoutError):
                raise ShareTaken from fault
            raise

    def give_back(self, whose: str) -> None:
        """A turn is over."""
        self._all_held -= 1
        self._held[whose] -= 1
        if not self._held[whose]:
            del self._held[whose]
        for name in list(self._waiting):
            self._let_in(name)

    def _may(self, whose: str) -> bool:
        held = self._held[whose]
        return held < max(1, (self._limit - self._all_held + held) // 2)

    def _hold(self, whose: str) -> None:
        self._held[whose] += 1
        self._all_held += 1

    def _let_in(self, whose: str) -> None:
        """Those who wait, in order of arrival, as long as their share is not in use."""
        turns = self._waiting[whose]
        while turns and self._may(whose):
            if not (turn := turns.popleft()).done():
                self._hold(whose)
                turn.set_result(None)
        if not turns:
            del self._waiting[whose]

    def _leave(self, whose: str, turn: "asyncio.Future[None]") -> None:
        if turn.done() and not turn.cancelled():  # given at the very moment
            self.give_back(whose)
            return
        turns = self._waiting.get(whose, deque())
        if turn in turns:
            turns.remove(turn)
        if not turns:
            self._waiting.pop(whose, None)
