"""Which connection an exchange gets, which are never used again, and what cancelling does."""

import asyncio
import os
import socket

import pytest
from upstream_application import OK, always_ok, application, connector, pieces, replies, request, send, whole

from gateway.hosts import Hosts
from gateway.upstream import Deadlines, Origin, Upstream, UpstreamFault
from gateway.upstream import pool as upstream_pool


async def test_a_drained_connection_is_used_again():
    async with application(always_ok) as app, connector(app) as upstream:
        for _ in range(3):
            assert await whole(await send(upstream)) == b"ok"
        assert app.accepted == 1


async def test_each_address_of_a_name_is_tried(monkeypatch):
    def look_up(host, port, **_):
        assert host == "application"
        return [one for address in ("127.0.0.2", "127.0.0.1") for one in socket.getaddrinfo(address, port)]

    monkeypatch.setattr(upstream_pool, "HOSTS", Hosts(look_up))
    async with application(always_ok) as app, connector(app, host="application") as upstream:
        assert await whole(await send(upstream)) == b"ok"


async def reads_bodies(connection):
    while True:
        await connection.head()
        await connection.reader.readexactly(3)
        await connection.send(OK)


async def test_a_connection_is_used_again_after_a_body_of_ours():
    async with application(reads_bodies) as app, connector(app) as upstream:
        for _ in range(3):
            assert await whole(await send(upstream, request(b"POST", body=pieces(b"abc"), length=3))) == b"ok"
        assert app.accepted == 1


async def test_a_body_whose_iterator_goes_on_after_the_last_byte_is_drained_all_the_same():
    async def body():
        yield b"abc"
        await asyncio.Event().wait()

    async with application(reads_bodies) as app, connector(app) as upstream:
        for _ in range(3):
            assert await whole(await send(upstream, request(b"POST", body=body(), length=3))) == b"ok"
        assert app.accepted == 1


async def test_a_connection_whose_request_has_not_all_left_is_not_used_again():
    async def answers_unread(connection):
        await connection.head()
        await connection.send(OK)
        await used_again.wait()
        assert b"GET" not in await connection.rest()

    used_again = asyncio.Event()
    body = b"x" * 16_777_216
    async with application(answers_unread, always_ok) as app, connector(app) as upstream:
        assert await whole(await send(upstream, request(b"PUT", body=pieces(body), length=len(body)))) == b"ok"
        assert await whole(await send(upstream)) == b"ok"
        used_again.set()
        await app.closed[0].wait()
        assert app.accepted == 2


@pytest.mark.parametrize("pinned", [None, "somebody"])
async def test_what_is_called_off_once_there_is_a_connection_is_not_sent_and_gives_it_back(pinned):
    heads = []

    async def called_off():
        raise LookupError

    async def script(connection):
        while True:
            heads.append(await connection.head())
            await connection.send(OK)

    async with application(script) as app, connector(app, max_connections=1) as upstream:
        for _ in range(2):
            with pytest.raises(LookupError):
                await send(upstream, request(b"DELETE"), pinned=pinned, before=called_off)
        assert await whole(await send(upstream, pinned=pinned)) == b"ok"
        assert app.accepted == 1
        assert [head.split()[0] for head in heads] == [b"GET"]


async def test_the_last_used_connection_comes_first():
    served = []

    def numbered(number):
        async def script(connection):
            while True:
                await connection.head()
                served.append(number)
                await connection.send(OK)

        return script

    async with application(numbered(0), numbered(1)) as app, connector(app) as upstream:
        first, second = await send(upstream), await send(upstream)
        await whole(second)
        await whole(first)
        for _ in range(3):
            await whole(await send(upstream))
        assert served == [0, 1, 0, 0, 0]


@pytest.mark.parametrize("close", [b"Connection: close\r\n", b"connection: X, CLOSE\r\n"])
async def test_a_connection_that_says_close_is_not_used_again(close):
    raw = OK.replace(b"\r\n", b"\r\n" + close, 1)

    async def script(connection):
        await connection.head()
        await connection.send(raw)
        assert await connection.rest() == b""

    async with application(script, always_ok) as app, connector(app) as upstream:
        await whole(await send(upstream))
        await whole(await send(upstream))
        assert app.accepted == 2


async def test_an_answer_closed_before_its_end_ends_the_connection():
    async def script(connection):
        await connection.head()
        await connection.send(OK[:-1])
        assert await connection.rest() == b""

    async with application(script, always_ok) as app, connector(app) as upstream:
        answer = await send(upstream)
        await answer.close()
        await answer.close()
        await app.closed[0].wait()
        assert await whole(await send(upstream)) == b"ok"
        assert app.accepted == 2


async def test_bytes_on_an_idle_connection_end_it():
    speak = asyncio.Event()

    async def script(connection):
        await connection.head()
        await connection.send(OK)
        await speak.wait()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        assert await connection.rest() == b""

    async with application(script, always_ok) as app, connector(app) as upstream:
        await whole(await send(upstream))
        speak.set()
        await app.closed[0].wait()
        assert await whole(await send(upstream)) == b"ok"
        assert app.accepted == 2


@pytest.mark.parametrize("pinned", [None, "a"])
async def test_bytes_that_the_event_loop_has_not_told_of_are_not_the_next_answer(pinned):
    sockets = []

    async def script(connection):
        sockets.append(connection.writer.get_extra_info("socket").fileno())
        await always_ok(connection)

    async with application(script) as app, connector(app) as upstream:
        await whole(await send(upstream, pinned=pinned))
        os.write(sockets[0], b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        assert await whole(await send(upstream, pinned=pinned)) == b"ok"
        assert app.accepted == 2


async def test_an_end_that_the_event_loop_has_not_told_of_loses_no_unsafe_request():
    sockets = []

    async def script(connection):
        sockets.append(os.dup(connection.writer.get_extra_info("socket").fileno()))
        await always_ok(connection)

    async with application(script) as app, connector(app) as upstream:
        await whole(await send(upstream))
        with socket.socket(fileno=sockets[0]) as ending:
            ending.shutdown(socket.SHUT_RDWR)
        assert await whole(await send(upstream, request(b"POST"))) == b"ok"
        os.close(sockets[1])


async def test_the_place_of_a_returned_connection_goes_to_whoever_needs_a_fresh_one():
    async with application(always_ok) as app, connector(app, max_connections=1) as upstream:
        busy = await send(upstream)
        first = asyncio.ensure_future(send(upstream, pinned="a"))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(send(upstream))
        await asyncio.sleep(0)
        await whole(busy)
        assert await whole(await first) == b"ok"
        assert await whole(await second) == b"ok"
        assert app.accepted == 3


async def test_a_connection_that_ends_on_its_way_to_the_next_in_the_queue_leaves_its_place():
    sockets = []

    async def script(connection):
        sockets.append(os.dup(connection.writer.get_extra_info("socket").fileno()))
        await always_ok(connection)

    async with application(script) as app, connector(app, max_connections=1) as upstream:
        busy = await send(upstream)
        waiting = asyncio.ensure_future(send(upstream))
        await asyncio.sleep(0)
        await whole(busy)
        with socket.socket(fileno=sockets[0]) as ending:
            ending.shutdown(socket.SHUT_RDWR)
        assert await whole(await waiting) == b"ok"
        assert app.accepted == 2
        os.close(sockets[1])


async def test_an_idle_connection_is_dropped_after_a_while(monkeypatch):
    monkeypatch.setattr(upstream_pool, "IDLE_S", 0.05)
    async with application(always_ok) as app, connector(app) as upstream:
        await whole(await send(upstream))
        await app.closed[0].wait()
        await whole(await send(upstream))
        assert app.accepted == 2


def dies_at_second_request(*, after=b""):
    async def script(connection):
        await connection.head()
        await connection.send(OK)
        await connection.head()
        await connection.send(after)

    return script


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS"])
async def test_a_kept_connection_that_had_died_is_replaced_once_for_a_safe_request(method):
    answer = OK if method != b"HEAD" else OK[:-2]
    async with (
        application(dies_at_second_request(), replies(answer)) as app,
        connector(app) as upstream,
    ):
        await whole(await send(upstream))
        assert (await send(upstream, request(method))).status == 200
        assert app.accepted == 2


async def test_the_replacement_is_not_replaced():
    async with application(dies_at_second_request(), replies(b"")) as app, connector(app) as upstream:
        await whole(await send(upstream))
        with pytest.raises(UpstreamFault, match="upstream_truncated"):
            await send(upstream)
        assert app.accepted == 2


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"PATCH"])
async def test_an_unsafe_request_is_never_sent_twice(method):
    async with application(dies_at_second_request(), always_ok) as app, connector(app) as upstream:
        await whole(await send(upstream))
        with pytest.raises(UpstreamFault, match="upstream_truncated"):
            await send(upstream, request(method))
        assert app.accepted == 1


async def test_a_request_with_a_body_or_with_the_first_byte_of_an_answer_is_never_sent_twice():
    async with application(dies_at_second_request(), always_ok) as app, connector(app) as upstream:
        await whole(await send(upstream))
        with pytest.raises(UpstreamFault, match="upstream_truncated"):
            await send(upstream, request(body=pieces(b"abc"), length=3))
        assert app.accepted == 1
    async with application(dies_at_second_request(after=b"H"), always_ok) as app, connector(app) as upstream:
        await whole(await send(upstream))
        with pytest.raises(UpstreamFault, match="upstream_truncated"):
            await send(upstream)
        assert app.accepted == 1


async def test_more_requests_than_connections_wait_in_order():
    order = []

    async def one(upstream, number):
        answer = await send(upstream)
        order.append(number)
        await whole(answer)

    async with application(always_ok) as app, connector(app, max_connections=1) as upstream:
        await asyncio.gather(*[one(upstream, number) for number in range(20)])
        assert app.accepted == 1
        assert order == sorted(order)


async def test_there_are_never_more_connections_than_allowed():
    async with application(always_ok) as app, connector(app, max_connections=3) as upstream:
        answers = await asyncio.gather(*[sent_and_read(upstream) for _ in range(30)])
        assert answers == [b"ok"] * 30
        assert app.accepted == 3


async def sent_and_read(upstream):
    return await whole(await send(upstream))


async def test_waiting_for_a_connection_counts_into_the_connect_deadline():
    async with application(always_ok) as app, connector(app, max_connections=1) as upstream:
        busy = await send(upstream)
        with pytest.raises(UpstreamFault, match="upstream_timeout"):
            await send(upstream, deadlines=Deadlines(connect_s=0.05))
        assert await whole(busy) == b"ok"
        assert await whole(await send(upstream)) == b"ok"


async def test_a_place_freed_by_a_dropped_connection_goes_to_the_next_in_the_queue():
    async with application(always_ok) as app, connector(app, max_connections=1) as upstream:
        busy = await send(upstream)
        waiting = asyncio.ensure_future(send(upstream))
        await asyncio.sleep(0)
        await busy.close()
        assert await whole(await waiting) == b"ok"
        assert app.accepted == 2


@pytest.mark.parametrize("how", ["returned", "dropped"])
async def test_somebody_who_stops_waiting_loses_no_place(how):
    async with application(always_ok) as app, connector(app, max_connections=1) as upstream:
        busy = await send(upstream)
        first, second = asyncio.ensure_future(send(upstream)), asyncio.ensure_future(send(upstream))
        await asyncio.sleep(0)
        if how == "returned":
            await whole(busy)  # the connection is already meant for the first
        else:
            await busy.close()
        first.cancel()
        assert await whole(await second) == b"ok"
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await whole(await send(upstream)) == b"ok"
        assert app.accepted == (1 if how == "returned" else 2)


async def test_uploads_take_half_of_the_connections():
    async with application(always_ok) as app, connector(app, max_connections=4) as upstream:
        async with upstream.uploading(Deadlines()), upstream.uploading(Deadlines()):
            with pytest.raises(UpstreamFault, match="too many uploads") as caught:
                async with upstream.uploading(Deadlines(connect_s=0)):
                    pass
            assert caught.value.is_timeout
        async with upstream.uploading(Deadlines(connect_s=0.5)):
            pass


async def test_nobody_listening_is_unreachable():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        upstream = Upstream(Origin("http", "127.0.0.1", unused.getsockname()[1], max_connections=1))
        for _ in range(3):  # a failed attempt gives its place back
            with pytest.raises(UpstreamFault, match="upstream_unreachable") as caught:
                await send(upstream)
            assert not caught.value.is_timeout
        await upstream.aclose()


async def test_a_closed_connector_refuses_and_tells_those_who_wait():
    async with application(always_ok) as app, connector(app, max_connections=1) as upstream:
        busy = await send(upstream)
        waiting = asyncio.ensure_future(send(upstream))
        await asyncio.sleep(0)
        await upstream.aclose()
        with pytest.raises(UpstreamFault, match="upstream_unreachable"):
            await waiting
        with pytest.raises(UpstreamFault, match="upstream_unreachable"):
            await send(upstream)
        assert await whole(busy) == b"ok"  # it had arrived whole


# Connection-bound logins


def counting(log):
    """A script for each connection that notes its own number at every request."""
    numbers = iter(range(100))

    async def script(connection):
        number = next(numbers)
        while True:
            await connection.head()
            log.append(number)
            await connection.send(OK)

    return script


async def test_a_pinned_connection_is_its_keys_own():
    log = []
    async with application(counting(log)) as app, connector(app) as upstream:
        for pinned in ("a", "b", None, "a", "b", None, "a", None):
            await whole(await send(upstream, pinned=pinned))
        assert log == [0, 1, 2, 0, 1, 2, 0, 2]


async def test_requests_of_one_pin_take_turns_on_its_connection():
    log = []
    async with application(counting(log)) as app, connector(app) as upstream:
        await asyncio.gather(*[pinned_ok(upstream) for _ in range(10)])
        assert log == [0] * 10


async def pinned_ok(upstream):
    assert await whole(await send(upstream, pinned="a")) == b"ok"


async def test_a_pin_outlives_its_connection_and_a_cancelled_turn():
    log = []
    async with application(counting(log)) as app, connector(app, max_connections=1) as upstream:
        busy = await send(upstream, pinned="a")
        waiting = asyncio.ensure_future(send(upstream, pinned="a"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await busy.close()
        await pinned_ok(upstream)
        assert log == [0, 1]


async def test_an_idle_pinned_connection_makes_room_when_no_other_is_left():
    log = []
    async with application(counting(log)) as app, connector(app, max_connections=1) as upstream:
        await pinned_ok(upstream)
        assert await whole(await send(upstream)) == b"ok"
        await pinned_ok(upstream)
        assert log == [0, 1, 2]
