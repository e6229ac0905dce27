"""Scripts run in one round trip, and what becomes of all who wait where the store does not answer."""

import asyncio
from pathlib import Path

from gateway.ports import StoreUnavailable
from gateway.stores.connection import Store
from gateway.stores.places import HOME
from gateway.stores.scripts import Placed, Script
from gateway.stores.together import AT_ONCE, Together

USAGE = Script("usage", waits=False)


def asked(number: int) -> Placed:
    return Placed(HOME, USAGE, ["clock", f"b:{number}"], [1_000, 1_000 * (number + 1)])


async def test_what_is_asked_in_one_turn_goes_in_one_trip(store: Store) -> None:
    together, trips = Together(store), []
    store.took = trips.append
    answers = await asyncio.gather(*(together.run(asked(number)) for number in range(3)))
    assert answers == [await store.run(USAGE, one.names, one.arguments) for one in map(asked, range(3))]
    assert len(trips) == 1 + 3


async def test_more_take_more_trips(store: Store) -> None:
    together, trips = Together(store), []
    store.took = trips.append
    await asyncio.gather(*(together.run(asked(number)) for number in range(2 * AT_ONCE + 1)))
    assert len(trips) == 3


async def test_nobody_waits_twice_for_a_dead_store(tmp_path: Path) -> None:
    store, trips = Store(f"unix://{tmp_path}/nobody"), []
    store.took = trips.append
    together = Together(store)
    waiting = (together.run(asked(number)) for number in range(2 * AT_ONCE))
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(one) for one in found} == {StoreUnavailable}
    assert len(trips) == 1
    (again,) = await asyncio.gather(together.run(asked(1)), return_exceptions=True)
    assert isinstance(again, StoreUnavailable)
    await store.close()


async def test_who_stops_waiting_takes_nothing_from_the_others(store: Store) -> None:
    together = Together(store)
    first, second = (asyncio.create_task(together.run(asked(number))) for number in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second
