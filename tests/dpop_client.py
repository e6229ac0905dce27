"""A client with a key of its own: makes DPoP proofs (RFC 9449), right ones and any other."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping

from joserfc import jws
from joserfc.jwk import ECKey, Key


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


class DpopClient:
    """One key. ``header`` and ``claims`` of a proof replace what is right; ``None`` leaves a member out."""

    def __init__(self, key: Key | None = None, alg: str = "ES256") -> None:
        self.key = key or ECKey.generate_key("P-256", private=True)
        self.alg = alg

    @property
    def thumbprint(self) -> str:
        """What a token that is bound to this key says in ``cnf.jkt``."""
        return self.key.thumbprint()

    def proof(
        self,
        method: str,
        url: str,
        token: str,
        *,
        nonce: str | None = None,
        now: float | None = None,
        header: Mapping[str, object] | None = None,
        claims: Mapping[str, object] | None = None,
        signed_by: Key | None = None,
    ) -> str:
        """A proof for one request with ``token``."""
        head = {"typ": "dpop+jwt", "alg": self.alg, "jwk": self.key.as_dict(private=False), **(header or {})}
        said = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": url,
            "iat": int(time.time() if now is None else now),
            "ath": b64(hashlib.sha256(token.encode()).digest()),
            "nonce": nonce,
            **(claims or {}),
        }
        head, said = ({name: one for name, one in part.items() if one is not None} for part in (head, said))
        signing = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(said).encode())}"
        algorithm = jws.JWSRegistry.algorithms[str(head["alg"])]
        return f"{signing}.{b64(algorithm.sign(signing.encode(), signed_by or self.key))}"
