"""«This was not me»: everything of one person's ends but where they say it, and nothing of anybody else's."""

import asyncio

import pytest

from gateway.core.assurance import Caller, Proof
from gateway.core.extraction import Class
from gateway.keyring import KeyRing
from gateway.ports import NoCaller
from gateway.stores.callers import StoredCallers
from gateway.stores.closures import Closures
from gateway.stores.connection import Store
from gateway.stores.sessions import Sessions
from gateway.stores.tokens import Tokens

ALICE = {"issuer": "iss", "sub": "alice", "partner": "agency", "name": "Alice", "login": "alice"}
BOB = ALICE | {"sub": "bob"}


class Desk:
    def __init__(self, store: Store, keyring: KeyRing, clock) -> None:
        self.sessions, self.tokens = Sessions(store, keyring, clock), Tokens(store, keyring, clock)
        self.closures, self.clock = Closures(store, clock), clock
        self.callers = StoredCallers(store, keyring, clock)

    async def session(self, who: dict[str, str]) -> str:
        return await self.sessions.open(**who)

    async def token(self, who: dict[str, str]) -> tuple[str, str]:
        return await self.tokens.issue(**who, expires_at=self.clock.at + 10**6)

    async def by_session(self, cookie: str) -> Caller | NoCaller:
        return await self.callers.by_session(cookie, anew=True)


@pytest.fixture
def desk(store: Store, keyring: KeyRing, clock) -> Desk:
    return Desk(store, keyring, clock)


async def test_all_but_this_session_ends_and_the_sensitive_closes(desk: Desk) -> None:
    mine, thiefs = await desk.session(ALICE), await desk.session(ALICE)
    token, token_id = await desk.token(ALICE)
    bobs, (bobs_token, _) = await desk.session(BOB), await desk.token(BOB)
    caller = await desk.by_session(mine)
    assert isinstance(caller, Caller) and caller.closed_from is None
    proof = Proof("p", "totp", desk.clock.at, caller.user, caller.credential_id)
    renewed = await desk.sessions.rotate(mine, proof)
    assert renewed is not None
    await desk.tokens.attach_proof(token_id, Proof("q", "totp", desk.clock.at, caller.user, token_id))

    assert await desk.closures.not_me(caller.user, but=caller.credential_id) == (1, 1)

    assert await desk.by_session(thiefs) == NoCaller("unknown")
    assert await desk.callers.by_token(token, anew=True) == NoCaller("revoked")
    after = await desk.by_session(renewed)
    assert isinstance(after, Caller)
    assert (after.proofs, after.closed_from) == ((), Class.SENSITIVE)
    for other in (await desk.by_session(bobs), await desk.callers.by_token(bobs_token, anew=True)):
        assert isinstance(other, Caller) and other.closed_from is None


async def test_a_session_begun_later_is_closed_too_until_somebody_opens(desk: Desk) -> None:
    caller = await desk.by_session(await desk.session(ALICE))
    assert isinstance(caller, Caller)
    await desk.closures.not_me(caller.user, but=caller.credential_id)
    later = await desk.session(ALICE)
    found = await desk.by_session(later)
    assert isinstance(found, Caller) and found.closed_from is Class.SENSITIVE
    assert await desk.closures.reopen(caller.user)
    assert not await desk.closures.reopen(caller.user)
    found = await desk.by_session(later)
    assert isinstance(found, Caller) and found.closed_from is None


async def test_pressed_a_hundred_times_at_once_each_thing_ends_once(desk: Desk) -> None:
    cookies = [await desk.session(ALICE) for _ in range(6)]
    for _ in range(3):
        await desk.token(ALICE)
    caller = await desk.by_session(cookies[0])
    assert isinstance(caller, Caller)
    ended = await asyncio.gather(*(desk.closures.not_me(caller.user, but=caller.credential_id) for _ in range(100)))
    assert (sum(one for one, _ in ended), sum(two for _, two in ended)) == (5, 3)
