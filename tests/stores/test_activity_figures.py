"""Figures of what people opened: in memory first, then in the store for two days, and never a fault of a request's."""

import pytest

from gateway.core.activity import Opened, slot_end
from gateway.core.assurance import Caller, Proof
from gateway.core.extraction import Class
from gateway.stores import keys
from gateway.stores.activity import Activity
from gateway.stores.connection import Store

ALICE = Caller("u_1", "agency", "iss", "sub", "Alice", "person", "session", "s_1")
DAY_BEGINS = 1_800_000_000 - 1_800_000_000 % keys.DAY_S


@pytest.fixture
def activity(store: Store, clock) -> Activity:
    clock.at = DAY_BEGINS + 36_000.0
    return Activity(store, clock)


def slot(start: int, persons: int, klass: Class = Class.SENSITIVE) -> Opened:
    return Opened("s_1", klass, start, slot_end(start), persons)


async def test_figures_of_all_workers_add_up(activity: Activity, store: Store, clock) -> None:
    start = int(clock.at)
    for worker in (activity, Activity(store, clock)):
        worker.opened(ALICE, {Class.SENSITIVE: 2, Class.INTERNAL: 1, Class.PUBLIC: 0}, clock.at)
        worker.opened(ALICE, {Class.SENSITIVE: 3}, clock.at + 599)
        await worker.flush()
        await worker.flush()
    assert set(await activity.of("u_1")) == {slot(start, 10), slot(start, 2, Class.INTERNAL)}
    assert await activity.of("u_2") == ()


async def test_nothing_is_asked_of_the_store_before_it_is_written(activity: Activity, store: Store, clock) -> None:
    activity.opened(ALICE, {Class.SENSITIVE: 2}, clock.at)
    assert await store.call("KEYS", "ac:*") == []
    await activity.flush()
    (key,) = await store.call("KEYS", "ac:*")
    assert 0 < await store.call("TTL", key) <= keys.ACTIVITY_LIFETIME_S


async def test_a_confirmation_begins_a_slot_of_its_own(activity: Activity, clock) -> None:
    start = int(clock.at)
    activity.opened(ALICE, {Class.SENSITIVE: 2}, clock.at)
    proven = Caller(**_fields(ALICE) | {"proofs": (Proof("p", "totp", clock.at + 60, "u_1", "s_1"),)})
    activity.opened(proven, {Class.SENSITIVE: 3}, clock.at + 90)
    await activity.flush()
    assert set(await activity.of("u_1")) == {slot(start, 2), slot(start + 60, 3)}


async def test_yesterday_is_told_and_the_day_before_is_not(activity: Activity, clock) -> None:
    activity.opened(ALICE, {Class.SENSITIVE: 2}, clock.at)
    await activity.flush()
    clock.at += keys.DAY_S
    assert len(await activity.of("u_1")) == 1
    clock.at += keys.DAY_S
    assert await activity.of("u_1") == ()


async def test_figures_wait_for_a_store_that_does_not_answer(store: Store, activity: Activity, clock) -> None:
    gone = Store("redis://127.0.0.1:1")
    waiting = Activity(gone, clock)
    waiting.opened(ALICE, {Class.SENSITIVE: 2}, clock.at)
    await waiting.flush()
    waiting._store = store
    await waiting.flush()
    assert await activity.of("u_1") == (slot(int(clock.at), 2),)
    await gone.close()


def _fields(caller: Caller) -> dict[str, object]:
    return {name: getattr(caller, name) for name in Caller.__slots__}
