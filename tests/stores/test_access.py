"""What a user is signed in with: what lives is listed, what is theirs ends, what is another's does not."""

import asyncio

import pytest

from gateway.core.assurance import Caller, Proof
from gateway.core.policy import ABSOLUTE_S, IDLE_S
from gateway.keyring import KeyRing
from gateway.ports import NoCaller
from gateway.stores import keys
from gateway.stores.access import Access
from gateway.stores.callers import StoredCallers
from gateway.stores.connection import Store
from gateway.stores.sessions import Sessions
from gateway.stores.tokens import Tokens

ALICE = {"issuer": "iss", "sub": "alice", "partner": "agency", "name": "Alice", "login": "alice"}
BOB = ALICE | {"sub": "bob"}


class Desk:
    def __init__(self, store: Store, keyring: KeyRing, clock) -> None:
        self.sessions, self.tokens = Sessions(store, keyring, clock), Tokens(store, keyring, clock)
        self.access, self.clock, self.store = Access(store, clock), clock, store
        self.callers = StoredCallers(store, keyring, clock)
        self.alice = keyring.user_id("iss", "alice")

    async def session(self, who: dict[str, str] = ALICE) -> tuple[str, str]:
        """A new session: its cookie and its id."""
        cookie = await self.sessions.open(**who)
        caller = await self.callers.by_session(cookie)
        assert isinstance(caller, Caller)
        return cookie, caller.credential_id

    async def token(self, who: dict[str, str] = ALICE) -> tuple[str, str]:
        return await self.tokens.issue(**who, expires_at=self.clock.at + 1000)

    async def ids(self) -> set[str]:
        return {one.id for some in await self.access.of(self.alice) for one in some}


@pytest.fixture
def desk(store: Store, keyring: KeyRing, clock) -> Desk:
    return Desk(store, keyring, clock)


async def test_what_lives_is_listed_with_where_it_was_opened_from(desk: Desk) -> None:
    await desk.sessions.open(**ALICE, network="192.0.2.0/24", browser="Firefox")
    since = desk.clock.at
    _, token = await desk.token()
    await desk.session(BOB)
    await desk.token(BOB)
    (session,), (held,) = await desk.access.of(desk.alice)
    assert (session.since, session.seen, session.network, session.browser) == (since, since, "192.0.2.0/24", "Firefox")
    assert (held.id, held.name, held.since, held.expires_at) == (token, "Alice", since, since + 1000)


@pytest.mark.parametrize("after_s", [IDLE_S, ABSOLUTE_S, 1000])
async def test_what_is_over_is_not(desk: Desk, after_s: int) -> None:
    _, session = await desk.session()
    _, token = await desk.token()
    desk.clock.at += after_s - 1
    over = {session} if after_s > IDLE_S else set()
    assert await desk.ids() == ({session, token} if after_s <= 1000 else {session}) - over
    desk.clock.at += 1
    assert await desk.ids() == ({session} if after_s < IDLE_S else set())


async def test_a_session_ends_with_its_proofs_and_nothing_else(desk: Desk) -> None:
    (kept, _), (cookie, family), (_, token) = await desk.session(), await desk.session(), await desk.token()
    await desk.sessions.rotate(cookie, Proof("p", "totp", desk.clock.at, desk.alice, family))
    assert await desk.access.end(desk.alice, family) == (1, 0)
    assert await desk.callers.by_session(cookie, anew=True) == NoCaller("unknown")
    assert await desk.store.call("EXISTS", keys.proofs(family)) == 0
    assert isinstance(await desk.callers.by_session(kept, anew=True), Caller)
    assert token in await desk.ids() and family not in await desk.ids()


async def test_a_token_is_revoked_once(desk: Desk) -> None:
    token, token_id = await desk.token()
    await desk.tokens.attach_proof(token_id, Proof("p", "totp", desk.clock.at, desk.alice, token_id))
    assert await desk.access.end(desk.alice, token_id) == (0, 1)
    assert await desk.access.end(desk.alice, token_id) == (0, 0)
    assert await desk.callers.by_token(token, anew=True) == NoCaller("revoked")
    assert await desk.store.call("EXISTS", keys.proofs(token_id)) == 0


async def test_anothers_is_not_ended(desk: Desk) -> None:
    (cookie, family), (token, token_id) = await desk.session(BOB), await desk.token(BOB)
    for which in (family, token_id, ""):
        assert await desk.access.end(desk.alice, which) == (0, 0)
    assert await desk.access.end_others(desk.alice, but="") == (0, 0)
    assert isinstance(await desk.callers.by_session(cookie, anew=True), Caller)
    assert isinstance(await desk.callers.by_token(token, anew=True), Caller)


async def test_a_hundred_times_at_once_all_others_end_once(desk: Desk) -> None:
    _, mine = await desk.session()
    for _ in range(4):
        await desk.session()
        await desk.token()
    ended = await asyncio.gather(*(desk.access.end_others(desk.alice, but=mine) for _ in range(100)))
    assert (sum(one for one, _ in ended), sum(two for _, two in ended)) == (4, 4)
    assert await desk.ids() == {mine}


async def test_tokens_issued_before_users_had_sets_are_found_once_they_were_indexed(desk: Desk) -> None:
    _, token = await desk.token()
    await desk.store.call("DEL", keys.tokens_of(desk.alice))
    assert await desk.ids() == set()
    assert await desk.tokens.index() == 1
    assert await desk.ids() == {token}
    assert await desk.tokens.index() == 0


async def test_what_never_lives_again_is_forgotten_when_somebody_looks(desk: Desk) -> None:
    (cookie, _), (_, kept), (_, token) = await desk.session(), await desk.session(), await desk.token()
    await desk.sessions.end(cookie)
    await desk.tokens.revoke(token)
    assert await desk.ids() == {kept}
    assert await desk.store.call("SMEMBERS", keys.families(desk.alice)) == {kept.encode()}
    assert await desk.store.call("EXISTS", keys.tokens_of(desk.alice)) == 0
