"""A partner's token in the store: known while it is good, stopped for ever, and with proofs that end with it."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.assurance import Caller, Proof
from gateway.keyring import KeyRing
from gateway.ports import NoCaller
from gateway.stores.access import Access
from gateway.stores.callers import StoredCallers
from gateway.stores.closures import Closures
from gateway.stores.connection import Store
from gateway.stores.freezes import Freezes
from gateway.stores.partner_tokens import PartnerTokens, SeenProofs
from gateway.stores.signals import Signals
from gateway.stores.tokens import Tokens


@dataclass(frozen=True)
class Person:
    issuer: str = "https://sso"
    sub: str = "1"
    name: str = "Léa"
    login: str = "lea"
    agency: str = ""


@dataclass(frozen=True)
class Token:
    partner: str = "p"
    person: Person = Person()
    kind: str = "person"
    client_id: str = "crm"
    jti: str = "7"
    issued_at: float = 1_800_000_000.0
    expires_at: float = 1_800_000_300.0


TOKEN = Token()


@dataclass
class Desk:
    store: Store
    keyring: KeyRing
    callers: StoredCallers
    tokens: PartnerTokens
    user: str

    async def caller(self, name: str = "n") -> Caller | NoCaller:
        return await self.callers.by_access(name, anew=True)

    async def id(self) -> str:
        caller = await self.caller()
        assert isinstance(caller, Caller)
        return caller.credential_id


@pytest.fixture
def desk(store: Store, keyring: KeyRing, clock) -> Desk:
    callers = StoredCallers(store, keyring, clock, monotonic=clock.now)
    user = keyring.user_id("https://sso", "1")
    return Desk(store, keyring, callers, PartnerTokens(store, keyring, clock), user)


cuts = st.tuples(st.integers(1, 4), st.integers(1, 4))


def cut(words: list[str], between: str, at: tuple[int, int]) -> Token:
    """A token whose subject, client and id are all of these words, in order."""
    first, second = sorted(at)
    parts = (words[:first], words[first : second + 1], words[second + 1 :])
    sub, client, jti = map(between.join, parts)
    return replace(TOKEN, person=Person(sub=sub), client_id=client, jti=jti)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.text("a1:", max_size=2), min_size=6, max_size=6), st.sampled_from(["\0", ":", ",", '","']), cuts, cuts
)
async def test_nothing_that_a_partner_writes_makes_one_token_s_id_another_s(
    desk: Desk, words: list[str], between: str, at: tuple[int, int], other_at: tuple[int, int]
) -> None:
    one, other = cut(words, between, at), cut(words, between, other_at)
    assert (desk.tokens.id_of(one) == desk.tokens.id_of(other)) is (one == other)


async def test_it_is_known_once_registered_and_names_its_person(desk: Desk) -> None:
    assert await desk.caller() == NoCaller("unknown")
    await desk.tokens.register("n", TOKEN)
    caller = await desk.caller()
    assert isinstance(caller, Caller)
    assert (caller.user, caller.partner, caller.kind, caller.credential) == (desk.user, "p", "person", "token")
    assert caller.credential_id.startswith("a_")
    assert caller.expires_at == TOKEN.expires_at


async def test_what_it_is_registered_under_opens_nothing_by_itself(desk: Desk) -> None:
    await desk.tokens.register("n", TOKEN)
    assert await desk.callers.by_token("n") == NoCaller("unknown")
    assert await desk.callers.by_session("n") == NoCaller("unknown")


@pytest.mark.parametrize(
    "other",
    [
        replace(TOKEN, jti="8"),
        replace(TOKEN, client_id="other"),
        replace(TOKEN, partner="q"),
        replace(TOKEN, person=Person(sub="2")),
        replace(TOKEN, person=Person(issuer="https://other")),
    ],
)
def test_its_id_is_the_same_for_every_form_of_it_and_no_other_s(desk: Desk, other: Token) -> None:
    assert desk.tokens.id_of(TOKEN) == desk.tokens.id_of(replace(TOKEN, expires_at=TOKEN.expires_at + 9))
    assert desk.tokens.id_of(other) != desk.tokens.id_of(TOKEN)


async def test_nothing_of_it_is_left_when_it_is_over(desk: Desk) -> None:
    await desk.tokens.register("n", TOKEN)
    token_id = await desk.id()
    for name in (f"t:{token_id}", b"th:" + desk.keyring.token_hash("n")):
        assert 300 < await desk.store.call("TTL", name) <= 360
    await desk.store.call("DEL", f"t:{token_id}")
    await desk.tokens.register("m", replace(TOKEN, jti="8"))
    assert await desk.store.call("SCARD", f"ut:{desk.user}") == 1


async def test_a_token_of_ours_stays_among_its_person_s(desk: Desk, clock) -> None:
    own, own_id = await Tokens(desk.store, desk.keyring, clock).issue(
        issuer="https://sso", sub="1", partner="p", name="x", login="lea", expires_at=clock.at + 1e6
    )
    await desk.tokens.register("n", TOKEN)
    assert await desk.store.call("SISMEMBER", f"ut:{desk.user}", own_id)
    assert await desk.store.call("TTL", f"t:{own_id}") == -1
    assert isinstance(await desk.callers.by_token(own), Caller)


async def test_its_person_sees_and_ends_it_and_it_stays_ended(desk: Desk, clock) -> None:
    access = Access(desk.store, clock)
    await desk.tokens.register("n", TOKEN)
    _, (listed,) = await access.of(desk.user)
    assert listed.name == "crm"
    assert await access.end(desk.user, listed.id) == (0, 1)
    assert await desk.caller() == NoCaller("revoked")
    await desk.tokens.register("again", replace(TOKEN, expires_at=TOKEN.expires_at + 100))
    assert await desk.caller("again") == NoCaller("revoked")


@pytest.mark.parametrize("how", ["others", "not_me", "signal"])
async def test_all_that_were_issued_before_end_with_the_rest_also_those_not_shown_yet(
    desk: Desk, clock, how: str
) -> None:
    own, _ = await Tokens(desk.store, desk.keyring, clock).issue(
        issuer="https://sso", sub="1", partner="p", name="x", login="lea", expires_at=clock.at + 1e6
    )
    await desk.tokens.register("n", TOKEN)
    clock.forward(10)
    if how == "others":
        assert await Access(desk.store, clock).end_others(desk.user, but="s_1") == (0, 2)
    elif how == "not_me":
        assert await Closures(desk.store, clock).not_me(desk.user, but="s_1") == (0, 2)
    else:
        await Signals(desk.store, desk.keyring, clock).end(desk.user, None)
    await desk.tokens.register("hidden", replace(TOKEN, jti="8", issued_at=clock.at - 1))
    await desk.tokens.register("later", replace(TOKEN, jti="9", issued_at=clock.at + 1))
    assert [await desk.caller(name) for name in ("n", "hidden")] == [NoCaller("revoked")] * 2
    assert isinstance(await desk.caller("later"), Caller)
    assert isinstance(await desk.callers.by_token(own), Caller) is (how == "signal")
    assert 86_400 < await desk.store.call("TTL", f"nb:{desk.user}") <= 86_460


async def test_one_session_that_ends_at_the_partner_ends_no_tokens(desk: Desk, clock) -> None:
    await desk.tokens.register("n", TOKEN)
    await Signals(desk.store, desk.keyring, clock).end(desk.user, "sid")
    assert isinstance(await desk.caller(), Caller)


async def test_nothing_is_written_of_one_that_ended_by_itself(desk: Desk, clock) -> None:
    await desk.tokens.register("n", TOKEN)
    token_id = await desk.id()
    await desk.store.call("DEL", f"t:{token_id}")
    assert await Access(desk.store, clock).end_others(desk.user, but="") == (0, 0)
    assert not await desk.store.call("EXISTS", f"t:{token_id}")


@pytest.mark.parametrize("kind", ["token", "user", "partner"])
async def test_a_freeze_stops_it(desk: Desk, clock, kind: str) -> None:
    await desk.tokens.register("n", TOKEN)
    name = {"token": await desk.id(), "user": desk.user, "partner": "p"}[kind]
    await Freezes(desk.store, desk.keyring).freeze(kind, name, by="x", reason="y", now=clock.at)
    assert await desk.caller() == NoCaller("frozen")


async def test_a_proof_made_with_it_is_its_own_and_ends_with_it(desk: Desk, clock) -> None:
    await desk.tokens.register("n", TOKEN)
    token_id = await desk.id()
    proof = Proof("p1", "totp", clock.at, desk.user, token_id)
    tokens = Tokens(desk.store, desk.keyring, clock)
    assert await tokens.attach_proof(token_id, proof)
    caller = await desk.caller()
    assert isinstance(caller, Caller)
    assert caller.proofs == (proof,)
    assert 0 < await desk.store.call("TTL", f"p:{token_id}") <= 360
    await desk.tokens.register("other", replace(TOKEN, jti="8"))
    other = await desk.caller("other")
    assert isinstance(other, Caller)
    assert other.proofs == ()


async def test_no_proof_is_a_machine_s_or_an_unknown_token_s(desk: Desk, clock) -> None:
    await desk.tokens.register("n", replace(TOKEN, kind="machine"))
    proof = Proof("p1", "totp", clock.at, desk.user, await desk.id())
    tokens = Tokens(desk.store, desk.keyring, clock)
    assert not await tokens.attach_proof(proof.credential_id, proof)
    assert not await tokens.attach_proof("a_none", proof)


async def test_an_id_of_a_proof_of_possession_comes_first_once(desk: Desk) -> None:
    seen = SeenProofs(desk.store, desk.keyring)
    assert [await seen.first("k", "1"), await seen.first("k", "1"), await seen.first("l", "1")] == [True, False, True]
