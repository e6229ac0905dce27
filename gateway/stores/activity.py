"""What people lately opened, in figures, for their own eyes: how many, at which class, when, through what.

Counted in each worker's memory and written every few seconds, so that no request waits for it. What a crash loses here
is a few seconds of figures: the ledger, which is on disk before anything leaves, is the authority.
"""

import logging
from collections import Counter
from collections.abc import Mapping

from gateway.core.activity import Opened, slot_end, slot_of
from gateway.core.assurance import Caller
from gateway.core.extraction import Class
from gateway.ports import Clock, StoreUnavailable
from gateway.stores import keys
from gateway.stores.connection import Argument, Store

MOST_PENDING = 20_000
"""Figures that one worker holds while the store does not answer; beyond, they are lost."""
_Slot = tuple[str, str, str, int]

log = logging.getLogger(__name__)


class Activity:
    """The figures in the store, and those of this worker that are not there yet."""

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or store.clock
        self._pending: Counter[_Slot] = Counter()

    def opened(self, caller: Caller, persons: Mapping[Class, int], now: float) -> None:
        """``caller`` was shown so many persons, newly counted, of each class."""
        confirmed_at = max((proof.verified_at for proof in caller.proofs), default=None)
        start = slot_of(now, confirmed_at)
        for klass, number in persons.items():
            if number:
                self._pending[caller.user, caller.credential_id, klass.word, start] += number

    async def flush(self) -> None:
        """Write what was counted since the last time; where the store does not answer it waits for the next."""
        pending, self._pending = self._pending, Counter()
        if not pending:
            return
        commands: list[tuple[Argument, ...]] = []
        for (user, credential_id, klass, start), number in pending.items():
            key = keys.activity(user, start // keys.DAY_S)
            commands.append(("HINCRBY", key, f"{start}:{klass}:{credential_id}", number))
        written = sorted({str(command[1]) for command in commands})
        commands += [("EXPIRE", key, keys.ACTIVITY_LIFETIME_S) for key in written]
        try:
            await self._store.calls(*commands)
        except StoreUnavailable:
            if len(pending) + len(self._pending) > MOST_PENDING:
                log.warning("figures of %d slots are lost: the store does not answer", len(pending))
            else:
                self._pending += pending

    async def of(self, user: str) -> tuple[Opened, ...]:
        """What ``user`` opened since the day before, as far as workers have written it, in no order."""
        today = int(self._clock.now()) // keys.DAY_S
        asked = [("HGETALL", keys.activity(user, day)) for day in (today - 1, today)]
        found = []
        for answer in await self._store.calls(*asked):
            for name, number in answer.items():
                start, klass, credential_id = name.decode().split(":", 2)
                found.append(Opened(credential_id, Class.of(klass), int(start), slot_end(int(start)), int(number)))
        return tuple(found)
