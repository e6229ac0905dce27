"""Who is inside for somebody, of whom it was said why, and what waits for one request."""

import pytest

from gateway.keyring import KeyRing
from gateway.stores.connection import Store
from gateway.stores.outsiders import PER_CALL, Outsiders

DAY, TEN_MINUTES = 86_400, 600
ONE, TWO = b"1" * 16, b"2" * 16


@pytest.fixture
def outsiders(store: Store, keyring: KeyRing, clock) -> Outsiders:
    return Outsiders(store, keyring, clock)


async def test_who_is_inside_is_known_for_a_day_to_that_user_and_agency(outsiders: Outsiders, clock) -> None:
    await outsiders.see("u", "75001", inside=[ONE], outside=[])
    assert await outsiders.inside("u", "75001", [ONE, TWO]) == {ONE}
    assert await outsiders.inside("v", "75001", [ONE]) == await outsiders.inside("u", "69001", [ONE]) == frozenset()
    clock.forward(DAY)
    assert await outsiders.inside("u", "75001", [ONE]) == frozenset()


async def test_who_is_outside_is_not_inside_whatever_was_known(outsiders: Outsiders) -> None:
    await outsiders.see("u", "75001", inside=[ONE, TWO], outside=[])
    await outsiders.see("u", "75001", inside=[TWO], outside=[ONE, TWO])
    assert await outsiders.inside("u", "75001", [ONE, TWO]) == frozenset()


async def test_of_whom_it_was_said_why_is_known_for_a_day(outsiders: Outsiders, clock) -> None:
    await outsiders.explain("u", [ONE])
    clock.forward(DAY - 1)
    assert await outsiders.explained("u", [ONE, TWO]) == {ONE}
    clock.forward(1)
    assert await outsiders.explained("u", [ONE]) == frozenset()


async def test_what_is_over_is_forgotten(outsiders: Outsiders, store: Store, clock) -> None:
    await outsiders.explain("u", [ONE])
    clock.forward(DAY)
    await outsiders.explain("u", [TWO])
    assert await store.call("ZCARD", "ex:u") == 1
    assert DAY - 5 <= await store.call("TTL", "ex:u") <= DAY


async def test_many_are_known_at_once(outsiders: Outsiders) -> None:
    many = [number.to_bytes(16, "big") for number in range(2 * PER_CALL + 1)]
    await outsiders.explain("u", many)
    assert await outsiders.explained("u", many) == set(many)
    await outsiders.see("u", "a", inside=many, outside=many)
    assert await outsiders.inside("u", "a", many) == frozenset()


async def test_a_reason_waits_ten_minutes_for_its_request_and_serves_once(
    outsiders: Outsiders, store: Store, clock
) -> None:
    await outsiders.keep("s", "request", "because")
    assert TEN_MINUTES - 5 <= await store.call("TTL", "wy:s:request") <= TEN_MINUTES
    assert await outsiders.take("t", "request") is await outsiders.take("s", "another") is None
    assert await outsiders.take("s", "request") == "because"
    assert await outsiders.take("s", "request") is None


async def test_a_reason_is_sealed_and_opens_for_its_request_alone(outsiders: Outsiders, store: Store) -> None:
    await outsiders.keep("s", "request", "because")
    sealed = await store.call("GET", "wy:s:request")
    assert b"because" not in sealed
    await store.call("SET", "wy:s:another", sealed)
    assert await outsiders.take("s", "another") is None
