"""What callers may reach, decided once for each second: the same few callers ask again and again.

Rules of this file:

1. What is remembered was decided within the second at hand, for this very look-up of the caller: a proof may be taken
   for fresh for less than a second too long, and what changed about a caller comes with another look-up.
2. Proofs that serve one answer are never remembered: a request that has claimed one is another caller here.
"""

from gateway.core import decide
from gateway.core.assurance import Caller
from gateway.core.extraction import Class
from gateway.core.policy import Policy
from gateway.core.reasons import Refusal

Reached = decide.Standing | Refusal


class KnownStandings:
    """``decide.standing`` under one policy, remembered."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._second = 0
        self._known: dict[tuple[int, Class], tuple[Caller, Reached]] = {}

    def of(self, caller: Caller, klass: Class, now: float) -> Reached:
        """Whether ``caller`` may reach ``klass`` in the second of ``now`` (Unix seconds)."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._known.clear()
        key = (id(caller), klass)
        known = self._known.get(key)
        if known is not None and known[0] is caller:
            return known[1]
        found = decide.standing(self._policy, caller, klass, now)
        if not isinstance(found, decide.Standing) or not found.claim:
            self._known[key] = (caller, found)
        return found
