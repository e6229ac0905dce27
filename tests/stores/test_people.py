"""People as those see them who look after them; sessions ended all at once."""

import asyncio

import pytest

from gateway.core.assurance import Grant, Proof
from gateway.core.extraction import Class
from gateway.core.standing import BoundFactor, Standing
from gateway.keyring import KeyRing
from gateway.ports import NoCaller
from gateway.stores import keys
from gateway.stores.callers import StoredCallers
from gateway.stores.closures import Closures
from gateway.stores.connection import Store
from gateway.stores.factors import Factors
from gateway.stores.grants import Grants
from gateway.stores.invitations import Invitations, Request
from gateway.stores.letters import Letters, new_code
from gateway.stores.people import People
from gateway.stores.recovery import RecoveryCodes
from gateway.stores.sessions import Sessions

WHO = {"issuer": "iss", "sub": "sub-people", "partner": "agency", "name": "Léa Roy", "login": "lea"}


@pytest.fixture
def people(store: Store, keyring: KeyRing, clock) -> People:
    return People(store, keyring, clock)


@pytest.fixture
def sessions(store: Store, keyring: KeyRing, clock) -> Sessions:
    return Sessions(store, keyring, clock)


@pytest.fixture
def user(keyring: KeyRing) -> str:
    return keyring.user_id("iss", "sub-people")


async def test_a_login_is_known_once_its_person_has_signed_in_and_at_that_partner_alone(
    people: People, sessions: Sessions, user: str
) -> None:
    assert await people.by_login("agency", "lea") == ()
    await sessions.open(**WHO)
    assert [one.user for one in await people.by_login("agency", "lea")] == [user]
    assert await people.by_login("mission", "lea") == () == await people.by_login("agency", "le")


async def test_no_login_stands_in_the_name_of_a_key(sessions: Sessions, store: Store) -> None:
    await sessions.open(**WHO | {"login": "a-very-rare-login"})
    assert not [one for one in await store.call("KEYS", "*") if b"a-very-rare-login" in one]


async def test_every_session_ends_with_its_proofs_and_nobody_elses(
    people: People, sessions: Sessions, store: Store, keyring: KeyRing, clock, user: str
) -> None:
    callers = StoredCallers(store, keyring, clock)
    mine = [await sessions.open(**WHO) for _ in range(3)]
    other = await sessions.open(**WHO | {"sub": "sub-other", "login": "max"})
    proof = Proof("p", "totp", clock.now(), user, "s")
    renewed = await sessions.rotate(mine[0], proof)
    assert await people.end_sessions(user) == 3
    for cookie in (*mine, renewed):
        assert isinstance(await callers.by_session(str(cookie)), NoCaller)
    assert not isinstance(await callers.by_session(other), NoCaller)
    assert await people.end_sessions(user) == 0


async def test_of_a_hundred_endings_one_ends_it(four_stores: list[Store], keyring: KeyRing, clock, user: str) -> None:
    await Sessions(four_stores[0], keyring, clock).open(**WHO)
    several = [People(store, keyring, clock) for store in four_stores]
    ended = await asyncio.gather(*(several[index % 4].end_sessions(user) for index in range(100)))
    assert sum(ended) == 1


async def test_how_somebody_stands(
    people: People, sessions: Sessions, store: Store, keyring: KeyRing, clock, user: str
) -> None:
    assert await people.standing(user) == Standing(user, (), 0, None, False, 0, None, False)
    await sessions.open(**WHO)
    factor = await Factors(store, keyring, clock).enrol_totp(user, b"a secret of twenty b")
    await RecoveryCodes(store, keyring, clock).issue(user)
    await Closures(store, clock).not_me(user, but="")
    await sessions.open(**WHO)
    await people.freeze(user, by="u_officer", reason="why")
    await Invitations(store, keyring, clock).invite(user, by="u_ref", role="referent", in_person=False)
    await Letters(store, keyring, clock).keep({user: new_code()})
    grant = Grant(Class.SENSITIVE, 5, clock.now() + 60)
    await Grants(store).grant(user, grant, by="b", reason="r", now=clock.now(), limit=60)
    held = (BoundFactor("totp", factor, "own", 0.0),)
    known = Standing(user, held, 10, Class.SENSITIVE, True, 1, "remote", True, (grant,))
    assert await people.standing(user) == known
    clock.forward(60)
    assert (await people.standing(user)).grants == ()


async def test_what_is_stopped_goes_on_once(people: People, user: str) -> None:
    await people.freeze(user, by="u_officer", reason="why")
    assert [await people.unfreeze(user), await people.unfreeze(user)] == [True, False]
    assert await people.reopen(user) is False


async def test_what_the_help_desk_started_waits_a_day_for_its_partners_people(
    store: Store, keyring: KeyRing, clock
) -> None:
    invitations = Invitations(store, keyring, clock)
    await invitations.start(Request("u_lea", "people-agency", "Léa Roy"), by="u_desk")
    clock.forward(3600)
    await invitations.start(Request("u_max", "people-agency", "Anne Max"), by="u_desk")
    assert [one.user for one in await invitations.started("people-agency")] == ["u_max", "u_lea"]
    assert await invitations.started("mission") == ()
    assert await invitations.waiting("u_lea") is None
    await invitations.signed("u_max", "people-agency")
    (one,) = await invitations.started("people-agency")
    assert (one.name, one.partner, one.by) == ("Léa Roy", "people-agency", "u_desk")
    assert 0 < await store.call("TTL", keys.started("people-agency")) <= keys.STARTED_LIFETIME_S
    clock.forward(keys.STARTED_LIFETIME_S - 3600)
    assert await invitations.started("people-agency") == ()
