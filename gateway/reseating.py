"""Seats and first sights made again from the ledger, after the store was emptied, swapped or rolled back.

Rules of this file:

1. In doubt somebody keeps their seat, and for longer: what they last did here counts as their coming.
2. A seat that an officer freed stays free, unless its person has come back since.
3. Whoever was seen for the first time less than a day ago is as new as they were.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from gateway.core.cooling import COOLING, Binding
from gateway.stores import keys
from gateway.stores.connection import Argument, Store

NEW_S = COOLING[Binding.VOUCHED].lasts_s
COMMANDS_PER_CALL = 1_000

Person = tuple[str, str]
"""A partner's id and a user's."""


@dataclass(slots=True)
class Comings:
    """Who came when, Unix seconds: ``seen`` last, ``new`` for the first time; ``freed``: when their seat was freed."""

    seen: dict[Person, float] = field(default_factory=dict)
    new: dict[str, float] = field(default_factory=dict)
    freed: dict[Person, float] = field(default_factory=dict)

    def noting(self, records: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Hand verified records on, in any order, and note what they say of seats."""
        for record in records:
            self._note(record)
            yield record

    def _note(self, record: Mapping[str, Any]) -> None:
        kind, now = record.get("kind"), float(record["now"])
        if kind == "operator" and record.get("event") == "seat_freed":
            _latest(self.freed, (str(record.get("partner")), str(record.get("user"))), now)
            return
        caller = record.get("caller") or {}
        partner, user = caller.get("partner"), caller.get("user")
        if not partner or not user:
            return
        if kind == "first_sight" and not record.get("ripe"):
            _latest(self.new, user, now)
        signed_in = kind == "sign_in" and record.get("verdict") == "accepted"
        by_token = str(caller.get("credential") or "").startswith(keys.FROM_PARTNER)
        if kind == "first_sight" or signed_in or by_token:
            _latest(self.seen, (partner, user), now)

    def seated(self, now: float) -> dict[Person, float]:
        """Who has a seat at ``now``, and since when they were not seen."""
        edge = now - keys.SEAT_IDLE_S
        return {one: at for one, at in self.seen.items() if at > edge and at > self.freed.get(one, edge)}


def _latest(times: dict[Any, float], name: object, at: float) -> None:
    times[name] = max(at, times.get(name, at))


async def write(store: Store, comings: Comings, now: float) -> int:
    """Write what ``comings`` say at ``now``; how many seats are taken. What stands in the store and is later stays.

    Raises ``StoreUnavailable``; done again, the result is the same.
    """
    seated = comings.seated(now)
    commands: list[tuple[Argument, ...]] = [
        ("ZREM", keys.seats(partner), user) for partner, user in comings.freed if (partner, user) not in seated
    ]
    commands += [("ZADD", keys.seats(partner), "GT", int(at * 1000), user) for (partner, user), at in seated.items()]
    for user, at in comings.new.items():
        if (left_s := int(at + NEW_S - now)) > 0:
            commands.append(("SET", keys.first_sight(user), repr(at), "EX", left_s))
    waiting = iter(commands)
    while part := list(islice(waiting, COMMANDS_PER_CALL)):
        await store.calls(*part)
    return len(seated)
