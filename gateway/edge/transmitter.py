"""Pushes what we signal about a partner's people to that partner: signed security event tokens (RFC 8417, RFC 8935).

Rules of this file:

1. A token is for one audience, signed when it is sent with the key that is published then, of a type of its own.
2. Only a 400 with an error's code is the partner's own no (RFC 8935, 2.4); anything else may be mended there, and the
   queue goes on for ever.
3. What was taken, and what was given up, is in the ledger; what the partner says of it only where it is a known word.
"""

import logging
from collections.abc import Mapping

import orjson
from joserfc import jws
from joserfc.jwk import ECKey

from gateway.core.events import Claims, kind_of
from gateway.core.signals import EVENT_TYP
from gateway.edge.partner import Events
from gateway.edge.sending import Undelivered, post
from gateway.keyring import AssertionKey
from gateway.ports import Clock, Records

ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_key",
        "invalid_issuer",
        "invalid_audience",
        "authentication_failed",
        "access_denied",
    }
)
_log = logging.getLogger("gateway.edge")


class Transmitter:
    """One partner's endpoint for our events. ``issuer``: who we are, the origin of our pages."""

    def __init__(self, partner: str, events: Events, issuer: str, key: AssertionKey) -> None:
        self.name = partner
        self._events = events
        self._issuer = issuer
        self._key = ECKey.import_key(key.pem)
        self._header = {"alg": "ES256", "kid": key.kid, "typ": EVENT_TYP}

    def signed(self, claims: Claims) -> bytes:
        """The token."""
        whole = {**claims, "iss": self._issuer, "aud": self._events.audience}
        return jws.serialize_compact(self._header, orjson.dumps(whole), self._key).encode()

    async def push(self, claims: Claims) -> Undelivered | None:
        """Why the partner did not take it, or ``None``: it answered 202 (or another 2xx)."""
        headers = {"content-type": "application/secevent+jwt", "accept": "application/json"}
        if self._events.token:
            headers["authorization"] = f"Bearer {self._events.token}"
        answer = await post(self._events.endpoint, self.signed(claims), headers)
        if isinstance(answer, Undelivered) or answer.is_success:
            return answer if isinstance(answer, Undelivered) else None
        error = _error(answer.content) if answer.status_code == 400 else None
        return Undelivered(error, refused=True) if error else Undelivered(f"status {answer.status_code}")


class Told:
    """A partner that is told what waits for it, and what the ledger knows of that."""

    def __init__(self, transmitter: Transmitter, records: Records, clock: Clock) -> None:
        self._transmitter = transmitter
        self._records = records
        self._clock = clock
        self.name = transmitter.name

    async def deliver(self, body: bytes) -> Undelivered | None:
        """Why a message did not arrive, or ``None``."""
        failed = await self._transmitter.push(orjson.loads(body)["claims"])
        if failed is not None and failed.refused:
            _log.error(
                "%s refuses our signal: %s; gateway partner check %s says more", self.name, failed.why, self.name
            )
        return failed

    async def arrived(self, body: bytes) -> None:
        """Record that the partner has it."""
        await self._record(body, {"kind": "signal", "verdict": "delivered"})

    async def given_up(self, body: bytes, why: str) -> None:
        """Raise the alarm: the partner refuses it for good, and its session of that person may go on."""
        _log.error("%s was not told of %s: %s; tell them yourself", self.name, orjson.loads(body)["user"], why)
        await self._record(body, {"kind": "alarm", "reason": "signal_not_taken", "error": why})

    async def _record(self, body: bytes, said: Mapping[str, object]) -> None:
        message = orjson.loads(body)
        record = {
            "caller": {"user": message["user"], "partner": self.name},
            "event": kind_of(message["claims"]),
            "jti": message["claims"]["jti"],
        }
        await self._records.append({**record, **said}, now=self._clock.now(), reserve=True)


def _error(content: bytes) -> str | None:
    """The code of an error answer, as far as we know it; a ``description`` is not repeated anywhere."""
    try:
        said = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    error = said.get("err") if isinstance(said, dict) else None
    if not isinstance(error, str):
        return None
    return error if error in ERRORS else "an error of its own"
