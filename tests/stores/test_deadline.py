"""Time in which a worker could not look is not the store's; a silent store is given up all the same."""

import asyncio
import time

import pytest
import uvloop
from redis_servers import RedisServer, folder, running

from gateway.stores.connection import Store
from gateway.stores.deadline import LOOK_S, LOOKS, Deadline

SECONDS = 0.05
TURNS_TO_ASK = 200


def held_up(seconds: float) -> None:
    """As a long turn of the loop is, or a machine that stands still: the fact itself, nothing is waited for."""
    time.sleep(seconds)


async def _asked_and_held_up(server: RedisServer) -> object:
    store = await Store.connect(server.url, timeout_s=0.2)
    try:
        asked = asyncio.create_task(store.call("WAIT", 1, 100))  # answered after 100 ms, as there is no replica
        for _ in range(TURNS_TO_ASK):
            await asyncio.sleep(0)
        held_up(0.5)
        return await asked
    finally:
        await store.close()


def test_an_answer_that_came_while_the_worker_was_held_up_is_read() -> None:
    with folder() as directory, running(directory) as server:
        assert uvloop.run(_asked_and_held_up(server)) == 0  # the workers' loop: its timers run before it polls


async def test_who_says_nothing_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        async with Deadline(SECONDS):
            await asyncio.Event().wait()


async def test_a_worker_held_up_again_and_again_gives_up_too() -> None:
    async def hold_up() -> None:
        while True:
            held_up(LOOK_S * 1.5)
            await asyncio.sleep(0)

    holding = asyncio.create_task(hold_up())
    turns = 0
    with pytest.raises(TimeoutError):
        async with Deadline(SECONDS):
            while True:
                await asyncio.sleep(0)
                turns += 1
    holding.cancel()
    assert turns >= LOOKS


async def test_what_is_in_time_is_not_ended() -> None:
    deadline = Deadline(SECONDS)
    async with deadline:
        await asyncio.sleep(0)
    assert deadline._timer.cancelled()
