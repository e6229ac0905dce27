"""Of what all share one has so much at once, waits for their own to end, and keeps nobody else waiting."""

import asyncio

import pytest

from gateway.upstream.shares import Shares, ShareTaken


class Holder:
    """Takes a turn, and keeps it until it is let go."""

    def __init__(self, shares: Shares, whose: str) -> None:
        self.has = asyncio.Event()
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._hold(shares, whose))

    async def _hold(self, shares: Shares, whose: str) -> None:
        async with shares.turn(whose, 60):
            self.has.set()
            await self._over.wait()

    async def let_go(self) -> None:
        self._over.set()
        await self._task

    async def leave(self) -> None:
        """Go, waiting or not, as a client does whose connection ends."""
        self._task.cancel()
        await asyncio.wait([self._task])


async def test_one_has_so_many_and_another_as_many() -> None:
    shares = Shares(2)
    held = [Holder(shares, whose) for whose in ("one", "one", "another", "another")]
    for one in held:
        await one.has.wait()
    with pytest.raises(ShareTaken):
        async with shares.turn("one", 0.0):
            pytest.fail("a third turn")
    for one in held:
        await one.let_go()


async def test_who_waits_has_the_first_that_comes_back_in_order_of_arrival() -> None:
    shares = Shares(1)
    first, second, third = (Holder(shares, "one") for _ in range(3))
    await first.has.wait()
    await first.let_go()
    await second.has.wait()
    assert not third.has.is_set()
    await second.let_go()
    await third.has.wait()
    await third.let_go()


async def test_who_leaves_waiting_or_not_takes_nothing_with_them() -> None:
    shares = Shares(1)
    first, second, third = (Holder(shares, "one") for _ in range(3))
    await first.has.wait()
    await second.leave()
    await first.leave()
    await third.has.wait()
    await third.let_go()
    async with shares.turn("one", 0.0):
        pass
    assert not shares._turns and not shares._using
