"""Floors: what is kept for each of a partner's people is theirs, whoever empties what all share; never one too many."""

import asyncio
import itertools
from dataclasses import replace

import pytest

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


@pytest.fixture
def budgets(store: Store, clock) -> Budgets:
    return Budgets(store, clock)


def limits(number: int, now: float, kind: str = "webauthn") -> tuple[Limit, ...]:
    user, token = f"u_{number}", f"t_{number}"
    proof = Proof(f"p_{number}", kind, now, user, token)
    caller = Caller(user, "p", "iss", str(number), "", "person", "token", token, (proof,))
    return limits_of(POLICY, caller, now, proof=proof)


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
