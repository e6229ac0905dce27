"""A seat for whoever a partner lets come, by a browser or by a program of theirs.

The first sight of somebody is a record, and one more than a partner has seats is refused. Whom a partner calls a
program takes a seat too: its administrator could call everybody so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from gateway.core.policy import Policy
from gateway.core.reasons import Reason, Refusal
from gateway.edge.tries import Tries
from gateway.ports import Clock, Records

TOLD_EVERY_S = 60


class Seats(Protocol):
    """How many people a partner has."""

    async def take(self, partner: str, user: str, *, most: int | None = None, ripe: bool = False) -> str: ...

    async def agency_today(self, user: str, said: str) -> str: ...

    async def leave(self, partner: str, user: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Seating:
    """Lets people sit down. ``policy`` is asked anew each time; ``observing``: every application only observes."""

    seats: Seats
    records: Records
    clock: Clock
    policy: Callable[[], Policy]
    observing: bool = False
    told: Tries = field(default_factory=partial(Tries, burst=1, per_s=1 / TOLD_EVERY_S))

    async def seated(self, partner: str, user: str, record: Mapping[str, object]) -> Refusal | None:
        """Let ``user`` sit down at ``partner``, or the refusal. ``record``: what every record of this coming has.

        While every application only observes nobody is refused, and whoever is seen then is not new later. Who is
        stopped takes no seat, and is refused where their session or token is looked at. Of one who comes again and
        again without a seat there is one record in ``TOLD_EVERY_S``, and a count of the others.
        """
        most = self.policy().of(partner).seats
        taken = await self.seats.take(partner, user, most=None if self.observing else most, ripe=self.observing)
        if taken == "full":
            said = {"reason": str(Reason.NO_SEAT), "limit": most}
            if self.told.take(f"{partner} {user}", self.clock.now()):
                self.records.count(("refusal", partner, str(Reason.NO_SEAT)), now=self.clock.now())
                return Refusal(Reason.NO_SEAT, limit=most)
            await self._recorded({**record, "verdict": "refusal", **said}, reserve=True)  # refused in any case
            await self._recorded({**record, "kind": "alarm", **said}, reserve=True)
            return Refusal(Reason.NO_SEAT, limit=most)
        ripe = {"ripe": True} if self.observing else {}
        if taken == "first" and not await self._recorded({**record, "kind": "first_sight"} | ripe, reserve=False):
            await self.seats.leave(partner, user)
            return Refusal(Reason.LEDGER_UNAVAILABLE)
        return None

    async def agency(self, user: str, said: str, record: Mapping[str, object]) -> str:
        """Of which agency ``user`` is, of whom their partner says that it is ``said``; empty: of none, and reported.

        One agency a day: else a partner's administrator could let one account be inside everywhere.
        """
        if not said or await self.seats.agency_today(user, said) == said:
            return said
        if not self.told.take(f"agency {user}", self.clock.now()):
            alarm = {"kind": "alarm", "reason": "another_agency", "detail": f"said to be of {said} too on one day"}
            await self._recorded({**record, **alarm}, reserve=True)
        return ""

    async def _recorded(self, record: Mapping[str, object], *, reserve: bool) -> bool:
        """Whether the ledger has the record on disk."""
        try:
            await self.records.append(record, now=self.clock.now(), reserve=reserve)
        except Exception:  # what is not recorded does not happen, whatever the cause
            return False
        return True
