"""What the demo's provider tells its clients: back-channel logout, and shared signals (RFC 8417, CAEP 1.0)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx2
import orjson
from joserfc import jws
from joserfc.jwk import ECKey

_CAEP: Final = "https://schemas.openid.net/secevent/caep/event-type/"
_LOGOUT: Final = "http://schemas.openid.net/event/backchannel-logout"
_LASTS_S, _TIMEOUT_S = 120, 5.0


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
