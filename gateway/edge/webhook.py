"""Sends on what changed, to where the operator wants to know of it.

Rules of this file:

1. Nothing waits for it: what fails is tried again by its queue, and given up after hours, with a line in the log.
2. A message has no personal data; its signature is HMAC-SHA256 of the body under a secret that both sides have.
3. What answers is believed by its status alone: 2xx arrived; a redirect is a failure.
"""

import asyncio
import hashlib
import hmac
import logging
from typing import Protocol

import httpx2

from gateway.edge.partner_http import CappedTransport

SIGNATURE = "x-gateway-signature"
TIMEOUT_S = 5.0
SHORTEST_SECRET = 32
_log = logging.getLogger("gateway.edge")


class Waiting(Protocol):
    """A message that waits to be sent on, and whether this try is the last."""

    @property
    def body(self) -> bytes: ...

    @property
    def last(self) -> bool: ...


class Queue(Protocol):
    """Messages that wait; one that was taken comes again unless it is ``sent``."""

    async def take(self) -> Waiting | None: ...

    async def sent(self, body: bytes) -> None: ...


class Webhook:
    """An address that is told of changes."""

    def __init__(self, url: str, secret: bytes) -> None:
        self._url = url
        self._secret = secret

    async def deliver_due(self, queue: Queue) -> int:
        """Try everything that is due, one after the other; how many arrived. Raises ``StoreUnavailable``."""
        arrived = 0
        while (waiting := await queue.take()) is not None:
            why = await self._deliver(waiting.body)
            if not why:
                await queue.sent(waiting.body)
                arrived += 1
            elif waiting.last:
                _log.error("a notice was given up: %s: %s", why, waiting.body.decode())
            else:
                _log.warning("a notice did not arrive and is tried again: %s", why)
        return arrived

    async def _deliver(self, body: bytes) -> str:
        """Why a message did not arrive, or ""."""
        headers = {"content-type": "application/json", SIGNATURE: signature(self._secret, body)}
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                httpx2.AsyncClient(
                    transport=CappedTransport(),
                    timeout=httpx2.Timeout(TIMEOUT_S),
                    follow_redirects=False,
                    trust_env=False,
                ) as client,
            ):
                answer = await client.post(self._url, content=body, headers=headers)
        except Exception as fault:  # whatever is wrong there, this worker goes on
            return type(fault).__name__
        return "" if answer.is_success else f"status {answer.status_code}"


def signature(secret: bytes, body: bytes) -> str:
    """What the header says: ``sha256=`` and HMAC-SHA256 (RFC 2104) of the body in hexadecimal."""
    return f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"
