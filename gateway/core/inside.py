"""Least privilege from what records say: whose agency's they are, and which have long been of no use.

Rules of this file:

1. Inside is whose record names the caller's agency, and nothing else, in an answer. In doubt a person is outside.
2. Whoever has been seen inside stays so where an answer tells nothing of them, and not where it tells another agency.
3. What is personal or above in a dormant record is restricted, and so is its person.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Final

from gateway.core.assurance import Caller
from gateway.core.extraction import Class, Found, PersonFound, Told
from gateway.core.policy import Dormant, Policy

DORMANT: Final = Found("dormant", Class.RESTRICTED)
"""Found in every dormant record: it hides with the rest, and the ledger says by it why."""

Known = Callable[[PersonFound], bool]
_ISO: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?!\d)")
_FRENCH: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?!\d)")


def judged(
    policy: Policy, caller: Caller, persons: Sequence[PersonFound], now: float, known: Known = lambda _: False
) -> tuple[PersonFound, ...]:
    """``persons`` as the policy's ``inside`` and ``dormant`` see them at ``now``.

    ``known``: who was seen inside before by this caller.
    """
    if policy.dormant is not None:
        persons = [_asleep(one) if is_dormant(policy.dormant, one.told, now) else one for one in persons]
    if policy.inside is not None:
        inside = [is_inside(caller, one) or (unsure(one) and known(one)) for one in persons]
        persons = [replace(one, outside=not at_home) for one, at_home in zip(persons, inside, strict=True)]
    return tuple(persons)


def is_inside(caller: Caller, person: PersonFound) -> bool:
    """Whether a person's record names the caller's agency, and no other."""
    agency = _comparable(caller.agency)
    return agency != "" and {_comparable(value) for value in person.told.inside} == {agency}


def unsure(person: PersonFound) -> bool:
    """Whether an answer says of somebody's agency nothing at all."""
    return not person.told.inside and bool(person.identifiers)


def is_dormant(rule: Dormant, told: Told, now: float) -> bool:
    """Whether one of a record's dates lies more than the rule's months before ``now`` (Unix seconds, in UTC)."""
    edge = months_before(datetime.fromtimestamp(now, UTC).date(), rule.months)
    return any(day < edge for value in told.dormant if (day := date_of(value)) is not None)


def months_before(day: date, months: int) -> date:
    """The same day so many months before, or the last of that month."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    for last in range(day.day, 27, -1):
        try:
            return date(year, month + 1, last)
        except ValueError:
            continue
    return date(year, month + 1, day.day)


def date_of(text: str) -> date | None:
    """The date that a text begins with: ISO 8601 or dd/mm/yyyy; ``None`` where it is none."""
    iso, french = _ISO.match(text), _FRENCH.match(text)
    try:
        if iso is not None:
            return date(int(iso[1]), int(iso[2]), int(iso[3]))
        return date(int(french[3]), int(french[2]), int(french[1])) if french is not None else None
    except ValueError:
        return None


def _asleep(person: PersonFound) -> PersonFound:
    found = (replace(one, klass=Class.RESTRICTED) if one.klass >= Class.PERSONAL else one for one in person.found)
    return replace(person, found=(*found, DORMANT))


def _comparable(value: str) -> str:
    return " ".join(value.split()).casefold()
