"""Slots of ten minutes: one ends where a confirmation begins; those that follow each other are one episode."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.activity import SLOT_S, Opened, episodes, since, slot_end, slot_of
from gateway.core.extraction import Class

NOON = 1_800_000_000 - 1_800_000_000 % 86_400 + 43_200


def opened(start: int, persons: int = 1, credential: str = "s_1", klass: Class = Class.SENSITIVE) -> Opened:
    return Opened(credential, klass, start, slot_end(start), persons)


def test_a_slot_begins_every_ten_minutes_and_where_somebody_confirms() -> None:
    assert slot_of(NOON + 299.9, None) == NOON
    assert slot_of(NOON + 600, None) == NOON + 600
    assert slot_of(NOON + 299.9, NOON + 120.5) == NOON + 120
    assert slot_of(NOON + 299.9, NOON - 5) == NOON
    assert slot_of(NOON, NOON + 30) == NOON, "a confirmation of the future is this moment's"


@given(st.floats(1e9, 3e9), st.none() | st.floats(1e9, 3e9))
def test_a_slot_holds_its_moment(now: float, confirmed_at: float | None) -> None:
    start = slot_of(now, confirmed_at)
    assert start <= now < slot_end(start) <= start + SLOT_S


def test_what_follows_each_other_is_one_episode_and_the_newest_is_first() -> None:
    slots = [opened(NOON, 2), opened(NOON + 120, 3), opened(NOON + 600, 4), opened(NOON + 1800, 5)]
    assert episodes(reversed(slots), 9) == (
        opened(NOON + 1800, 5),
        Opened("s_1", Class.SENSITIVE, NOON, NOON + 1200, 9),
    )
    assert episodes(slots, 1) == (opened(NOON + 1800, 5),)


def test_credentials_and_classes_are_told_apart() -> None:
    slots = [opened(NOON), opened(NOON, credential="t_1"), opened(NOON, klass=Class.INTERNAL)]
    assert set(episodes(slots, 9)) == set(slots)


def test_since_a_confirmation_counts_what_came_after_it_and_of_others_what_may_have() -> None:
    at = NOON + 120.7
    slots = [opened(NOON, 2), opened(NOON + 120, 3), opened(NOON, 4, "t_1"), opened(NOON - 600, 5, "t_1")]
    assert since(slots, at, "s_1") == {"s_1": Counter({Class.SENSITIVE: 3}), "t_1": Counter({Class.SENSITIVE: 4})}
