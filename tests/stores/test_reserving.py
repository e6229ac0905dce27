"""On a cluster a charge goes to several slots: it does what the model says, and nobody gets more than the limit."""

import asyncio
import itertools
import multiprocessing
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from charging_model import SpreadModel
from held_clock import HeldClock
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis_cluster import Shards, clustered
from redis_servers import RedisServer, folder
from test_budgets_model import limit_of, person_of, records, wanted_limits

from gateway.core.charging import Charge, Floor, Limit, PersonCharge
from gateway.core.extraction import Class
from gateway.core.policy import Scope, Then
from gateway.ports import StoreUnavailable
from gateway.stores import places
from gateway.stores.budgets import Budgets
from gateway.stores.cluster import SLOTS
from gateway.stores.connection import Store
from gateway.stores.reserving import Reservation, Reservations, by_place

EXAMPLES = itertools.count(1)
NOW_S = 1_800_000_000
charges = st.tuples(wanted_limits, st.lists(records, max_size=4), st.booleans() | st.just(True), st.integers(0, 15))


@pytest.fixture(scope="module")
def shards() -> Iterator[Shards]:
    with folder() as directory, clustered(directory) as made:
        yield made


@pytest.fixture
async def spread(shards: Shards) -> AsyncIterator[Store]:
    for one in shards.primaries:
        one.ask("FLUSHALL")
    store = await Store.connect(shards.url, timeout_s=10)
    yield store
    await store.close()


def owned(number: int, wanted: tuple) -> Limit:
    return replace(limit_of(number, wanted), owner=f"{number}:{wanted[0] % 3}")


def wanted_limit(number: int, most: int = 6, *, klass: Class = Class.INTERNAL, outside: bool = False) -> tuple:
    return number, klass, most, 60, Then.REFUSE, outside, None


def asked(limits: list[tuple], *wanted: list[tuple]) -> tuple:
    return limits, list(wanted), True, 1


def named(*identifiers: tuple[int, int], klass: Class = Class.SENSITIVE, outside: bool = True) -> tuple:
    return list(identifiers), klass, [], outside


NIR, AGENCY, ID, OTHER = (0, 1), (1, 1), (2, 1), (0, 3)
HERE, FULL = wanted_limit(0), wanted_limit(1, 0)
KNOWN = asked([wanted_limit(2)], [named(NIR, AGENCY)])
"""The social security number stands for both."""

BOTH_COUNTED = [
    KNOWN,
    asked([HERE], [named(ID)], [named(NIR)], [named(NIR, ID)]),
    asked([wanted_limit(0, 2)], [named(OTHER)]),
]
INSIDE = [
    KNOWN,
    asked([wanted_limit(0, outside=True)], [named(ID)], [named(NIR, ID, outside=False)]),
    asked([wanted_limit(0, outside=True)], [named(NIR)]),
]
KNOWN_AS_ANOTHER_BY_WHAT_IS_REFUSED = [
    KNOWN,
    asked([HERE], [named(ID)]),
    asked([HERE, FULL], [named(NIR, ID)]),
    asked([HERE], [named(NIR)]),
]
COUNTED_HERE_AND_REFUSED_THERE = [
    asked(
        [HERE, wanted_limit(3, klass=Class.SENSITIVE), wanted_limit(1, 0, klass=Class.SENSITIVE)],
        [named(ID, klass=Class.INTERNAL)],
        [named(ID)],
    ),
    asked([wanted_limit(3, klass=Class.SENSITIVE)], [named(ID)]),
]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=st.lists(charges, max_size=8))
@example(story=BOTH_COUNTED)
@example(story=INSIDE)
@example(story=KNOWN_AS_ANOTHER_BY_WHAT_IS_REFUSED)
@example(story=COUNTED_HERE_AND_REFUSED_THERE)
async def test_reservations_equal_the_model(spread: Store, story: list[tuple]) -> None:
    number, model = next(EXAMPLES), SpreadModel()
    now_s = 1_800_000_000 + number * 1_000

    class Clock:
        def now(self) -> float:
            return float(now_s)

    budgets = Budgets(spread, Clock())
    for limits, wanted_records, commit, seconds in story:
        now_s += seconds
        charge = Charge(
            tuple(owned(number, one) for one in limits),
            tuple(tuple(person_of(number, one) for one in record) for record in wanted_records),
            commit,
        )
        assert replace(await budgets.charge(charge), sequence=0) == model.charge(charge, now_s * 1000)


def limit(most: int, owner: str, then: Then = Then.REFUSE) -> Limit:
    return Limit(owner, f"{owner}:sensitive:3600", Scope.USER, Class.SENSITIVE, most, 3600, then, owner=owner)


def person(number: int) -> PersonCharge:
    return PersonCharge((number.to_bytes(16, "big"),), ("nir",), Class.SENSITIVE)


def one(number: int, *limits: Limit) -> Charge:
    return Charge(limits, ((person(number),),))


USER, PARTNER, EVERYONE = limit(60, "u_1"), limit(40, "partner:p"), limit(100_000, "everyone")


async def used(store: Store, clock: HeldClock, *limits: Limit) -> list[int]:
    return [usage.used for usage in await Budgets(store, clock).usage(limits)]


def test_the_budgets_of_a_user_a_partner_and_everyone_are_on_different_nodes(shards: Shards) -> None:
    slots = [shards.primary_of(SLOTS[places.place_of(one.owner)]).port for one in (USER, PARTNER, EVERYONE)]
    assert len(set(slots)) > 1


async def _charge_many(url: str, start: int, count: int) -> int:
    store = await Store.connect(url, timeout_s=30)
    budgets = Budgets(store)
    charges = (budgets.charge(one(number, USER, EVERYONE)) for number in range(start, start + count))
    granted = sum(one.granted for one in await asyncio.gather(*charges))
    await store.close()
    return granted


def _process(url: str, start: int, count: int, granted) -> None:
    granted.put(asyncio.run(_charge_many(url, start, count)))


async def test_four_thousand_persons_over_four_processes_are_sixty(shards: Shards, spread: Store) -> None:
    context = multiprocessing.get_context("spawn")
    granted = context.Queue()
    processes = [context.Process(target=_process, args=(shards.url, n * 1000, 1000, granted)) for n in range(4)]
    for process in processes:
        process.start()
    total = sum([await asyncio.to_thread(granted.get) for _ in processes])
    for process in processes:
        await asyncio.to_thread(process.join)
    assert total == 60
    assert await used(spread, spread.clock, USER, EVERYONE) == [60, 60]


async def test_what_one_slot_refuses_is_taken_back_in_the_others(spread: Store, clock: HeldClock) -> None:
    outcomes = [await Budgets(spread, clock).charge(one(number, USER, PARTNER)) for number in range(50)]
    assert [outcome.granted for outcome in outcomes] == [1] * 40 + [0] * 10
    assert [violation.limit for violation in outcomes[-1].violations] == [PARTNER]
    assert await used(spread, clock, USER, PARTNER) == [40, 40]


async def reserved(store: Store, charge: Charge, now_s: int = NOW_S) -> Reservation:
    """A charge as far as a gateway has got with it that is gone then."""
    halfway = Reservation(charge, by_place(store, charge.limits))
    await Reservations(store).link([halfway], now_s * 1000)
    await Reservations(store).reserve([halfway], now_s * 1000)
    return halfway


def with_floor(user: int, *, seats: int = 3) -> Limit:
    """Of thirty persons 18 are shared, and four kept for each seat."""
    floor = Floor(f"floor:p:{user}", 4, "floors:p", seats)
    return replace(limit(18, "partner:p"), floor=floor)


async def test_two_hundred_at_once_by_eight_people_of_a_partner_of_three_seats_take_its_limit_and_not_one_more(
    shards: Shards, spread: Store, clock: HeldClock
) -> None:
    async with AsyncExitStack() as ends:
        workers = [Budgets(spread, clock)]
        for _ in range(3):
            store = await Store.connect(shards.url, timeout_s=10)
            ends.push_async_callback(store.close)
            workers.append(Budgets(store, clock))
        charges = (one(number, EVERYONE, with_floor(number % 8)) for number in range(200))
        outcomes = await asyncio.gather(*(workers[at // 8 % 4].charge(charge) for at, charge in enumerate(charges)))
    assert sum(outcome.granted for outcome in outcomes) == 30
    usages = [(await workers[0].usage([with_floor(user)]))[0] for user in range(8)]
    assert sorted(usage.floor_used for usage in usages) == [0] * 5 + [4] * 3
    assert {usage.floors_in_use for usage in usages} == {3}


async def test_a_floor_is_in_use_by_nobody_whose_charge_another_slot_refuses(spread: Store, clock: HeldClock) -> None:
    budgets, alone = Budgets(spread, clock), [replace(with_floor(user, seats=1), limit=0) for user in range(2)]
    assert (await budgets.charge(one(1, alone[0], limit(0, "u_1")))).granted == 0
    assert (await budgets.charge(one(2, alone[1], limit(1, "u_2")))).granted == 1
    clock.forward(1800)
    assert (await budgets.charge(one(3, alone[1], limit(1, "u_2")))).granted == 0
    clock.forward(1800)  # the floor is in use since its latest person, whoever was refused later
    assert (await budgets.charge(one(4, alone[0]))).granted == 1


async def test_nobody_finds_counted_what_is_only_reserved(spread: Store, clock: HeldClock) -> None:
    await reserved(spread, one(7, USER, PARTNER))
    outcome = await Budgets(spread, clock).charge(one(7, USER, PARTNER))
    assert outcome.persons[0][0].new == 2


async def test_whoever_is_confirmed_is_counted_once(spread: Store, clock: HeldClock) -> None:
    halfway = await reserved(spread, one(7, USER, PARTNER))
    await Budgets(spread, clock).charge(one(7, USER, PARTNER))
    assert await used(spread, clock, USER, PARTNER) == [2, 2]
    await Reservations(spread).settle([halfway])
    assert await used(spread, clock, USER, PARTNER) == [1, 1]
    assert (await Budgets(spread, clock).charge(one(7, USER, PARTNER))).persons[0][0].new == 0


async def test_an_undo_takes_back_its_own_and_nothing_else(spread: Store, clock: HeldClock) -> None:
    mine, _ = await reserved(spread, one(7, USER)), await reserved(spread, one(7, USER))
    mine.fault = StoreUnavailable("another slot is gone")
    await Reservations(spread).settle([mine])
    assert await used(spread, clock, USER) == [1]


async def test_after_a_crash_it_stays_counted_until_its_window_has_passed(spread: Store, clock: HeldClock) -> None:
    await reserved(spread, one(7, USER, PARTNER))
    clock.forward(3599)
    assert await used(spread, clock, USER, PARTNER) == [1, 1]
    clock.forward(1)
    assert await used(spread, clock, USER, PARTNER) == [0, 0]


async def test_one_page_asked_for_ten_times_at_once_is_one_person(spread: Store, clock: HeldClock) -> None:
    narrow = limit(1, "u_2")
    budgets = Budgets(spread, clock)
    outcomes = await asyncio.gather(*(budgets.charge(one(7, narrow, EVERYONE)) for _ in range(10)))
    assert [outcome.granted for outcome in outcomes] == [1] * 10
    assert await used(spread, clock, narrow, EVERYONE) == [1, 1]


async def test_charges_of_many_users_in_one_turn_are_one_round_trip_for_each_node(
    shards: Shards, spread: Store, clock: HeldClock
) -> None:
    budgets = Budgets(spread, clock)
    await budgets.charge(one(0, USER))
    users = [limit(60, f"u_{number}") for number in range(40)]
    before = [calls(one) for one in shards.primaries]
    await asyncio.gather(*(budgets.charge(one(number + 1, user)) for number, user in enumerate(users)))
    touched = {places.place_of(user.owner) for user in users}
    made = sum(calls(one) for one in shards.primaries) - sum(before)
    assert made == 1 + 2 * len(touched)  # who they are; then in each place reserved and settled


def calls(server: RedisServer) -> int:
    return int(server.ask("INFO", "commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


async def test_who_is_new_by_one_identifier_goes_on_under_the_one_that_stands_for_both(
    spread: Store, clock: HeldClock
) -> None:
    nir, number = (value.to_bytes(16, "big") for value in (1, 2))
    alone = PersonCharge((number,), ("id",), Class.SENSITIVE)
    named = PersonCharge((nir,), ("nir",), Class.PUBLIC, aliases=(b"a" * 16,))
    both = PersonCharge((nir, number), ("nir", "id"), Class.SENSITIVE)
    budgets = Budgets(spread, clock)
    await budgets.charge(Charge((USER,), ((alone, named, both),)))
    again = await budgets.charge(Charge((USER,), ((PersonCharge((nir,), ("nir",), Class.SENSITIVE),),)))
    assert again.persons[0][0].new == 0
