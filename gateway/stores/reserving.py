"""A charge whose budgets are in several hash slots: reserved in each, then confirmed in all or undone in all.

Rules of this file:

1. A reservation counts at once, and nobody else finds its persons counted until it is confirmed: nobody takes free what
   another one may still undo. It has an id of its own, and an undo removes nothing else. Who goes on under another hash
   does so once the record that says it is confirmed.
2. What is not certain stays counted until its window has passed: a crash, a server that does not answer, an undo that
   fails. So the only possible error is counting too many.
3. Each round goes to all slots at once, one script call for each: who the persons are (and, where a record first links
   them, who of them is counted), the reservations, their settling.
4. A charge fails where one of its slots does, and no other charge.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.core.charging import Charge, Charged, Counted, Limit, Violation
from gateway.ports import StoreUnavailable
from gateway.stores import keys, places
from gateway.stores.charging_format import HASH_BYTES, MOST, charged, packed_limits, packed_records
from gateway.stores.connection import Argument, Script, Store
from gateway.stores.scripts import Placed

_LINK = Script("charge_reading", "charge", "link", waits=False)
_COUNTED = Script("charge_reading", "counted", waits=False)
_RESERVE = Script("charge_reading", "charge", "reserve", "charge_all")
_SETTLE = Script("settle", waits=False)

LINK_LIFETIME_MS = (keys.LINK_LIFETIME_S + keys.DAY_S) * 1000
ID_BYTES = 8


@dataclass(slots=True)
class Reservation:
    """One charge on its way. ``records``: packed as they are reserved; ``more``: a byte for each person of them.

    ``persons``: of each record the identifiers of each person, first the one that stands for all of them. ``moves``:
    by place who goes on under another hash if it is granted (record, budget, hash, the other hash).
    """

    charge: Charge
    limits: Mapping[str, Sequence[Limit]]
    id: bytes = field(default_factory=lambda: secrets.token_bytes(ID_BYTES))
    kinds: str = ""
    records: bytes = b""
    more: bytes = b""
    persons: list[list[tuple[bytes, ...]]] = field(default_factory=list)
    counted: bytes = b""
    answers: dict[str, Charged] = field(default_factory=dict)
    moves: dict[str, list[tuple[int, bytes, bytes, bytes]]] = field(default_factory=dict)
    fault: StoreUnavailable | None = None

    def __post_init__(self) -> None:
        self.kinds, self.records = packed_records(self.charge)

    @property
    def granted(self) -> int:
        """Records that every place has room for."""
        return min((one.granted for one in self.answers.values()), default=len(self.charge.records))

    def classes(self) -> bytes:
        """The classes of its limits, as ``link.lua`` takes them."""
        classes = sorted({limit.klass for limit in self.charge.limits})
        return bytes((len(classes), *classes))


def by_place(store: Store, limits: Iterable[Limit]) -> dict[str, list[Limit]]:
    """Limits by where they are counted: all that counts for one owner is in one place."""
    groups: dict[str, list[Limit]] = {}
    for limit in limits:
        groups.setdefault(store.place_of(limit.owner or limit.key), []).append(limit)
    return groups


def apart(charge: Charge, seen: set[bytes]) -> bool:
    """Whether nobody of a charge is among those seen, who then are among them too.

    Charges with a person in common are not made together: what one of them reserves the other does not find counted.
    """
    mine = {value for record in charge.records for person in record for value in person.hashes}
    if not seen.isdisjoint(mine):
        return False
    seen |= mine
    return True


class Reservations:
    """The budgets of a store that has slots."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def charge(self, charges: Sequence[Charge], now_ms: int) -> list[Charged | StoreUnavailable]:
        """Each charge's outcome; ``StoreUnavailable`` where it is not certain that all is charged."""
        made = [Reservation(charge, by_place(self._store, charge.limits)) for charge in charges]
        await self.link(made, now_ms)
        await self.reserve(made, now_ms)
        await self.settle(made)
        return [one.fault or _outcome(one) for one in made]

    async def link(self, made: Sequence[Reservation], now_ms: int) -> None:
        """Know every person by the identifier that stands for all of theirs."""
        unclear = await self._linked(made, now_ms)
        if unclear:
            await self._look_who_is_counted(unclear, now_ms)
            await self._linked([one for one in unclear if one.fault is None], now_ms)

    async def _linked(self, made: Sequence[Reservation], now_ms: int) -> list[Reservation]:
        """Those for which it matters who is counted already are returned, and nothing is done about them."""
        if not made:
            return []
        packed: list[Argument] = [part for one in made for part in (one.kinds, one.counted, one.records)]
        names = [keys.EPOCH, keys.CLOCK, keys.SEQUENCE, keys.LINKED]
        header: list[Argument] = [now_ms, self._store.epoch, 0, LINK_LIFETIME_MS]
        (answers,) = await self._store.run_all([Placed(places.LINKS, _LINK, names, [*header, *packed])])
        unclear: list[Reservation] = []
        if isinstance(answers, StoreUnavailable):
            for one in made:
                one.fault = answers
            return []
        for one, answer in zip(made, answers, strict=True):
            if answer:
                one.records, one.more = answer
                one.persons = _persons_in(one.records)
            else:
                unclear.append(one)
        return unclear

    async def _look_who_is_counted(self, made: Sequence[Reservation], now_ms: int) -> None:
        for one in made:
            one.counted = one.classes()
        for _, group, answers in await self._everywhere(_COUNTED, made, now_ms):
            for one, answer in zip(group, answers, strict=True):
                one.counted += answer

    async def reserve(self, made: Sequence[Reservation], now_ms: int) -> None:
        """Count every person where they are new, as a reservation."""
        whole = [one for one in made if one.fault is None]
        for place, group, answers in await self._everywhere(_RESERVE, whole, now_ms):
            _, _, outcomes = answers
            for one, answer in zip(group, outcomes, strict=True):
                *outcome, one.moves[place] = answer
                one.answers[place] = charged(one.limits[place], outcome)
            self._store.acknowledged(place, max(answer[1] for answer in outcomes))

    async def _everywhere(
        self, script: Script, made: Sequence[Reservation], now_ms: int
    ) -> list[tuple[str, list[Reservation], Any]]:
        """Call a script for all the limits of these charges; what was answered, by place and charges."""
        groups: dict[str, list[Reservation]] = {}
        for one in made:
            for place in one.limits:
                groups.setdefault(place, []).append(one)
        calls: list[Placed] = []
        for place, group in groups.items():
            index: dict[str, int] = {}
            packed: list[Argument] = []
            for one in group:
                packed += (one.id, packed_limits(one.limits[place], index), one.records)
            names = [keys.EPOCH, keys.CLOCK, keys.SEQUENCE, keys.LINKED, *index]
            header: list[Argument] = [now_ms, self._store.epoch, self._store.lowest(place), LINK_LIFETIME_MS]
            calls.append(Placed(place, script, names, [*header, *packed]))
        found: list[tuple[str, list[Reservation], Any]] = []
        for (place, group), answers in zip(groups.items(), await self._store.run_all(calls), strict=True):
            if isinstance(answers, StoreUnavailable):
                for one in group:
                    one.fault = answers
            else:
                found.append((place, group, answers))
        return found

    async def settle(self, made: Sequence[Reservation]) -> None:
        """Confirm what is granted, and undo the rest. What cannot be confirmed is spent, and its charge has failed."""
        groups: dict[str, list[tuple[Reservation, _Settled]]] = {}
        for one in made:
            for place in one.answers if one.charge.commit else ():
                settled = _settled(one, place, 0 if one.fault else one.granted)
                if any(settled):
                    groups.setdefault(place, []).append((one, settled))
        calls = [_settling(place, group) for place, group in groups.items()]
        for group, answer in zip(groups.values(), await self._store.run_all(calls), strict=True):
            if isinstance(answer, StoreUnavailable):
                for one, settled in group:
                    one.fault = one.fault or (answer if settled.kept else None)


class _Settled(NamedTuple):
    """What becomes of whom one place newly counted (hash and record's number), and who goes on under another's hash."""

    kept: bytes
    dropped: bytes
    moved: list[tuple[str, bytes]]


def _settled(one: Reservation, place: str, granted: int) -> _Settled:
    new = [
        (number, person.person + number.to_bytes(4, "big"))
        for number, record in enumerate(one.answers[place].persons)
        for person in record
        if person.new
    ]
    return _Settled(
        b"".join(name for number, name in new if number < granted),
        b"".join(name for number, name in new if number >= granted),
        [(key.decode(), known + root) for number, key, known, root in one.moves[place] if number < granted],
    )


def _settling(place: str, group: Iterable[tuple[Reservation, _Settled]]) -> Placed:
    index: dict[str, int] = {}
    arguments: list[Argument] = []
    for one, (kept, dropped, moves) in group:
        floors = [limit.floor for limit in one.limits[place] if limit.floor is not None]
        budgets = [*(limit.key for limit in one.limits[place]), *(floor.key for floor in floors)]
        in_use = [key for floor in floors for key in (floor.key, floor.among)]
        moved = b"".join(_indexes([key], index) + hashes for key, hashes in moves)
        places = (_indexes(map(keys.budget, names), index) for names in (budgets, in_use))
        arguments += (one.id, *places, kept, dropped, moved)
    return Placed(place, _SETTLE, list(index), arguments)


def _indexes(names: Iterable[str], index: dict[str, int]) -> bytes:
    return b"".join(index.setdefault(name, len(index)).to_bytes(2, "big") for name in names)


def _outcome(one: Reservation) -> Charged:
    """What all places together have answered."""
    granted = one.granted
    order = {id(limit): index for index, limit in enumerate(one.charge.limits)}
    violations: list[Violation] = []
    alarms: list[Limit] = []
    for answer in one.answers.values():
        if answer.granted == granted:
            violations += answer.violations
        if granted:
            alarms += answer.alarms
    return Charged(
        granted,
        _persons(one, granted),
        tuple(sorted(violations, key=lambda violation: order[id(violation.limit)])),
        tuple(sorted(alarms, key=lambda limit: order[id(limit)])),
        max((answer.sequence for answer in one.answers.values()), default=0) if granted else 0,
    )


def _persons(one: Reservation, granted: int) -> tuple[tuple[Counted, ...], ...]:
    """The persons of the granted records: in the order asked, then those that identifiers turned out to be besides."""
    found: list[tuple[Counted, ...]] = []
    flags = iter(one.more)
    for index, record in enumerate(one.persons[:granted]):
        first: list[Counted] = []
        more: list[Counted] = []
        for position, person in enumerate(record):
            parts = [answer.persons[index][position] for answer in one.answers.values()]
            floors = tuple(mark for part in parts for mark in part.floors)
            into = more if next(flags) else first
            into.append(Counted(person[0], min(sum(part.new for part in parts), MOST), floors))
        found.append((*first, *more))
    return tuple(found)


def _persons_in(packed: bytes) -> list[list[tuple[bytes, ...]]]:
    """The identifiers of each person of each record, as ``link.lua`` packs them."""
    records: list[list[tuple[bytes, ...]]] = []
    at, size = 1, 1 + HASH_BYTES
    while at < len(packed):
        persons, at = int.from_bytes(packed[at : at + 2], "big"), at + 2
        record: list[tuple[bytes, ...]] = []
        for _ in range(persons):
            first, at = at + 4, at + 4 + packed[at + 2] * size
            record.append(tuple(packed[start + 1 : start + size] for start in range(first, at, size)))
        records.append(record)
    return records
