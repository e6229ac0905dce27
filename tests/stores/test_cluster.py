"""The nodes of a cluster: keys that move, shards that are lost or emptied, and what the store says of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis_cluster import Shards, clustered, in_step
from redis_servers import RedisServer, folder, wait_for
from stack import until

from gateway.core.charging import Charge, Charged, Limit, PersonCharge
from gateway.core.extraction import Class
from gateway.core.policy import Scope, Then
from gateway.ports import StoreUnavailable
from gateway.rebuild import Rebuilt, write
from gateway.stores import keys, places
from gateway.stores.budgets import Budgets
from gateway.stores.cluster import SLOTS
from gateway.stores.connection import Store
from gateway.stores.faults import StoreLost

LIMIT_OF_USER = (Scope.USER, Class.SENSITIVE, 60, 3600, Then.REFUSE)
LIMIT = Limit("user", "user:u_1:sensitive:3600", *LIMIT_OF_USER, owner="u_1")
PLACE = places.place_of("u_1")


def one(number: int) -> Charge:
    return Charge((LIMIT,), ((PersonCharge((number.to_bytes(16, "big"),), ("nir",), Class.SENSITIVE),),))


@pytest.fixture(scope="module")
def shards() -> Iterator[Shards]:
    with folder() as directory, clustered(directory) as made:
        yield made


@asynccontextmanager
async def to(shards: Shards) -> AsyncIterator[Store]:
    """A store that looks at the cluster only when told to."""
    for server in shards.primaries:
        server.ask("FLUSHALL")
    store = Store(shards.url, timeout_s=5)
    try:
        await store.sample()
        yield store
    finally:
        await store.close()


def other_than(shards: Shards, server: RedisServer) -> RedisServer:
    return next(one for one in shards.primaries if one is not server)


def move(shards: Shards, slot: int, to: RedisServer) -> None:
    """Give an empty slot to another node."""
    for server in (to, *shards.primaries):
        server.ask("CLUSTER", "SETSLOT", slot, "NODE", to.ask("CLUSTER", "MYID"))
    until(lambda: shards.primary_of(slot) is to, what="the slot's move")


async def test_a_slot_that_has_moved_is_refused_once_and_then_found(shards: Shards) -> None:
    async with to(shards) as store:
        move(shards, SLOTS[PLACE], other_than(shards, shards.primary_of(SLOTS[PLACE])))
        with pytest.raises(StoreUnavailable, match="MOVED"):
            await Budgets(store).charge(one(1))
        await store.sample()
        assert (await Budgets(store).charge(one(1))).persons[0][0].new == 1


async def test_a_slot_on_its_way_is_refused_until_it_has_arrived(shards: Shards) -> None:
    slot = SLOTS[PLACE]
    source = shards.primary_of(slot)
    target = other_than(shards, source)
    async with to(shards) as store:
        budgets = Budgets(store)
        await budgets.charge(one(1))
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.ask("CLUSTER", "MYID"))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.ask("CLUSTER", "MYID"))
        source.ask("MIGRATE", "127.0.0.1", target.port, places.tag(PLACE) + keys.SEQUENCE, 0, 5000)
        with pytest.raises(StoreUnavailable, match=r"ASK|TRYAGAIN"):
            await budgets.charge(one(2))
        for name in source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.ask("MIGRATE", "127.0.0.1", target.port, name, 0, 5000)
        move(shards, slot, target)
        await store.sample()
        assert (await budgets.charge(one(1))).persons[0][0].new == 0
        assert (await budgets.usage([LIMIT]))[0].used == 1


async def test_an_emptied_shard_is_lost_and_the_others_are_not_believed_without_it(
    shards: Shards, tmp_path: Path
) -> None:
    async with to(shards) as store:
        await store.ensure_epoch(tmp_path)
        await Budgets(store).charge(one(1))
        shards.primary_of(SLOTS[PLACE]).ask("FLUSHALL")
        with pytest.raises(StoreLost):
            await Budgets(store).charge(one(2))
        with pytest.raises(StoreLost, match="has no epoch"):
            await store.check_epoch(tmp_path)


async def test_after_a_rebuilding_everybody_is_counted_in_the_place_of_who_owns_the_budget(
    shards: Shards, tmp_path: Path
) -> None:
    async with to(shards) as store:
        await store.ensure_epoch(tmp_path)
        shards.primary_of(SLOTS[PLACE]).ask("FLUSHALL")
        now, person = store.clock.now(), (1).to_bytes(16, "big")
        await write(store, Rebuilt({(LIMIT.key, 3600): {person: now}}, 1, now, {LIMIT.key: "u_1"}), tmp_path, 1)
        assert (await Budgets(store).charge(one(1))).persons[0][0].new == 0
        await store.check_epoch(tmp_path)


async def test_nothing_is_wrong_with_a_cluster_that_is_whole(shards: Shards) -> None:
    async with to(shards) as store:
        assert await store.complaints() == ()


async def test_a_node_that_would_evict_is_complained_of_by_its_name(shards: Shards) -> None:
    node = shards.primaries[1]
    async with to(shards) as store:
        node.ask("CONFIG", "SET", "maxmemory", "1gb")
        node.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        try:
            (complaint,) = await store.complaints()
        finally:
            node.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
            node.ask("CONFIG", "SET", "maxmemory", "0")
    assert f"127.0.0.1:{node.port}: maxmemory-policy is allkeys-lru" in complaint


async def test_a_shard_that_was_rolled_back_is_lost(shards: Shards, tmp_path: Path) -> None:
    async with to(shards) as store:
        await store.ensure_epoch(tmp_path)
        assert isinstance(await Budgets(store).charge(one(1)), Charged)
        await store.call("SET", keys.SEQUENCE, 0, place=PLACE)
        with pytest.raises(StoreLost, match="fewer charges"):
            await Budgets(store).charge(one(2))
        with pytest.raises(StoreLost, match="counts 0 of 1 charges"):
            await store.check_epoch(tmp_path)


async def test_a_charge_fails_where_its_own_shard_does_and_no_other_charge_with_it(shards: Shards) -> None:
    async with to(shards) as store:
        other = next(f"u_{at}" for at in range(99) if _apart(shards, places.place_of(f"u_{at}")))
        theirs = Limit("user", f"user:{other}:sensitive:3600", *LIMIT_OF_USER, owner=other)
        await store.call("SET", keys.budget(LIMIT.key), "no set", place=PLACE)
        budgets = Budgets(store)
        mine, fine = budgets.charge(one(1)), budgets.charge(Charge((theirs,), one(2).records))
        said = await asyncio.gather(mine, fine, return_exceptions=True)
        assert isinstance(said[0], StoreUnavailable)
        assert said[1].granted == 1


def _apart(shards: Shards, place: str) -> bool:
    return shards.primary_of(SLOTS[place]) is not shards.primary_of(SLOTS[PLACE])


async def test_while_a_shard_is_down_nothing_is_granted_and_all_is_known_when_it_is_back(shards: Shards) -> None:
    server = shards.primary_of(SLOTS[PLACE])
    async with to(shards) as store:
        budgets = Budgets(store)
        await budgets.charge(one(1))
        server.kill()
        try:
            with pytest.raises(StoreUnavailable):
                await budgets.charge(one(2))
            with contextlib.suppress(StoreUnavailable):
                await store.sample()
            assert str(server.port) in store.doubt or "no node" in store.doubt
        finally:
            server.start()
        wait_for(lambda: in_step(shards), "the cluster")
        await store.sample()
        assert store.doubt == ""
        assert (await budgets.charge(one(1))).persons[0][0].new == 0
