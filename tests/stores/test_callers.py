"""Who asks, kept for less than a second and shared by those who ask at once."""

import asyncio
from pathlib import Path

import pytest

from gateway.core.assurance import Caller, Grant
from gateway.core.extraction import Class
from gateway.keyring import KeyRing
from gateway.ports import NoCaller, StoreUnavailable
from gateway.stores.callers import StoredCallers
from gateway.stores.closures import Closures
from gateway.stores.connection import Store
from gateway.stores.freezes import Freezes
from gateway.stores.grants import Grants
from gateway.stores.seats import Seats
from gateway.stores.sessions import Sessions
from gateway.stores.tokens import Tokens

WHO = {"issuer": "https://sso", "sub": "1", "partner": "p", "name": "Léa", "login": "lea"}


@pytest.fixture
def callers(store: Store, keyring: KeyRing, clock) -> StoredCallers:
    return StoredCallers(store, keyring, clock, monotonic=clock.now)


@pytest.fixture
async def token(store: Store, keyring: KeyRing, clock) -> str:
    return (await Tokens(store, keyring, clock).issue(**WHO, expires_at=clock.at + 1e6))[0]


async def scripts_run(store: Store) -> int:
    said = await store.call("INFO", "commandstats")
    return sum(said[name]["calls"] for name in ("cmdstat_evalsha", "cmdstat_eval") if name in said)


async def test_lookups_at_once_share_one_call_and_later_ones_what_it_found(
    callers: StoredCallers, store: Store, token: str, clock
) -> None:
    await callers.by_token(token)
    callers.forget(token)
    before = await scripts_run(store)
    found = await asyncio.gather(*(callers.by_token(token) for _ in range(100)))
    clock.forward(0.79)
    found.append(await callers.by_token(token))
    assert len(set(found)) == 1
    assert await scripts_run(store) - before == 1
    clock.forward(0.02)
    await callers.by_token(token)
    assert await scripts_run(store) - before == 2


async def test_lookups_of_several_at_once_share_one_round_trip(
    callers: StoredCallers, store: Store, keyring: KeyRing, clock
) -> None:
    tokens = Tokens(store, keyring, clock)
    issued = [await tokens.issue(**{**WHO, "sub": str(number)}, expires_at=clock.at + 1e6) for number in range(3)]
    await callers.by_token(issued[0][0])
    trips: list[float] = []
    store.took = trips.append
    found = await asyncio.gather(*(callers.by_token(token, anew=True) for token, _ in issued), callers.by_session("x"))
    assert [one.credential_id for one in found if isinstance(one, Caller)] == [token_id for _, token_id in issued]
    assert found[-1] == NoCaller("unknown")
    assert len(trips) == 1


async def test_a_store_that_went_away_is_told_to_all_who_asked(keyring: KeyRing, clock, tmp_path: Path) -> None:
    store = Store(f"unix://{tmp_path}/nobody")
    callers = StoredCallers(store, keyring, clock, monotonic=clock.now)
    asked = (callers.by_session(cookie) for cookie in ("x", "y"))
    found = await asyncio.gather(*asked, return_exceptions=True)
    await store.close()
    assert [type(one) for one in found] == [StoreUnavailable] * 2


async def test_one_that_stops_waiting_takes_nothing_from_the_others(callers: StoredCallers, token: str) -> None:
    first, second = (asyncio.create_task(callers.by_token(token)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert isinstance(await second, Caller)


@pytest.mark.parametrize("kind", ["token", "user", "partner"])
@pytest.mark.parametrize("credential", ["token", "session"])
async def test_a_freeze_stops_token_session_user_and_partner_within_a_second(
    callers: StoredCallers, store: Store, keyring: KeyRing, token: str, clock, kind: str, credential: str
) -> None:
    look, value = callers.by_token, token
    if credential == "session":
        look, value = callers.by_session, await Sessions(store, keyring, clock).open(**WHO)
    caller = await look(value)
    name = {"token": caller.credential_id, "user": caller.user, "partner": caller.partner}[kind]
    freezes = Freezes(store, keyring)
    await freezes.freeze(kind, name, by="o", reason="r", now=clock.at)
    assert [(one.kind, one.name, one.by, one.reason) for one in await freezes.rows()] == [(kind, name, "o", "r")]
    clock.forward(0.81)
    assert await look(value) == NoCaller("frozen")
    assert await freezes.unfreeze(kind, name, now=clock.at)
    assert not await freezes.unfreeze(kind, name, now=clock.at)
    assert await freezes.rows() == []
    assert isinstance(await look(value), Caller)


async def test_a_change_is_seen_at_once_by_the_worker_that_is_told(
    callers: StoredCallers, store: Store, keyring: KeyRing, token: str, clock
) -> None:
    caller = await callers.by_token(token)
    await Freezes(store, keyring).freeze("user", caller.user, by="o", reason="r", now=clock.at)
    assert isinstance(await callers.by_token(token), Caller)
    callers.forget(caller.user)
    assert await callers.by_token(token) == NoCaller("frozen")


async def test_an_answer_under_way_when_told_is_not_kept(
    callers: StoredCallers, store: Store, keyring: KeyRing, token: str, clock
) -> None:
    early = asyncio.create_task(callers.by_token(token))
    await asyncio.sleep(0)
    callers.forget(token)
    caller = await early
    assert isinstance(caller, Caller)
    await Freezes(store, keyring).freeze("user", caller.user, by="o", reason="r", now=clock.at)
    assert await callers.by_token(token) == NoCaller("frozen")


async def test_a_token_and_a_session_of_one_principal_are_one_user_with_its_grants(
    callers: StoredCallers, store: Store, keyring: KeyRing, token: str, clock
) -> None:
    by_token = await callers.by_token(token)
    grant = Grant(Class.SENSITIVE, 20, clock.at + 100)
    await Grants(store).grant(by_token.user, grant, by="o", reason="r", now=clock.at, limit=60)
    by_session = await callers.by_session(await Sessions(store, keyring, clock).open(**WHO))
    callers.forget(token)
    assert (await callers.by_token(token)).grants == by_session.grants == (grant,)
    assert by_session.user == by_token.user
    clock.forward(100)
    assert (await callers.by_token(token)).grants == ()


async def test_what_was_found_is_kept_for_so_many_and_no_more(
    callers: StoredCallers, store: Store, keyring: KeyRing, clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.stores.callers.MOST_KEPT", 3)
    tokens = Tokens(store, keyring, clock)
    for _ in range(5):
        await callers.by_token((await tokens.issue(**WHO, expires_at=clock.at + 9))[0])
    assert len(callers._kept) == 3


async def test_a_caller_is_of_the_agency_that_their_token_or_session_was_given(
    callers: StoredCallers, store: Store, keyring: KeyRing, clock
) -> None:
    token, _ = await Tokens(store, keyring, clock).issue(**WHO, expires_at=clock.at + 1e6, agency="75001")
    cookie = await Sessions(store, keyring, clock).open(**WHO, agency="69001")
    found = [await callers.by_token(token), await callers.by_session(cookie)]
    assert [one.agency for one in found if isinstance(one, Caller)] == ["75001", "69001"]


async def test_who_was_given_no_agency_is_of_none(callers: StoredCallers, store: Store, token: str) -> None:
    caller = await callers.by_token(token)
    assert isinstance(caller, Caller)
    await store.call("HDEL", f"t:{caller.credential_id}", "agency")  # issued before there were any
    callers.forget(token)
    assert (await callers.by_token(token)).agency == caller.agency == ""  # type: ignore[union-attr]


async def test_whoever_is_new_is_known_to_be_new(callers: StoredCallers, store: Store, token: str, clock) -> None:
    caller = await callers.by_token(token)
    assert isinstance(caller, Caller) and caller.young_since is None
    await Seats(store, clock).take("p", caller.user)
    new = await callers.by_token(token, anew=True)
    assert isinstance(new, Caller) and new.young_since == clock.at


async def test_it_is_known_when_everything_of_somebody_was_ended(
    callers: StoredCallers, store: Store, keyring: KeyRing, clock
) -> None:
    sessions, closures = Sessions(store, keyring, clock), Closures(store, clock)
    cookie = await sessions.open(**WHO)
    caller = await callers.by_session(cookie)
    assert isinstance(caller, Caller) and caller.ended_at is None and await sessions.ended_at(caller.user) is None
    await closures.not_me(caller.user, but=caller.credential_id)
    ended = await callers.by_session(cookie, anew=True)
    assert isinstance(ended, Caller) and ended.ended_at == await sessions.ended_at(caller.user) == clock.at


async def test_an_answer_that_is_old_when_it_is_read_is_asked_for_again(
    callers: StoredCallers, store: Store, token: str, clock
) -> None:
    await callers.by_token(token)
    held_up = iter((0.9, 0.0))
    store.took = lambda _: clock.forward(next(held_up))
    assert isinstance(await callers.by_token(token, anew=True), Caller)
    assert list(held_up) == []


async def test_whose_answers_are_always_old_tells_nothing(
    callers: StoredCallers, store: Store, token: str, clock
) -> None:
    store.took = lambda _: clock.forward(0.9)
    with pytest.raises(StoreUnavailable, match="held up"):
        await callers.by_token(token)
