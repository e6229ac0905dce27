"""The charging script does what the model says, whatever is charged."""

import itertools
from dataclasses import replace
from pathlib import Path

from charging_model import Model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.charging import Charge, Floor, Limit, PersonCharge
from gateway.core.extraction import Class
from gateway.core.policy import Scope, Then
from gateway.stores.budgets import Budgets
from gateway.stores.connection import Store

KINDS = ("nir", "agency", "id")
EXAMPLES = itertools.count(1)


def hash_of(example: int, kind: int, value: int) -> bytes:
    return example.to_bytes(4, "big") + bytes((kind, value)) + b"\0\n" * 5


def alias_of(example: int, value: int) -> bytes:
    return hash_of(example, 99, value)


identifiers = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=3)
persons = st.tuples(identifiers, st.sampled_from(list(Class)), st.lists(st.integers(0, 1), max_size=1), st.booleans())
records = st.lists(persons, max_size=3)
wanted_limits = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from([Class.INTERNAL, Class.PERSONAL, Class.SENSITIVE]),
        st.integers(0, 6),
        st.sampled_from([10, 60]),
        st.sampled_from([Then.REFUSE, Then.MASK, Then.ALARM]),
        st.booleans(),
        st.none() | st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2)),
    ),
    max_size=4,
    unique_by=lambda one: one[0],
)
charges = st.tuples(wanted_limits, st.lists(records, max_size=4), st.booleans() | st.just(True), st.integers(-5, 15))


def limit_of(example: int, wanted: tuple[int, Class, int, int, Then, bool, tuple[int, int, int] | None]) -> Limit:
    number, klass, most, window_s, then, outside, own = wanted
    key = f"{example}:{number}:{window_s}"
    floor = Floor(f"{key}:{own[0]}", own[1], f"{key}:floors", own[2]) if own and then is not Then.ALARM else None
    return Limit(f"n{number}", key, Scope.USER, klass, most, window_s, then, outside, floor)


def person_of(example: int, wanted: tuple[list[tuple[int, int]], Class, list[int], bool]) -> PersonCharge:
    named, klass, aliases, outside = wanted
    hashes = tuple(hash_of(example, *one) if one[0] < 2 or one[1] < 3 else alias_of(example, 0) for one in named)
    return PersonCharge(
        hashes,
        tuple(KINDS[kind] for kind, _ in named),
        klass,
        tuple(alias_of(example, one) for one in aliases),
        outside,
    )


def charge_of(example: int, limits: tuple[Limit, ...], wanted: tuple[list[list[object]], bool]) -> Charge:
    wanted_records, commit = wanted
    return Charge(limits, tuple(tuple(person_of(example, one) for one in record) for record in wanted_records), commit)


class Times:
    """The store's time, and what ages its answers."""

    def __init__(self, example: int) -> None:
        self.now_s = 1_800_000_000 + example * 1_000
        self.age_s = 0.0

    def now(self) -> float:
        return float(self.now_s)

    def monotonic(self) -> float:
        return self.age_s


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=st.lists(charges, max_size=8))
async def test_script_equals_model(redis_socket: Path, story: list[tuple[object, ...]]) -> None:
    example = next(EXAMPLES)
    store = await Store.connect(f"unix://{redis_socket}", timeout_s=20)
    model, times = Model(sequence=int(await store.call("GET", "seq") or 0)), Times(example)
    try:
        for wanted_limits, wanted_records, commit, seconds in story:
            times.now_s += seconds
            limits = tuple(limit_of(example, one) for one in wanted_limits)
            charge = charge_of(example, limits, (wanted_records, commit))
            assert await Budgets(store, times).charge(charge) == model.charge(charge, times.now_s * 1000)
    finally:
        await store.close()


known_to_be_asked = st.lists(st.lists(persons, min_size=1, max_size=2), min_size=1, max_size=3)
stories = st.tuples(
    st.lists(wanted_limits, min_size=2, max_size=2),
    st.lists(st.tuples(known_to_be_asked, st.booleans() | st.just(True)), min_size=1, max_size=3),
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 2), st.integers(0, 8)), min_size=2, max_size=12
    ),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=stories)
async def test_who_is_known_to_be_counted_is_answered_as_the_model_answers(
    redis_socket: Path, story: tuple[list[object], list[object], list[tuple[int, ...]]]
) -> None:
    """Two workers, who ask few things often; each has heard of the store since the other last asked it."""
    example = next(EXAMPLES)
    store = await Store.connect(f"unix://{redis_socket}", timeout_s=20)
    model, times, last = Model(), Times(example), 0
    workers = [Budgets(store, times, monotonic=times.monotonic) for _ in range(2)]
    callers = [tuple(limit_of(example, one) for one in wanted) for wanted in story[0]]
    try:
        for worker, caller, asked, seconds in story[2]:
            times.now_s += seconds
            times.age_s += worker != last
            last = worker
            charge = charge_of(example, callers[caller], story[1][asked % len(story[1])])
            outcome = replace(await workers[worker].charge(charge), sequence=0)
            assert outcome == replace(model.charge(charge, times.now_s * 1000), sequence=0)
    finally:
        await store.close()
