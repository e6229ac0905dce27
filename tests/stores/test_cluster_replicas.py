"""A primary of a cluster waits for the replicas that could take its place, and for no others."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from redis_cluster import Shards, clustered
from redis_servers import folder, wait_for

from gateway.config.store import address_of
from gateway.core.charging import Charge, Limit, PersonCharge
from gateway.core.extraction import Class
from gateway.core.policy import Scope, Then
from gateway.stores import places
from gateway.stores.budgets import Budgets
from gateway.stores.cluster import SLOTS
from gateway.stores.connection import Store
from gateway.stores.faults import NotAcknowledged

LIMIT = Limit("user", "user:u_1:sensitive:3600", Scope.USER, Class.SENSITIVE, 60, 3600, Then.REFUSE, owner="u_1")
SLOT = SLOTS[places.place_of("u_1")]


def one(number: int) -> Charge:
    return Charge((LIMIT,), ((PersonCharge((number.to_bytes(16, "big"),), ("nir",), Class.SENSITIVE),),))


@pytest.fixture
def shards() -> Iterator[Shards]:
    with folder() as directory, clustered(directory, replicas=1) as made:
        yield made


async def test_what_a_hanging_replica_lacks_is_spent_and_refused_until_the_cluster_has_given_it_up(
    shards: Shards,
) -> None:
    primary = shards.primary_of(SLOT)
    replica = shards.replicas[shards.primaries.index(primary)]
    store = Store(replace(address_of(shards.url), replicas=1), timeout_s=2)  # looks only when told to
    try:
        await store.sample()
        replica.suspend()
        with pytest.raises(NotAcknowledged):
            await Budgets(store).charge(one(1))
        wait_for(lambda: _replicas_of(shards, SLOT) == 0, "the end of the replica")
        await store.sample()
        assert (await Budgets(store).charge(one(2))).granted == 1
        assert (await Budgets(store).usage([LIMIT]))[0].used == 2
    finally:
        replica.resume()
        await store.close()


def _replicas_of(shards: Shards, slot: int) -> int:
    """How many replicas could take over a slot, as its primary says."""
    ranges = shards.primary_of(slot).ask("CLUSTER", "SLOTS")
    return next(len(one) - 3 for one in ranges if int(one[0]) <= slot <= int(one[1]))
