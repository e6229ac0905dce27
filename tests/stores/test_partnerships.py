"""A partner that was gone once has lost the sessions that were open then."""

import pytest

from gateway.core.assurance import Caller
from gateway.keyring import KeyRing
from gateway.ports import NoCaller
from gateway.stores.callers import StoredCallers
from gateway.stores.connection import Store
from gateway.stores.partnerships import Partnerships
from gateway.stores.sessions import Sessions

ISSUER = "https://sso"
WHO = {"issuer": ISSUER, "sub": "1", "partner": "p", "name": "Léa", "login": "lea"}
BOTH, OTHER = {"p": ISSUER, "q": "https://q"}, {"q": "https://q"}


@pytest.fixture
def partnerships(store: Store, clock) -> Partnerships:
    return Partnerships(store, clock)


@pytest.fixture
def callers(store: Store, keyring: KeyRing, clock) -> StoredCallers:
    return StoredCallers(store, keyring, clock, monotonic=clock.now)


@pytest.fixture
def sessions(store: Store, keyring: KeyRing, clock) -> Sessions:
    return Sessions(store, keyring, clock)


@pytest.mark.parametrize("meanwhile", [OTHER, {"p": "https://another", "q": "https://q"}], ids=["gone", "reissued"])
async def test_a_return_brings_no_session_back(
    partnerships: Partnerships, callers: StoredCallers, sessions: Sessions, meanwhile: dict[str, str], clock
) -> None:
    await partnerships.hold(BOTH)
    cookie = await sessions.open(**WHO)
    other = await sessions.open(**WHO | {"partner": "q", "issuer": "https://q"})
    let_in = await callers.by_session(cookie)
    assert isinstance(let_in, Caller)
    clock.forward(1)
    await partnerships.hold(meanwhile)
    await partnerships.hold(BOTH)
    assert await callers.by_session(cookie, anew=True) == NoCaller("unknown")
    assert await callers.by_family(let_in, anew=True) == NoCaller("unknown")
    assert isinstance(await callers.by_session(other, anew=True), Caller)
    clock.forward(1)
    assert isinstance(await callers.by_session(await sessions.open(**WHO)), Caller)


async def test_a_session_that_another_gateway_opened_before_it_heard_of_it_is_over_too(
    partnerships: Partnerships, callers: StoredCallers, sessions: Sessions, clock
) -> None:
    await partnerships.hold(BOTH)
    await partnerships.hold(OTHER)
    clock.forward(1)
    cookie = await sessions.open(**WHO)
    await partnerships.hold(OTHER)  # as the other one begins anew
    await partnerships.hold(BOTH)
    assert await callers.by_session(cookie) == NoCaller("unknown")


async def test_what_stays_configured_keeps_its_sessions(
    partnerships: Partnerships, callers: StoredCallers, sessions: Sessions
) -> None:
    cookie = await sessions.open(**WHO)  # before any gateway knew of partnerships
    for _ in range(3):
        await partnerships.hold(BOTH)
    assert isinstance(await callers.by_session(cookie), Caller)
