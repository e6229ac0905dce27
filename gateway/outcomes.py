"""What became of a charge: how an answer leaves, whose data it was counted as, and what of it may be taken back."""

from collections.abc import Mapping
from dataclasses import field

from gateway.core import decide
from gateway.core.charging import Charged, Limit
from gateway.core.extraction import Class
from gateway.core.reasons import Refusal
from gateway.core.values import frozen
from gateway.recording import PersonTaken

NOTHING_CHARGED = Charged(1, ((),), (), (), 0)
"""What the store would say of a charge of nobody."""


@frozen
class Outcome:
    """A charge that went through: how the answer leaves, and whose data it is counted as.

    ``unnamed``: persons who cannot be told apart, by the class that they were charged at; ``unnamed_floors``: how many
    of them stand in which floors; ``why``: the reason given for persons outside among ``persons``, which are
    everybody's.
    """

    plan: decide.Plan
    taken: tuple[PersonTaken, ...]
    unnamed: Mapping[Class, int]
    sequence: int
    alarms: tuple[Limit, ...]
    would_be: Refusal | None = None
    persons: tuple[decide.Costed, ...] = ()
    why: str | None = None
    unnamed_floors: Mapping[str, int] = field(default_factory=dict)


@frozen
class Missed:
    """A lookup counted as a miss, until it has found somebody: the limits it is counted in, and under which name."""

    limits: tuple[Limit, ...]
    member: bytes
    sequence: int
