"""Of what all share one has so much at once, waits for their own to end, and keeps nobody else waiting."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from math import inf

import pytest
from upstream_application import always_ok, application, connector, replies, request, send, whole

from gateway.upstream import Deadlines, Origin, Upstream, UpstreamFault
from gateway.upstream.shares import Shares, ShareTaken

HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab"
AT_ONCE = Deadlines(connect_s=0.05)


class Holder:
    """Takes a turn, and keeps it until it is let go."""

    def __init__(self, shares: Shares, whose: str) -> None:
        self.has = asyncio.Event()
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._hold(shares, whose))

    async def _hold(self, shares: Shares, whose: str) -> None:
        await shares.take(whose, inf)
        try:
            self.has.set()
            await self._over.wait()
        finally:
            shares.give_back(whose)

    async def let_go(self) -> None:
        self._over.set()
        await self._task

    async def leave(self) -> None:
        """Go, waiting or not, as a client does whose connection ends."""
        self._task.cancel()
        await asyncio.wait([self._task])


@pytest.mark.parametrize(
    ("limit", "shares"), [(256, [128, 64, 32, 16, 8, 4, 2, 1, 1, 1]), (7, [3, 2, 1, 1]), (2, [1, 1]), (1, [1, 1])]
)
async def test_each_has_half_of_what_the_others_leave(limit: int, shares: list[int]) -> None:
    turns = Shares(limit)
    for number, share in enumerate(shares):
        for _ in range(share):
            await turns.take(str(number), 0.0)
        with pytest.raises(ShareTaken):
            await turns.take(str(number), 0.0)


async def test_what_another_gives_back_is_shared_anew() -> None:
    turns = Shares(8)
    for whose in (*("one",) * 4, *("another",) * 2):
        await turns.take(whose, inf)
    waits = Holder(turns, "another")
    turns.give_back("one")
    with pytest.raises(ShareTaken):
        await turns.take("another", 0.0)
    turns.give_back("one")
    await waits.has.wait()
    await waits.let_go()


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
    await shares.take("one", 0.0)
    shares.give_back("one")
    assert (shares._held, shares._all_held, shares._waiting) == ({}, 0, {})


async def called_off() -> None:
    raise LookupError


async def read_to_the_end(upstream: Upstream) -> None:
    assert await whole(await send(upstream, whose="one")) == b"ok"


async def close_unread(upstream: Upstream) -> None:
    await (await send(upstream, whose="one")).close()


async def call_off(upstream: Upstream) -> None:
    with pytest.raises(LookupError):
        await send(upstream, request(b"DELETE"), whose="one", before=called_off)


async def ask_another_pinned(upstream: Upstream) -> None:
    assert await whole(await send(upstream, whose="one", pinned="login")) == b"ok"


@pytest.mark.parametrize("use", [read_to_the_end, close_unread, call_off, ask_another_pinned])
async def test_a_share_is_free_again_once_its_connection_is(use: Callable[[Upstream], Awaitable[None]]) -> None:
    async with application(always_ok) as app, connector(app, max_connections=2) as upstream:
        for _ in range(3):
            await use(upstream)
        assert await whole(await send(upstream, whose="one", deadlines=AT_ONCE)) == b"ok"


async def test_a_share_is_free_again_after_an_answer_that_broke_off() -> None:
    async with application(replies(HALF), always_ok) as app, connector(app, max_connections=2) as upstream:
        with pytest.raises(UpstreamFault):
            await whole(await send(upstream, whose="one"))
        assert await whole(await send(upstream, whose="one", deadlines=AT_ONCE)) == b"ok"


async def test_a_share_is_free_again_after_the_application_was_away() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        upstream = Upstream(Origin("http", "127.0.0.1", unused.getsockname()[1], max_connections=2))
        for _ in range(2):
            with pytest.raises(UpstreamFault, match="upstream_unreachable"):
                await send(upstream, whose="one", deadlines=AT_ONCE)
        await upstream.aclose()


async def test_an_answer_that_is_not_read_holds_a_share_and_another_is_answered() -> None:
    async with application(always_ok, always_ok) as app, connector(app, max_connections=2) as upstream:
        held = await send(upstream, whose="one")
        with pytest.raises(ShareTaken):
            await send(upstream, whose="one", deadlines=AT_ONCE)
        assert await whole(await send(upstream, whose="another")) == b"ok"
        assert await whole(held) == b"ok"
        assert await whole(await send(upstream, whose="one", deadlines=AT_ONCE)) == b"ok"
