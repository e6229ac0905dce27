"""What each error of a real server becomes: refused where it did nothing, spent where nobody knows."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from redis_servers import RedisServer, folder, running, wait_for

from gateway.core.charging import Charge, Limit, PersonCharge
from gateway.core.extraction import Class
from gateway.core.policy import Scope, Then
from gateway.ports import StoreUnavailable
from gateway.stores.budgets import Budgets
from gateway.stores.connection import Store
from gateway.stores.faults import ERRORS, StoreRefused

LIMIT = Limit("user", "user:u:x:60", Scope.USER, Class.SENSITIVE, 60, 60, Then.REFUSE)
CHARGE = Charge((LIMIT,), ((PersonCharge((b"1" * 16,), ("nir",), Class.SENSITIVE),),))


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with folder() as directory, running(directory, {"enable-debug-command": "yes"}) as one:
        yield one


@asynccontextmanager
async def to(server: RedisServer, timeout_s: float = 2.0) -> AsyncIterator[Store]:
    store = Store(server.url, timeout_s=timeout_s)
    try:
        yield store
    finally:
        await store.close()


def _replica(server: RedisServer) -> None:
    server.ask("REPLICAOF", "127.0.0.1", "1")


def _stale_replica(server: RedisServer) -> None:
    server.ask("CONFIG", "SET", "replica-serve-stale-data", "no")
    server.ask("REPLICAOF", "127.0.0.1", "1")


def _without_replicas(server: RedisServer) -> None:
    server.ask("CONFIG", "SET", "min-replicas-to-write", "1")


def _full(server: RedisServer) -> None:
    server.ask("CONFIG", "SET", "maxmemory", "1")


def _guarded(server: RedisServer) -> None:
    server.ask("CONFIG", "SET", "requirepass", "secret")


def _without_a_right(server: RedisServer) -> None:
    server.ask("ACL", "SETUSER", "default", "-zadd")


def _without_a_disk(server: RedisServer) -> None:
    server.ask("CONFIG", "SET", "save", "3600 1")
    shutil.rmtree(server.directory)
    server.ask("BGSAVE")
    wait_for(lambda: server.ask("INFO", "persistence")["rdb_last_bgsave_status"] == "err", "the failed saving")


def _busy(server: RedisServer) -> None:
    server.ask("CONFIG", "SET", "busy-reply-threshold", "1")
    server.leave("EVAL", "while true do end", "0")
    wait_for(lambda: server.says("BUSY"), "the endless script")


def _loading(server: RedisServer) -> None:
    for _ in range(50):
        server.ask("SET", os.urandom(8), os.urandom(1024))  # once in so many bytes whoever asks is answered
    server.ask("CONFIG", "SET", "loading-process-events-interval-bytes", "1024")
    server.ask("CONFIG", "SET", "key-load-delay", "200000")
    server.leave("DEBUG", "RELOAD")
    wait_for(lambda: server.says("LOADING"), "the loading")


HURT: dict[str, Callable[[RedisServer], None]] = {
    "READONLY": _replica,
    "MASTERDOWN": _stale_replica,
    "NOREPLICAS": _without_replicas,
    "OOM": _full,
    "NOAUTH": _guarded,
    "MISCONF": _without_a_disk,
    "BUSY": _busy,
    "LOADING": _loading,
}


@pytest.mark.parametrize("word", HURT)
async def test_what_the_server_refuses_is_refused_and_says_what_to_do(server: RedisServer, word: str) -> None:
    HURT[word](server)
    async with to(server) as store:
        # Whoever has not said who they are may not even ask for as much as a charge takes.
        with pytest.raises(StoreRefused, match=f"^{word} ") as raised:
            await (store.sample() if word == "NOAUTH" else Budgets(store).charge(CHARGE))
    assert ERRORS[word].what_to_do in str(raised.value)


async def test_a_right_that_is_missing_may_be_met_half_way_and_is_no_refusal(server: RedisServer) -> None:
    _without_a_right(server)
    async with to(server) as store:
        with pytest.raises(StoreUnavailable, match=r"a right is missing|see the server's log") as raised:
            await Budgets(store).charge(CHARGE)
    assert not isinstance(raised.value, StoreRefused)


async def test_an_error_that_nobody_foresaw_is_no_refusal(server: RedisServer) -> None:
    async with to(server) as store:
        await store.call("SET", "b:user:u:x:60", "no set")
        with pytest.raises(StoreUnavailable, match="WRONGTYPE") as raised:
            await Budgets(store).charge(CHARGE)
    assert not isinstance(raised.value, StoreRefused)


async def test_a_refusal_within_several_commands_is_none_of_them_all(server: RedisServer) -> None:
    async with to(server) as store:
        await store.call("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreUnavailable, match=r"^OOM ") as raised:
            await store.calls(("DEL", "a"), ("SET", "b", "1"))
    assert not isinstance(raised.value, StoreRefused)


async def test_what_got_no_answer_is_not_released_and_stays_counted(server: RedisServer) -> None:
    async with to(server, timeout_s=2) as store:
        budgets = Budgets(store)
        await budgets.charge(replace(CHARGE, commit=False))
        server.suspend()
        with pytest.raises(StoreUnavailable) as raised:
            await budgets.charge(CHARGE)
        assert not isinstance(raised.value, StoreRefused)
        server.resume()
        assert (await budgets.usage([LIMIT]))[0].used == 1


async def test_a_connection_that_breaks_under_a_charge_is_no_refusal(server: RedisServer) -> None:
    async with to(server) as store:
        budgets = Budgets(store)
        await budgets.charge(replace(CHARGE, commit=False))
        server.suspend()
        charging = asyncio.create_task(budgets.charge(CHARGE))
        await asyncio.sleep(0)
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(StoreUnavailable) as raised:
            await charging
        assert not isinstance(raised.value, StoreRefused)


async def test_a_script_that_the_server_does_not_know_is_sent_whole_and_counts_once(server: RedisServer) -> None:
    async with to(server) as store:
        budgets = Budgets(store)
        await budgets.charge(CHARGE)
        await store.call("SCRIPT", "FLUSH")
        assert (await budgets.charge(CHARGE)).granted == 1
        assert (await budgets.usage([LIMIT]))[0].used == 1


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[RedisServer, RedisServer]]:
    """Two nodes of a cluster: the first has the slot of ``{a}`` and gives it away, the second that of ``{b}``."""
    settings = {"cluster-enabled": "yes", "cluster-require-full-coverage": "no"}
    with (
        folder() as directory,
        running(directory / "1", settings) as first,
        running(directory / "2", settings) as other,
    ):
        slots = {name: first.ask("CLUSTER", "KEYSLOT", name) for name in ("{a}", "{b}")}
        first.ask("CLUSTER", "ADDSLOTS", slots["{a}"])
        other.ask("CLUSTER", "ADDSLOTS", slots["{b}"])
        other.ask("CLUSTER", "SET-CONFIG-EPOCH", 2)
        first.ask("CLUSTER", "MEET", "127.0.0.1", other.port)
        wait_for(lambda: len(first.ask("CLUSTER", "SLOTS")) == 2, "the other node's slot")
        wait_for(lambda: "cluster_state:ok" in str(first.ask("CLUSTER", "INFO")), "the cluster")
        first.ask("SET", "{a}here", "1")
        first.ask("CLUSTER", "SETSLOT", slots["{a}"], "MIGRATING", other.ask("CLUSTER", "MYID"))
        yield first, other


@pytest.mark.parametrize(
    ("word", "command"),
    [
        ("MOVED", ("SET", "{b}", "1")),
        ("ASK", ("SET", "{a}gone", "1")),
        ("TRYAGAIN", ("MSET", "{a}here", "1", "{a}gone", "1")),
        ("CROSSSLOT", ("MSET", "{a}", "1", "{b}", "1")),
        ("CLUSTERDOWN", ("SET", "{nobody}", "1")),
    ],
)
async def test_what_a_node_of_a_cluster_sends_away_was_not_done(
    cluster: tuple[RedisServer, RedisServer], word: str, command: tuple[str, ...]
) -> None:
    async with to(cluster[0]) as store:
        with pytest.raises(StoreRefused, match=f"^{word} ") as raised:
            await store.call(*command)
    assert ERRORS[word].what_to_do in str(raised.value)


def test_every_refusal_of_the_table_was_met() -> None:
    elsewhere = {"WRONGPASS"}  # test_servers.py
    met = {*HURT, "MOVED", "ASK", "TRYAGAIN", "CROSSSLOT", "CLUSTERDOWN"} | elsewhere
    assert {word for word, meaning in ERRORS.items() if meaning.refused} == met
