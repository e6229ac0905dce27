"""Messages that wait to be sent to somebody outside: kept over every crash, tried again, one queue for each receiver.

Rules of this file:

1. A message is put there in the very transaction of the change that it tells of: there are both, or none.
2. It is put off before it is tried: whoever tries it may die, and it comes again.
3. Two workers never try the same message at the same time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Argument, Script, Store

WAITS_S = (10, 60, 300, 1_800, 7_200)
"""How long to wait after each failed try; the try after the last is the last, or they go on every two hours."""
MOST_WAITING = 10_000
_TAKE = Script("sending_take")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits to be sent, and whether this try is the last."""

    body: bytes
    last: bool


class Sending:
    """One receiver's queue. ``for_ever``: a message is tried until it arrives or is refused for good, and none of
    them makes room for another; else the newest beyond ``MOST_WAITING`` are dropped.
    """

    def __init__(self, store: Store, clock: Clock | None = None, *, name: str, for_ever: bool = False) -> None:
        self._store = store
        self._clock = clock or store.clock
        self._waiting, self._tries, self._refusals = keys.sending(name), keys.tries_of(name), keys.refusals_of(name)
        self._for_ever = for_ever

    def putting(self, body: bytes, now: float) -> list[Sequence[Argument]]:
        """The commands that put a message there, for the transaction of the change that it tells of."""
        commands: list[Sequence[Argument]] = [("ZADD", self._waiting, int(now * 1000), body)]
        if not self._for_ever:
            commands.append(("ZREMRANGEBYRANK", self._waiting, MOST_WAITING, -1))
        return commands

    async def take(self) -> Waiting | None:
        """One message that is due, put off to its next try; ``done`` ends that."""
        waits = [wait_s * 1000 for wait_s in WAITS_S]
        arguments = [int(self._clock.now() * 1000), int(self._for_ever), *waits]
        found = await self._store.run(_TAKE, [self._waiting, self._tries], arguments)
        return Waiting(found[0], bool(found[2])) if found else None

    async def refused(self, body: bytes) -> int:
        """Remember that the receiver does not want a message; how often that was by now."""
        return int(await self._store.call("HINCRBY", self._refusals, body, 1))

    async def done(self, body: bytes) -> None:
        """A message has arrived, or was given up."""
        hashes = (self._tries, self._refusals)
        await self._store.calls(("ZREM", self._waiting, body), *(("HDEL", one, body) for one in hashes), atomic=True)

    async def waiting(self) -> int:
        """How many messages wait."""
        return int(await self._store.call("ZCARD", self._waiting))
