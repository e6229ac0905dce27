"""Who has said a login, since when, and last; twenty of them, for as long as a login is known."""

import asyncio

import pytest

from gateway.core.standing import Namesake
from gateway.keyring import KeyRing
from gateway.stores import keys
from gateway.stores.connection import Store
from gateway.stores.logins import MOST_NAMESAKES, Logins


@pytest.fixture
def logins(store: Store, keyring: KeyRing, clock) -> Logins:
    return Logins(store, keyring, clock)


async def test_everybody_who_has_said_it_is_known_and_who_said_it_last_comes_first(logins: Logins, clock) -> None:
    began = clock.now()
    await logins.said("sud", "camille", "u_camille", sub="sub-camille", name="Camille Roy")
    clock.forward(60)
    await logins.said("sud", "camille", "u_mallory", sub="sub-mallory", name="Camille R.")
    camille = Namesake("u_camille", "sud", "sub-camille", "Camille Roy", began, began)
    mallory = Namesake("u_mallory", "sud", "sub-mallory", "Camille R.", began + 60, began + 60)
    assert await logins.of("sud", "camille") == (mallory, camille)
    clock.forward(60)
    await logins.said("sud", "camille", "u_camille", sub="sub-camille", name="Camille Roy-Dupont")
    camille = Namesake("u_camille", "sud", "sub-camille", "Camille Roy-Dupont", began, began + 120)
    assert await logins.of("sud", "camille") == (camille, mallory)
    assert await logins.of("nord", "camille") == () == await logins.of("sud", "camill")


async def test_the_last_twenty_are_known_and_nobody_for_longer_than_a_login_is(
    logins: Logins, store: Store, keyring: KeyRing, clock
) -> None:
    for number in range(MOST_NAMESAKES + 3):
        clock.forward(1)
        await logins.said("sud", "many", f"u_{number}", sub=str(number), name="n")
    last = [f"u_{number}" for number in reversed(range(3, MOST_NAMESAKES + 3))]
    assert [one.user for one in await logins.of("sud", "many")] == last
    login_hash = keyring.login_hash("sud", "many")
    names = keys.login_last(login_hash), keys.login_said(login_hash)
    assert await store.call("HLEN", names[1]) == 2 * MOST_NAMESAKES
    for name in names:
        assert keys.LOGIN_LIFETIME_S - 60 < await store.call("TTL", name) <= keys.LOGIN_LIFETIME_S
    clock.forward(keys.LOGIN_LIFETIME_S)
    assert await logins.of("sud", "many") == ()
    await logins.said("sud", "many", "u_new", sub="new", name="n")
    assert [one.user for one in await logins.of("sud", "many")] == ["u_new"]
    assert await store.call("HLEN", names[1]) == 2


async def test_of_a_hundred_who_say_it_at_once_twenty_are_known(
    four_stores: list[Store], keyring: KeyRing, clock
) -> None:
    several = [Logins(store, keyring, clock) for store in four_stores]
    saying = (several[n % 4].said("sud", "flood", f"u_{n}", sub=str(n), name="n") for n in range(100))
    await asyncio.gather(*saying)
    assert len(await several[0].of("sud", "flood")) == MOST_NAMESAKES


async def test_neither_name_nor_subject_stands_in_the_store_in_words(logins: Logins, store: Store) -> None:
    await logins.said("sud", "a-rare-login", "u_x", sub="a-rare-subject", name="A Rare Name")
    (said,) = [one for one in await store.call("KEYS", "ls:*") if b"who:u_x" in await store.call("HKEYS", one)]
    assert b"rare" not in said.lower() + await store.call("HGET", said, "who:u_x")
