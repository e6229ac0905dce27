"""Who stands behind what a partner says: its own user, or after a change of issuer or subject who was here before.

Rules of this file:

1. A new identity is its old user's in everything at once (factors, budgets, freezes, seats), by one record, copied from
   nowhere; it opens nothing before a factor of that user's has confirmed it.
2. Once it has, the old identity is over.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.core.assurance import Caller
from gateway.core.charging import Limit, limits_of
from gateway.core.policy import Policy, Scope

SETTLES_S = 2
"""For so long a new identity waits after it was signed for: whoever was known by it charges nothing any more."""


class State(StrEnum):
    """How an identity stands for its user."""

    OWN = "own"
    WAITING = "waiting"
    CONFIRMED = "confirmed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Known:
    """An identity (``KeyRing.user_id`` of issuer and subject), whose it is, and since when (Unix seconds) it waits.

    ``before``, ``after``: the identities whose place it takes, and that takes its place.
    """

    identity: str
    user: str
    state: State = State.OWN
    at: float = 0.0
    before: str = ""
    after: str = ""

    @property
    def unconfirmed(self) -> str:
        """The identity, where it must still be confirmed."""
        return self.identity if self.state is State.WAITING else ""

    def settling(self, now: float) -> bool:
        """Whether it was signed for just now."""
        return self.state is State.WAITING and now - self.at < SETTLES_S


@dataclass(frozen=True, slots=True)
class Pair:
    """One person of a migration: identities, and the user whom both are."""

    old: str
    new: str
    user: str


@dataclass(frozen=True, slots=True)
class Merge:
    """Keys of two limits: whom ``other`` has counted, ``into`` counts too. ``owners``: whose they are, in turn.

    ``among``: where ``into`` is a floor, the key of those of its limit that are in use.
    """

    into: str
    other: str
    owners: tuple[str, str]
    window_s: int
    among: str = ""


def merges_of(policy: Policy, pair: Pair, partner: str, shares: str, now: float) -> tuple[Merge, ...]:
    """The limits of a person's new identity and of its partner, each with that which counts instead of it.

    ``shares``: the partner whose limits are counted for the new one's people (empty: its own).
    """
    giving = Caller(pair.new, partner, "", "", "", "person", "session", "")
    taking = replace(giving, user=pair.user, shares=shares)
    found: dict[Merge, None] = {}
    for misses in (False, True):
        for observe in (False, True):
            both = (limits_of(policy, one, now, observe=observe, misses=misses) for one in (taking, giving))
            for into, other in zip(*both, strict=True):
                found.update(dict.fromkeys(_merges(into, other)))
    return tuple(found)


def _merges(into: Limit, other: Limit) -> Iterator[Merge]:
    owners = into.owner, other.owner
    if into.scope not in (Scope.USER, Scope.PARTNER):
        return
    if into.key != other.key:
        yield Merge(into.key, other.key, owners, into.window_s)
    if into.floor and other.floor and into.floor.key != other.floor.key:
        yield Merge(into.floor.key, other.floor.key, owners, into.window_s, into.floor.among)
