"""What the replicas did not acknowledge is spent and refused: no acknowledgement is false, whoever takes over."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from redis_servers import RedisServer, folder, replicated, wait_for

from gateway.config.store import address_of
from gateway.core.charging import Charge, Limit, PersonCharge
from gateway.core.extraction import Class
from gateway.core.policy import Scope, Then
from gateway.ports import StoreUnavailable
from gateway.stores.budgets import Budgets
from gateway.stores.connection import Store
from gateway.stores.faults import NotAcknowledged, StoreRefused

LIMIT = Limit("user", "user:u:x:60", Scope.USER, Class.SENSITIVE, 1_000, 3_600, Then.REFUSE)
Pair = tuple[RedisServer, RedisServer]


def one(number: int) -> Charge:
    return Charge((LIMIT,), ((PersonCharge((number.to_bytes(16),), ("nir",), Class.SENSITIVE),),))


@pytest.fixture
def pair() -> Iterator[Pair]:
    with folder() as directory, replicated(directory) as servers:
        yield servers


@asynccontextmanager
async def to(primary: RedisServer, replicas: int = 1, timeout_s: float = 4) -> AsyncIterator[Store]:
    store = Store(replace(address_of(primary.url), replicas=replicas), timeout_s=timeout_s)
    try:
        yield store
    finally:
        await store.close()


def counted(server: RedisServer) -> set[bytes]:
    """Whom a server has counted."""
    return set(server.raw("ZRANGE", "b:user:u:x:60", "0", "-1"))


async def _all_acknowledged(store: Store) -> bool:
    said = await asyncio.gather(*(store.call("SET", f"{at}", "1") for at in range(32)), return_exceptions=True)
    return set(said) == {True}


async def test_a_charge_that_the_replica_has_is_granted(pair: Pair) -> None:
    async with to(pair[0]) as store:
        assert (await Budgets(store).charge(one(1))).granted == 1
    assert counted(pair[1]) == {(1).to_bytes(16)}


async def test_with_its_replica_stopped_no_write_is_acknowledged_on_any_connection(pair: Pair) -> None:
    async with to(pair[0], timeout_s=1) as store:
        # Connections of which all is acknowledged: what WAIT says on one of them is nothing about another's write.
        while not await _all_acknowledged(store):
            pass
        pair[1].suspend()
        said = await asyncio.gather(
            *(store.call("SET", f"alone{at}", "1") for at in range(20)),
            *(store.calls(("SET", f"two{at}", "1"), ("GET", "a")) for at in range(20)),
            *(store.calls(("SET", f"both{at}", "1"), ("GET", "a"), atomic=True) for at in range(20)),
            return_exceptions=True,
        )
        assert [type(one) for one in said if not isinstance(one, StoreUnavailable)] == []
        assert {NotAcknowledged} <= {type(one) for one in said}


async def test_wait_stands_right_behind_its_write_on_the_connection_of_that_write(pair: Pair) -> None:
    """WAIT speaks of what its own connection wrote: behind another's write it would acknowledge falsely."""
    async with to(pair[0]) as store:
        with pair[0].watching() as commands:
            await asyncio.gather(*(store.call("SET", f"{at}", "1") for at in range(60)))
            sent = commands()
    connections: dict[str, list[str]] = {}
    for connection, name in sent:
        if name in ("SET", "WAIT"):
            connections.setdefault(connection, []).append(name)
    assert len(connections) > 1
    for names in connections.values():
        assert names == ["SET", "WAIT"] * (len(names) // 2)


async def test_each_of_two_replicas_must_have_it() -> None:
    with folder() as directory, replicated(directory, 2) as (primary, _, second):
        async with to(primary, replicas=2, timeout_s=1.5) as store:
            budgets = Budgets(store)
            assert (await budgets.charge(one(1))).granted == 1
            second.suspend()
            with pytest.raises(NotAcknowledged, match="1 of 2 replicas have it"):
                await budgets.charge(one(2))
            second.resume()


async def test_what_was_not_acknowledged_is_spent_and_refused(pair: Pair) -> None:
    async with to(pair[0]) as store:
        budgets = Budgets(store)
        await budgets.charge(one(0))
        pair[1].suspend()
        with pytest.raises(NotAcknowledged, match="0 of 1 replicas have it: what was counted stays counted"):
            await budgets.charge(one(1))
        assert (await budgets.usage([LIMIT]))[0].used == 2
        pair[1].resume()
        assert (await budgets.charge(one(1))).persons[0][0].new == 0


async def test_nobody_who_was_granted_is_unknown_to_whoever_takes_over(pair: Pair) -> None:
    primary, replica = pair
    granted: set[bytes] = set()
    refused = 0
    async with to(primary, timeout_s=0.4) as store:
        budgets = Budgets(store)
        for number in range(120):
            if number % 40 == 20:
                replica.suspend()
            elif number % 40 == 23:
                replica.resume()
            try:
                await budgets.charge(one(number))
                granted.add(number.to_bytes(16))
            except StoreUnavailable:
                refused += 1
        replica.suspend()
        with contextlib.suppress(StoreUnavailable):
            await budgets.charge(one(999))
        primary.kill()
        replica.resume()
        replica.ask("REPLICAOF", "NO", "ONE")
    assert refused
    assert granted
    assert granted - counted(replica) == set()


async def test_reading_needs_nobody_s_acknowledgement(pair: Pair) -> None:
    async with to(pair[0]) as store:
        await store.call("SET", "a", "1")
        pair[1].suspend()
        assert await store.call("GET", "a") == b"1"


async def test_a_transaction_that_is_acknowledged_answers_as_one_that_is_not(pair: Pair) -> None:
    commands = (("HSET", "h", "a", "1"), ("HGETALL", "h"), ("ZADD", "z", "1.5", "m"), ("ZSCORE", "z", "m"))
    async with to(pair[0]) as waiting, to(pair[0], replicas=0) as plain:
        await plain.calls(*commands)
        answers = await plain.calls(*commands)
        assert await waiting.calls(*commands, atomic=True) == await plain.calls(*commands, atomic=True) == answers
        assert answers == [0, {b"a": b"1"}, 0, 1.5]
        with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
            await waiting.calls(("SET", "t", "1"), ("HGET", "t", "a"), atomic=True)
        with pytest.raises(StoreUnavailable, match="wrong number of arguments"):
            await waiting.calls(("SET", "never"), ("SET", "t", "2"), atomic=True)
        assert await plain.call("GET", "t") == b"1"


async def test_a_replica_that_is_gone_is_known_and_nothing_more_is_spent(pair: Pair) -> None:
    async with to(pair[0]) as store:
        await store.sample()
        pair[1].kill()
        wait_for(lambda: pair[0].ask("INFO", "replication")["connected_slaves"] == 0, "the loss")
        await store.sample()
        with pytest.raises(StoreRefused, match="has 0 of 1 replicas: start the others"):
            await Budgets(store).charge(one(1))
        assert counted(pair[0]) == set()
        assert "has 0 of 1 replicas" in store.doubt
        assert "has 0 of 1 replicas" in (await store.complaints())[0]


async def test_a_replica_that_nobody_waits_for_could_take_over_and_stops_all_writes(pair: Pair) -> None:
    async with to(pair[0]) as store:
        with folder() as directory:
            second = RedisServer(directory, {"replicaof": f"127.0.0.1\n{pair[0].port}"})
            try:
                second.start()
                wait_for(lambda: pair[0].ask("INFO", "replication")["connected_slaves"] == 2, "the second replica")
                await store.sample()
                with pytest.raises(StoreRefused, match=r"has 2 replicas and store\.replicas is 1"):
                    await Budgets(store).charge(one(1))
            finally:
                second.kill()


async def test_a_number_of_charges_that_the_replica_may_not_have_is_not_believed(pair: Pair, tmp_path) -> None:
    async with to(pair[0]) as store:
        await store.ensure_epoch(tmp_path)
        pair[1].suspend()
        pair[0].ask("SET", "seq", "7")
        with pytest.raises(NotAcknowledged):
            await store.check_epoch(tmp_path)
        assert store.highest_sequence == 0
        pair[1].resume()
        await store.check_epoch(tmp_path)
        assert store.highest_sequence == 7
