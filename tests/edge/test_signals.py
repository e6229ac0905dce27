"""A partner's word ends what it names, once, signed by the partner's own keys and of the type that was expected."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio

from gateway.core.assurance import Proof
from gateway.edge.partner import Partner
from gateway.ports import StoreUnavailable
from gateway.stores.signals import Signals

from .conftest import House, RunningProvider

LOGOUT, EVENTS = "/.gateway/back-channel-logout/agency", "/.gateway/events/agency"
SET = {"content-type": "application/secevent+jwt"}


@pytest_asyncio.fixture
async def client(house: House, partner: Partner) -> AsyncIterator[httpx2.AsyncClient]:
    async with house.client(partner) as client:
        yield client


async def told(provider: RunningProvider, event: str) -> str:
    """What the partner's own provider signs about Alice."""
    form = {"login": provider.login, "event": event, "client_id": "gateway", "client_secret": "s:e c+ret"}
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        answer = await http.post(f"{provider.issuer}/signal", data=form)
    token: str = answer.json()["token"]
    return token


async def session(house: House, provider: RunningProvider, sid: str = "") -> dict[str, str]:
    """Alice's session, as signing in at this provider opens it."""
    cookie = await house.sessions.open(
        issuer=provider.issuer, sub="sub-alice", partner="agency", name="Alice", login="alice", sid=sid
    )
    return {"cookie": f"__Host-gateway={cookie}"}


async def test_a_logout_at_the_partner_ends_every_session_of_that_person(
    client: httpx2.AsyncClient, house: House, provider: RunningProvider
) -> None:
    sessions = [await session(house, provider) for _ in range(3)]
    answer = await client.post(LOGOUT, data={"logout_token": await told(provider, "logout")})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert [await house.caller(one) for one in sessions] == [None] * 3
    (record,) = [one for one in house.ledger if one["kind"] == "signal"]
    assert (record["reason"], record["sessions_ended"]) == ("session_ended", 3)


async def test_a_signal_sent_a_hundred_times_at_once_is_taken_once(
    client: httpx2.AsyncClient, house: House, provider: RunningProvider
) -> None:
    token = await told(provider, "logout")
    answers = await asyncio.gather(*(client.post(LOGOUT, data={"logout_token": token}) for _ in range(100)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == 1 and set(statuses) <= {200, 400, 503}
    assert [one["kind"] for one in house.ledger].count("signal") == 1


async def test_a_session_that_began_since_is_not_ended_by_the_old_word(
    client: httpx2.AsyncClient, house: House, provider: RunningProvider
) -> None:
    token = await told(provider, "logout")
    await client.post(LOGOUT, data={"logout_token": token})
    since = await session(house, provider)
    assert (await client.post(LOGOUT, data={"logout_token": token})).status_code == 400
    assert await house.caller(since) is not None


@pytest.mark.parametrize("event", ["session-revoked", "credential-change"])
async def test_a_shared_signal_ends_sessions_and_drops_what_tokens_confirmed(
    client: httpx2.AsyncClient, house: House, provider: RunningProvider, event: str
) -> None:
    here = await session(house, provider)
    user = house.keyring.user_id(provider.issuer, "sub-alice")
    who = {"issuer": provider.issuer, "sub": "sub-alice", "partner": "agency", "name": "s", "login": "alice"}
    token, token_id = await house.tokens.issue(**who, expires_at=house.clock.now() + 10**6)
    bearer = {"authorization": f"Bearer {token}"}

    async def confirm() -> None:
        proof = Proof(f"p{house.clock.now()}", "totp", house.clock.now(), user, token_id, "f_1")
        assert await house.tokens.attach_proof(token_id, proof)

    await confirm()
    answer = await client.post(EVENTS, content=(await told(provider, event)).encode(), headers=SET)
    assert (answer.status_code, answer.content) == (202, b"")
    assert await house.caller(here) is None
    caller = await house.caller(bearer)
    assert caller is not None and caller.proofs == ()
    # After a changed credential whatever is confirmed cools for a day, however ripe its factor is.
    await confirm()
    caller = await house.caller(bearer)
    assert caller is not None
    young = [proof.cooling(house.clock.now()) is not None for proof in caller.proofs]
    assert young == [event == "credential-change"]
    house.clock.forward(86_401)
    caller = await house.caller(bearer)
    assert caller is not None
    assert [proof.cooling(house.clock.now()) for proof in caller.proofs] == [None]


async def test_another_event_is_noted(client: httpx2.AsyncClient, house: House, provider: RunningProvider) -> None:
    here = await session(house, provider)
    token = await told(provider, "assurance-level-change")
    assert (await client.post(EVENTS, content=token.encode(), headers=SET)).status_code == 202
    assert await house.caller(here) is not None


async def test_each_address_takes_its_own_type_and_the_partners_own_signature(
    client: httpx2.AsyncClient, house: House, provider: RunningProvider
) -> None:
    here = await session(house, provider)
    logout, event = await told(provider, "logout"), await told(provider, "session-revoked")
    broken = logout[:-8] + ("AAAAAAAA" if not logout.endswith("AAAAAAAA") else "BBBBBBBB")
    wrong = [
        await client.post(LOGOUT, data={"logout_token": event}),
        await client.post(LOGOUT, data={"logout_token": broken}),
        await client.post(LOGOUT, data={"logout_token": ""}),
        await client.post(LOGOUT, data={"other": logout}),
        await client.post(LOGOUT, content=f"logout_token={logout}&logout_token={logout}".encode()),
        await client.post(EVENTS, content=logout.encode(), headers=SET),
        await client.post(EVENTS, content=event.encode(), headers={"content-type": "application/jwt"}),
        await client.post(EVENTS, content=b"\xff", headers=SET),
    ]
    assert {answer.status_code for answer in wrong} == {400}
    large = await client.post(LOGOUT, content=b"logout_token=" + b"a" * 40_000)
    assert large.status_code == 413
    assert await house.caller(here) is not None


async def test_a_logout_by_session_id_ends_that_session_alone(house: House, provider: RunningProvider) -> None:
    one, other = await session(house, provider, "sid-1"), await session(house, provider, "sid-2")
    user = await house.signals.user_of("agency", "sid-1")
    assert user == house.keyring.user_id(provider.issuer, "sub-alice")
    assert await house.signals.end(user, "sid-1") == 1
    assert await house.caller(one) is None and await house.caller(other) is not None


@pytest.mark.parametrize("address", ["back-channel-logout", "events"])
async def test_an_id_of_nobody_is_answered_as_a_partner_s(
    client: httpx2.AsyncClient, provider: RunningProvider, address: str
) -> None:
    token = await told(provider, "logout" if address == "back-channel-logout" else "session-revoked")
    header, claims, _ = token.split(".")
    for sent in ("", "a.b.c", f"{header}.{claims}.AAAA", f"{header}..", f"e30.{claims}.AAAA"):
        answers = []
        for name in ("agency", "nobody"):
            if address == "events":
                answer = await client.post(f"/.gateway/events/{name}", content=sent.encode(), headers=SET)
            else:
                answer = await client.post(f"/.gateway/back-channel-logout/{name}", data={"logout_token": sent})
            answers.append((answer.status_code, answer.content))
        assert answers[0] == answers[1] and answers[0][0] == 400


@pytest.mark.parametrize("address", ["back-channel-logout", "events"])
async def test_a_signal_that_could_not_take_effect_does_so_the_next_time(
    client: httpx2.AsyncClient,
    house: House,
    provider: RunningProvider,
    address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = await session(house, provider)
    token = await told(provider, "logout" if address == "back-channel-logout" else "session-revoked")

    async def send() -> int:
        if address == "events":
            return (await client.post(EVENTS, content=token.encode(), headers=SET)).status_code
        return (await client.post(LOGOUT, data={"logout_token": token})).status_code

    async def away(*_: object, **__: object) -> int:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(Signals, "end", away)
        assert await send() == 503
    assert await send() == 503  # it may be taking effect elsewhere
    await house.store.call("DEL", *await house.store.call("KEYS", "sg:*"))  # half a minute later
    assert await house.caller(here) is not None
    assert await send() == (202 if address == "events" else 200)
    assert await house.caller(here) is None
