"""A seat for whoever a partner lets come, by a browser or by a program of theirs.

The first sight of somebody is a record, and one more than a partner has seats is refused. Whom a partner calls a
program takes a seat too: its administrator could call everybody so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.core.policy import Policy
from gateway.core.reasons import Reason, Refusal
from gateway.ports import Clock, Records


class Seats(Protocol):
    """How many people a partner has."""

    async def take(self, partner: str, user: str, *, most: int | None = None, ripe: bool = False) -> str: ...

    async def leave(self, partner: str, user: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Seating:
    """Lets people sit down. ``policy`` is asked anew each time; ``observing``: every application only observes."""

    seats: Seats
    records: Records
    clock: Clock
    policy: Callable[[], Policy]
    observing: bool = False

    async def seated(self, partner: str, user: str, record: Mapping[str, object]) -> Refusal | None:
        """Let ``user`` sit down at ``partner``, or the refusal. ``record``: what every record of this coming has.

        While every application only observes nobody is refused, and whoever is seen then is not new later. Who is
        stopped takes no seat, and is refused where their session or token is looked at.
        """
        most = self.policy().of(partner).seats
        taken = await self.seats.take(partner, user, most=None if self.observing else most, ripe=self.observing)
        if taken == "full":
            said = {"reason": str(Reason.NO_SEAT), "limit": most}
            await self._recorded({**record, "verdict": "refusal", **said}, reserve=True)  # refused in any case
            await self._recorded({**record, "kind": "alarm", **said}, reserve=True)
            return Refusal(Reason.NO_SEAT, limit=most)
        ripe = {"ripe": True} if self.observing else {}
        if taken == "first" and not await self._recorded({**record, "kind": "first_sight"} | ripe, reserve=False):
            await self.seats.leave(partner, user)
            return Refusal(Reason.LEDGER_UNAVAILABLE)
        return None

    async def _recorded(self, record: Mapping[str, object], *, reserve: bool) -> bool:
        """Whether the ledger has the record on disk."""
        try:
            await self.records.append(record, now=self.clock.now(), reserve=reserve)
        except Exception:  # what is not recorded does not happen, whatever the cause
            return False
        return True
