"""What somebody lately opened, in figures that a person can place: so many files, then, from there. Pure.

Figures are kept per slot of ten minutes; one ends where a confirmation begins, so that what came after it stands apart.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gateway.core.extraction import Class

SLOT_S = 600


@dataclass(frozen=True, slots=True)
class Opened:
    """Persons newly counted at a class through one credential, between two times (Unix seconds)."""

    credential_id: str
    klass: Class
    start: int
    until: int
    persons: int


def slot_of(now: float, confirmed_at: float | None) -> int:
    """Where the slot of ``now`` begins; ``confirmed_at``: the credential's latest confirmation, if any."""
    whole = int(now)
    begins = whole - whole % SLOT_S
    return begins if confirmed_at is None else max(begins, min(int(confirmed_at), whole))


def slot_end(start: int) -> int:
    """Where the slot that begins at ``start`` ends at the latest."""
    return start - start % SLOT_S + SLOT_S


def episodes(opened: Iterable[Opened], most: int) -> tuple[Opened, ...]:
    """Slots that follow each other, of one class and credential, as one; the newest first, at most ``most``."""
    merged: list[Opened] = []
    for one in sorted(opened, key=lambda one: (one.credential_id, one.klass, one.start)):
        last = merged[-1] if merged else None
        if last and (last.credential_id, last.klass) == (one.credential_id, one.klass) and one.start <= last.until:
            merged[-1] = replace(last, until=one.until, persons=last.persons + one.persons)
        else:
            merged.append(one)
    return tuple(sorted(merged, key=lambda one: (-one.until, -one.start, -one.klass))[:most])


def since(opened: Sequence[Opened], at: float, credential_id: str) -> dict[str, Counter[Class]]:
    """Persons by credential and class since ``at``, when ``credential_id`` confirmed.

    What other credentials opened in that same slot counts: when in doubt, more.
    """
    found: dict[str, Counter[Class]] = {}
    for one in opened:
        if one.start >= int(at) or (one.credential_id != credential_id and one.until > at):
            found.setdefault(one.credential_id, Counter())[one.klass] += one.persons
    return found
