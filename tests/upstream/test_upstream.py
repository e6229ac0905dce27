"""The connector over real sockets: what leaves, what comes back, and what a hostile application can do."""

import asyncio

import pytest
from upstream_application import (
    HOST,
    OK,
    always_ok,
    application,
    connector,
    permit_for,
    pieces,
    replies,
    request,
    send,
    whole,
)

from gateway.upstream import Deadlines, Request, UpstreamFault


async def sent_by(what, target=b"/"):
    """Everything that reaches the application for one request."""
    received = bytearray()

    async def script(connection):
        received.extend(await connection.head())
        await connection.send(OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        received.extend(await connection.rest())

    async with application(script) as app, connector(app) as upstream:
        await whole(await send(upstream, what, target=target))
        await asyncio.gather(*app.tasks)
    return bytes(received)


async def test_what_leaves_is_the_permits_target_and_the_given_headers_and_nothing_else():
    target = b"/a/../b//%E9'|\xff?q=%2f&" + b"x" * 9_000
    what = Request(b"GET", b"/other", (HOST, (b"X-b", b"\xe9"), (b"x-B", b"2")), None, None)
    assert (
        await sent_by(what, target)
        == b"GET " + target + b" HTTP/1.1\r\nHost: app.example\r\nX-b: \xe9\r\nx-B: 2\r\n\r\n"
    )


async def test_a_body_of_known_length_leaves_as_it_is():
    raw = await sent_by(request(b"POST", body=pieces(b"he", b"", b"llo"), length=5))
    assert raw == b"POST / HTTP/1.1\r\nHost: app.example\r\ncontent-length: 5\r\n\r\nhello"


async def test_a_body_of_unknown_length_leaves_in_chunks_of_our_own():
    raw = await sent_by(request(b"POST", body=pieces(b"he", b"", b"llo" * 4)))
    assert raw.endswith(b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\nc\r\nllollollollo\r\n0\r\n\r\n")


async def test_an_answer_comes_as_received():
    raw = b"HTTP/1.1 299 D\xe9j\xe0 vu\r\nset-cookie: a\r\nX: \xe9\r\nSet-Cookie: b\r\nContent-Length: 5\r\n\r\nhello"
    async with application(replies(raw)) as app, connector(app) as upstream:
        answer = await send(upstream)
        assert (answer.status, answer.reason, answer.http_version) == (299, b"D\xe9j\xe0 vu", "1.1")
        assert answer.headers == [
            (b"set-cookie", b"a"),
            (b"X", b"\xe9"),
            (b"Set-Cookie", b"b"),
            (b"Content-Length", b"5"),
        ]
        assert (answer.content_length, answer.has_body, answer.close_delimited) == (5, True, False)
        assert await whole(answer) == b"hello"
        assert await answer.read() == b""


async def test_an_answer_without_framing_ends_with_its_connection():
    async with application(replies(b"HTTP/1.0 200 OK\r\n\r\nall there is")) as app, connector(app) as upstream:
        answer = await send(upstream)
        assert (answer.close_delimited, answer.content_length, answer.http_version) == (True, None, "1.0")
        assert await whole(answer) == b"all there is"


async def test_the_answer_to_head_has_no_body():
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
    async with application(replies(raw, OK)) as app, connector(app) as upstream:
        answer = await send(upstream, request(b"HEAD"))
        assert (answer.has_body, answer.content_length, await whole(answer)) == (False, 5000, b"")
        assert await whole(await send(upstream)) == b"ok"
        assert app.accepted == 1


@pytest.mark.parametrize("method", [b"GET", b"POST"])
@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"garbage\r\n\r\n", b"HTTP/1.1 101 S\r\n\r\n"])
async def test_no_proper_head_is_a_fault_and_no_request_is_repeated(method, raw):
    async with application(replies(raw)) as app, connector(app) as upstream:
        with pytest.raises(UpstreamFault) as caught:
            await send(upstream, request(method))
        assert caught.value.reason in {"upstream_malformed", "upstream_truncated"}
        assert not caught.value.is_timeout
        assert app.accepted == 1


@pytest.mark.parametrize("framing", [b"Content-Length: 9", b"Transfer-Encoding: chunked"])
async def test_a_truncated_body_is_a_fault_after_what_came(framing):
    raw = b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n5\r\nhel"

    async def script(connection):
        await connection.head()
        await connection.send(raw)
        await read_some.wait()

    read_some = asyncio.Event()
    async with application(script) as app, connector(app) as upstream:
        answer = await send(upstream)
        assert (await answer.read()).endswith(b"hel")
        read_some.set()
        with pytest.raises(UpstreamFault, match="upstream_truncated"):
            await answer.read()
        with pytest.raises(UpstreamFault, match="upstream_truncated"):
            await answer.read()
        await answer.close()


async def test_a_broken_chunk_is_a_fault_while_reading():
    async def script(connection):
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        await read_some.wait()
        await connection.send(b"2\nno\r\n0\r\n\r\n")
        assert await connection.rest() == b""

    read_some = asyncio.Event()
    async with application(script) as app, connector(app) as upstream:
        answer = await send(upstream)
        assert await answer.read() == b"ok"
        read_some.set()
        with pytest.raises(UpstreamFault, match="upstream_malformed"):
            await answer.read()
        await asyncio.gather(*app.tasks)


async def test_another_answer_sent_along_is_never_anybodys():
    async def script(connection):
        await connection.head()
        await connection.send(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        assert await connection.rest() == b""

    async with application(script, always_ok) as app, connector(app) as upstream:
        assert await whole(await send(upstream)) == b"ok"
        assert await whole(await send(upstream)) == b"ok"
        assert app.accepted == 2


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_bytes_with_an_answer_that_has_no_body_are_a_fault(status):
    raw = b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\n\r\nhello"
    async with application(replies(raw)) as app, connector(app) as upstream:
        with pytest.raises(UpstreamFault, match="upstream_malformed"):
            await send(upstream)


async def test_the_body_leaves_while_the_answer_comes_and_an_early_answer_ends_the_connection():
    async def echo(connection):
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        await connection.send(await connection.reader.readexactly(3))
        await connection.send(await connection.reader.readexactly(3))
        assert await connection.rest() == b""

    first_back = asyncio.Event()

    async def body():
        yield b"abc"
        await first_back.wait()
        yield b"def"

    async with application(echo, always_ok) as app, connector(app) as upstream:
        answer = await send(upstream, request(b"POST", body=body(), length=6))
        assert await answer.read() == b"abc"
        first_back.set()
        assert await whole(answer) == b"def"
        assert await whole(await send(upstream)) == b"ok"
        assert app.accepted == 2


async def test_an_answer_read_before_the_body_has_left_stops_the_body():
    async def refuses(connection):
        await connection.head()
        await connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        assert await connection.rest() == b"3\r\nabc\r\n"

    stopped = asyncio.Event()

    async def body():
        try:
            yield b"abc"
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with application(refuses) as app, connector(app) as upstream:
        answer = await send(upstream, request(b"POST", body=body()))
        assert (answer.status, await whole(answer)) == (413, b"no")
        assert stopped.is_set()
        await asyncio.gather(*app.tasks)


@pytest.mark.parametrize("length", [None, 6])
async def test_a_body_that_fails_leaves_the_request_incomplete_and_its_exception_propagates(length):
    received = []

    async def script(connection):
        await connection.head()
        received.append(await connection.rest())

    async def body():
        yield b"abc"
        raise LookupError("the client has gone")

    async with application(script) as app, connector(app) as upstream:
        with pytest.raises(LookupError, match="the client has gone"):
            await send(upstream, request(b"POST", body=body(), length=length))
        await asyncio.gather(*app.tasks)
        assert received[0] in {b"", b"abc", b"3\r\nabc\r\n"}


async def test_a_body_that_fails_after_an_early_answer_is_told_by_read():
    async def script(connection):
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        assert await connection.rest() == b""

    answered = asyncio.Event()

    async def body():
        await answered.wait()
        raise LookupError("gone")
        yield b""

    async with application(script) as app, connector(app) as upstream:
        answer = await send(upstream, request(b"POST", body=body(), length=6))
        answered.set()
        with pytest.raises(LookupError):
            await answer.read()
        await answer.close()
        await asyncio.gather(*app.tasks)


@pytest.mark.parametrize("parts", [(b"abc",), (b"abc", b"defg")])
async def test_a_body_of_another_length_than_announced_is_never_completed(parts):
    async def script(connection):
        await connection.head()
        assert len(await connection.rest()) < 6

    async with application(script) as app, connector(app) as upstream:
        with pytest.raises(ValueError, match="than announced"):
            await send(upstream, request(b"POST", body=pieces(*parts), length=6))
        await asyncio.gather(*app.tasks)


async def test_what_must_not_be_sent_opens_no_connection():
    async with application(always_ok) as app, connector(app) as upstream:
        with pytest.raises(ValueError, match="framing"):
            await send(upstream, request(headers=(HOST, (b"Content-Length", b"5"))))
        assert app.accepted == 0


async def test_the_permit_is_what_is_sent_even_with_another_target_in_the_request():
    async with application(always_ok) as app, connector(app) as upstream:
        answer = await upstream.forward(permit_for(b"/a"), Request(b"GET", b"/b", (HOST,), None, None), Deadlines())
        assert await whole(answer) == b"ok"
