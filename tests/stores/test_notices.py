"""Notices are told until another session has seen them; messages are sent on, tried again, and given up."""

import asyncio
from itertools import pairwise

import orjson
import pytest

from gateway.stores import keys
from gateway.stores.connection import Store
from gateway.stores.notices import Notices
from gateway.stores.sending import WAITS_S

USER, MINE, OTHER = "u_1", "s_mine", "s_other"


@pytest.fixture
def notices(store: Store, clock) -> Notices:
    return Notices(store, clock, sends=True)


async def add(notices: Notices, kind: str = "factor_bound", by: str = MINE, user: str = USER) -> None:
    await notices.add(user, "agency", kind, reference="K7Q-4M2", by=by)


async def kinds(notices: Notices) -> list[str]:
    return [one.kind for one in await notices.of(USER)]


async def test_what_changed_is_told_the_newest_first_and_to_its_user_alone(notices: Notices, clock) -> None:
    await add(notices)
    clock.at += 1
    await add(notices, "factor_removed")
    await add(notices, "invited", user="u_2")
    assert await kinds(notices) == ["factor_removed", "factor_bound"]
    (first, _) = await notices.of(USER)
    assert (first.at, first.reference, first.by) == (clock.at, "K7Q-4M2", MINE)


async def test_a_session_does_not_make_its_own_change_seen(notices: Notices, clock) -> None:
    await add(notices)
    assert await notices.seen(USER, until=clock.at, by=MINE) == 0
    assert await kinds(notices) == ["factor_bound"]
    assert await notices.seen(USER, until=clock.at, by=OTHER) == 1
    assert await kinds(notices) == []


async def test_what_was_not_shown_yet_is_not_seen(notices: Notices, clock) -> None:
    await add(notices)
    shown = clock.at
    clock.at += 0.001
    await add(notices, "not_me")
    assert await notices.seen(USER, until=shown, by=OTHER) == 1
    assert await kinds(notices) == ["not_me"]


async def test_many_of_one_kind_push_no_other_out(notices: Notices) -> None:
    await add(notices)
    for _ in range(200):
        await add(notices, "recovery_codes_made")
    assert sorted(await kinds(notices)) == ["factor_bound", "recovery_codes_made"]


async def test_after_ninety_days_nothing_is_told(notices: Notices, clock) -> None:
    await add(notices)
    clock.at += keys.NOTICE_LIFETIME_S - 1
    assert await kinds(notices) == ["factor_bound"]
    clock.at += 1
    assert await kinds(notices) == []


async def test_a_message_says_who_and_what_and_is_gone_once_it_was_sent(notices: Notices, clock) -> None:
    await add(notices)
    waiting = await notices.sending.take()
    assert waiting is not None and not waiting.last
    said = orjson.loads(waiting.body)
    assert len(said.pop("id")) == 16
    time = int(clock.at)
    assert said == {"kind": "factor_bound", "user": USER, "partner": "agency", "time": time, "reference": "K7Q-4M2"}
    await notices.sending.done(waiting.body)
    clock.at += sum(WAITS_S)
    assert await notices.sending.take() is None


async def test_a_message_that_did_not_arrive_comes_again_after_each_wait_and_then_no_more(
    notices: Notices, clock
) -> None:
    await add(notices)
    tries, began = [], clock.at
    for _ in range(sum(WAITS_S) + 100):
        if (waiting := await notices.sending.take()) is not None:
            tries.append((clock.at - began, waiting.last))
        if waiting is not None and waiting.last:
            break
        clock.at += 5
    assert [later - earlier for (earlier, _), (later, _) in pairwise(tries)] == list(WAITS_S)
    assert [last for _, last in tries] == [False] * len(WAITS_S) + [True]
    clock.at += sum(WAITS_S)
    assert await notices.sending.take() is None


async def test_of_many_who_take_at_once_each_message_is_one_s(notices: Notices) -> None:
    for number in range(20):
        await add(notices, user=f"u_{number}")
    taken = [one for one in await asyncio.gather(*(notices.sending.take() for _ in range(100))) if one is not None]
    assert len(taken) == len({one.body for one in taken}) == 20


async def test_nothing_waits_where_nobody_is_told(store: Store, clock) -> None:
    await add(Notices(store, clock))
    assert await store.call("EXISTS", keys.NOTIFY) == 0
