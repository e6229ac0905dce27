"""What is kept for a later step is taken once."""

import asyncio
import base64
from pathlib import Path

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


async def test_what_is_handed_out_comes_back_and_the_store_knows_nothing_of_it(flows: Flows, store: Store) -> None:
    before = await store.call("DBSIZE")
    key = flows.hand_out("state", {"nonce": "é"}, 60)
    assert flows.handed_back("state", key) == {"nonce": "é"}
    assert await store.call("DBSIZE") == before


def test_nobody_reads_or_changes_what_is_handed_out(flows: Flows) -> None:
    key = flows.hand_out("state", {"nonce": "n" * 43}, 60)
    half, _, sealed = key.partition(".")
    assert b"nnn" not in base64.urlsafe_b64decode(sealed + "==")
    for changed in (f"{half[:-1]}~.{sealed}", f"{half}.A{sealed[1:]}", f"{half}.{sealed[:-8]}", half, "", ".", "é.é"):
        assert flows.handed_back("state", changed) is None
    assert flows.handed_back("ticket", key) is None


def test_what_is_handed_out_is_over_when_its_time_is(flows: Flows, clock) -> None:
    key = flows.hand_out("state", {}, 60)
    clock.forward(60)
    assert flows.handed_back("state", key) is None


def test_what_was_sealed_by_another_house_is_not_ours(flows: Flows, store: Store, tmp_path: Path, clock) -> None:
    key = Flows(store, KeyRing.create(tmp_path / "other"), clock).hand_out("state", {}, 60)
    assert flows.handed_back("state", key) is None


async def test_of_a_hundred_that_spend_a_name_one_does(four_stores: list[Store], keyring: KeyRing, clock) -> None:
    several = [Flows(store, keyring, clock) for store in four_stores]
    spent = await asyncio.gather(*(several[index % 4].spend("state", "nonce", 60) for index in range(100)))
    assert spent.count(True) == 1
