"""How a factor was bound says how far its proofs reach while it is young.

The breach this exists for began with a help desk talked into resetting an account: whoever binds a factor by talking
gets little with it, and the person it was taken from has time to notice.

Rules of this file:

1. A factor that its own person added with a ripe one is ripe at once; a passkey that was added with a code opens for
   two days what a code opens: else one code read out on the telephone would be a passkey.
2. What was vouched for in person cools for a day; what came by letter, recovery code or from afar for two.
3. A proof by a ripe factor is never slowed by a young one beside it.
4. Whoever is seen for the first time has nothing ripe for a day, by whatever they confirm: an account that a hijacked
   administrator of a partner created opens little before somebody notices.
5. What is bound while every application only observes is ripe when enforcement starts: there is nothing yet to open.
   So is whoever is first seen then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.core.extraction import Class

HOUR_S = 3600
DAY_S = 86_400


class Binding(StrEnum):
    """How a factor was bound to its person."""

    OWN = "own"
    CODED = "coded"
    VOUCHED = "vouched"
    REMOTE = "remote"


@dataclass(frozen=True, slots=True)
class Cooling:
    """What a young factor may do: for ``lasts_s`` after its binding at most ``persons`` in each ``window_s``.

    Classes from ``closed_from`` up stay closed to it whatever the counts; ``as_code``: and those that a code does not
    open.
    """

    lasts_s: int
    persons_per_window_s: tuple[tuple[int, int], ...]
    closed_from: Class | None = None
    as_code: bool = False


COOLING: Mapping[Binding, Cooling] = {
    Binding.VOUCHED: Cooling(DAY_S, ((20, HOUR_S), (80, DAY_S)), Class.RESTRICTED),
    Binding.REMOTE: Cooling(2 * DAY_S, ((10, 2 * DAY_S),), Class.RESTRICTED),
    Binding.CODED: Cooling(2 * DAY_S, (), as_code=True),
}


def cooling_until(bound: str, bound_at: float, now: float) -> float | None:
    """Until when (Unix seconds) such a factor is young; ``None`` when it is ripe."""
    cooling = cooling_of(bound, bound_at, now)
    return None if cooling is None else bound_at + cooling.lasts_s


def invited_as(bound: str, *, observing: bool) -> str:
    """How a factor is bound that an invitation, a letter or an operator's hand would bind as ``bound``.

    ``observing``: every application only observes.
    """
    return str(Binding.OWN) if observing else bound


def cooling_of(bound: str, bound_at: float, now: float) -> Cooling | None:
    """The cooling at ``now`` of a factor that was ``bound`` so at ``bound_at`` (Unix seconds); ``None`` when ripe.

    A clock set back lengthens it: a factor bound in the future is young.
    """
    cooling = COOLING.get(Binding(bound))
    if cooling is None or now >= bound_at + cooling.lasts_s:
        return None
    return cooling
