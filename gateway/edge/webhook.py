"""Sends on what changed, to where the operator wants to know of it.

Rules of this file:

1. A message has no personal data; its signature is HMAC-SHA256 of the body under a secret that both sides have.
2. What fails is tried again by its queue, and given up after hours, with a line in the log.
"""

import hashlib
import hmac
import logging

from gateway.edge.sending import Undelivered, post

SIGNATURE = "x-gateway-signature"
SHORTEST_SECRET = 32
_log = logging.getLogger("gateway.edge")


class Webhook:
    """An address that is told of changes."""

    name = "notify"

    def __init__(self, url: str, secret: bytes) -> None:
        self._url = url
        self._secret = secret

    async def deliver(self, body: bytes) -> Undelivered | None:
        """Why a message did not arrive, or ``None``."""
        headers = {"content-type": "application/json", SIGNATURE: signature(self._secret, body)}
        answer = await post(self._url, body, headers)
        if isinstance(answer, Undelivered) or answer.is_success:
            return answer if isinstance(answer, Undelivered) else None
        return Undelivered(f"status {answer.status_code}")

    async def arrived(self, body: bytes) -> None:
        """Nothing more is to be done."""

    async def given_up(self, body: bytes, why: str) -> None:
        """Say in the log what nobody took."""
        _log.error("a notice was given up: %s: %s", why, body.decode())


def signature(secret: bytes, body: bytes) -> str:
    """What the header says: ``sha256=`` and HMAC-SHA256 (RFC 2104) of the body in hexadecimal."""
    return f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"
