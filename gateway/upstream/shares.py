"""How much one of many may hold at once of what all of them share."""

import asyncio
from dataclasses import dataclass


class ShareTaken(Exception):
    """Somebody has as much as may be theirs, and nothing of it came back in time."""


@dataclass(slots=True)
class _Share:
    """What is one's own; ``users``: how many have or await a turn of it."""

    turns: asyncio.Semaphore
    users: int = 0


class Shares:
    """Turns by name, so many for ``each``; a name is kept only while somebody has or awaits a turn of it."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._shares: dict[str, _Share] = {}

    async def take(self, whose: str, until: float) -> None:
        """Have a turn, once one's own are not all in use; raises ``ShareTaken`` at the loop's time ``until``."""
        share = self._shares.get(whose)
        if share is None:
            share = self._shares[whose] = _Share(asyncio.Semaphore(self._each))
        share.users += 1
        try:
            if share.turns.locked():
                async with asyncio.timeout_at(until):
                    await share.turns.acquire()
            else:
                await share.turns.acquire()
        except BaseException as fault:
            self._leave(whose, share)
            if isinstance(fault, TimeoutError):
                raise ShareTaken from fault
            raise

    def give_back(self, whose: str) -> None:
        """A turn is over."""
        share = self._shares[whose]
        share.turns.release()
        self._leave(whose, share)

    def _leave(self, whose: str, share: _Share) -> None:
        share.users -= 1
        if not share.users:
            del self._shares[whose]
