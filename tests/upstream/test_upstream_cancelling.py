"""Cancelling at any wait closes the connection and completes no request."""

import asyncio

import pytest
from upstream_application import OK, application, connector, request, send

from gateway.upstream import UpstreamFault


async def cancelled(task, when):
    await when.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelling_while_connecting_closes_the_connection():
    reached = asyncio.Event()

    async def no_handshake(connection):
        await connection.reader.readexactly(1)
        reached.set()
        await connection.rest()

    async with application(no_handshake) as app, connector(app, scheme="https", max_connections=1) as upstream:
        for number in range(2):
            reached.clear()
            await cancelled(asyncio.ensure_future(send(upstream)), reached)
            await app.closed[number].wait()


async def test_cancelling_while_waiting_for_the_head_closes_the_connection():
    reached = asyncio.Event()

    async def script(connection):
        await connection.head()
        reached.set()
        assert await connection.rest() == b""

    async with application(script) as app, connector(app, max_connections=1) as upstream:
        for number in range(2):
            reached.clear()
            await cancelled(asyncio.ensure_future(send(upstream)), reached)
            await app.closed[number].wait()


async def test_cancelling_while_sending_leaves_the_request_incomplete():
    stuck, go_on, received = asyncio.Event(), asyncio.Event(), bytearray()

    async def script(connection):
        await connection.head()
        await go_on.wait()
        received.extend(await connection.rest())

    async def body():
        while True:
            stuck.clear()
            asyncio.get_running_loop().call_later(0.1, stuck.set)
            yield b"x" * 65_536

    async with application(script) as app, connector(app) as upstream:
        task = asyncio.ensure_future(send(upstream, request(b"POST", body=body())))
        await asyncio.sleep(0)
        await cancelled(task, stuck)
        go_on.set()
        await asyncio.gather(*app.tasks)
        assert not received.endswith(b"0\r\n\r\n")


async def test_cancelling_while_the_body_waits_for_the_client_ends_both():
    reached, ended = asyncio.Event(), asyncio.Event()

    async def script(connection):
        await connection.head()
        assert await connection.rest() == b""

    async def body():
        reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        yield b""

    async with application(script) as app, connector(app) as upstream:
        await cancelled(asyncio.ensure_future(send(upstream, request(b"POST", body=body()))), reached)
        assert ended.is_set()
        await app.closed[0].wait()


async def test_cancelling_while_reading_closes_the_connection():
    async def script(connection):
        await connection.head()
        await connection.send(OK[:-1])
        assert await connection.rest() == b""

    async with application(script) as app, connector(app) as upstream:
        answer = await send(upstream)
        assert await answer.read() == b"o"
        reading = asyncio.ensure_future(answer.read())
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await app.closed[0].wait()
        with pytest.raises(UpstreamFault, match="upstream_truncated"):
            await answer.read()  # whoever reads again is not cancelled
        await answer.close()
