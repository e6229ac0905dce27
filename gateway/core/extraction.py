"""What an answer carries: classes, identifiers, records, and the persons that they name.

Rules of this file:

1. Classes are ordered; a budget for one class counts what is of that class *or above*.
2. Identifiers of different kinds link only inside one record and only from declared fields.
3. Two values of one kind are two persons; values found in free text never link.
4. When in doubt, more persons are counted, never fewer.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum, StrEnum

from gateway.core.values import frozen

TEXT_BYTES_PER_PERSON = 680
"""The size of one person's record in the theft of 2024 (25 GB for 36.8 million persons)."""


class Class(IntEnum):
    """Sensitivity, ordered."""

    PUBLIC = 0
    INTERNAL = 1
    PERSONAL = 2
    SENSITIVE = 3
    RESTRICTED = 4

    @property
    def word(self) -> str:
        """The class as policies, ledger and metrics write it."""
        return _WORDS[self]

    @classmethod
    def of(cls, word: str) -> "Class":
        """The class that a policy's word names; ``KeyError`` when there is none."""
        return cls[word.upper()]


_WORDS = tuple(klass.name.lower() for klass in Class)
"""By value: the name of an enumeration's member is looked up slowly, and each record has a dozen of them."""


@frozen
class Identifier:
    """One identifier of a person: a kind that the policy declares, and its normalised value."""

    kind: str
    value: str


@frozen
class Found:
    """One classified field or value of a record.

    ``category`` is the name of the policy's field rule (``nir``, ``email``, ...); ``maskable`` is false where a mask
    would break the answer (form controls, links).
    """

    category: str
    klass: Class
    maskable: bool = True


class Tells(StrEnum):
    """What a field says of its record beside what it carries: whose agency's it is, and until when it was of use."""

    INSIDE = "inside"
    DORMANT = "dormant"


@frozen
class Told:
    """The values of the fields that the policy's ``inside`` and ``dormant`` name, as they stand in one record."""

    inside: tuple[str, ...] = ()
    dormant: tuple[str, ...] = ()


NOTHING_TOLD = Told()


@frozen
class Record:
    """The innermost repeated element of an answer (an object of an array, a CSV row, ``<tr>``, ...) or its root.

    ``persons`` holds one tuple of linked identifiers for each person named; ``parent`` is the index of the enclosing
    record in the reading, ``None`` for a root; ``text_bytes`` counts its own text outside markup. ``told.inside`` is
    said of the first person alone, and of nobody where its fields name several.
    """

    persons: tuple[tuple[Identifier, ...], ...]
    found: tuple[Found, ...]
    parent: int | None = None
    text_bytes: int = 0
    told: Told = NOTHING_TOLD


@frozen
class Located:
    """An identifier from a declared field, with the path of the object that holds it inside its record."""

    identifier: Identifier
    path: tuple[str, ...] = ()


def persons_of(
    declared: Sequence[Located], loose: Iterable[Identifier] = (), told: Iterable[tuple[tuple[str, ...], str]] = ()
) -> tuple[tuple[Identifier, ...], ...]:
    """Group one record's identifiers into persons (rule 4 of the design).

    Of each kind, the value of the outermost object joins the record's own person when it is the only one there; all
    others are persons of their own, linked again among themselves where one nested object holds them (a spouse).
    ``told``: which categories are told at which path: a nested object that tells again what an enclosing one tells
    (another name) is somebody else, even when it alone holds a number. ``loose`` values (found in free text) are one
    person each unless already named.
    """
    persons: list[tuple[Identifier, ...]] = []
    groups: dict[tuple[str, ...], list[Located]] = {(): []}
    others = _others(told) if any(one.path for one in declared) else frozenset()
    for one in dict.fromkeys(declared):
        prefixes = (one.path[:depth] for depth in range(len(one.path), 0, -1))
        groups.setdefault(next((path for path in prefixes if path in others), ()), []).append(one)
    for group in groups.values():
        _link(group, persons)
    known = {identifier for person in persons for identifier in person}
    persons.extend((identifier,) for identifier in dict.fromkeys(loose) if identifier not in known)
    return tuple(persons)


def _others(told: Iterable[tuple[tuple[str, ...], str]]) -> frozenset[tuple[str, ...]]:
    """The paths of objects that tell again what an object around them tells."""
    at: dict[tuple[str, ...], set[str]] = {}
    for path, category in told:
        at.setdefault(path, set()).add(category)
    return frozenset(
        path
        for path, categories in at.items()
        if any(not categories.isdisjoint(at.get(path[:depth], ())) for depth in range(len(path)))
    )


def _link(declared: list[Located], persons: list[tuple[Identifier, ...]]) -> None:
    own: list[Located] = []
    for kind in dict.fromkeys(one.identifier.kind for one in declared):
        of_kind = [one for one in declared if one.identifier.kind == kind]
        depth = min(len(one.path) for one in of_kind)
        outermost = {one.identifier: one for one in of_kind if len(one.path) == depth}
        if len(outermost) == 1:
            own.extend(outermost.values())
    if own:
        persons.append(tuple(dict.fromkeys(one.identifier for one in own)))
    taken = {one.identifier for one in own}
    rest = [one for one in declared if one.identifier not in taken]
    if not own:
        persons.extend((identifier,) for identifier in dict.fromkeys(one.identifier for one in rest))
        return
    for path in dict.fromkeys(one.path for one in rest):
        _link([one for one in rest if one.path == path], persons)


@frozen
class PersonFound:
    """One person of an answer: linked identifiers (none: not identifiable) and what is carried about them.

    ``weight`` is the number of persons an unidentifiable entry stands for (charged by size).
    ``floor`` is the least class this person costs, whatever is masked. ``outside``: not known to be of the caller's
    own agency, where the policy asks (``core.inside``).
    """

    identifiers: tuple[Identifier, ...]
    found: tuple[Found, ...]
    floor: Class = Class.PUBLIC
    weight: int = 1
    told: Told = NOTHING_TOLD
    outside: bool = False


def by_size(text_bytes: int) -> int:
    """Persons that an answer naming nobody is charged for: one per 680 bytes of text, at least one."""
    return max(1, -(-text_bytes // TEXT_BYTES_PER_PERSON))


def attribute(
    records: Sequence[Record],
    request_persons: tuple[Identifier, ...] | None,
    floor: Class,
) -> tuple[PersonFound, ...]:
    """Say whose data an answer carries (rule 5 of the design).

    First by the identifiers in it; records without one belong to the nearest enclosing record that has one, and what
    stands outside all records to every person below; else ``request_persons`` (the identifiers of the request that
    its route declares, one person each; ``None`` when it declares none); else by size, or one person for each record
    that carries something, whichever is more. ``floor`` is the class of the route: at or above ``internal``, an
    answer that carries nothing known is still somebody's.
    """
    if len(records) == 1 and len(records[0].persons) == 1:  # a row of an export, or an answer about one person
        only = records[0]
        return (PersonFound(only.persons[0], only.found, floor, told=only.told),)
    if not any(record.persons for record in records):
        return _unnamed(records, request_persons, floor)
    outside: list[Found] = []
    carried: dict[int, list[Found]] = {}
    strays: list[Record] = []
    named_below = _ancestors_of_named(records)
    for index, record in enumerate(records):
        owner = _owner(records, index)
        if owner is not None:
            carried.setdefault(owner, []).extend(record.found)
        elif index in named_below:
            outside.extend(record.found)
        elif any(found.klass >= Class.INTERNAL for found in record.found):
            strays.append(record)
    persons = [
        PersonFound(identifiers, (*carried.get(index, ()), *outside), floor, told=_told(record, first=not number))
        for index, record in enumerate(records)
        for number, identifiers in enumerate(record.persons)
    ]
    persons.extend(PersonFound((), (*stray.found, *outside), floor, told=_told(stray)) for stray in strays)
    return tuple(persons)


def _told(record: Record, *, first: bool = False) -> Told:
    """What a record tells of one of its persons. How old it is it tells of all: in doubt they are protected."""
    return record.told if first else Told(dormant=record.told.dormant)


def _owner(records: Sequence[Record], index: int) -> int | None:
    current: int | None = index
    while current is not None:
        if records[current].persons:
            return current
        current = records[current].parent
    return None


def _ancestors_of_named(records: Sequence[Record]) -> set[int]:
    ancestors: set[int] = set()
    for record in records:
        if record.persons:
            parent = record.parent
            while parent is not None and parent not in ancestors:
                ancestors.add(parent)
                parent = records[parent].parent
    return ancestors


def _unnamed(
    records: Sequence[Record], request_persons: tuple[Identifier, ...] | None, floor: Class
) -> tuple[PersonFound, ...]:
    found = tuple(one for record in records for one in record.found)
    carries = any(one.klass >= Class.INTERNAL for one in found)
    told = Told(dormant=tuple(date for record in records if record.parent is None for date in record.told.dormant))
    if request_persons and (carries or floor >= Class.INTERNAL):
        return tuple(PersonFound((identifier,), found, floor, told=told) for identifier in request_persons)
    if not carries and floor < Class.INTERNAL:
        return ()
    carrying = sum(1 for one in records if any(f.klass >= Class.INTERNAL for f in one.found))
    weight = max(by_size(sum(record.text_bytes for record in records)), carrying)
    return (PersonFound((), found, floor, weight, told),)
