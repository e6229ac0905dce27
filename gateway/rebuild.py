"""Budgets made again from the ledger, after the store was emptied, swapped or rolled back.

Rules of this file:

1. In doubt a person is counted, and for longer: an entry is the latest of the times that the first charge may have.
2. Nobody is charged while this goes on: the epoch is taken away first and made anew last. Broken off, the store stays
   lost; done again, the result is the same.
3. Which identifiers are one person stands in no ledger. Whoever was known by several may be counted twice, never less.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from gateway.core.assurance import Caller, Mandate, Proof
from gateway.core.charging import RECORDED_WITHIN_S, Limit, limits_of
from gateway.core.extraction import Class
from gateway.core.policy import Policy
from gateway.ledger.reading import RecordedCharge
from gateway.stores import keys
from gateway.stores.connection import Store

ENTRIES_PER_CALL = 2_000
RECORDED_LATER_S = 60
"""A record is written after its charge, by less than this: whether an entry had left may be unsure by as much."""

_UNKNOWN = -math.inf
"""A first charge before the time from which the ledger was read."""

Budget = tuple[str, int]
"""Key of a limit, and its window in seconds."""

Entries = Mapping[bytes, float]
"""Person to the time of the first charge."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What the ledger says of every budget at one time; ``latest``: its newest charge, Unix seconds.

    ``owners``: for whom each is counted, by the limit's key. ``in_use``: the floors that are, as the store knows them.
    """

    budgets: Mapping[Budget, Entries]
    records: int
    latest: float
    owners: Mapping[str, str] = field(default_factory=dict)
    in_use: Mapping[Budget, Entries] = field(default_factory=dict)

    @property
    def entries(self) -> int:
        """Persons in all budgets together."""
        return sum(map(len, self.budgets.values()))


def since(policy: Policy, now: float) -> float:
    """From when on the ledger must be read: twice the longest window of any budget, proof or mandate.

    What lies before a window decides whether a charge in it was a first one.
    """
    proofs = (rule.max_age_s for rule in policy.classes.values())
    return now - 2 * max(keys.LINK_LIFETIME_S, *(rule.window_s for rule in policy.every_budget), *proofs)


def replay(policy: Policy, charges: Iterable[RecordedCharge], now: float) -> Rebuilt:
    """Every budget of ``policy`` at ``now``, from the charges since ``since(policy, now)`` in any order."""
    times: dict[Budget, dict[bytes, list[float]]] = {}
    owners: dict[str, str] = {}
    floors: dict[Budget, str] = {}
    records, latest = 0, 0.0
    for charge in charges:
        records += 1
        latest = max(latest, charge.now)
        counted = tuple(_counted(charge))
        for limit in _limits(policy, charge):
            if charge.now <= now - 2 * limit.window_s:
                continue
            for one in counted:
                if limit.klass <= one.klass and (one.outside or not limit.outside):
                    key = limit.key
                    if limit.floor and limit.mark in one.floors:
                        key, among = limit.floor.key, limit.floor.among
                        floors[key, limit.window_s], owners[among] = among, limit.owner
                    owners[key] = limit.owner
                    times.setdefault((key, limit.window_s), {}).setdefault(one.person, []).append(charge.now)
    budgets: dict[Budget, Entries] = {}
    for budget, persons in times.items():
        found = {person: first for person, at in persons.items() if (first := _first(at, budget[1], now)) is not None}
        if found:
            budgets[budget] = found
    in_use: dict[Budget, dict[bytes, float]] = {}
    for (key, window_s), among in floors.items():
        if people := budgets.get((key, window_s)):
            in_use.setdefault((among, window_s), {})[keys.budget(key).encode()] = max(people.values())
    return Rebuilt(budgets, records, latest, owners, in_use)


_OF_CALLER = ("user", "partner", "credential", "credential_kind", "lineage")


def _limits(policy: Policy, charge: RecordedCharge) -> tuple[Limit, ...]:
    """The limits that this charge went to."""
    said = {name: str(charge.caller.get(name) or "") for name in _OF_CALLER}
    who = (said["user"], said["partner"], "", "", "", "person", said["credential_kind"], said["credential"])
    caller = Caller(*who, lineage=said["lineage"])
    proof = None
    if charge.proof is not None:
        name, kind, factor = (str(charge.proof.get(one) or "") for one in ("id", "kind", "credential"))
        proof = Proof(name, kind, charge.now, caller.user, caller.credential_id, factor)
    mandate = None
    if charge.mandate is not None:
        klass, window_s = _class_of(charge.mandate["class"]), int(charge.mandate["window_s"])
        mandate = Mandate(klass, 0, window_s, math.inf, "")
    observe = charge.mode == "observe"
    return limits_of(policy, caller, charge.now, proof=proof, mandate=mandate, observe=observe, misses=charge.miss)


@dataclass(frozen=True, slots=True)
class _Counted:
    """A person whom a charge newly counted somewhere; ``floors``: marks of the limits in whose floor they stand."""

    person: bytes
    klass: Class
    outside: bool
    floors: Sequence[str]


def _counted(charge: RecordedCharge) -> Iterable[_Counted]:
    """The persons whom this charge newly counted somewhere; others are no matter here."""
    for person in charge.persons:
        if person.newly and (klass := _class_of(person.class_name)) > Class.PUBLIC:
            yield _Counted(bytes.fromhex(person.hash), klass, person.outside, person.floors)
    words = [word for word, count in charge.unnamed_classes.items() for _ in range(count)]
    classes = [_class_of(word) for word in words] + [max(Class)] * (charge.unnamed - len(words))
    left = dict(charge.unnamed_floors)
    for number, klass in enumerate(classes, 1):
        # Which of them stand in a floor is no matter: nobody of them is seen again.
        floors = [mark for mark, count in left.items() if count and _class_of(mark.partition(":")[0]) <= klass]
        left.update({mark: left[mark] - 1 for mark in floors})
        yield _Counted(_nobody(charge, number), klass, charge.unnamed_outside, floors)


def _nobody(charge: RecordedCharge, number: int) -> bytes:
    said = f"{charge.charge_seq}:{charge.now!r}:{charge.caller.get('credential')}:{number}"
    return blake2b(said.encode(), digest_size=16, person=b"nobody").digest()


def _class_of(word: str) -> Class:
    try:
        return Class.of(word)
    except KeyError:  # a later version's word
        return max(Class)


def _first(times: list[float], window_s: int, now: float) -> float | None:
    """The latest time that the entry of one person may have at ``now``; ``None`` where it has left by then.

    A charge is a first one where the entry before has left. Of charges early in what was read that is not known:
    both possibilities are followed.
    """
    start = now - 2 * window_s
    possible = {_UNKNOWN}
    for at in sorted(times):
        edge = at - window_s
        surely = {one for one in possible if (start if one == _UNKNOWN else one) <= edge - RECORDED_LATER_S}
        perhaps = any(one <= edge + RECORDED_LATER_S for one in possible)
        possible = possible - surely | ({at} if perhaps else set())
    last = max(possible)
    return last if last > now - window_s else None


async def close(store: Store) -> None:
    """Let nobody charge any more, and wait until what was charged before is in the ledgers.

    Raises ``StoreUnavailable``. A charge whose record comes later is asked about again before anything leaves
    (``Charger.still_counted``).
    """
    await store.forget_epoch()
    await asyncio.sleep(2 * RECORDED_WITHIN_S)  # nothing tells when the last of them is written, at whichever gateway


async def write(
    store: Store, rebuilt: Rebuilt, directory: Path, sequence: int, progress: Callable[[int], None] = lambda _: None
) -> None:
    """Write every budget and declare the store whole again; ``sequence``: the ledgers' last number of a charge.

    What stands in the store already and is later stays. Raises ``StoreUnavailable``; the store is lost until done.
    """
    await store.forget_epoch()
    done = 0
    for (key, window_s), entries in (*rebuilt.budgets.items(), *rebuilt.in_use.items()):
        name, life_ms = keys.budget(key), (window_s + keys.BUDGET_SLACK_S) * 1000
        place = store.place_of(rebuilt.owners.get(key) or key)
        members = list(entries.items())
        for start in range(0, len(members), ENTRIES_PER_CALL):
            part = members[start : start + ENTRIES_PER_CALL]
            values = [value for member, at in part for value in (math.ceil(at * 1000), member)]
            await store.calls(("ZADD", name, "GT", *values), ("PEXPIRE", name, life_ms), atomic=True, place=place)
            done += len(part)
            progress(done)
    said = (await store.each_place(("GET", keys.CLOCK), ("GET", keys.SEQUENCE))).values()
    clock = max(int(clock or 0) for clock, _ in said)
    await store.each_place(("SET", keys.CLOCK, max(clock, math.ceil(rebuilt.latest * 1000))))
    await store.renew_epoch(directory, max(sequence, *(int(counted or 0) for _, counted in said)))
