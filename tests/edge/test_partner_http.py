"""A partner's servers can neither fill our memory nor lead us elsewhere."""

import asyncio
import gzip

import pytest

from gateway.edge.jwks import MAX_BYTES, NotFetched
from gateway.edge.partner_http import fetch


async def answered_with(head: bytes, body: bytes = b"") -> bytes:
    """What ``fetch`` makes of one raw answer."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        assert b"accept-encoding: identity" in asked.lower()
        writer.write(b"HTTP/1.1 " + head + b"\r\nConnection: close\r\n\r\n" + body)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        return await fetch(f"http://127.0.0.1:{port}/document")
    finally:
        server.close()


async def test_document_arrives_whole() -> None:
    assert await answered_with(b"200 OK", b"x" * MAX_BYTES) == b"x" * MAX_BYTES


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"200 OK", b"x" * (MAX_BYTES + 1)),
        (b"200 OK\r\nContent-Encoding: gzip", gzip.compress(b"x" * 100)),
        (b"302 Found\r\nLocation: http://127.0.0.1:1/", b""),
        (b"404 Not Found", b"{}"),
        (b"200 OK\r\nContent-Length: 10", b"short"),
    ],
    ids=["too large", "coded", "redirect", "not found", "cut"],
)
async def test_anything_else_is_not_fetched(head: bytes, body: bytes) -> None:
    with pytest.raises(NotFetched):
        await answered_with(head, body)
