"""Every fault is one kind of fault, and only the store we knew is believed."""

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.charging import Charge, Limit, PersonCharge
from gateway.core.extraction import Class
from gateway.core.policy import Scope, Then
from gateway.keyring import KeyRing
from gateway.ports import StoreUnavailable
from gateway.stores.budgets import Budgets
from gateway.stores.callers import StoredCallers
from gateway.stores.clock import StoreClock
from gateway.stores.connection import EPOCH_FILE, Store
from gateway.stores.embedded import EmbeddedStore
from gateway.stores.faults import StoreLost
from gateway.stores.tokens import Tokens

LIMIT = Limit("user", "user:u:x:60", Scope.USER, Class.SENSITIVE, 60, 60, Then.REFUSE)
CHARGE = Charge((LIMIT,), ((PersonCharge((b"1" * 16,), ("nir",), Class.SENSITIVE),),))

NEW = replace(CHARGE, records=((PersonCharge((b"2" * 16,), ("nir",), Class.SENSITIVE),),))
"""Of somebody not known to be counted: the store must be asked."""


@pytest.fixture
def server() -> Iterator[EmbeddedStore]:
    """A server of one test alone, to be hurt."""
    directory = Path(tempfile.mkdtemp(prefix="gs"))
    own = EmbeddedStore(directory)
    own.start()
    try:
        own.wait_ready()
        yield own
    finally:
        if own.pid is not None:
            os.kill(own.pid, signal.SIGCONT)
        own.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
async def hurt(server: EmbeddedStore) -> AsyncIterator[Store]:
    connected = await Store.connect(server.url, timeout_s=2)
    yield connected
    await connected.close()


async def test_a_store_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        await Store.connect(f"unix://{tmp_path}/none")


async def test_a_stopped_store_is_unavailable_and_usable_when_it_goes_on(server: EmbeddedStore, hurt: Store) -> None:
    budgets = Budgets(hurt)
    await budgets.charge(CHARGE)
    os.kill(server.pid, signal.SIGSTOP)
    with pytest.raises(StoreUnavailable):
        await budgets.charge(NEW)
    with pytest.raises(StoreUnavailable):
        await hurt.call("PING")
    os.kill(server.pid, signal.SIGCONT)
    assert (await budgets.charge(CHARGE)).granted == 1


async def test_a_killed_store_is_unavailable_and_knows_all_when_it_is_back(
    server: EmbeddedStore, hurt: Store, tmp_path: Path
) -> None:
    budgets = Budgets(hurt)
    await hurt.ensure_epoch(tmp_path)
    await budgets.charge(CHARGE)
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(StoreUnavailable):
        await budgets.charge(NEW)
    server.stop()
    with pytest.raises(StoreUnavailable):
        await budgets.charge(NEW)
    server.start()
    server.wait_ready()
    assert (await budgets.charge(CHARGE)).persons[0][0].new == 0
    assert (await budgets.usage([LIMIT]))[0].used == 1


async def test_everything_that_waits_for_a_dead_store_fails_with_it(server: EmbeddedStore, hurt: Store) -> None:
    budgets = Budgets(hurt)
    os.kill(server.pid, signal.SIGSTOP)
    wide = Charge((LIMIT,), (tuple(PersonCharge((n.to_bytes(16),), ("k",), Class.SENSITIVE) for n in range(300)),))
    answers = await asyncio.gather(*(budgets.charge(wide) for _ in range(20)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {StoreUnavailable}


async def test_a_dead_store_names_nobody(server: EmbeddedStore, hurt: Store, keyring: KeyRing) -> None:
    who = {"issuer": "i", "sub": "s", "partner": "p", "name": "n", "login": "l"}
    token, _ = await Tokens(hurt, keyring).issue(**who, expires_at=hurt.clock.now() + 60)
    server.stop()
    with pytest.raises(StoreUnavailable):
        await StoredCallers(hurt, keyring).by_token(token)


async def test_a_full_store_is_unavailable(hurt: Store) -> None:
    await hurt.call("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreUnavailable, match="maxmemory"):
        await Budgets(hurt).charge(CHARGE)


async def test_a_replica_is_unavailable(hurt: Store) -> None:
    await hurt.call("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StoreUnavailable):
        await Budgets(hurt).charge(CHARGE)


async def test_a_wrong_kind_of_value_is_unavailable(hurt: Store) -> None:
    await hurt.call("SET", "b:user:u:x:60", "no set")
    with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
        await Budgets(hurt).charge(CHARGE)


async def test_a_script_that_the_store_forgot_is_taught_again(hurt: Store) -> None:
    budgets = Budgets(hurt)
    await budgets.charge(CHARGE)
    await hurt.call("SCRIPT", "FLUSH")
    assert (await budgets.charge(CHARGE)).granted == 1


async def test_the_embedded_store_neither_evicts_nor_forgets(hurt: Store) -> None:
    assert await hurt.complaints() == ()


async def test_eviction_and_forgetting_are_complained_of(hurt: Store) -> None:
    for name, value in (("maxmemory", "1gb"), ("maxmemory-policy", "allkeys-lru"), ("appendonly", "no")):
        await hurt.call("CONFIG", "SET", name, value)
    evicts, forgets = await hurt.complaints()
    assert "allkeys-lru" in evicts
    assert "appendonly" in forgets


async def test_an_epoch_is_made_once_and_adopted_by_the_next_node(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    made = await store.ensure_epoch(tmp_path / "a")
    assert await store.ensure_epoch(tmp_path / "a") == made
    assert await store.ensure_epoch(tmp_path / "b") == made
    assert (tmp_path / "a" / EPOCH_FILE).read_bytes() == (tmp_path / "b" / EPOCH_FILE).read_bytes()


async def test_a_store_without_the_epoch_we_knew_is_lost(store: Store, tmp_path: Path) -> None:
    await store.ensure_epoch(tmp_path)
    await store.call("FLUSHALL")
    with pytest.raises(StoreLost, match="emptied"):
        await store.ensure_epoch(tmp_path)
    assert await store.call("DBSIZE") == 0


async def test_another_store_is_lost(store: Store, tmp_path: Path) -> None:
    await store.ensure_epoch(tmp_path)
    await store.call("SET", "epoch", "another")
    with pytest.raises(StoreLost, match="another store"):
        await store.ensure_epoch(tmp_path)


async def test_a_store_that_counts_fewer_charges_than_the_ledger_is_lost_until_rebuilt(
    store: Store, tmp_path: Path
) -> None:
    await store.ensure_epoch(tmp_path, 0)
    await Budgets(store).charge(CHARGE)
    await store.ensure_epoch(tmp_path, 1)
    with pytest.raises(StoreLost, match="rolled back"):
        await store.ensure_epoch(tmp_path, 2)
    await store.renew_epoch(tmp_path, 2)
    await store.ensure_epoch(tmp_path, 2)
    assert (await Budgets(store).charge(CHARGE)).sequence == 3


def test_time_never_runs_backwards() -> None:
    clock = StoreClock()
    moment = time.monotonic()
    clock.sampled(2_000_000_000.0, moment, moment)
    before = clock.now()
    clock.sampled(1_000_000_000.0, moment, moment)
    assert clock.now() == before >= 2_000_000_000.0


def test_a_local_clock_that_is_set_moves_no_time_and_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = StoreClock()
    moment = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: moment)
    clock.sampled(2_000_000_000.0, moment, moment)
    monkeypatch.setattr(time, "time", lambda: 2_000_000_100.0)
    assert clock.now() == 2_000_000_000.0
    assert clock.skew_s == 100.0


def test_without_a_sample_the_clock_is_of_no_age() -> None:
    assert StoreClock().sampled_ago_s == float("inf")


async def test_the_clock_is_the_store_s(store: Store) -> None:
    before = int((await store.call("TIME"))[0])
    assert before <= store.clock.now() <= int((await store.call("TIME"))[0]) + 1
    assert store.clock.sampled_ago_s < float("inf")
