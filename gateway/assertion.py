"""Who asks, signed for the application: a short-lived JWT (RFC 7519), so that it need not trust plain headers."""

from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.core.assurance import Caller
from gateway.keyring import AssertionKey

LIFETIME_S = 120
RENEWED_AFTER_S = 60
KEPT = 10_000


class AssertionSigner:
    """Signs and keeps one assertion per caller and application: a signature costs more than a whole forwarding."""

    def __init__(self, key: AssertionKey, issuer: str) -> None:
        self._key = ECKey.import_key(key.pem)
        self._header = {"alg": "ES256", "kid": key.kid, "typ": "JWT"}
        self._issuer = issuer
        self._made: dict[tuple[str, str], tuple[float, str]] = {}

    def sign(self, caller: Caller, application: str, now: float) -> str:
        """The assertion for ``caller`` at ``now`` (Unix seconds); at least a minute of its life is left."""
        who = (caller.credential_id, application)
        made = self._made.get(who)
        if made and 0 <= now - made[0] < RENEWED_AFTER_S:
            return made[1]
        claims = {
            "iss": self._issuer,
            "aud": application,
            "sub": caller.user,
            "partner": caller.partner,
            "partner_iss": caller.issuer,
            "partner_sub": caller.sub,
            "kind": caller.kind,
            "iat": int(now),
            "exp": int(now) + LIFETIME_S,
        }
        token = jwt.encode(self._header, claims, self._key)
        if len(self._made) >= KEPT:
            self._made.clear()
        self._made[who] = (now, token)
        return token
