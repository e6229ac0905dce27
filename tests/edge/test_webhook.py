"""Messages to the operator's own address: signed, believed by their status, and nothing waits for them."""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.edge.sending import deliver_due
from gateway.edge.webhook import SIGNATURE, Webhook
from gateway.stores.connection import Store
from gateway.stores.notices import Notices
from gateway.stores.sending import WAITS_S, Sending

SECRET = b"a secret that both sides have, long"


@asynccontextmanager
async def listening(head: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """An address that answers everything with ``head``, and what came to it."""
    came: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        size = int(asked.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        came.append(asked + await reader.readexactly(size))
        writer.write(b"HTTP/1.1 " + head + b"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/told?by=gateway", came
    finally:
        server.close()


@pytest.fixture
async def queue(store: Store, clock) -> Sending:
    """A queue with one message."""
    notices = Notices(store, clock, sends=True)
    await notices.add("u_1", "agency", "factor_bound", reference="K7Q-4M2", by="s_1")
    return notices.sending


async def test_a_message_arrives_once_with_its_signature(queue: Sending, clock) -> None:
    async with listening(b"204 No Content") as (url, came):
        assert await deliver_due(queue, Webhook(url, SECRET)) == 1
        clock.at += WAITS_S[0]
        assert await deliver_due(queue, Webhook(url, SECRET)) == 0
    (request,) = came
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /told?by=gateway HTTP/1.1\r\n") and b"application/json" in head
    signed = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    assert f"{SIGNATURE}: sha256={signed}".encode() in head.lower()
    assert SECRET not in request


@pytest.mark.parametrize("head", [b"500 Oops", b"302 Found\r\nLocation: http://127.0.0.1:1/", b"no http at all"])
async def test_what_did_not_arrive_is_tried_again(queue: Sending, clock, head: bytes) -> None:
    async with listening(head) as (url, came):
        assert await deliver_due(queue, Webhook(url, SECRET)) == 0
        assert len(came) == 1
    clock.at += WAITS_S[0]
    async with listening(b"200 OK") as (url, came):
        assert await deliver_due(queue, Webhook(url, SECRET)) == 1


async def test_an_address_where_nobody_is_does_no_harm_and_is_given_up_with_a_line(
    queue: Sending, clock, caplog: pytest.LogCaptureFixture
) -> None:
    webhook = Webhook("http://127.0.0.1:1/", SECRET)
    with caplog.at_level(logging.ERROR, "gateway.edge"):
        for wait_s in (*WAITS_S, 0):
            assert await deliver_due(queue, webhook) == 0
            clock.at += wait_s
    (line,) = caplog.messages
    assert "given up" in line and "factor_bound" in line
    assert await queue.take() is None
