"""How often somebody has asked lately for what costs somebody else something: one worker's count.

By network, and not by address, where nobody knows who they are: whoever has one address of IPv6 has 2**64 of them.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

MOST_KNOWN = 10_000
"""About 2 MB; of more, those are forgotten that have waited longest."""


@dataclass(slots=True)
class Tries:
    """A token bucket for each of them: ``burst`` at once, then ``per_s``.

    A morning of a whole agency behind one address must pass: each coming back from a partner takes one, and each going
    there where that costs a call.
    """

    burst: int = 60
    per_s: float = 1.0
    _taken: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, who: str, now: float) -> float:
        """Take one of ``who``'s tries: 0, or how many seconds until there is one again."""
        taken, at = self._taken.pop(who, (0.0, now))
        taken = max(0.0, taken - max(0.0, now - at) * self.per_s)
        refused = taken > self.burst - 1
        self._taken[who] = taken if refused else taken + 1, now
        if len(self._taken) > MOST_KNOWN:
            self._taken.popitem(last=False)
        return (taken + 1 - self.burst) / self.per_s if refused else 0.0
