"""Whoever is frozen, their partner hears of it: in the same step, once, and whatever happens to us meanwhile."""

import orjson
import pytest

from gateway.core.events import kind_of
from gateway.keyring import KeyRing
from gateway.stores import keys
from gateway.stores.connection import Store
from gateway.stores.freezes import Freezes, signals_to
from gateway.stores.people import People
from gateway.stores.sending import WAITS_S, Sending, Waiting
from gateway.stores.sessions import Sessions
from gateway.stores.tokens import Tokens

ISSUER = "https://sso.example"
WHO = {"issuer": ISSUER, "sub": "42", "partner": "agency", "name": "Alice", "login": "alice"}


@pytest.fixture
def freezes(store: Store, keyring: KeyRing) -> Freezes:
    return Freezes(store, keyring, frozenset({"agency"}))


@pytest.fixture
def queue(store: Store, clock) -> Sending:
    return Sending(store, clock, name=keys.signals_to("agency"), for_ever=True)


@pytest.fixture
async def user(store: Store, keyring: KeyRing, clock) -> str:
    """Somebody who signed in, and has no session any more."""
    sessions = Sessions(store, keyring, clock)
    await sessions.end(await sessions.open(**WHO))
    return keyring.user_id(ISSUER, "42")


async def freeze(freezes: Freezes, user: str, clock) -> str | None:
    return await freezes.freeze("user", user, by="o", reason="secret", now=clock.at)


async def taken(queue: Sending) -> list[Waiting]:
    """Everything that is due."""
    found = []
    while (one := await queue.take()) is not None:
        found.append(one)
    return found


async def kinds(queue: Sending) -> list[str]:
    return [kind_of(orjson.loads(one.body)["claims"]) for one in await taken(queue)]


async def test_the_partner_hears_who_was_frozen_and_who_goes_on_but_not_why(
    freezes: Freezes, user: str, queue: Sending, clock, store: Store
) -> None:
    assert await freeze(freezes, user, clock) == "agency"
    waiting = await store.call("ZRANGE", keys.signals_to("agency"), 0, -1)
    assert all(orjson.loads(one)["claims"]["sub_id"]["sub"] == "42" for one in waiting)
    assert b"secret" not in b"".join(waiting)
    assert sorted(await kinds(queue)) == ["risk-level-change", "session-revoked"]
    assert await freezes.unfreeze("user", user, now=clock.at)
    assert await kinds(queue) == ["risk-level-change"]


async def test_the_partner_hears_of_who_is_frozen_on_the_page_too(
    store: Store, keyring: KeyRing, user: str, queue: Sending, clock
) -> None:
    people = People(store, keyring, clock, told=frozenset({"agency"}))
    await people.freeze(user, by="o", reason="r")
    assert await queue.waiting() == 2
    await people.unfreeze(user)
    assert await queue.waiting() == 3


async def test_a_token_s_user_is_known_to_the_partner_too(
    freezes: Freezes, store: Store, keyring: KeyRing, clock
) -> None:
    await Tokens(store, keyring, clock).issue(**WHO, expires_at=clock.at + 10)
    assert await freeze(freezes, keyring.user_id(ISSUER, "42"), clock) == "agency"


async def test_nobody_is_told_who_does_not_want_it(
    store: Store, keyring: KeyRing, user: str, queue: Sending, clock
) -> None:
    assert await freeze(Freezes(store, keyring, frozenset({"other"})), user, clock) is None
    assert await queue.waiting() == 0


async def test_whoever_never_came_is_frozen_all_the_same(freezes: Freezes, clock) -> None:
    assert await freeze(freezes, "u_nobody", clock) is None
    assert [one.name for one in await freezes.rows()] == ["u_nobody"]


async def test_the_subject_stands_nowhere_in_the_clear_before_that(user: str, store: Store) -> None:
    kept = await store.call("GET", keys.subject(user))
    assert kept is not None and ISSUER.encode() not in kept


async def test_a_signal_is_tried_for_ever_until_it_is_done(freezes: Freezes, user: str, queue: Sending, clock) -> None:
    await freeze(freezes, user, clock)
    bodies = {one.body for one in await taken(queue)}
    assert len(bodies) == 2
    for wait_s in (*WAITS_S, *[WAITS_S[-1]] * 100):
        clock.at += wait_s - 1
        assert await taken(queue) == []
        clock.at += 1
        again = await taken(queue)
        assert {one.body for one in again} == bodies and not any(one.last for one in again)
    for body in bodies:
        await queue.done(body)
    clock.at += 10 * WAITS_S[-1]
    assert await taken(queue) == [] and await queue.waiting() == 0


async def test_refusals_are_counted_and_forgotten_with_the_message(
    freezes: Freezes, user: str, queue: Sending, clock, store: Store
) -> None:
    await freeze(freezes, user, clock)
    one, other = await queue.take(), await queue.take()
    assert one is not None and other is not None
    assert [await queue.refused(one.body), await queue.refused(one.body), await queue.refused(other.body)] == [1, 2, 1]
    for each in (one, other):
        await queue.done(each.body)
    assert await store.call("KEYS", "sx:*") == []


async def test_the_queue_of_the_worker_is_the_one_that_a_freeze_fills(
    freezes: Freezes, user: str, clock, store: Store
) -> None:
    await freeze(freezes, user, clock)
    assert await signals_to(store, "agency").waiting() == 2
