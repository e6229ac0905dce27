"""Floors: what is kept for each of a partner's people is theirs, whoever empties what all share; never one too many."""

import asyncio
import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.assurance import Caller, Proof
from gateway.core.charging import Charge, Limit, PersonCharge, limits_of
from gateway.core.extraction import Class
from gateway.core.policy import BudgetRule, ClassRule, PartnerRule, Policy, Scope
from gateway.stores.budgets import Budgets
from gateway.stores.connection import Store

SEATS, FLOOR, HOUR = 24, 10, 3600
MOST = 20 * SEATS
"""The whole limit: 240 are shared, 240 kept."""

RULE = BudgetRule("partner-hour", Scope.PARTNER, Class.SENSITIVE, MOST, HOUR, floor=FLOOR)
CLASSES = {klass: ClassRule(klass) for klass in Class}
CLASSES[Class.SENSITIVE] = ClassRule(Class.SENSITIVE, ("totp", "webauthn"), 4 * HOUR)
PARTNERS = {"p": PartnerRule((RULE,), seats=SEATS)}
POLICY = Policy("d", CLASSES, Class.RESTRICTED, Class.PERSONAL, {}, (), (), {}, (), partners=PARTNERS)
NUMBERS = itertools.count(1)

FEW, FEW_SEATS, FEW_EACH = 30, 3, 4
NARROW = replace(POLICY, partners={"p": PartnerRule((replace(RULE, limit=FEW, floor=FEW_EACH),), seats=FEW_SEATS)})
"""Three seats: of the thirty 18 are shared, and twelve kept."""


@pytest.fixture
def budgets(store: Store, clock) -> Budgets:
    return Budgets(store, clock)


def limits(number: int, now: float, kind: str = "webauthn", policy: Policy = POLICY) -> tuple[Limit, ...]:
    user, token = f"u_{number}", f"t_{number}"
    proof = Proof(f"p_{number}", kind, now, user, token)
    caller = Caller(user, "p", "iss", str(number), "", "person", "token", token, (proof,))
    return limits_of(policy, caller, now, proof=proof)


def of_few(number: int, now: float) -> tuple[Limit, ...]:
    """The same at a partner of three seats."""
    return limits(number, now, policy=NARROW)


def persons(*numbers: int) -> tuple[tuple[PersonCharge, ...], ...]:
    """One record for each number."""
    return tuple((PersonCharge((number.to_bytes(16, "big"),), ("nir",), Class.SENSITIVE),) for number in numbers)


def more(count: int) -> tuple[tuple[PersonCharge, ...], ...]:
    """As many persons whom nobody has seen."""
    return persons(*itertools.islice(NUMBERS, count))


async def test_whoever_empties_what_all_share_leaves_each_of_nineteen_colleagues_ten_an_hour(
    budgets: Budgets, clock
) -> None:
    thieves = [limits(number, clock.at) for number in range(5)]
    taken = await asyncio.gather(*(budgets.charge(Charge(one, more(300))) for one in thieves))
    assert sum(one.granted for one in taken) == MOST - SEATS * FLOOR + 5 * FLOOR  # all there is to share, and their own
    for number in range(5, 24):
        colleague = limits(number, clock.at)
        assert (await budgets.charge(Charge(colleague, more(10)))).granted == 10
        over = await budgets.charge(Charge(colleague, more(1)))
        (violation,) = over.violations
        assert (over.granted, violation.limit.name, violation.retry_s) == (0, "partner-hour", HOUR)
    clock.forward(HOUR)
    assert (await budgets.charge(Charge(limits(7, clock.at), more(10)))).granted == 10


async def test_all_together_at_once_take_the_whole_limit_and_not_one_more(budgets: Budgets, clock) -> None:
    everybody = [limits(number, clock.at) for number in range(SEATS)]
    asked = [budgets.charge(Charge(one, more(5))) for _ in range(10) for one in everybody]
    granted = [one.granted for one in await asyncio.gather(*asked)]
    assert sum(granted) == MOST
    usages = [(await budgets.usage(one))[0] for one in everybody]
    assert {one.used for one in usages} == {MOST - SEATS * FLOOR}
    assert {one.floor_used for one in usages} == {FLOOR}
    assert {one.left for one in usages} == {0}


async def test_a_code_opens_no_floor_and_what_was_counted_in_it_stays_free(budgets: Budgets, clock) -> None:
    await budgets.charge(Charge(limits(1, clock.at), more(240)))
    seen = more(3)
    charged = await budgets.charge(Charge(limits(2, clock.at), seen))
    assert [one.floors for (one,) in charged.persons] == [("sensitive:3600",)] * 3
    shut = limits(2, clock.at, "totp")
    assert (await budgets.charge(Charge(shut, more(1)))).granted == 0
    again = await budgets.charge(Charge(shut, seen))
    assert [(one.new, one.floors) for (one,) in again.persons] == [(0, ("sensitive:3600",))] * 3


async def test_one_record_is_charged_whole_to_both_parts_or_not_at_all(budgets: Budgets, clock) -> None:
    await budgets.charge(Charge(limits(1, clock.at), more(238)))
    mine = limits(2, clock.at)
    (crowd,) = (tuple(itertools.chain(*more(13))),)
    refused = await budgets.charge(Charge(mine, (crowd,)))
    (violation,) = refused.violations
    assert (refused.granted, violation.used, violation.asked) == (0, 238, 13)
    (usage,) = await budgets.usage(mine)
    assert (usage.used, usage.floor_used, usage.left) == (238, 0, 12)
    charged = await budgets.charge(Charge(mine, (crowd[:12],)))
    assert [bool(one.floors) for one in charged.persons[0]] == [False] * 2 + [True] * 10


async def test_a_look_ahead_takes_nothing_of_a_floor(budgets: Budgets, clock) -> None:
    await budgets.charge(Charge(limits(1, clock.at), more(240)))
    mine = limits(2, clock.at)
    for _ in range(2):
        assert (await budgets.charge(Charge(mine, more(10), commit=False))).granted == 10
    assert (await budgets.usage(mine))[0].floor_used == 0


async def test_waiting_is_promised_only_for_when_there_is_surely_room(budgets: Budgets, clock) -> None:
    await budgets.charge(Charge(limits(1, clock.at), more(200)))
    clock.forward(600)
    await budgets.charge(Charge(limits(1, clock.at), more(40)))
    clock.forward(600)
    await budgets.charge(Charge(limits(2, clock.at), more(10)))
    mine = limits(2, clock.at)

    async def wait_for(count: int) -> int | None:
        (violation,) = (await budgets.charge(Charge(mine, (tuple(itertools.chain(*more(count))),)))).violations
        return violation.retry_s

    assert await wait_for(1) == await wait_for(200) == HOUR - 1200
    assert await wait_for(201) == HOUR - 600
    assert await wait_for(250) == HOUR  # more than what is shared: surely when nobody is counted any more
    assert await wait_for(251) is None


async def test_a_limit_made_smaller_leaves_every_floor_as_it_was(budgets: Budgets, clock) -> None:
    await budgets.charge(Charge(limits(1, clock.at), more(240)))
    less = tuple(replace(one, limit=100) for one in limits(2, clock.at))
    assert (await budgets.charge(Charge(less, more(11)))).granted == 10


async def test_two_hundred_at_once_by_eight_people_without_seats_take_the_whole_limit_and_not_one_more(
    four_stores: list[Store], clock
) -> None:
    workers = [Budgets(store, clock) for store in four_stores]
    everybody = [of_few(number, clock.at) for number in range(8)]
    asked = (workers[turn // 8 % 4].charge(Charge(everybody[turn % 8], more(1))) for turn in range(200))
    assert sum(one.granted for one in await asyncio.gather(*asked)) == FEW
    usages = [(await workers[0].usage(one))[0] for one in everybody]
    assert sum(one.floor_used > 0 for one in usages) == FEW_SEATS == usages[0].floors_in_use
    assert usages[0].used + sum(one.floor_used for one in usages) == FEW


async def test_who_takes_a_freed_seat_takes_nobody_more_while_the_floors_of_those_before_are_in_use(
    budgets: Budgets, clock
) -> None:
    before = [of_few(number, clock.at) for number in range(3)]
    await budgets.charge(Charge(before[0], more(18)))
    assert [(await budgets.charge(Charge(one, more(9)))).granted for one in before] == [FEW_EACH] * 3
    clock.forward(600)
    after = [of_few(number, clock.at) for number in range(3, 6)]
    for newcomer in after:
        (usage,) = await budgets.usage(newcomer)
        assert (usage.left, usage.floor, usage.next_free_s) == (0, 0, HOUR - 600)
        over = await budgets.charge(Charge(newcomer, more(1)))
        assert [(one.used, one.asked, one.retry_s) for one in over.violations] == [(18, 1, HOUR - 600)]
    clock.forward(HOUR - 600)
    assert [(await budgets.charge(Charge(one, more(99)))).granted for one in after] == [22, 4, 4]


async def test_a_floor_is_free_for_another_when_the_latest_person_has_left_it(budgets: Budgets, clock) -> None:
    thief, *several = (of_few(number, clock.at) for number in range(5))
    await budgets.charge(Charge(thief, more(18)))
    clock.forward(1200)
    for one in several[:3]:
        assert (await budgets.charge(Charge(one, more(1)))).granted == 1
    clock.forward(1200)
    assert (await budgets.charge(Charge(several[0], more(1)))).granted == 1
    clock.forward(1200)
    assert (await budgets.charge(Charge(thief, more(18)))).granted == 18
    clock.forward(1199)
    assert (await budgets.charge(Charge(several[3], more(1)))).granted == 0
    clock.forward(1)
    assert [(await budgets.charge(Charge(one, more(9)))).granted for one in (*several[2:], several[1])] == [4, 4, 0]
    assert (await budgets.charge(Charge(several[0], more(9)))).granted == 3  # theirs is in use since 1200 s later


turns = st.tuples(st.integers(0, 7), st.integers(1, 12), st.sampled_from([0, 0, 0, 600, 1500, 3000]))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(turns, max_size=30))
async def test_in_no_hour_are_more_taken_than_the_limit(store: Store, clock, story: list[tuple[int, int, int]]) -> None:
    clock.forward(2 * HOUR)  # nobody of an example before is counted any more
    taken: list[tuple[float, int]] = []
    for number, count, wait_s in story:
        charged = await Budgets(store, clock).charge(Charge(of_few(number, clock.at), more(count)))
        taken.append((clock.at, charged.granted))
        assert sum(granted for at, granted in taken if at > clock.at - HOUR) <= FEW
        clock.forward(wait_s)
