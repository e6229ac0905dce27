"""Sessions: one family for one sign-in, a new id at every step-up."""

import asyncio

import pytest

from gateway.core.assurance import Proof
from gateway.keyring import KeyRing
from gateway.ports import NoCaller
from gateway.stores import keys
from gateway.stores.callers import StoredCallers
from gateway.stores.closures import Closures
from gateway.stores.connection import Store
from gateway.stores.freezes import Freezes
from gateway.stores.sessions import Sessions

WHO = {"issuer": "https://sso", "sub": "1", "partner": "p", "name": "Léa", "login": "lea"}


@pytest.fixture
def sessions(store: Store, keyring: KeyRing, clock) -> Sessions:
    return Sessions(store, keyring, clock)


@pytest.fixture
def callers(store: Store, keyring: KeyRing, clock) -> StoredCallers:
    return StoredCallers(store, keyring, clock, monotonic=clock.now)


def proof_of(number: int, at: float) -> Proof:
    return Proof(f"pr_{number}", "totp", at, "u", "s", "f_1")


async def test_a_cookie_names_its_caller(sessions: Sessions, callers: StoredCallers, keyring: KeyRing) -> None:
    caller = await callers.by_session(await sessions.open(**WHO))
    assert (caller.user, caller.partner, caller.kind) == (keyring.user_id("https://sso", "1"), "p", "person")
    assert caller.credential == "session"
    assert caller.credential_id.startswith("s_")


async def test_a_session_begins_with_the_proof_of_its_sign_in_and_its_next_cookie_has_it_too(
    sessions: Sessions, callers: StoredCallers, clock
) -> None:
    cookie = await sessions.open(**WHO, proof=proof_of(1, clock.at - 60))
    first = await callers.by_session(cookie)
    assert [(one.id, one.credential_id) for one in first.proofs] == [("pr_1", first.credential_id)]
    new = await sessions.rotate(cookie, proof_of(2, clock.at))
    assert [one.id for one in (await callers.by_session(new)).proofs] == ["pr_2", "pr_1"]
    callers.forget(cookie)
    assert (await callers.by_session(cookie)).proofs == first.proofs


async def test_the_store_does_not_hold_the_cookie(sessions: Sessions, store: Store) -> None:
    cookie = await sessions.open(**WHO)
    for name in await store.call("KEYS", "*"):
        assert cookie.encode() not in name + await store.call("DUMP", name)


async def test_a_step_up_changes_the_id_and_the_old_one_keeps_the_caller_without_the_proof_for_10_s(
    sessions: Sessions, callers: StoredCallers, clock
) -> None:
    old = await sessions.open(**WHO)
    before = await callers.by_session(old)
    new = await sessions.rotate(old, proof_of(1, clock.at))
    callers.forget(old)
    assert (await callers.by_session(new)).proofs == (proof_of(1, clock.at),)
    assert await callers.by_session(old) == before
    clock.forward(9.9)
    assert await callers.by_session(old) == before
    clock.forward(0.9)
    assert await callers.by_session(old) == NoCaller("unknown")
    assert (await callers.by_session(new)).credential_id == before.credential_id


async def test_an_old_id_never_gets_a_later_proof(sessions: Sessions, callers: StoredCallers, clock) -> None:
    first = await sessions.open(**WHO)
    second = await sessions.rotate(first, proof_of(1, clock.at))
    third = await sessions.rotate(second, proof_of(2, clock.at + 1))
    seen = [len((await callers.by_session(cookie)).proofs) for cookie in (first, second, third)]
    assert seen == [0, 1, 2]


async def test_who_was_let_in_by_an_old_id_goes_on_with_the_session_and_gets_no_later_proof(
    sessions: Sessions, callers: StoredCallers, clock
) -> None:
    second = await sessions.rotate(await sessions.open(**WHO), proof_of(1, clock.at))
    let_in = await callers.by_session(second)
    third = await sessions.rotate(second, proof_of(2, clock.at))
    clock.forward(60)
    assert await callers.by_session(second) == NoCaller("unknown")
    assert await callers.by_family(let_in) == let_in
    assert len((await callers.by_session(third)).proofs) == 2
    await sessions.end(third)
    assert await callers.by_family(let_in, anew=True) == NoCaller("unknown")


async def test_who_was_let_in_by_a_copy_of_an_id_does_not_go_on_once_the_session_has_left_it(
    sessions: Sessions, callers: StoredCallers
) -> None:
    copied = await sessions.open(**WHO)
    let_in = await callers.by_session(copied)
    assert await sessions.refound(await sessions.rotate(copied, None), let_in.user)
    assert await callers.by_family(let_in) == NoCaller("unknown")


async def test_of_two_that_change_one_id_at_once_one_wins(sessions: Sessions, callers: StoredCallers, clock) -> None:
    old = await sessions.open(**WHO)
    changed = await asyncio.gather(*(sessions.rotate(old, proof_of(n, clock.at)) for n in range(20)))
    new = [one for one in changed if one]
    assert len(new) == 1
    assert len((await callers.by_session(new[0])).proofs) == 1


async def test_an_id_can_change_without_a_proof(sessions: Sessions, callers: StoredCallers) -> None:
    new = await sessions.rotate(await sessions.open(**WHO), None)
    assert (await callers.by_session(new)).proofs == ()


async def test_the_end_of_one_cookie_ends_its_family(sessions: Sessions, callers: StoredCallers, clock) -> None:
    old = await sessions.open(**WHO)
    new = await sessions.rotate(old, proof_of(1, clock.at))
    await sessions.end(new)
    assert await callers.by_session(old) == NoCaller("unknown")
    assert await callers.by_session(new) == NoCaller("unknown")
    assert await sessions.rotate(new, None) is None


async def test_a_session_left_alone_for_half_an_hour_is_over(sessions: Sessions, callers: StoredCallers, clock) -> None:
    cookie = await sessions.open(**WHO)
    clock.forward(1799)
    assert not isinstance(await callers.by_session(cookie), NoCaller)
    clock.forward(1799)
    assert not isinstance(await callers.by_session(cookie), NoCaller)
    user = (await callers.by_session(cookie)).user
    clock.forward(1800)
    assert await callers.by_session(cookie) == NoCaller("expired", user)
    assert await sessions.rotate(cookie, None) is None


async def test_a_session_in_use_is_over_after_ten_hours(sessions: Sessions, callers: StoredCallers, clock) -> None:
    cookie = await sessions.open(**WHO)
    for _ in range(23):
        clock.forward(1565)
        assert not isinstance(await callers.by_session(cookie), NoCaller)
    user = (await callers.by_session(cookie)).user
    clock.forward(5)
    assert await callers.by_session(cookie) == NoCaller("expired", user)


async def test_for_ten_minutes_more_it_is_known_whose_session_it_was(sessions: Sessions, store: Store) -> None:
    await sessions.open(**WHO)
    for name in await store.call("KEYS", "s*:*"):
        assert 36_000 < await store.call("TTL", name) <= 36_600


@pytest.mark.parametrize("how", ["sign-out", "not me"])
async def test_what_was_ended_on_purpose_is_nobodys(
    sessions: Sessions, callers: StoredCallers, store: Store, clock, how: str
) -> None:
    cookie = await sessions.open(**WHO)
    if how == "sign-out":
        await sessions.end(cookie)
    else:
        await Closures(store, clock).not_me((await callers.by_session(cookie)).user, but="s_other")
    clock.forward(40_000)
    assert await callers.by_session(cookie) == NoCaller("unknown")


async def test_a_frozen_user_of_an_ended_session_is_not_named(
    sessions: Sessions, callers: StoredCallers, store: Store, keyring: KeyRing, clock
) -> None:
    cookie = await sessions.open(**WHO)
    user = (await callers.by_session(cookie)).user
    await Freezes(store, keyring).freeze("user", user, by="o", reason="r", now=clock.at)
    clock.forward(1800)
    assert await callers.by_session(cookie) == NoCaller("frozen")


async def test_a_made_up_cookie_is_unknown(callers: StoredCallers, sessions: Sessions) -> None:
    for cookie in ("", "x", "x" * 10_000, "é\udcff"):
        assert await callers.by_session(cookie) == NoCaller("unknown")
        assert await sessions.rotate(cookie, None) is None
        await sessions.end(cookie)


async def test_the_last_eight_places_are_known_and_end_with_the_family(
    sessions: Sessions, callers: StoredCallers, store: Store, clock
) -> None:
    cookie = await sessions.open(**WHO, places=frozenset({"Firefox", "192.0.2.0/24"}))
    family = (await callers.by_session(cookie)).credential_id
    for number in range(7):
        clock.at += 1
        await sessions.know(family, frozenset({"Firefox", f"198.51.{number}.0/24"}))
    known = (await callers.by_session(cookie, anew=True)).places
    assert known == {"Firefox", *(f"198.51.{number}.0/24" for number in range(7))}
    await sessions.end(cookie)
    assert await store.call("EXISTS", keys.places(family)) == 0


async def test_a_session_s_own_lifetime_holds_wherever_it_is_asked_for(
    sessions: Sessions, callers: StoredCallers, clock
) -> None:
    own = {"idle_s": 300, "absolute_s": 500}
    cookie = await sessions.open(**WHO, **own)
    family = (await callers.by_session(cookie)).credential_id
    clock.forward(299)
    assert await sessions.join(family, sees=0) is not None
    clock.forward(1)
    assert (await callers.by_session(cookie)).reason == "expired"
    assert await sessions.rotate(cookie, None) is None
    assert await sessions.join(family, sees=0) is None
    kept = await sessions.open(**WHO, **own)
    for _ in range(2):
        clock.forward(249)
        assert (await callers.by_session(kept)).partner == "p"
    clock.forward(2)
    assert (await callers.by_session(kept)).reason == "expired"


async def test_a_session_is_never_idle_for_longer_than_the_house_lets_it(
    sessions: Sessions, callers: StoredCallers, clock
) -> None:
    cookie = await sessions.open(**WHO, idle_s=10_000)
    clock.forward(1800)
    assert (await callers.by_session(cookie)).reason == "expired"
