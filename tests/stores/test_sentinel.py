"""Behind sentinels: whoever is primary is found, whoever takes its place knows what was granted, and clocks agree."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis_servers import SERVICE, RedisServer, Sentinel, Watched, folder, wait_for, watched

from gateway.config.store import address_of
from gateway.core.charging import Charge, Limit, PersonCharge
from gateway.core.extraction import Class
from gateway.core.policy import Scope, Then
from gateway.ports import StoreUnavailable
from gateway.stores.budgets import Budgets
from gateway.stores.connection import Store

MOST = 300
LIMIT = Limit("user", "user:u:x:60", Scope.USER, Class.SENSITIVE, MOST, 3_600, Then.REFUSE)


def one(number: int) -> Charge:
    return Charge((LIMIT,), ((PersonCharge((number.to_bytes(16),), ("nir",), Class.SENSITIVE),),))


@pytest.fixture(scope="module")
def group() -> Iterator[Watched]:
    """For tests that change nothing about who is primary."""
    with folder() as directory, watched(directory) as found:
        yield found


@pytest.fixture
def hurt() -> Iterator[Watched]:
    with folder() as directory, watched(directory) as found:
        yield found


class Wall:
    """This machine's clock, which a test sets."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@asynccontextmanager
async def to(url: str, wall: Wall | None = None, **changes: object) -> AsyncIterator[Store]:
    address = replace(address_of(url), replicas=1, **changes)  # type: ignore[arg-type]
    store = await Store.connect(address, timeout_s=1.5, wall=wall or time.time)
    try:
        yield store
    finally:
        await store.close()


async def until(holds, what: str) -> None:
    """Let the store look until ``holds()`` is true."""
    async with asyncio.timeout(40):
        while not await holds():  # noqa: ASYNC110  (another process brings it about)
            await asyncio.sleep(0.05)


async def works(store: Store) -> bool:
    """Whether a write is acknowledged again."""
    try:
        await store.call("SET", "works", "1")
    except StoreUnavailable:
        return False
    return True


async def test_the_primary_is_found_and_its_replica_acknowledges(group: Watched) -> None:
    async with to(group.url) as store:
        assert (await Budgets(store).charge(one(1))).granted == 1
        assert store.doubt == ""
        assert await store.complaints() == ()
    assert group.other.raw("ZRANGE", "b:user:u:x:60", 0, -1) == [(1).to_bytes(16)]


async def test_one_sentinel_that_answers_is_enough(group: Watched) -> None:
    group.sentinels[0].suspend()
    try:
        async with to(f"redis+sentinel://127.0.0.1:1,{group.url.partition('://')[2]}") as store:
            assert await store.call("SET", "a", "1")
    finally:
        group.sentinels[0].resume()


@pytest.mark.parametrize(
    ("service", "said"),
    [("others", "no sentinel says who is primary of 'others'.*No such master"), ("", "127.0.0.1:1: Error 111")],
)
async def test_where_no_sentinel_knows_it_is_said_of_each(group: Watched, service: str, said: str) -> None:
    hosts = group.url.partition("://")[2].partition("/")[0] if service else "127.0.0.1:1"
    with pytest.raises(StoreUnavailable, match=said):
        async with to(f"redis+sentinel://{hosts}/{service or SERVICE}"):
            pass


async def test_a_sentinel_has_a_password_of_its_own(group: Watched, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("watchword\n")
    with folder() as directory:
        guarded = Sentinel(directory, SERVICE, group.primary.port, 1, more="requirepass watchword\n")
        url = f"redis+sentinel://127.0.0.1:{guarded.port}/{SERVICE}"
        try:
            guarded.start()
            with pytest.raises(StoreUnavailable, match="Authentication required"):
                async with to(url):
                    pass
            async with to(url, sentinel_password_file=file) as store:
                assert await store.call("PING")
        finally:
            guarded.kill()


async def test_now_is_this_machine_s_clock(group: Watched) -> None:
    wall = Wall()
    wall.ahead_s = 1.0
    async with to(group.url, wall) as store:
        assert abs(store.clock.now() - wall()) < 0.5


async def test_a_clock_too_far_from_ours_serves_nothing_until_it_agrees(group: Watched) -> None:
    wall = Wall()
    async with to(group.url, wall) as store:
        before = store.clock.now()
        wall.ahead_s = 30.0
        with pytest.raises(StoreUnavailable, match=r"the clock of 127\.0\.0\.1:\d+ is -30\.\d s from this machine's"):
            await store.sample()
        assert "set both by the same source" in store.doubt
        with pytest.raises(StoreUnavailable, match="from this machine's"):
            await Budgets(store).usage([LIMIT])
        assert store.clock.now() - before < 20  # the clock that was set has moved no window
        wall.ahead_s = 0.0
        await until(lambda: works(store), "the agreement")


async def test_whoever_took_over_knows_who_was_granted_and_the_limit_holds(hurt: Watched) -> None:
    granted: set[int] = set()
    asked = iter(range(10_000))
    first = hurt.primary
    async with to(hurt.url) as store:
        budgets, went_on = Budgets(store), asyncio.Event()
        killed = False

        async def client() -> None:
            nonlocal killed
            while len(granted) < MOST:
                number = next(asked)
                try:
                    charged = await budgets.charge(one(number))
                except StoreUnavailable:
                    await asyncio.sleep(0.02)
                    continue
                granted.update([number] * charged.granted)
                if killed and charged.granted:
                    went_on.set()
                if charged.violations:
                    return

        clients = [asyncio.create_task(client()) for _ in range(4)]
        await until(lambda: _more_than(granted, 20), "some persons")
        first.kill()
        killed = True
        await until(lambda: _is_not(hurt, first), "the failover")
        await asyncio.to_thread(hurt.bring_back, first)
        await asyncio.wait_for(went_on.wait(), 40)
        await asyncio.gather(*clients)
        assert len(granted) <= MOST
    known = {int.from_bytes(member) for member in hurt.primary.raw("ZRANGE", "b:user:u:x:60", 0, -1)}
    assert granted - known == set()
    assert len(known) == MOST


async def _more_than(granted: set[int], count: int) -> bool:
    return len(granted) > count


async def _told(caplog: pytest.LogCaptureFixture, message: str) -> bool:
    return message in caplog.messages


async def _is_not(group: Watched, first: RedisServer) -> bool:
    return await asyncio.to_thread(lambda: group.primary is not first and group.primary.ask("ROLE")[0] == "master")


async def test_a_primary_that_hung_while_another_was_promoted_acknowledges_nothing_more(
    hurt: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    first = hurt.primary
    async with to(hurt.url) as store:
        await Budgets(store).charge(one(1))
        first.suspend()
        await until(lambda: _is_not(hurt, first), "the failover")
        first.resume()
        await until(lambda: works(store), "the old primary as a replica")
        assert hurt.primary is not first
        await Budgets(store).charge(one(2))
        await until(lambda: _told(caplog, "the store's servers: all is well again"), "the end of it")
    assert f"127.0.0.1:{hurt.primary.port} is primary of the store, no more 127.0.0.1:{first.port}" in caplog.messages
    wait_for(lambda: first.ask("ROLE")[0] == "slave", "the old primary as a replica")
    wait_for(lambda: len(first.raw("ZRANGE", "b:user:u:x:60", 0, -1)) == 2, "what the new one was told")


async def test_whoever_is_promoted_with_another_time_serves_nothing_until_it_agrees(hurt: Watched) -> None:
    wall, first = Wall(), hurt.primary
    async with to(hurt.url, wall) as store:
        assert await works(store)
        first.kill()
        wall.ahead_s = 10.0  # as if the promoted server's clock were behind
        await until(lambda: _is_not(hurt, first), "the failover")
        await asyncio.to_thread(hurt.bring_back, first)
        wait_for(lambda: hurt.primary.ask("INFO", "replication")["connected_slaves"] == 1, "the replica")
        with pytest.raises(StoreUnavailable, match="from this machine's"):
            await store.sample()
        assert not await works(store)
        wall.ahead_s = 0.0
        await until(lambda: works(store), "the agreement")
