"""What is kept for a later step is taken once."""

import asyncio

import pytest

from gateway.keyring import KeyRing
from gateway.stores.connection import Store
from gateway.stores.flows import Flows


@pytest.fixture
def flows(store: Store, keyring: KeyRing, clock) -> Flows:
    return Flows(store, keyring, clock)


async def test_a_value_is_taken_once(flows: Flows) -> None:
    key = await flows.keep("state", {"nonce": "é", "n": 1}, 60)
    assert await flows.take("state", key) == {"nonce": "é", "n": 1}
    assert await flows.take("state", key) is None


async def test_of_many_that_take_at_once_one_gets_it(flows: Flows) -> None:
    key = await flows.keep("state", {}, 60)
    taken = await asyncio.gather(*(flows.take("state", key) for _ in range(50)))
    assert [one for one in taken if one is not None] == [{}]


async def test_a_key_of_another_kind_takes_nothing(flows: Flows) -> None:
    key = await flows.keep("state", {"a": 1}, 60)
    assert await flows.take("ticket", key) is None
    assert await flows.take("state", key) == {"a": 1}


async def test_a_value_is_over_when_its_time_is(flows: Flows, clock) -> None:
    key = await flows.keep("state", {}, 60)
    clock.forward(60)
    assert await flows.take("state", key) is None


async def test_the_store_does_not_know_the_key(flows: Flows, store: Store) -> None:
    key = await flows.keep("state", {}, 60)
    assert not [name for name in await store.call("KEYS", "*") if key.encode() in name]
