"""Who is counted already costs no call; whoever may not be is asked for."""

from dataclasses import replace
from typing import Protocol

import pytest
from test_budgets import limit, one_record, person, stream

from gateway.core.charging import Charged, Limit, PersonCharge
from gateway.core.extraction import Class
from gateway.ports import StoreUnavailable
from gateway.stores import keys
from gateway.stores.budgets import Budgets
from gateway.stores.connection import Store
from gateway.stores.faults import StoreLost


class Clock(Protocol):
    """The store's time."""

    def forward(self, seconds: float) -> None: ...


class Ages:
    """What ages the store's answers, in seconds."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def ages() -> Ages:
    return Ages()


@pytest.fixture
def budgets(store: Store, clock: Clock, ages: Ages) -> Budgets:
    return Budgets(store, clock, monotonic=ages)


async def calls(store: Store) -> int:
    stats = await store.call("INFO", "commandstats")
    return int(stats.get("cmdstat_evalsha", {}).get("calls", 0)) + int(stats.get("cmdstat_eval", {}).get("calls", 0))


async def asked(budgets: Budgets, store: Store, *persons: PersonCharge, limits: tuple[Limit, ...]) -> bool:
    """Whether a charge of these persons called the store."""
    before = await calls(store)
    await budgets.charge(one_record(*persons, limits=limits))
    return await calls(store) > before


@pytest.mark.parametrize("who", [person(1), person(1, 1001)], ids=["alone", "linked"])
async def test_who_was_charged_is_known(budgets: Budgets, store: Store, who: PersonCharge) -> None:
    limits = (limit(), limit(name="day"))
    first = await budgets.charge(one_record(who, limits=limits))
    before = await calls(store)
    again = await budgets.charge(one_record(who, limits=limits))
    assert await calls(store) == before
    assert [one.person for one in again.persons[0]] == [one.person for one in first.persons[0]]
    assert (again.granted, again.persons[0][0].new, again.sequence) == (1, 0, first.sequence)


async def test_each_record_of_a_stream_is_answered_for(budgets: Budgets) -> None:
    limits = (limit(),)
    await budgets.charge(stream(person(1), person(2), limits=limits))
    again = await budgets.charge(stream(person(2), person(1), limits=limits))
    assert [record[0].person for record in again.persons] == [person(2).hashes[0], person(1).hashes[0]]


@pytest.mark.parametrize(
    "other",
    [person(2), person(1, klass=Class.RESTRICTED), person(1, 1001)],
    ids=["another person", "a higher class", "another identifier"],
)
async def test_whoever_else_is_asked_for(budgets: Budgets, store: Store, other: PersonCharge) -> None:
    limits = (limit(), limit(name="higher", klass=Class.RESTRICTED))
    await budgets.charge(one_record(person(1), limits=limits))
    assert await asked(budgets, store, other, limits=limits)


async def test_one_who_is_not_known_has_all_asked_for(budgets: Budgets, store: Store) -> None:
    limits = (limit(1),)
    await budgets.charge(one_record(person(1), limits=limits))
    refused = await budgets.charge(one_record(person(1), person(2), limits=limits))
    assert (refused.granted, refused.violations[0].asked) == (0, 1)


async def test_another_callers_limits_are_others(budgets: Budgets, store: Store) -> None:
    await budgets.charge(one_record(person(1), limits=(limit(),)))
    assert await asked(budgets, store, person(1), limits=(limit(name="colleague"),))


async def test_a_refused_person_is_not_known(budgets: Budgets) -> None:
    limits = (limit(0),)
    refusals: list[Charged] = [await budgets.charge(one_record(person(1), limits=limits)) for _ in range(2)]
    assert [one.granted for one in refusals] == [0, 0]


async def test_who_passes_by_in_a_stream_is_neither_known_nor_kept(budgets: Budgets, store: Store) -> None:
    limits = (limit(),)
    passing = replace(stream(person(2), limits=limits), passing=True)
    await budgets.charge(passing)
    before = await calls(store)
    await budgets.charge(stream(person(2), limits=limits))
    assert await calls(store) == before + 1
    await budgets.charge(passing)
    assert await calls(store) == before + 2


async def test_a_look_ahead_makes_nobody_known(budgets: Budgets, store: Store) -> None:
    limits = (limit(),)
    await budgets.charge(one_record(person(1), limits=limits, commit=False))
    assert (await budgets.charge(one_record(person(1), limits=limits))).persons[0][0].new == 1


async def test_nobody_is_known_for_longer_than_their_shortest_window(
    budgets: Budgets, store: Store, clock: Clock
) -> None:
    limits = (limit(),)
    await budgets.charge(one_record(person(1), limits=limits))
    clock.forward(3596)
    assert not await asked(budgets, store, person(1), limits=limits)
    clock.forward(1)  # another gateway's time may be three seconds ahead
    assert await asked(budgets, store, person(1), limits=limits)
    clock.forward(3)
    assert (await budgets.charge(one_record(person(1), limits=limits))).persons[0][0].new == 1


async def test_nobody_is_known_for_longer_than_a_link_lasts(
    budgets: Budgets, store: Store, clock: Clock, ages: Ages
) -> None:
    limits = (limit(),)
    who = person(1, 1001)
    await budgets.charge(one_record(who, limits=limits))
    await store.call("PEXPIRE", b"l:" + who.hashes[1], 5_000)
    ages.seconds += 1
    await budgets.charge(one_record(who, limits=limits))
    clock.forward(3)
    assert await asked(budgets, store, who, limits=limits)


async def test_a_link_that_another_worker_made_ends_what_is_known_of_single_identifiers(
    budgets: Budgets, store: Store, clock: Clock, ages: Ages
) -> None:
    limits = (limit(),)
    await budgets.charge(one_record(person(1001), limits=limits))
    elsewhere = Budgets(store, clock)
    await elsewhere.charge(one_record(person(2, 1002), limits=(limit(name="elsewhere"),)))
    await elsewhere.charge(one_record(person(2, 1001), limits=(limit(name="elsewhere"),)))
    ages.seconds += 1
    await budgets.charge(one_record(person(7), limits=limits))  # hears of it
    assert await asked(budgets, store, person(1001), limits=limits)


async def test_the_store_is_asked_again_after_a_second(budgets: Budgets, store: Store, ages: Ages) -> None:
    limits = (limit(),)
    await budgets.charge(one_record(person(1), limits=limits))
    ages.seconds += 0.99
    assert not await asked(budgets, store, person(1), limits=limits)
    ages.seconds += 0.01
    assert await asked(budgets, store, person(1), limits=limits)


async def test_a_store_that_failed_is_asked_again_at_once(budgets: Budgets, store: Store) -> None:
    limits = (limit(),)
    await budgets.charge(one_record(person(1), limits=limits))
    await store.call("SET", keys.budget(limit().key), "no set")
    with pytest.raises(StoreUnavailable):
        await budgets.charge(one_record(person(2), limits=limits))
    with pytest.raises(StoreUnavailable):
        await budgets.charge(one_record(person(1), limits=limits))


async def test_a_store_that_was_lost_is_believed_in_nothing_it_said(budgets: Budgets, store: Store, tmp_path) -> None:
    await store.ensure_epoch(tmp_path)
    limits = (limit(),)
    await budgets.charge(one_record(person(1), limits=limits))
    await store.call("FLUSHALL")
    with pytest.raises(StoreLost):
        await budgets.charge(one_record(person(2), limits=limits))
    await store.renew_epoch(tmp_path, 1)
    assert (await budgets.charge(one_record(person(1), limits=limits))).persons[0][0].new == 1


async def test_a_new_epoch_ends_what_is_known(budgets: Budgets, store: Store, tmp_path) -> None:
    await store.ensure_epoch(tmp_path)
    limits = (limit(),)
    await budgets.charge(one_record(person(1), limits=limits))
    await store.call("FLUSHALL")
    await store.renew_epoch(tmp_path, 1)
    assert (await budgets.charge(one_record(person(1), limits=limits))).persons[0][0].new == 1
