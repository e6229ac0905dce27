"""Calls to a partner's servers: capped in size and time, never redirected, never decompressed."""

import asyncio
import math
import re
import ssl
from collections.abc import AsyncIterator
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx2

from gateway.edge.doors import Documents
from gateway.edge.jwks import MAX_BYTES, NotFetched

TIMEOUT_S = 5.0
WHOLE_S = 8.0
"""A whole answer may take this long, however lively it trickles."""
LOOK_EVERY_S = 0.1
LOCAL = ("localhost", "127.0.0.1")
LONGEST_WORD = 16_384
_VISIBLE = re.compile(r"[!#-~]+")
"""No space, line end or quote: an address also stands in headers."""


@cache
def _tls() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


class _Capped(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size_bytes = 0
        async for chunk in self._stream:
            size_bytes += len(chunk)
            if size_bytes > MAX_BYTES:
                raise httpx2.ReadError(f"more than {MAX_BYTES} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class CappedTransport(httpx2.AsyncHTTPTransport):
    """A transport whose answers end with a fault beyond ``MAX_BYTES``, and are in plain coding only."""

    def __init__(self) -> None:
        super().__init__(verify=_tls())

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["accept-encoding"] = "identity"
        response = await super().handle_async_request(request)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            raise httpx2.RemoteProtocolError("a coding that was not asked for")
        stream = response.stream
        if not isinstance(stream, httpx2.AsyncByteStream):
            raise httpx2.RemoteProtocolError("no asynchronous answer")
        response.stream = _Capped(stream)
        return response


def client_options() -> dict[str, Any]:
    """What every client that calls a partner is made with. Proxies of the environment would bypass the cap."""
    return {
        "transport": CappedTransport(),
        "timeout": httpx2.Timeout(TIMEOUT_S),
        "follow_redirects": False,
        "trust_env": False,
    }


async def fetch(url: str) -> bytes:
    """The body of a 200 answer. :raises NotFetched: for anything else."""
    try:
        async with asyncio.timeout(WHOLE_S), httpx2.AsyncClient(**client_options()) as client:
            response = await client.get(url)
    except (httpx2.HTTPError, TimeoutError) as fault:
        raise NotFetched(f"{url}: {type(fault).__name__}") from fault
    if response.status_code != 200:
        raise NotFetched(f"{url}: status {response.status_code}")
    return response.content


async def fetched_once(documents: Documents, url: str) -> bytes:
    """As ``fetch``, by one worker for all; the others wait for what it brings. :raises NotFetched:"""
    for _ in range(math.ceil(WHOLE_S / LOOK_EVERY_S) + 1):
        if (young := await documents.young(url)) is not None:
            if not young:
                raise NotFetched(f"{url}: asked in vain lately")
            return young
        if await documents.claim(url):
            content = b""
            try:
                content = await fetch(url)
            finally:
                await documents.keep(url, content)
            return content
        await asyncio.sleep(LOOK_EVERY_S)
    raise NotFetched(f"{url}: asked lately, and it brought nothing")


def is_safe(url: object) -> bool:
    """Whether a partner's address may be used: ``https:``, or ``http:`` to this machine alone."""
    if not isinstance(url, str) or not is_visible(url):
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if parts.username is not None or parts.password is not None:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in LOCAL))


def is_visible(text: str) -> bool:
    """Whether a partner's word may stand in a header or an address of ours."""
    return len(text) <= LONGEST_WORD and _VISIBLE.fullmatch(text) is not None
