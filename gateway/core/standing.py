"""How somebody's access stands: what they confirm with, what is closed or waits; not a word about whom they saw."""

from dataclasses import dataclass

from gateway.core.assurance import Grant
from gateway.core.cooling import cooling_until
from gateway.core.extraction import Class


@dataclass(frozen=True, slots=True)
class BoundFactor:
    """One way to confirm; ``bound_at``: Unix seconds, 0 where it is as if it had always been there."""

    kind: str
    id: str
    bound: str
    bound_at: float

    def until(self, now: float) -> float | None:
        """Until when it cools; ``None``: it is ripe."""
        return cooling_until(self.bound, self.bound_at, now)


@dataclass(frozen=True, slots=True)
class Standing:
    """How ``user`` stands. ``invited``: how a factor would be bound; ``letter``: a code on paper waits."""

    user: str
    factors: tuple[BoundFactor, ...]
    recovery_codes: int
    closed_from: Class | None
    frozen: bool
    sessions: int
    invited: str | None
    letter: bool
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Namesake:
    """Somebody who signs in with a login: ``since`` when, and when they ``last`` did so (Unix seconds; 0: never).

    ``sub``, ``name``: who they are, as ``partner`` says; empty where nobody can read it any more.
    """

    user: str
    partner: str
    sub: str
    name: str
    since: float
    last: float
