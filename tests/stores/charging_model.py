"""What a charge means, said a second time and slowly: the oracle of ``lua/charge.lua``."""

import copy
import itertools
import math
from dataclasses import dataclass, field, replace

from gateway.core.charging import Charge, Charged, Counted, Limit, PersonCharge, Violation
from gateway.core.extraction import Class
from gateway.core.policy import Then


@dataclass
class State:
    entries: dict[str, dict[bytes, int]] = field(default_factory=dict)
    root: dict[bytes, bytes] = field(default_factory=dict)
    group: dict[bytes, dict[str, bytes]] = field(default_factory=dict)
    floors: dict[str, set[str]] = field(default_factory=dict)

    def live(self, limit: Limit, now: int, key: str | None = None) -> dict[bytes, int]:
        edge = now - limit.window_s * 1000
        return {person: at for person, at in self.entries.get(key or limit.key, {}).items() if at > edge}


@dataclass
class Model:
    state: State = field(default_factory=State)
    clock: int = 0
    sequence: int = 0

    def charge(self, charge: Charge, now_ms: int) -> Charged:
        limits = tuple(_open(self.state, limit, max(self.clock, now_ms)) for limit in charge.limits)
        named = dict(zip(limits, charge.limits, strict=True))
        found = self.charge_open(replace(charge, limits=limits), now_ms)
        violations = tuple(replace(one, limit=named[one.limit]) for one in found.violations)
        return replace(found, violations=violations, alarms=tuple(named[one] for one in found.alarms))

    def charge_open(self, charge: Charge, now_ms: int) -> Charged:
        now = max(self.clock, now_ms)
        state, granted, persons, violations = self.state, 0, [], ()
        for record in charge.records:
            trial = copy.deepcopy(state)
            counted = _record(trial, charge.limits, record, now)
            violations = tuple(_violations(state, trial, charge.limits, now))
            if violations:
                break
            state, granted = trial, granted + 1
            persons.append(counted)
        alarms, sequence = (), 0
        if charge.commit and granted:
            alarms = tuple(
                limit
                for limit in charge.limits
                if limit.then is Then.ALARM
                and len(self.state.live(limit, now)) <= limit.limit < len(state.live(limit, now))
            )
            self.state, self.clock, self.sequence = state, now, self.sequence + 1
            sequence = self.sequence
        return Charged(granted, tuple(persons), violations, alarms, sequence)


class SpreadModel(Model):
    """The same where budgets of several owners are counted apart, and what is linked stays so, granted or not."""

    def charge_open(self, charge: Charge, now_ms: int) -> Charged:
        linked, records = _linked(self.state, charge, now_ms)
        if charge.commit:
            self.state.root, self.state.group = linked.root, linked.group
        owners = dict.fromkeys(limit.owner for limit in charge.limits)
        found = [
            _counted_apart(State(self.state.entries, linked.root, linked.group), limits, records, now_ms)
            for limits in (tuple(one for one in charge.limits if one.owner == owner) for owner in owners)
        ]
        granted = min((len(states) - 1 for states, *_ in found), default=len(records))
        alarms: set[Limit] = set()
        for owner, (states, _, _) in zip(owners, found, strict=True):
            if charge.commit and granted:
                mine = [limit for limit in charge.limits if limit.owner == owner]
                alarms |= {limit for limit in mine if _alarmed(limit, self.state, states[-1], now_ms)}
                for key in (key for limit in mine for key, _ in _parts(limit)):
                    self.state.entries[key] = states[granted].entries.get(key, {})
        violations = {one.limit: one for states, _, more in found if len(states) - 1 == granted for one in more}
        return Charged(
            granted,
            tuple(_joined([persons[at] for _, persons, _ in found], records[at]) for at in range(granted)),
            tuple(violations[limit] for limit in charge.limits if limit in violations),
            tuple(limit for limit in charge.limits if limit in alarms),
            0,
        )


Resolved = list[tuple[PersonCharge, bytes, list[bytes], bool]]
"""The persons of a record: who was asked for, what stands for them, by which identifiers, and whether one more."""


def _linked(state: State, charge: Charge, now: int) -> tuple[State, list[Resolved]]:
    """Every person of a charge, and the state with what its records link."""
    state, records = copy.deepcopy(state), []
    for record in charge.records:
        records.append([])
        for person in record:
            for index, (root, members) in enumerate(_resolve(state, charge.limits, person, now)):
                records[-1].append((person, root, members, index > 0))
                for limit in charge.limits if person.klass is not Class.PUBLIC else ():
                    if person.klass >= limit.klass:
                        state.entries.setdefault(limit.key, {})[root] = now
                if not index:
                    _alias(state, person, root)
    return state, records


def _counted_apart(
    state: State, limits: tuple[Limit, ...], records: list[Resolved], now: int
) -> tuple[list[State], list[list[Counted]], tuple[Violation, ...]]:
    """What one owner's budgets are after each record that they have room for, and what the next one violates."""
    states, persons = [state], []
    for record in records:
        trial, counted = copy.deepcopy(states[-1]), []
        for person, root, members, _ in record:
            new = sum(_count(trial, limit, root, members, person, now) for limit in limits)
            floors = tuple(limit.mark for limit in limits if _on_floor(trial, limit, root, person, now))
            counted.append(Counted(root, new, floors))
        if violations := tuple(_violations(states[-1], trial, limits, now)):
            return states, persons, violations
        states.append(trial)
        persons.append(counted)
    return states, persons, ()


def _joined(parts: list[list[Counted]], record: Resolved) -> tuple[Counted, ...]:
    """The persons of a record, with what all budgets say: in the order asked, then who turned out to be more."""
    whole = [
        Counted(root, sum(part[at].new for part in parts), tuple(mark for part in parts for mark in part[at].floors))
        for at, (_, root, _, _) in enumerate(record)
    ]
    more = [one[3] for one in record]
    return (*itertools.compress(whole, [not one for one in more]), *itertools.compress(whole, more))


def _alarmed(limit: Limit, before: State, after: State, now: int) -> bool:
    held, wanted = len(before.live(limit, now)), len(after.live(limit, now))
    return limit.then is Then.ALARM and held <= limit.limit < wanted


def _alias(state: State, person: PersonCharge, root: bytes) -> None:
    if person.aliases and root not in state.root:
        _join(state, root, person.kinds[0], root)
    for alias in person.aliases:
        state.root.setdefault(alias, root)


def _parts(limit: Limit) -> list[tuple[str, int]]:
    """Where a person may be counted, and how many there."""
    return [(limit.key, limit.limit), *([(limit.floor.key, limit.floor.persons)] if limit.floor else [])]


def _open(state: State, limit: Limit, now: int) -> Limit:
    """A limit as it is for this charge: a floor that is empty takes nobody while as many as may be are in use."""
    floor = limit.floor
    if floor is None or state.live(limit, now, floor.key):
        return limit
    known = state.floors.setdefault(floor.among, set())
    in_use = sum(bool(state.live(limit, now, key)) for key in known)
    known.add(floor.key)
    return limit if in_use < floor.seats else replace(limit, floor=replace(floor, size=0))


def _violations(before: State, after: State, limits: tuple[Limit, ...], now: int) -> list[Violation]:
    found = []
    for limit in limits:
        held = {key: before.live(limit, now, key) for key, _ in _parts(limit)}
        wanted = {key: after.live(limit, now, key) for key, _ in _parts(limit)}
        shared, more = wanted[limit.key], len(wanted[limit.key]) - len(held[limit.key])
        if limit.then is Then.ALARM or more == 0 or len(shared) <= limit.limit:
            continue
        asked = sum(len(wanted[key]) - len(held[key]) for key in held)
        retry_s = None
        if asked <= sum(most for _, most in _parts(limit)):
            waits = [limit.window_s * 1000]
            for key, most in _parts(limit):
                if asked <= most:  # this part alone has room as soon as so many have left it
                    together = sorted([*held[key].values(), *[now] * asked])
                    waits.append(together[len(together) - most - 1] + limit.window_s * 1000 - now)
            retry_s = max(1, math.ceil(min(waits) / 1000))
        found.append(Violation(limit, len(held[limit.key]), asked, retry_s))
    return found


def _record(state: State, limits: tuple[Limit, ...], record: tuple[PersonCharge, ...], now: int) -> tuple[Counted, ...]:
    first, more = [], []
    for person in record:
        for index, (root, members) in enumerate(_resolve(state, limits, person, now)):
            new = sum(_count(state, limit, root, members, person, now) for limit in limits)
            floors = tuple(limit.mark for limit in limits if _on_floor(state, limit, root, person, now))
            (more if index else first).append(Counted(root, new, floors))
            if not index:
                _alias(state, person, root)
    return (*first, *more)


def _join(state: State, root: bytes, kind: str, value: bytes) -> None:
    state.root[value] = root
    state.group.setdefault(root, {})[kind] = value


def _counts(limit: Limit, person: PersonCharge) -> bool:
    return person.klass is not Class.PUBLIC and person.klass >= limit.klass and (person.outside or not limit.outside)


def _count(state: State, limit: Limit, root: bytes, members: list[bytes], person: PersonCharge, now: int) -> int:
    if not _counts(limit, person):
        return 0
    for key, _ in _parts(limit):
        live, held = state.live(limit, now, key), state.entries.setdefault(key, {})
        if root in live:
            return 0
        for member in members:
            if member in live:
                held[root] = held.pop(member)
                return 0
    room = [key for key, most in _parts(limit) if len(state.live(limit, now, key)) < most]
    state.entries[[*room, limit.key][0]][root] = now
    return 1


def _on_floor(state: State, limit: Limit, root: bytes, person: PersonCharge, now: int) -> bool:
    if limit.floor is None or not _counts(limit, person) or root in state.live(limit, now):
        return False
    return root in state.live(limit, now, limit.floor.key)


def _resolve(
    state: State, limits: tuple[Limit, ...], person: PersonCharge, now: int
) -> list[tuple[bytes, list[bytes]]]:
    named = dict(zip(person.hashes, person.kinds, strict=True))
    anchor = person.hashes[0]
    if person.klass is Class.PUBLIC or len(named) == 1:
        return [(state.root.get(anchor, anchor), [anchor])]
    grouped = [state.root[value] for value in named if value in state.root]
    counted = [
        value
        for value in named
        if any(
            limit.klass <= person.klass and value in state.live(limit, now, key)
            for limit in limits
            for key, _ in _parts(limit)
        )
    ]
    root = [*grouped, *counted, anchor][0]
    begins = root in named and root not in state.root
    slots = {named[root]: root} if begins else dict(state.group.get(root, {}))
    members = [value for value in named if state.root.get(value) == root or (value == root and value not in state.root)]
    joining, apart = [], []
    for value, kind in named.items():
        if value in members:
            continue
        if value in state.root:
            apart.append((state.root[value], [value]))
        elif slots.setdefault(kind, value) == value:
            joining.append(value)
        else:
            apart.append((value, [value]))
    if joining and root not in state.root:
        _join(state, root, named[root], root)
    for value in joining:
        _join(state, root, named[value], value)
    group = (root, [*members, *joining])
    if anchor in group[1]:
        return [group, *apart]
    return [*apart, group]
