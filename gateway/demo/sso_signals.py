"""What the demo's provider tells its clients, and hears of them: back-channel logout, shared signals (RFC 8417)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

_CAEP: Final = "https://schemas.openid.net/secevent/caep/event-type/"
_LOGOUT: Final = "http://schemas.openid.net/event/backchannel-logout"
_LASTS_S, _TIMEOUT_S = 120, 5.0
_OLDEST_S: Final = 7 * 86_400


class Teller:
    """Signs what is told, and calls the clients that have an address for it."""

    def __init__(self, issuer: str, key: ECKey, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._key = key
        self._clock = clock

    def logout_token(self, client_id: str, sub: str, sid: str | None = None) -> str:
        """OpenID Connect Back-Channel Logout 1.0, 2.4."""
        claims = {"sub": sub, "exp": int(self._clock()) + _LASTS_S, "events": {_LOGOUT: {}}}
        return self._signed("logout+jwt", client_id, claims | ({"sid": sid} if sid else {}))

    def event(self, client_id: str, sub: str, kind: str) -> str:
        """A security event token of CAEP's ``kind``, such as ``session-revoked``."""
        subject = {"format": "iss_sub", "iss": self._issuer, "sub": sub}
        event = {"event_timestamp": int(self._clock())}
        return self._signed("secevent+jwt", client_id, {"sub_id": subject, "events": {f"{_CAEP}{kind}": event}})

    def _signed(self, typ: str, client_id: str, claims: Mapping[str, Any]) -> str:
        common = {"iss": self._issuer, "aud": client_id, "iat": int(self._clock()), "jti": secrets.token_hex(16)}
        header = {"alg": "ES256", "kid": self._key.kid, "typ": typ}
        return jws.serialize_compact(header, orjson.dumps({**common, **claims}), self._key)

    async def tell(self, client: Mapping[str, Any], token: str, *, logout: bool) -> int | None:
        """Push it where the client wants it; the answer's status, or ``None``: the client has no address for it."""
        address = client.get("backchannel_logout_uri" if logout else "events_uri")
        if not address:
            return None
        async with httpx2.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as http:
            if logout:
                answer = await http.post(address, data={"logout_token": token})
            else:
                headers = {"content-type": "application/secevent+jwt"}
                answer = await http.post(address, content=token.encode(), headers=headers)
            return answer.status_code


@dataclass(frozen=True, slots=True)
class Heard:
    """What a client signals: of whom, and which kind of CAEP's; ``None`` where it concerns nobody here."""

    kind: str
    sub: str | None


@dataclass(frozen=True, slots=True)
class NotHeard:
    """Why a signal is not taken, in a code of RFC 8935, 2.4, and in words."""

    err: str
    description: str


class Listener:
    """Takes the events that clients push here: of the clients that have ``signals`` in the file."""

    def __init__(self, issuer: str, clients: Iterable[Mapping[str, Any]], clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._transmitters = {one["signals"]["issuer"]: one["signals"] for one in clients if "signals" in one}
        self._clock = clock
        self._seen: dict[str, float] = {}

    async def hear(self, token: bytes) -> Heard | NotHeard:
        """Believe a token that its issuer has signed for us lately; one that comes again is taken and does nothing.

        :raises httpx2.HTTPError: its keys cannot be had now.
        """
        try:
            given = jws.extract_compact(token)
            claims = orjson.loads(given.payload)
            transmitter = self._transmitters.get(claims.get("iss"))
        except (JoseError, ValueError, AttributeError):
            return NotHeard("invalid_request", "this is no security event token")
        if transmitter is None:
            return NotHeard("invalid_issuer", "no client of ours signals under this name")
        if given.headers().get("typ") != "secevent+jwt":
            return NotHeard("invalid_request", "the type is not secevent+jwt")
        async with httpx2.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as http:
            keys = (await http.get(transmitter["jwks_uri"])).raise_for_status().json()
        try:
            jws.deserialize_compact(token, KeySet.import_key_set(keys), algorithms=["ES256"])
        except (JoseError, ValueError):
            return NotHeard("invalid_key", "none of the client's keys has signed it")
        if claims.get("aud") != transmitter["audience"]:
            return NotHeard("invalid_audience", "it is for somebody else")
        return self._read(claims)

    def _read(self, claims: Mapping[str, Any]) -> Heard | NotHeard:
        now, issued, jti = self._clock(), claims.get("iat"), claims.get("jti")
        events, subject = claims.get("events"), claims.get("sub_id")
        if not (isinstance(events, dict) and len(events) == 1 and isinstance(subject, dict) and isinstance(jti, str)):
            return NotHeard("invalid_request", "it is not whole")
        if not isinstance(issued, int) or issued < now - _OLDEST_S:
            return NotHeard("invalid_request", "it is too old")
        self._seen = {one: at for one, at in self._seen.items() if at > now - _OLDEST_S}
        ours = subject.get("format") == "iss_sub" and subject.get("iss") == self._issuer and jti not in self._seen
        self._seen.setdefault(jti, now)
        return Heard(next(iter(events)).removeprefix(_CAEP), subject.get("sub") if ours else None)
