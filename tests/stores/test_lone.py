"""A primary of a cluster waits for the replicas that could take its place, and for no others.

Whoever is promoted after it worked without them charges nothing until all has been counted anew.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis_cluster import Shards, clustered, in_step
from redis_servers import RedisServer, folder, wait_for

from gateway.config.store import address_of
from gateway.core.charging import Charge, Limit, PersonCharge
from gateway.core.extraction import Class
from gateway.core.policy import Scope, Then
from gateway.ports import StoreUnavailable
from gateway.stores import places
from gateway.stores.budgets import Budgets
from gateway.stores.cluster import SLOTS
from gateway.stores.connection import Store
from gateway.stores.faults import NotAcknowledged, StoreLost
from gateway.stores.topology import replication_of

LIMIT = Limit("user", "user:u_1:sensitive:3600", Scope.USER, Class.SENSITIVE, 60, 3600, Then.REFUSE, owner="u_1")
HANGING = replace(LIMIT, name="hanging", key="user:u_1:sensitive:60", window_s=60)
PLACE = places.place_of("u_1")
SLOT = SLOTS[PLACE]


def people(first: int, count: int, limit: Limit = LIMIT) -> Charge:
    """So many persons, each in a record of their own."""
    numbers = range(first, first + count)
    return Charge(
        (limit,),
        tuple((PersonCharge((number.to_bytes(16, "big"),), ("nir",), Class.SENSITIVE),) for number in numbers),
    )


@pytest.fixture(scope="module")
def shards() -> Iterator[Shards]:
    """Whole before each test and after it."""
    with folder() as directory, clustered(directory, replicas=1, node_timeout_s=2) as made:
        yield made


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Where each of the two gateways keeps the store's epoch."""
    return tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")


@pytest.fixture
async def workers(shards: Shards, ledgers: tuple[Path, Path]) -> AsyncIterator[list[Store]]:
    """Of two gateways; they look only when told to."""
    stores = [Store(replace(address_of(shards.url), replicas=1), timeout_s=2) for _ in range(2)]
    try:
        for one, ledger in zip(stores, ledgers, strict=True):
            await one.sample()
            await one.ensure_epoch(ledger)
        yield stores
    finally:
        for one in stores:
            await one.close()


def _serving(shards: Shards) -> tuple[RedisServer, RedisServer]:
    """The place's primary and its replica."""
    primary = shards.primary_of(SLOT)
    port = str(primary.port)
    return primary, next(
        one for one in shards.servers if str(one.ask("INFO", "replication").get("master_port")) == port
    )


def _told_elsewhere(shards: Shards, primary: RedisServer) -> dict[str, int]:
    """What the other shards hold of the place's: by place how often it was written to."""
    held: dict[str, int] = {}
    for place, slot in SLOTS.items():
        if (server := shards.primary_of(slot)) is not primary:
            held |= {
                name: int(count)
                for name, count in server.ask("ZRANGE", f"{{{place}}}lone:elsewhere", 0, -1, "WITHSCORES")
            }
    return held


def _cut_off(shards: Shards, primary: RedisServer, replica: RedisServer) -> None:
    """What the primary is told from now on does not wait in a socket until the replica goes on."""
    replica.suspend()
    primary.ask("CLIENT", "KILL", "TYPE", "replica")
    _wait_until_given_up(shards, replica)


def _wait_until_given_up(shards: Shards, replica: RedisServer) -> None:
    """Whoever is asked says so: which of them a look asks is not known here."""
    others = [one for one in shards.servers if one is not replica]
    wait_for(lambda: not any(map(_replicas_known_to, others)), "the end of the replica")


def _replicas_known_to(server: RedisServer) -> int:
    return next(len(one) - 3 for one in server.ask("CLUSTER", "SLOTS") if int(one[0]) <= SLOT <= int(one[1]))


async def _look(store: Store) -> None:
    try:
        await store.sample()
    except StoreUnavailable:
        return


async def _looked_until_served(store: Store) -> None:
    """Look until the cluster has told who is primary now, and that one serves."""
    while True:
        await _look(store)
        if not store.doubt:
            return


async def test_what_a_hanging_replica_lacks_is_spent_and_refused_until_the_cluster_has_given_it_up(
    shards: Shards, workers: list[Store]
) -> None:
    primary, replica = _serving(shards)
    budgets = Budgets(workers[0])
    assert (await budgets.charge(people(999, 1, HANGING))).granted == 1
    replica.suspend()
    with pytest.raises(NotAcknowledged):
        await budgets.charge(people(1_000, 1, HANGING))
    _wait_until_given_up(shards, replica)
    wait_for(lambda: not replication_of(primary.ask("INFO", "replication")).here, "the end of its link")
    await workers[0].sample()
    assert (await budgets.charge(people(1_001, 1, HANGING))).granted == 1
    assert (await budgets.usage([HANGING]))[0].used == 3
    replica.resume()
    wait_for(lambda: in_step(shards), "the cluster")


async def test_what_a_lone_primary_is_told_is_known_elsewhere_and_to_the_replica_that_has_caught_up(
    shards: Shards, workers: list[Store]
) -> None:
    primary, replica = _serving(shards)
    _cut_off(shards, primary, replica)
    await workers[0].sample()
    for person in range(3):
        assert (await Budgets(workers[0]).charge(people(person, 1))).granted == 1
    told = _told_elsewhere(shards, primary)
    assert sum(told.values()) >= 3
    assert told == {place: int(primary.ask("GET", f"{{{place}}}lone")) for place in told}

    replica.resume()
    wait_for(lambda: in_step(shards), "the cluster")
    replica.ask("CLUSTER", "FAILOVER")
    wait_for(lambda: shards.primary_of(SLOT) is replica, "the promotion")
    wait_for(lambda: in_step(shards), "the cluster")
    await _looked_until_served(workers[1])
    assert (await Budgets(workers[1]).usage([LIMIT]))[0].used == 3
    assert (await Budgets(workers[1]).charge(people(3, 1))).granted == 1
    assert _told_elsewhere(shards, replica) == told


async def test_without_a_shard_that_could_hold_it_a_primary_waits_for_its_replica(
    shards: Shards, workers: list[Store]
) -> None:
    primaries = {shards.primary_of(slot) for slot in SLOTS.values()}
    replicas = set(shards.servers) - primaries
    for one in replicas:
        one.suspend()
    for one in primaries:
        one.ask("CLIENT", "KILL", "TYPE", "replica")
    wait_for(lambda: all(map(_alone, primaries)), "the end of the replicas")
    await workers[0].sample()
    with pytest.raises(StoreUnavailable, match="replicas"):
        await Budgets(workers[0]).charge(people(0, 1))
    for one in replicas:
        one.resume()
    wait_for(lambda: in_step(shards), "the cluster")


def _alone(primary: RedisServer) -> bool:
    return all(len(one) == 3 for one in primary.ask("CLUSTER", "SLOTS"))


async def test_a_promoted_server_that_lacks_what_a_lone_primary_was_told_charges_nothing_more(
    shards: Shards, workers: list[Store], ledgers: tuple[Path, Path], tmp_path: Path
) -> None:
    one, other = workers
    primary, replica = _serving(shards)
    owners = (f"u_{number}" for number in range(100))
    away = next(one for one in owners if shards.primary_of(SLOTS[places.place_of(one)]) is not primary)
    assert (await Budgets(one).charge(people(0, 1, replace(LIMIT, owner=away)))).granted == 1
    _cut_off(shards, primary, replica)
    await one.sample()
    assert (await Budgets(one).charge(people(0, 60))).granted == 60

    primary.kill()
    replica.resume()
    wait_for(lambda: shards.primary_of(SLOT) is replica, "the promotion")
    await _looked_until_served(other)

    with pytest.raises(StoreLost):
        await Budgets(other).charge(people(100, 1))
    with pytest.raises(StoreLost, match="has no epoch"):
        await other.check_epoch(ledgers[1])
    newcomer = await Store.connect(replace(address_of(shards.url), replicas=1), timeout_s=2)
    with pytest.raises(StoreLost):
        await newcomer.ensure_epoch(tmp_path)
    await newcomer.close()

    await other.renew_epoch(ledgers[1], 1_000)
    assert (await Budgets(other).charge(people(100, 1))).granted == 1
    primary.start()
    wait_for(lambda: in_step(shards), "the cluster")
    again = await Store.connect(replace(address_of(shards.url), replicas=1), timeout_s=2)
    await again.ensure_epoch(ledgers[1])
    assert (await Budgets(again).charge(people(100, 1))).granted == 1
    await again.close()
