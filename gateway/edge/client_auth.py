"""How we say at a provider's token endpoint that it is us: a secret, or a signed assertion (RFC 7523, 2.2).

An assertion is good for a minute and for one call, and is addressed to the issuer alone, unless the partner's table
says that its provider wants the token endpoint there: one that names an address could be used at another provider.
"""

import secrets
from collections.abc import Callable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from gateway.edge.partner import Endpoints, Partner

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_S = 60
SHORTEST_RSA_BITS = 2048
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384"}
_IMPORTED: tuple[tuple[type, Callable[[bytes], Key]], ...] = (
    (EllipticCurvePrivateKey, ECKey.import_key),
    (RSAPrivateKey, RSAKey.import_key),
    (Ed25519PrivateKey, OKPKey.import_key),
)


class UnusableKey(ValueError):
    """A private key of ours that cannot sign; the message says why, and nothing of it."""


def signing_key(pem: bytes) -> tuple[Key, str]:
    """A private key with its algorithm. :raises UnusableKey:"""
    try:
        private = load_pem_private_key(pem, None)
        (key,) = [import_key(pem) for kind, import_key in _IMPORTED if isinstance(private, kind)]
    except (JoseError, UnsupportedAlgorithm, TypeError, ValueError) as fault:
        raise UnusableKey("no private key in PEM without a passphrase: EC (P-256, P-384), RSA or Ed25519") from fault
    algorithm: str | None = "EdDSA"
    if isinstance(private, EllipticCurvePrivateKey):
        algorithm = _CURVES.get(private.curve.name)
    elif isinstance(private, RSAPrivateKey):
        algorithm = "RS256" if private.key_size >= SHORTEST_RSA_BITS else None
    if algorithm is None:
        raise UnusableKey(f"write a key on P-256 or P-384, or RSA of at least {SHORTEST_RSA_BITS} bits")
    key.ensure_kid()
    return key, algorithm


def public_key(pem: bytes) -> dict[str, object]:
    """What the partner registers of our key (RFC 7517). :raises UnusableKey:"""
    key, algorithm = signing_key(pem)
    return {**key.as_dict(private=False), "use": "sig", "alg": algorithm}


def method_of(partner: Partner, endpoints: Endpoints) -> str:
    """How we authenticate, in the words of OpenID Connect Core, section 9: by header, unless that is not taken."""
    if partner.client_auth == "private_key_jwt":
        return "private_key_jwt"
    if partner.client_secret is None:
        return "none"
    in_form = partner.client_auth == "post" or (partner.client_auth is None and endpoints.wants_secret_in_form)
    return "client_secret_post" if in_form else "client_secret_basic"


def assertion_of(partner: Partner, endpoints: Endpoints, now: float) -> dict[str, str]:
    """The fields of a form that authenticate us by our key; none where we have a secret. :raises UnusableKey:"""
    if method_of(partner, endpoints) != "private_key_jwt":
        return {}
    key, algorithm = signing_key(partner.client_key or b"")
    claims = {
        "iss": partner.client_id,
        "sub": partner.client_id,
        "aud": endpoints.token if partner.assertion_audience == "token" else partner.issuer,
        "jti": secrets.token_urlsafe(32),
        "iat": int(now),
        "exp": int(now) + ASSERTION_S,
    }
    signed = jwt.encode({"alg": algorithm, "kid": key.kid}, claims, key, algorithms=[algorithm])
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}
