"""Both bodies stream with back-pressure, and an application that stops is noticed."""

import asyncio

import pytest
from upstream_application import OK, application, connector, request, send, whole

from gateway.upstream import Deadlines, UpstreamFault


async def turn():
    """Let the event loop go round once."""
    await asyncio.sleep(0)


DOWNLOAD_BYTES = 64 * 1_048_576
PIECE = b"x" * 65_536


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_long_answer_is_held_back_until_it_is_read(framing):
    sent = 0

    async def script(connection):
        nonlocal sent
        await connection.head()
        field = b"Content-Length: %d" % DOWNLOAD_BYTES if framing == "length" else b"Transfer-Encoding: chunked"
        await connection.send(b"HTTP/1.1 200 OK\r\n" + field + b"\r\n\r\n")
        piece = PIECE if framing == "length" else b"10000\r\n" + PIECE + b"\r\n"
        for _ in range(DOWNLOAD_BYTES // len(PIECE)):
            await connection.send(piece)
            sent += len(PIECE)
        await connection.send(b"" if framing == "length" else b"0\r\n\r\n")

    async with application(script) as app, connector(app) as upstream:
        answer = await send(upstream)
        while not answer.held_back:
            await turn()
        assert answer.buffered_bytes < 1_048_576
        assert sent < DOWNLOAD_BYTES // 2
        received = most = 0
        while piece := await answer.read():
            received += len(piece)
            most = max(most, answer.buffered_bytes)
        assert received == DOWNLOAD_BYTES
        assert most < 1_048_576


async def test_a_long_body_waits_for_the_application():
    yielded = received = 0
    go_on = asyncio.Event()

    async def script(connection):
        nonlocal received
        await connection.head()
        await go_on.wait()
        while received < DOWNLOAD_BYTES:
            received += len(await connection.reader.read(1_048_576))
        await connection.send(OK)

    async def body():
        nonlocal yielded
        while yielded < DOWNLOAD_BYTES:
            yielded += len(PIECE)
            stuck.clear()
            asyncio.get_running_loop().call_later(0.2, stuck.set)
            yield PIECE

    stuck = asyncio.Event()
    async with application(script) as app, connector(app) as upstream:
        pending = asyncio.ensure_future(send(upstream, request(b"PUT", body=body(), length=DOWNLOAD_BYTES)))
        await turn()
        await stuck.wait()
        assert yielded < DOWNLOAD_BYTES // 2
        go_on.set()
        assert await whole(await pending) == b"ok"
        assert received == DOWNLOAD_BYTES


@pytest.mark.parametrize(
    ("deadlines", "raw"),
    [
        (Deadlines(header_s=0.05), b""),
        (Deadlines(header_s=0.05), b"HTTP/1.1 200 OK\r\nX: "),
        (Deadlines(idle_s=0.05), b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"),
        (Deadlines(total_s=0.05), b""),
        (Deadlines(total_s=0.05), b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"),
    ],
)
async def test_an_application_that_stops_answering_is_a_timeout(deadlines, raw):
    async def script(connection):
        await connection.head()
        await connection.send(raw)
        assert await connection.rest() == b""

    async with application(script) as app, connector(app) as upstream:
        with pytest.raises(UpstreamFault, match="upstream_timeout") as caught:
            await whole(await send(upstream, deadlines=deadlines))
        assert caught.value.is_timeout
        await asyncio.gather(*app.tasks)


async def test_an_application_that_stops_reading_is_a_timeout():
    async def script(connection):
        await connection.head()
        await timed_out.wait()

    async def body():
        while True:
            yield PIECE

    timed_out = asyncio.Event()
    async with application(script) as app, connector(app) as upstream:
        with pytest.raises(UpstreamFault, match="upstream_timeout"):
            await send(upstream, request(b"POST", body=body()), deadlines=Deadlines(idle_s=0.1))
        timed_out.set()


async def test_a_slow_reader_is_not_the_applications_fault():
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"

    async def script(connection):
        await connection.head()
        await connection.send(raw)
        await asked.wait()
        await connection.send(b"lo")

    asked = asyncio.Event()
    async with application(script) as app, connector(app) as upstream:
        answer = await send(upstream, deadlines=Deadlines(header_s=0.05, idle_s=0.05))
        assert await answer.read() == b"hel"
        late = asyncio.Event()
        asyncio.get_running_loop().call_later(0.15, late.set)
        await late.wait()
        asked.set()
        assert await whole(answer) == b"lo"


async def test_interim_answers_prolong_the_wait_for_the_head():
    async def script(connection):
        await connection.head()
        for _ in range(4):
            tick = asyncio.Event()
            asyncio.get_running_loop().call_later(0.1, tick.set)
            await tick.wait()
            await connection.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        await connection.send(OK)

    async with application(script) as app, connector(app) as upstream:
        assert await whole(await send(upstream, deadlines=Deadlines(header_s=0.3))) == b"ok"


async def test_tells_whether_the_next_read_has_something_to_wait_for():
    go_on = asyncio.Event()

    async def script(connection):
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        await go_on.wait()
        await connection.send(b"cd")

    async with application(script) as app, connector(app) as upstream:
        answer = await send(upstream)
        while not answer.arrived:
            await turn()
        assert await answer.read() == b"ab"
        assert not answer.arrived
        go_on.set()
        assert await answer.read() == b"cd"
        assert answer.arrived
        assert await answer.read() == b""
