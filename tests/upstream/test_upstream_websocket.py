"""A WebSocket to the application: its handshake, whole messages, and every way it can end."""

import asyncio
import re

import pytest
from upstream_application import HOST, application, connector, permit_for
from websockets.frames import Close, Frame, Opcode
from websockets.utils import accept_key

from gateway.upstream import Deadlines, UpstreamFault, UpstreamRefusedUpgrade
from gateway.upstream.websocket import MAX_FRAGMENTS, MAX_MESSAGE_BYTES

TARGET = b"/ws/../%E9'?q=|"


async def handshake(connection, *fields, accept=None, status=b"101 Switching Protocols", after=b""):
    head = await connection.head()
    key = re.search(rb"sec-websocket-key: (.+)\r\n", head)[1].decode()
    lines = [
        b"HTTP/1.1 " + status,
        b"Upgrade: WebSocket",
        b"Connection: keep-alive, Upgrade",
        b"Sec-WebSocket-Accept: " + (accept or accept_key(key).encode()),
        *fields,
    ]
    await connection.send(b"\r\n".join(lines) + b"\r\n\r\n" + after)
    return head


def frame(opcode, data, *, fin=True):
    return Frame(opcode, data, fin).serialize(mask=False)


async def read_frame(connection):
    """One short frame of the connector's; it must be masked (RFC 6455 §5.1)."""
    first, second = await connection.reader.readexactly(2)
    assert second & 0x80
    size = second & 0x7F
    if size == 126:
        size = int.from_bytes(await connection.reader.readexactly(2))
    mask = await connection.reader.readexactly(4)
    data = await connection.reader.readexactly(size)
    assert not first & 0x70, "no extension was agreed"
    return first & 0x0F, bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))


def opening(upstream, *, headers=(HOST,), subprotocols=(), deadlines=None):
    return upstream.websocket(permit_for(TARGET), headers, subprotocols, deadlines or Deadlines())


async def test_messages_go_both_ways_after_a_byte_exact_handshake():
    async def script(connection):
        head = await handshake(connection, b"Sec-WebSocket-Protocol: b", b"Set-Cookie: a=b")
        assert head.startswith(b"GET " + TARGET + b" HTTP/1.1\r\nHost: app.example\r\nOrigin: https://x\r\n")
        assert b"\r\nsec-websocket-protocol: a, b\r\n" in head
        assert b"extensions" not in head
        assert await read_frame(connection) == (Opcode.TEXT, "né".encode())
        assert await read_frame(connection) == (Opcode.BINARY, b"\x00" * 300)
        await connection.send(frame(Opcode.TEXT, "é".encode()), frame(Opcode.BINARY, b"\xff"))
        assert await read_frame(connection) == (Opcode.CLOSE, Close(1000, "bye").serialize())
        await connection.send(frame(Opcode.CLOSE, Close(1000, "").serialize()))
        assert await connection.rest() == b""

    async with application(script) as app, connector(app) as upstream:
        socket = await opening(upstream, headers=(HOST, (b"Origin", b"https://x")), subprotocols=("a", "b"))
        assert socket.subprotocol == "b"
        assert (b"Set-Cookie", b"a=b") in socket.headers
        await socket.send("né")
        await socket.send(b"\x00" * 300)
        assert await socket.receive() == "é"
        assert await socket.receive() == b"\xff"
        await socket.close(1000, "bye")
        await socket.close()
        assert (await socket.receive(), socket.close_code) == (None, 1000)
        await asyncio.gather(*app.tasks)


async def test_a_message_that_comes_with_the_handshake_or_in_fragments_is_whole():
    late = frame(Opcode.TEXT, b"l", fin=False) + frame(Opcode.PING, b"p") + frame(Opcode.CONT, b"ate")

    async def script(connection):
        await handshake(connection, after=frame(Opcode.TEXT, b"early"))
        await connection.send(*[late[place : place + 1] for place in range(len(late))])
        assert await read_frame(connection) == (Opcode.PONG, b"p")
        assert await read_frame(connection) == (Opcode.CLOSE, Close(1000, "").serialize())

    async with application(script) as app, connector(app) as upstream:
        socket = await opening(upstream)
        assert [await socket.receive(), await socket.receive()] == ["early", "late"]
        await socket.close()
        await asyncio.gather(*app.tasks)


async def test_the_applications_close_is_answered_and_told():
    async def script(connection):
        await handshake(connection)
        await connection.send(frame(Opcode.TEXT, b"last"), frame(Opcode.CLOSE, Close(4001, "enough").serialize()))
        assert await read_frame(connection) == (Opcode.CLOSE, Close(4001, "enough").serialize())
        assert await connection.rest() == b""

    async with application(script) as app, connector(app) as upstream:
        socket = await opening(upstream)
        assert [await socket.receive(), await socket.receive()] == ["last", None]
        assert (socket.close_code, socket.close_reason) == (4001, "enough")
        with pytest.raises(UpstreamFault, match="upstream_truncated"):
            await socket.send("too late")
        await asyncio.gather(*app.tasks)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (frame(Opcode.TEXT, b"\xff"), 1007),
        (frame(Opcode.BINARY, b"x" * (MAX_MESSAGE_BYTES + 1)), 1009),
        (frame(Opcode.TEXT, b"x", fin=False) + frame(Opcode.CONT, b"", fin=False) * (MAX_FRAGMENTS + 1), 1009),
        (frame(Opcode.CONT, b"x"), 1002),
        (b"\xc1\x00", 1002),
        (Frame(Opcode.TEXT, b"masked").serialize(mask=True), 1002),
    ],
    ids=["not UTF-8", "too long", "too many fragments", "continues nothing", "unknown opcode", "masked"],
)
async def test_what_the_protocol_forbids_ends_it(raw, code):
    async def script(connection):
        await handshake(connection)
        connection.writer.write(raw)
        opcode, data = await read_frame(connection)
        assert (opcode, Close.parse(data).code) == (Opcode.CLOSE, code)
        await connection.rest()

    async with application(script) as app, connector(app) as upstream:
        socket = await opening(upstream)
        assert await socket.receive() is None
        assert socket.close_code == 1006
        await asyncio.gather(*app.tasks)


async def test_a_connection_that_breaks_is_an_abnormal_close():
    async def script(connection):
        await handshake(connection)
        await connection.send(frame(Opcode.TEXT, b"whole"), frame(Opcode.TEXT, b"half")[:3])

    async with application(script) as app, connector(app) as upstream:
        socket = await opening(upstream)
        assert [await socket.receive(), await socket.receive()] == ["whole", None]
        assert socket.close_code == 1006


@pytest.mark.parametrize("status", [200, 401, 302])
async def test_another_answer_than_101_is_a_refusal(status):
    async def script(connection):
        await handshake(connection, b"Content-Length: 0", status=b"%d X" % status)
        assert await connection.rest() == b""

    async with application(script) as app, connector(app) as upstream:
        with pytest.raises(UpstreamRefusedUpgrade) as caught:
            await opening(upstream)
        assert caught.value.status == status
        await app.closed[0].wait()


@pytest.mark.parametrize(
    ("fields", "accept"),
    [
        ((), b"AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ((b"Sec-WebSocket-Accept: x",), None),
        ((b"Sec-WebSocket-Extensions: permessage-deflate",), None),
        ((b"Sec-WebSocket-Protocol: c",), None),
        ((b"Upgrade: h2c",), None),
    ],
)
async def test_a_handshake_that_proves_nothing_is_malformed(fields, accept):
    async def script(connection):
        await handshake(connection, *fields, accept=accept)
        assert await connection.rest() == b""

    async with application(script) as app, connector(app) as upstream:
        with pytest.raises(UpstreamFault, match="upstream_malformed"):
            await opening(upstream, subprotocols=("a",))
        await app.closed[0].wait()


@pytest.mark.parametrize("name", [b"Upgrade", b"Connection", b"Sec-WebSocket-Key", b"sec-websocket-extensions"])
async def test_the_handshakes_headers_are_ours(name):
    async with application(handshake) as app, connector(app) as upstream:
        with pytest.raises(ValueError, match="handshake"):
            await opening(upstream, headers=(HOST, (name, b"x")))


async def test_a_handshake_without_an_answer_is_a_timeout():
    async def silent(connection):
        await connection.rest()

    async with application(silent) as app, connector(app) as upstream:
        with pytest.raises(UpstreamFault, match="upstream_timeout"):
            await opening(upstream, deadlines=Deadlines(header_s=0.05))
        await app.closed[0].wait()


async def test_an_application_faster_than_its_reader_is_held_back():
    sent = 0

    async def script(connection):
        nonlocal sent
        await handshake(connection)
        for _ in range(1_000):
            await connection.send(frame(Opcode.BINARY, b"x" * 65_000))
            sent += 1
            stuck.clear()
            asyncio.get_running_loop().call_later(0.1, stuck.set)
        await connection.send(frame(Opcode.CLOSE, b""))
        await connection.rest()

    stuck = asyncio.Event()
    async with application(script) as app, connector(app) as upstream:
        socket = await opening(upstream)
        await stuck.wait()
        assert sent < 500
        received = 0
        while await socket.receive() is not None:
            received += 1
        assert received == 1_000


async def test_cancelling_the_reader_drops_the_connection():
    async def script(connection):
        await handshake(connection)
        await connection.rest()

    async with application(script) as app, connector(app) as upstream:
        socket = await opening(upstream)
        reading = asyncio.ensure_future(socket.receive())
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await app.closed[0].wait()


async def test_open_websockets_take_no_place_of_requests_and_give_none_back():
    async def script(connection):
        await handshake(connection)
        await connection.rest()

    async with application(script) as app, connector(app, max_connections=1) as upstream:
        sockets = [await opening(upstream) for _ in range(3)]
        for number, socket in enumerate(sockets):
            reading = asyncio.ensure_future(socket.receive())
            await asyncio.sleep(0)
            reading.cancel()
            await app.closed[number].wait()
        shaking = asyncio.ensure_future(opening(upstream, deadlines=Deadlines(connect_s=9)))
        await asyncio.sleep(0)
        with pytest.raises(UpstreamFault, match="no connection within the deadline"):
            await opening(upstream, deadlines=Deadlines(connect_s=0))
        await shaking


async def test_closing_the_connector_ends_open_websockets():
    async def script(connection):
        await handshake(connection)
        await connection.rest()

    async with application(script) as app, connector(app) as upstream:
        socket = await opening(upstream)
        await upstream.aclose()
        assert (await socket.receive(), socket.close_code) == (None, 1006)
        await app.closed[0].wait()


async def test_closing_ends_a_receive_in_another_task():
    async def script(connection):
        await handshake(connection)
        await read_frame(connection)

    async with application(script) as app, connector(app) as upstream:
        socket = await opening(upstream)
        reading = asyncio.ensure_future(socket.receive())
        await asyncio.sleep(0)
        await socket.close()
        assert await reading is None
