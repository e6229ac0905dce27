"""Exact numbers: whatever comes at once, in whatever order, from wherever."""

import asyncio
import multiprocessing
from pathlib import Path

import pytest

from gateway.core.charging import Charge, Charged, Limit, PersonCharge, Usage
from gateway.core.extraction import Class
from gateway.core.policy import Scope, Then
from gateway.stores.budgets import Budgets
from gateway.stores.connection import Store
from gateway.stores.faults import StoreLost


def hash_of(number: int) -> bytes:
    return number.to_bytes(16, "big")


def person(*numbers: int, klass: Class = Class.SENSITIVE, aliases: tuple[int, ...] = ()) -> PersonCharge:
    kinds = tuple(f"k{number // 1000}" for number in numbers)
    return PersonCharge(tuple(map(hash_of, numbers)), kinds, klass, tuple(map(hash_of, aliases)))


def limit(most: int = 60, name: str = "user", klass: Class = Class.SENSITIVE, then: Then = Then.REFUSE) -> Limit:
    return Limit(name, f"user:u_1:{name}:3600", Scope.USER, klass, most, 3600, then)


def one_record(*persons: PersonCharge, limits: tuple[Limit, ...] = (limit(),), commit: bool = True) -> Charge:
    return Charge(limits, (persons,), commit)


def stream(*persons: PersonCharge, limits: tuple[Limit, ...] = (limit(),)) -> Charge:
    return Charge(limits, tuple((one,) for one in persons))


@pytest.fixture
def budgets(store: Store, clock) -> Budgets:
    return Budgets(store, clock)


async def used(budgets: Budgets, of: Limit | None = None) -> int:
    return (await budgets.usage([of or limit()]))[0].used


async def _charge_many(socket: str, start: int, count: int) -> int:
    store = await Store.connect(f"unix://{socket}", timeout_s=30)
    budgets = Budgets(store)
    charges = (budgets.charge(one_record(person(number))) for number in range(start, start + count))
    granted = sum(one.granted for one in await asyncio.gather(*charges))
    await store.close()
    return granted


def _process(socket: str, start: int, count: int, granted) -> None:
    granted.put(asyncio.run(_charge_many(socket, start, count)))


async def test_ten_thousand_persons_over_four_processes_are_sixty(redis_socket: Path, store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    granted = context.Queue()
    processes = [context.Process(target=_process, args=(str(redis_socket), n * 2500, 2500, granted)) for n in range(4)]
    for process in processes:
        process.start()
    total = sum([await asyncio.to_thread(granted.get) for _ in processes])
    for process in processes:
        await asyncio.to_thread(process.join)
    assert total == 60
    assert await used(Budgets(store)) == 60


async def test_charges_of_one_turn_go_in_one_call_each_on_its_own(budgets: Budgets, store: Store) -> None:
    await budgets.charge(one_record(person(0)))
    calls = (await store.call("INFO", "commandstats"))["cmdstat_evalsha"]["calls"]
    charges = [one_record(*(person(n) for n in range(start, start + 25))) for start in range(0, 100, 25)]
    outcomes = await asyncio.gather(*map(budgets.charge, charges))
    assert (await store.call("INFO", "commandstats"))["cmdstat_evalsha"]["calls"] == calls + 1
    assert [one.granted for one in outcomes] == [1, 1, 0, 0]
    assert await used(budgets) == 50
    assert [one.sequence for one in outcomes] == [2, 3, 0, 0]


async def test_a_record_is_charged_whole_or_not_at_all(budgets: Budgets) -> None:
    await budgets.charge(one_record(*map(person, range(50))))
    outcome = await budgets.charge(one_record(*map(person, range(45, 61))))
    (violation,) = outcome.violations
    assert (outcome.granted, violation.used, violation.asked, violation.retry_s) == (0, 50, 11, 3600)
    assert await used(budgets) == 50


async def test_a_thousand_persons_go_in_one_record_and_not_one_more(budgets: Budgets) -> None:
    wide = limit(10**6)
    assert (await budgets.charge(one_record(*map(person, range(1000)), limits=(wide,)))).granted == 1
    with pytest.raises(ValueError, match="more than 1000"):
        await budgets.charge(one_record(*map(person, range(1001)), limits=(wide,)))
    assert await used(budgets, wide) == 1000


async def test_a_stream_is_cut_at_the_last_whole_record_that_fits(budgets: Budgets) -> None:
    outcome = await budgets.charge(stream(*map(person, range(2000)), limits=(limit(1234),)))
    assert outcome.granted == len(outcome.persons) == 1234
    assert outcome.violations[0].used == 1234
    assert await used(budgets, limit(1234)) == 1234


async def test_who_is_counted_already_is_free_and_not_renewed(budgets: Budgets, clock) -> None:
    await budgets.charge(one_record(person(1)))
    clock.forward(3599)
    again = await budgets.charge(one_record(person(1)))
    assert again.persons[0][0].new == 0
    assert await budgets.usage([limit()]) == (Usage(limit(), 1, 1),)
    clock.forward(1)
    assert await budgets.usage([limit()]) == (Usage(limit(), 0, None),)
    assert (await budgets.charge(one_record(person(1)))).persons[0][0].new == 1


async def test_who_leaves_the_window_is_new_though_others_stay(budgets: Budgets, clock) -> None:
    await budgets.charge(one_record(person(1)))
    clock.forward(1800)
    await budgets.charge(one_record(person(2)))
    clock.forward(1800)
    assert (await budgets.charge(one_record(person(1)))).persons[0][0].new == 1


async def test_retry_says_when_there_is_room_for_all_that_were_asked(budgets: Budgets, clock) -> None:
    for number in range(3):
        await budgets.charge(one_record(person(number), limits=(limit(3),)))
        clock.forward(100)
    outcome = await budgets.charge(one_record(person(10), person(11), limits=(limit(3),)))
    assert outcome.violations[0].retry_s == 3600 - 200
    clock.forward(3399)
    assert (await budgets.charge(one_record(person(10), person(11), limits=(limit(3),)))).granted == 0
    clock.forward(1)
    assert (await budgets.charge(one_record(person(10), person(11), limits=(limit(3),)))).granted == 1


async def test_waiting_opens_nothing_that_alone_exceeds_the_limit(budgets: Budgets) -> None:
    outcome = await budgets.charge(one_record(*map(person, range(4)), limits=(limit(3),)))
    assert outcome.violations[0].retry_s is None


async def test_a_clock_behind_another_worker_frees_nobody_sooner(store: Store, clock) -> None:
    ahead, behind = Budgets(store, clock), Budgets(store, type(clock)(clock.at - 500))
    await ahead.charge(one_record(person(1)))
    await behind.charge(one_record(person(2)))
    clock.forward(3599)
    assert await used(ahead) == 2


async def test_a_name_in_a_list_makes_no_number_free(budgets: Budgets) -> None:
    limits = (limit(1500, "internal", Class.INTERNAL), limit())
    await budgets.charge(one_record(*(person(n, klass=Class.INTERNAL) for n in range(350)), limits=limits))
    assert [one.used for one in await budgets.usage(limits)] == [350, 0]
    await budgets.charge(one_record(person(1), limits=limits))
    assert [one.used for one in await budgets.usage(limits)] == [350, 1]


async def test_what_is_public_costs_nobody(budgets: Budgets) -> None:
    public = limit(0, "public", Class.PUBLIC)
    outcome = await budgets.charge(one_record(person(1, klass=Class.PUBLIC), limits=(public,)))
    assert (outcome.granted, outcome.persons[0][0].new) == (1, 0)


async def test_every_limit_in_the_way_is_named_and_none_is_charged(budgets: Budgets) -> None:
    limits = (limit(1, "a"), limit(9, "b"), limit(0, "c"), limit(0, "d", then=Then.ALARM))
    outcome = await budgets.charge(one_record(person(1), person(2), limits=limits))
    assert [one.limit.name for one in outcome.violations] == ["a", "c"]
    assert outcome.alarms == ()
    assert [one.used for one in await budgets.usage(limits)] == [0, 0, 0, 0]


async def test_an_alarm_is_raised_once_when_its_limit_is_passed(budgets: Budgets) -> None:
    alarm = limit(2, "everyone", then=Then.ALARM)
    raised = [(await budgets.charge(one_record(person(n), limits=(alarm,)))).alarms for n in range(5)]
    assert raised == [(), (), (alarm,), (), ()]


async def test_a_lower_limit_after_a_reload_counts_what_was_counted(budgets: Budgets) -> None:
    await budgets.charge(one_record(*map(person, range(10))))
    assert (await budgets.charge(one_record(person(5), limits=(limit(5),)))).granted == 1
    assert (await budgets.charge(one_record(person(50), limits=(limit(5),)))).granted == 0


async def test_looking_ahead_writes_nothing(budgets: Budgets, store: Store) -> None:
    ahead = await budgets.charge(one_record(person(1, 1001, aliases=(9,)), commit=False))
    assert (ahead.granted, ahead.sequence) == (1, 0)
    assert await store.call("DBSIZE") == 0


async def test_linked_identifiers_are_one_person_under_either(budgets: Budgets) -> None:
    await budgets.charge(one_record(person(1, 1001)))
    await budgets.charge(stream(person(1001), person(1)))
    assert await used(budgets) == 1


async def test_who_was_counted_under_one_identifier_is_free_under_the_other_once_linked(budgets: Budgets) -> None:
    await budgets.charge(one_record(person(1001)))
    outcome = await budgets.charge(one_record(person(1, 1001)))
    assert outcome.persons[0][0].new == 0
    await budgets.charge(one_record(person(1)))
    assert await used(budgets) == 1


async def test_who_was_counted_before_a_link_made_elsewhere_is_moved_to_its_root(budgets: Budgets) -> None:
    elsewhere = limit(60, "other")
    await budgets.charge(one_record(person(1001)))
    await budgets.charge(one_record(person(1, 2001), limits=(elsewhere,)))
    await budgets.charge(one_record(person(1, 1001)))
    await budgets.charge(one_record(person(1)))
    await budgets.charge(one_record(person(2001)))
    assert await used(budgets) == 1


async def test_a_second_value_of_a_kind_is_another_person(budgets: Budgets) -> None:
    await budgets.charge(one_record(person(1, 1001)))
    outcome = await budgets.charge(one_record(person(1, 1002)))
    assert [(one.person, one.new) for one in outcome.persons[0]] == [(hash_of(1), 0), (hash_of(1002), 1)]
    assert await used(budgets) == 2


async def test_a_thousand_numbers_beside_one_known_person_are_a_thousand_persons(budgets: Budgets) -> None:
    wide = limit(10**6)
    for number in range(1000, 1100):
        await budgets.charge(one_record(person(1, number), limits=(wide,)))
    assert await used(budgets, wide) == 100


async def test_a_minted_token_stands_for_its_person(budgets: Budgets) -> None:
    await budgets.charge(one_record(person(1, aliases=(9001, 9002))))
    await budgets.charge(stream(person(9001), person(9002)))
    assert await used(budgets) == 1


async def test_links_outlive_the_longest_window(budgets: Budgets, store: Store) -> None:
    await budgets.charge(one_record(person(1, 1001)))
    left = {name[:2]: await store.call("TTL", name) for name in await store.call("KEYS", "[lg]:*")}
    assert 31 * 86_400 - 60 <= left[b"l:"] <= 31 * 86_400 < left[b"g:"]


async def test_a_budget_leaves_the_store_after_its_window(budgets: Budgets, store: Store) -> None:
    await budgets.charge(one_record(person(1)))
    assert 3600 <= await store.call("TTL", "b:user:u_1:user:3600") <= 3660


@pytest.mark.parametrize(
    "wrong",
    [
        PersonCharge((), (), Class.SENSITIVE),
        PersonCharge((b"short",), ("k",), Class.SENSITIVE),
        PersonCharge((hash_of(1),), ("two\nlines",), Class.SENSITIVE),
        PersonCharge((hash_of(1),), (), Class.SENSITIVE),
    ],
)
async def test_what_is_no_person_is_refused_and_harms_no_other_charge(budgets: Budgets, wrong: PersonCharge) -> None:
    answers = await asyncio.gather(
        budgets.charge(one_record(wrong)), budgets.charge(one_record(person(1))), return_exceptions=True
    )
    assert isinstance(answers[0], ValueError)
    assert isinstance(answers[1], Charged)


async def test_one_that_stops_waiting_is_charged_and_the_others_are_answered(budgets: Budgets) -> None:
    tasks = [asyncio.create_task(budgets.charge(one_record(person(n)))) for n in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[1], asyncio.CancelledError)
    assert await used(budgets) == 3


async def test_an_emptied_store_charges_nobody(budgets: Budgets, store: Store, tmp_path: Path) -> None:
    await store.ensure_epoch(tmp_path)
    await budgets.charge(one_record(person(1)))
    await store.call("FLUSHALL")
    with pytest.raises(StoreLost):
        await budgets.charge(one_record(person(2)))
    assert await store.call("DBSIZE") == 0


async def test_a_store_rolled_back_under_a_running_worker_charges_nobody(budgets: Budgets, store: Store) -> None:
    await budgets.charge(one_record(person(1)))
    await budgets.charge(one_record(person(2)))
    await store.call("SET", "seq", 1)
    with pytest.raises(StoreLost):
        await budgets.charge(one_record(person(3)))
