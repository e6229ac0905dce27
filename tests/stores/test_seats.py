"""Seats: no more living subjects than a partner has, whoever is new known for a day, the long idle gone."""

import asyncio
from dataclasses import replace

import pytest

from gateway.core.assurance import Proof
from gateway.core.cooling import Binding
from gateway.keyring import KeyRing
from gateway.stores import keys
from gateway.stores.callers import StoredCallers
from gateway.stores.connection import Store
from gateway.stores.freezes import Freezes
from gateway.stores.seats import Seats
from gateway.stores.sessions import Sessions

DAY_S = 86_400
WHO = {"issuer": "https://sso", "sub": "1", "partner": "p", "name": "Léa", "login": "lea"}


@pytest.fixture
def seats(store: Store, clock) -> Seats:
    return Seats(store, clock)


async def test_of_fifty_at_once_as_many_sit_down_as_there_are_seats(seats: Seats) -> None:
    taken = await asyncio.gather(*(seats.take("p", f"u_{number}", most=24) for number in range(50)))
    assert (taken.count("first"), taken.count("full")) == (24, 26)
    assert len(await seats.rows("p")) == 24
    assert await seats.take("q", "u_49", most=24) == "first"


async def test_who_has_a_seat_keeps_it_while_none_is_left(seats: Seats) -> None:
    assert await seats.take("p", "u_1", most=1) == "first"
    assert await seats.take("p", "u_1", most=1) == "known"
    assert await seats.take("p", "u_2", most=1) == "full"


async def test_a_seat_is_free_after_45_idle_days_and_not_before(seats: Seats, clock) -> None:
    for user in ("u_1", "u_2"):
        await seats.take("p", user, most=2)
    clock.forward(44 * DAY_S)
    assert await seats.take("p", "u_1", most=2) == "known"
    assert await seats.take("p", "u_3", most=2) == "full"
    clock.forward(DAY_S)
    assert [one.user for one in await seats.rows("p")] == ["u_1"]
    assert await seats.take("p", "u_3", most=2) == "first"
    assert await seats.take("p", "u_2", most=2) == "full"


async def test_a_seat_that_is_given_up_is_the_next_one_s(seats: Seats) -> None:
    await seats.take("p", "u_1", most=1)
    assert await seats.leave("p", "u_1")
    assert not await seats.leave("p", "u_1")
    assert await seats.take("p", "u_2", most=1) == "first"


@pytest.mark.parametrize(("kind", "name"), [("partner", "p"), ("user", "u_1")])
async def test_who_is_stopped_takes_no_seat(seats: Seats, store: Store, keyring: KeyRing, kind: str, name: str) -> None:
    await Freezes(store, keyring).freeze(kind, name, by="o", reason="r", now=1.0)
    assert await seats.take("p", "u_1", most=1) == "frozen"
    assert await seats.rows("p") == []


def proof(keyring: KeyRing, at: float, **more: object) -> Proof:
    return replace(Proof("pr", "webauthn", at, keyring.user_id("https://sso", "1"), "s"), **more)


@pytest.mark.parametrize("ripe", [True, False])
async def test_whoever_is_new_has_nothing_ripe_for_a_day(
    seats: Seats, store: Store, keyring: KeyRing, clock, ripe: bool
) -> None:
    sessions = Sessions(store, keyring, clock, idle_s=2 * DAY_S, absolute_s=2 * DAY_S)
    callers = StoredCallers(store, keyring, clock, idle_s=2 * DAY_S)
    await seats.take("p", keyring.user_id("https://sso", "1"), ripe=ripe)
    first_seen = clock.at
    clock.forward(60)
    cookie = await sessions.rotate(await sessions.open(**WHO), proof(keyring, clock.at))
    (held,) = (await callers.by_session(cookie)).proofs
    assert (held.cooling(clock.at) is None) is ripe
    if not ripe:
        assert (held.bound, held.bound_at) == (Binding.VOUCHED, first_seen)
    clock.forward(DAY_S - 60)
    (held,) = (await callers.by_session(cookie, anew=True)).proofs
    assert held.cooling(clock.at) is None


def test_a_young_factor_of_somebody_new_stays_as_young_as_it_is(keyring: KeyRing) -> None:
    remote = proof(keyring, 1000.0, bound="remote", bound_at=900.0)
    assert remote.cooled(800.0, 1000.0) is remote


async def test_a_first_sight_is_forgotten_when_it_makes_nobody_new(seats: Seats, store: Store) -> None:
    await seats.take("p", "u_1")
    assert 0 < await store.call("TTL", keys.first_sight("u_1")) <= DAY_S


async def test_somebody_is_of_one_agency_a_day(seats: Seats, store: Store) -> None:
    assert [await seats.agency_today("u_lea", said) for said in ("nord", "sud", "nord")] == ["nord"] * 3
    assert await seats.agency_today("u_max", "sud") == "sud"
    assert 86_390 < await store.call("TTL", "ag:u_lea") <= 86_400
    await store.call("DEL", "ag:u_lea")  # the day is over
    assert await seats.agency_today("u_lea", "sud") == "sud"


async def test_of_a_hundred_agencies_at_once_one_is_theirs(four_stores: list[Store], clock) -> None:
    several = [Seats(store, clock) for store in four_stores]
    held = await asyncio.gather(*(several[index % 4].agency_today("u_lea", f"a{index}") for index in range(100)))
    assert len(set(held)) == 1
