"""A signal takes effect once, and one that could not do so takes effect the next time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.core.assurance import Caller
from gateway.core.signals import Take
from gateway.keyring import KeyRing
from gateway.stores.access import Access
from gateway.stores.callers import StoredCallers
from gateway.stores.closures import Closures
from gateway.stores.connection import Store
from gateway.stores.people import People
from gateway.stores.sessions import Sessions
from gateway.stores.signals import DOING_S, Signals


@pytest.fixture
def signals(store: Store, keyring: KeyRing, clock) -> Signals:
    return Signals(store, keyring, clock)


async def test_of_a_hundred_that_come_at_once_one_is_the_first(
    four_stores: list[Store], keyring: KeyRing, clock
) -> None:
    several = [Signals(store, keyring, clock) for store in four_stores]
    takes = await asyncio.gather(*(several[index % 4].take("agency", "j") for index in range(100)))
    assert sorted(take.name for take in takes) == ["DOING"] * 99 + ["FIRST"]


async def test_what_took_effect_is_known_as_long_as_it_could_come_again(signals: Signals, store: Store, clock) -> None:
    await signals.take("agency", "j")
    await signals.done("agency", "j", clock.now() + 600)
    assert await signals.take("agency", "j") is Take.DONE
    assert await signals.take("another", "j") is Take.FIRST
    (lasts_s,) = {await store.call("TTL", name) for name in await store.call("KEYS", "sg:*")} - {DOING_S}
    assert lasts_s in (599, 600)


async def test_what_took_none_comes_again(signals: Signals, store: Store) -> None:
    await signals.take("agency", "j")
    (name,) = await store.call("KEYS", "sg:*")
    assert 0 < await store.call("TTL", name) <= DOING_S
    await store.call("DEL", name)  # its time is over
    assert await signals.take("agency", "j") is Take.FIRST


ENDS = [
    lambda *house: Signals(*house).end("u_lea", None),
    lambda store, _, clock: Access(store, clock).end_others("u_lea", but="s_1"),
    lambda store, _, clock: Closures(store, clock).not_me("u_lea", but="s_1"),
    lambda *house: People(*house).end_sessions("u_lea"),
]


@pytest.mark.parametrize("end", ENDS, ids=["the partner", "all others", "not me", "the help desk"])
async def test_a_sign_in_rests_on_nothing_that_has_ended_since(
    signals: Signals, store: Store, keyring: KeyRing, clock, end: Callable[..., Awaitable[object]]
) -> None:
    begun_at = clock.now()
    assert not await signals.ended_since("u_lea", "agency", "sid-1", begun_at)
    clock.forward(1)
    await signals.signed_out("agency", "sid-1")
    for user, partner, sid, ended in (
        ("u_lea", "agency", "sid-1", True),
        ("u_lea", "agency", "sid-2", False),
        ("u_lea", "agency", "", False),
        ("u_lea", "another", "sid-1", False),
    ):
        assert await signals.ended_since(user, partner, sid, begun_at) is ended
    await end(store, keyring, clock)
    assert await signals.ended_since("u_lea", "agency", "", begun_at)
    assert not await signals.ended_since("u_lea", "agency", "", begun_at + 1)
    assert not await signals.ended_since("u_max", "agency", "", begun_at)


WHO = {"issuer": "https://id.agency.example", "sub": "sub-lea", "partner": "agency", "name": "Léa", "login": "lea"}


@pytest.mark.parametrize(
    ("sids", "sid", "all_unless_known", "left"),
    [
        (["1", "2", ""], None, False, []),
        (["1", "2", ""], "1", False, ["2"]),
        (["1", "2", ""], "1", True, ["2"]),
        (["1", "2", ""], "3", False, ["1", "2"]),
        (["1", "2", ""], "3", True, []),
        (["1", "2"], "3", False, ["1", "2"]),
        ([""], "3", False, []),
        (["", ""], "3", True, []),
    ],
)
async def test_a_session_ends_that_came_by_the_one_named_or_by_nobody_knows_which(
    signals: Signals,
    store: Store,
    keyring: KeyRing,
    clock,
    sids: list[str],
    sid: str | None,
    all_unless_known: bool,
    left: list[str],
) -> None:
    sessions, callers = Sessions(store, keyring, clock), StoredCallers(store, keyring, clock)
    cookies = [(one, await sessions.open(**WHO, sid=one)) for one in sids]
    user = keyring.user_id(WHO["issuer"], WHO["sub"])
    assert await signals.end(user, sid, all_unless_known=all_unless_known) == len(sids) - len(left)
    assert [one for one, cookie in cookies if isinstance(await callers.by_session(cookie), Caller)] == left
