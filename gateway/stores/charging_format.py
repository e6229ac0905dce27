"""How charges travel to ``lua/charge.lua`` and back: packed strings, all numbers big-endian.

- kinds: their names, one a line
- limits: for each ``>HIIBBBHIHI``: index of its key, limit, window in seconds, class, 1 where it only alarms, 1 where
  it counts outside persons only, index of its floor's key (65535: it has none), persons of the floor, index of the key
  of the floors in use, how many may be
- records: one byte ``commit``; for each record ``>H`` persons; for each person four bytes (class, 1 where outside,
  identifiers, aliases), for each identifier one byte of kind and 16 of hash, for each alias 16 bytes
- back: for each granted record ``>H`` entries; for each ``>16sBBBI``: the person, limits newly counted in, the floors
  that the person stands in (a bit for each limit that has one, in order), how settled this answer is, until when
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Any

from gateway.core.charging import Charge, Charged, Counted, Limit, PersonCharge, Violation
from gateway.core.policy import Then
from gateway.stores import keys

HASH_BYTES = 16
MOST = 255
SETTLED, UNLESS_LINKED = 1, 2
"""How settled an answer is for one person: whatever is linked, or as long as nothing is; 0: it is not."""

_COUNT = struct.Struct(">H")
_ENTRY = struct.Struct(">16sBBBI")
_LARGEST = 2**32 - 1
_NO_FLOOR = 2**16 - 1


def packed_limits(limits: Sequence[Limit], index: dict[str, int]) -> bytes:
    """The limits of one charge (eight with floors at most); their keys are added to ``index``, which a call shares."""
    numbers: list[int] = []
    for limit in limits:
        place = index.setdefault(keys.budget(limit.key), len(index))
        most = min(max(limit.limit, 0), _LARGEST)
        floor = (_NO_FLOOR, 0, _NO_FLOOR, 0)
        if (own := limit.floor) is not None:
            ground, among = (index.setdefault(keys.budget(key), len(index)) for key in (own.key, own.among))
            floor = ground, min(own.persons, _LARGEST), among, min(own.seats, _LARGEST)
        numbers += (place, most, limit.window_s, limit.klass, limit.then is Then.ALARM, limit.outside, *floor)
    return struct.pack(">" + "HIIBBBHIHI" * len(limits), *numbers)


def packed_records(charge: Charge) -> tuple[str, bytes]:
    """The kinds (one a line) and the records of one charge; raises ``ValueError`` where it is no charge."""
    kinds: dict[str, int] = {}
    parts = [b"\1" if charge.commit else b"\0"]
    for record in charge.records:
        parts.append(_COUNT.pack(len(record)))
        for person in record:
            _pack_person(person, kinds, parts)
    if len(kinds) > MOST or any(not kind or "\n" in kind for kind in kinds):
        raise ValueError("a charge has at most 255 kinds, each of one line")
    return "\n".join(kinds), b"".join(parts)


def _pack_person(person: PersonCharge, kinds: dict[str, int], parts: list[bytes]) -> None:
    named = dict(zip(person.hashes, person.kinds, strict=True))
    if not named or len(named) > MOST or len(person.aliases) > MOST:
        raise ValueError("a person has 1 to 255 identifiers and at most 255 aliases")
    if any(len(one) != HASH_BYTES for one in (*named, *person.aliases)):
        raise ValueError(f"a person's hash has {HASH_BYTES} bytes")
    parts.append(bytes((person.klass, person.outside, len(named), len(person.aliases))))
    for value, kind in named.items():
        parts.append(bytes((kinds.setdefault(kind, len(kinds)),)))
        parts.append(value)
    parts.extend(person.aliases)


def charged(limits: Sequence[Limit], answer: Any) -> Charged:
    """What the script answered for a charge with these limits."""
    granted, sequence, alarms, violations, persons = answer
    marks = [limit.mark for limit in limits if limit.floor is not None]
    return Charged(
        granted=granted,
        persons=tuple(
            tuple([Counted(person, new, _floors(floors, marks)) for person, new, floors, _, _ in record])
            for record in _records(persons, granted)
        ),
        violations=tuple(
            Violation(limits[index], used, asked, None if retry_s < 0 else retry_s)
            for index, used, asked, retry_s in violations
        ),
        alarms=tuple(limits[index] for index in alarms),
        sequence=sequence,
    )


def settled(answer: Any) -> Iterator[tuple[bytes, int, int]]:
    """Of each person of the granted records, in the order asked, then more: who it is, how settled that is, and until
    when, in Unix seconds."""
    granted, _, _, _, persons = answer
    for record in _records(persons, granted):
        for person, _, _, how, until in record:
            yield person, how, until


def _records(packed: bytes, records: int) -> Iterator[Iterator[tuple[bytes, int, int, int, int]]]:
    at = 0
    for _ in range(records):
        (entries,) = _COUNT.unpack_from(packed, at)
        at += _COUNT.size
        end = at + entries * _ENTRY.size
        yield _ENTRY.iter_unpack(packed[at:end])
        at = end


def _floors(bits: int, marks: Sequence[str]) -> tuple[str, ...]:
    return tuple(mark for bit, mark in enumerate(marks) if bits >> bit & 1) if bits else ()
