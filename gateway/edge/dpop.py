"""DPoP proofs (RFC 9449): one function that says whose key signed for this very request, or why it does not count.

Rules of this file (the checks of RFC 9449, 4.3):

1. A proof is one JWT in strict compact form, of type ``dpop+jwt``, signed with one of ``ALGORITHMS``: all asymmetric.
2. Its key is the public one in its header, of a kind and size that the algorithm is for; a private part is refused.
3. It says the request's method and address (without query and fragment), a time near ours, the token's hash and an id.

What needs memory is asked elsewhere (``edge.possession``): whether its id is new, its nonce ours, its key the token's.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from gateway.edge.id_token import decoded_header, strict_base64

ALGORITHMS: Mapping[str, tuple[str, str]] = {
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
    "PS256": ("RSA", ""),
    "RS256": ("RSA", ""),
}
"""What a proof may be signed with, and the kind and curve of the key that this is for."""

AROUND_S = 60
"""A proof's time may be so far from ours, in either direction."""
MAX_BYTES = 4_096
LONGEST_ID = 256

_PUBLIC = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("n", "e")}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_IMPORTS: Mapping[str, Any] = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey}
_FORBIDDEN = frozenset({"crit", "jku", "x5u", "x5c", "zip", "b64"})
_RSA_BYTES = range(256, 513)
_MOST_EXPONENT_BYTES = 4
_VISIBLE = re.compile(r"[!-~]+")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Shown:
    """A proof that is right for its request. ``thumbprint``: of the key that signed it (RFC 7638, SHA-256)."""

    thumbprint: str
    jti: str
    nonce: str | None


def verify_proof(proof: str, *, method: str, url: str, token: str, now: float) -> Shown | str:
    """Whose key signed ``proof`` for this request and token; else why it does not count. ``now``: Unix seconds."""
    header = _header(proof)
    if isinstance(header, str):
        return header
    key = _key(header["jwk"], *ALGORITHMS[header["alg"]])
    if isinstance(key, str):
        return key
    signing, _, signature = proof.rpartition(".")
    algorithm = jws.JWSRegistry.algorithms[header["alg"]]
    try:
        verified = algorithm.verify(signing.encode(), strict_base64(signature) or b"", key)
        claims = orjson.loads(strict_base64(signing.partition(".")[2]) or b"")
    except (JoseError, ValueError) as fault:
        return f"the signature or content is not right: {type(fault).__name__}"
    if not verified:
        return "the signature is not right"
    if not isinstance(claims, dict):
        return "the content is no object"
    return _wrong(claims, method, url, token, now) or Shown(key.thumbprint(), claims["jti"], claims.get("nonce"))


def _header(proof: str) -> Mapping[str, Any] | str:
    header = decoded_header(proof, MAX_BYTES)
    if isinstance(header, str):
        return header
    if _FORBIDDEN & header.keys():
        return "the header brings extensions or other keys"
    if header.get("typ") != "dpop+jwt":
        return "the type is not dpop+jwt"
    if not isinstance(header.get("alg"), str) or header["alg"] not in ALGORITHMS:
        return "the algorithm is none of those that count"
    return header if isinstance(header.get("jwk"), dict) else "there is no key"


def _key(jwk: Mapping[str, Any], kind: str, curve: str) -> Key | str:
    if _PRIVATE & jwk.keys():
        return "the key has a private part"
    if jwk.get("kty") != kind or jwk.get("crv", "") != curve:
        return "the key is not of the algorithm's kind"
    public = {name: jwk.get(name) for name in _PUBLIC[kind]}
    numbers = [
        strict_base64(value) if isinstance(value, str) else None for name, value in public.items() if name != "crv"
    ]
    if any(not number for number in numbers):
        return "the key is not well formed"
    if kind == "RSA" and (len(numbers[0] or b"") not in _RSA_BYTES or len(numbers[1] or b"") > _MOST_EXPONENT_BYTES):
        return "the key is too short or too long"
    try:
        key: Key = _IMPORTS[kind].import_key({"kty": kind, **public})
    except (JoseError, ValueError, TypeError) as fault:
        return f"the key cannot be read: {type(fault).__name__}"
    return key


def _wrong(claims: Mapping[str, Any], method: str, url: str, token: str, now: float) -> str | None:
    jti, issued, nonce = claims.get("jti"), claims.get("iat"), claims.get("nonce")
    if not isinstance(jti, str) or not 0 < len(jti) <= LONGEST_ID:
        return "there is no id"
    if claims.get("htm") != method:
        return "it is for another method"
    if not isinstance(claims.get("htu"), str) or not same_address(claims["htu"], url):
        return "it is for another address"
    if not isinstance(issued, int | float) or isinstance(issued, bool) or abs(now - issued) > AROUND_S:
        return "it was not made now"
    if not isinstance(claims.get("ath"), str) or not hmac.compare_digest(claims["ath"].encode(), token_hash(token)):
        return "it is for another token"
    return "the nonce is no text" if nonce is not None and not isinstance(nonce, str) else None


def token_hash(token: str) -> bytes:
    """``ath``: the SHA-256 of an access token in base64url (RFC 9449, 4.2)."""
    digest = hashlib.sha256(token.encode("latin-1", "replace")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=")


def same_address(one: str, other: str) -> bool:
    """Whether two addresses are one, without query and fragment, after RFC 3986, 6.2.2 and 6.2.3.

    Dots in a path are not resolved: the gateway takes no such target.
    """
    normal = _normal(one)
    return normal is not None and normal == _normal(other)


def _normal(address: str) -> tuple[str, str, int, str] | None:
    if not _VISIBLE.fullmatch(address):
        return None
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not host or "@" in parts.netloc:
        return None
    path = _ESCAPE.sub(_unescaped, parts.path) or "/"
    return parts.scheme, host, _PORTS[parts.scheme] if port is None else port, path


def _unescaped(match: re.Match[str]) -> str:
    char = chr(int(match[1], 16))
    return char if _UNRESERVED.fullmatch(char) else match[0].upper()
