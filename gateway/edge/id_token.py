"""ID tokens and what else a partner signs: one function that believes or says why not.

Rules of this file:

1. The algorithm is the partner's, asymmetric, never the token's own choice; keys come from that partner's set alone.
2. A header that brings keys, compression or critical extensions is refused (RFC 7515, 4.1; RFC 8725).
3. Base64url is strict: no padding, no odd bits (RFC 7515, 2), looked at here whatever a library accepts.
4. ``iss`` exact, ``aud`` ours, ``exp``, ``iat`` and ``nonce`` present and right (OpenID Connect Core, 3.1.3.7).
"""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gateway.core.assurance import Word
from gateway.edge.partner import Partner

ASYMMETRIC = frozenset(
    {"ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA", "Ed25519"}
)
LEEWAY_S = 60
OLDEST_S = 600
"""An ID token issued earlier than this was not made for a sign-in that lasts ten minutes."""
MAX_BYTES = 16_384

_FORBIDDEN = frozenset({"crit", "jku", "jwk", "x5u", "x5c", "zip", "b64"})


@dataclass(frozen=True, slots=True)
class Claims:
    """What a partner asserts about one person; identity is (issuer, sub) and nothing else. ``said``: all of it."""

    issuer: str
    sub: str
    name: str
    login: str
    auth_time: float | None = None
    sid: str | None = None
    said: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def verify_id_token(
    token: str, *, partner: Partner, keys: KeySet, nonce: str, now: float, max_age_s: int | None = None
) -> Claims | str:
    """The claims of a token that is right in every respect, else why it is not (for the operator, no value of it)."""
    claims = signed_claims(token, partner=partner, keys=keys)
    if isinstance(claims, str):
        return claims
    return _wrong(claims, partner, nonce, now, max_age_s) or _claims(claims)


def verify_userinfo(token: str, *, partner: Partner, keys: KeySet, now: float) -> dict[str, Any] | str:
    """The claims of a signed userinfo answer (OpenID Connect Core, 5.3.2), else why they are not believed."""
    claims = signed_claims(token, partner=partner, keys=keys)
    if isinstance(claims, str):
        return claims
    if wrong := _not_for_us(claims, partner):
        return wrong
    expires = _time(claims, "exp")
    if "exp" in claims and (expires is None or expires + LEEWAY_S <= now):
        return "it has expired"
    return claims


def signed_claims(token: str, *, partner: Partner, keys: KeySet, typ: str = "JWT") -> dict[str, Any] | str:
    """What a token of type ``typ`` says that one of ``keys`` has signed; else why it is not believed."""
    header = header_of(token, typ)
    if isinstance(header, str):
        return header
    algorithms = [name for name in partner.algorithms if name in ASYMMETRIC]
    if header.get("alg") not in algorithms:
        return "the algorithm is not the partner's"
    try:
        signed = jws.deserialize_compact(token, keys, algorithms=algorithms)
        claims = orjson.loads(signed.payload)
    except (JoseError, ValueError) as fault:
        return f"the signature or content is not right: {type(fault).__name__}"
    return claims if isinstance(claims, dict) else "the content is no object"


def header_of(token: str, typ: str = "JWT") -> Mapping[str, Any] | str:
    """The header of a token in strict compact form, else what is wrong with it. Nothing is verified here.

    ``typ``: what it must say that it is; an ID token may leave that out.
    """
    header = decoded_header(token)
    if isinstance(header, str):
        return header
    if _FORBIDDEN & header.keys():
        return "the header brings keys, compression or extensions"
    if header.get("typ", "JWT") != typ:
        return f"the type is not {typ}"
    if not isinstance(header.get("kid", ""), str):
        return "the key id is no string"
    return header


def decoded_header(token: str, most_bytes: int = MAX_BYTES) -> Mapping[str, Any] | str:
    """What the header of a token in strict compact form holds, whatever that is; else what is wrong with its form."""
    if len(token) > most_bytes or not token.isascii():
        return "not a compact token"
    parts = token.split(".")
    if len(parts) != 3:
        return "not a compact token"
    decoded = [strict_base64(part) for part in parts]
    if any(part is None for part in decoded):
        return "not strict base64url"
    try:
        header = orjson.loads(decoded[0] or b"")
    except orjson.JSONDecodeError:
        return "the header is not JSON"
    if not isinstance(header, dict):
        return "the header is no object"
    return header


def strict_base64(part: str) -> bytes | None:
    """The bytes of base64url without padding and odd bits (RFC 7515, 2); ``None`` for anything else."""
    try:
        value = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except ValueError:  # letters outside ASCII too, of which it is no binascii.Error
        return None
    return value if base64.urlsafe_b64encode(value).rstrip(b"=").decode() == part else None


def _wrong(claims: dict[str, Any], partner: Partner, nonce: str, now: float, max_age_s: int | None) -> str | None:
    if wrong := _not_for_us(claims, partner):
        return wrong
    if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims:
        return "several audiences and no authorised party"
    if "azp" in claims and claims["azp"] != partner.client_id:
        return "the authorised party is not us"
    expires, issued = _time(claims, "exp"), _time(claims, "iat")
    if expires is None or expires + LEEWAY_S <= now:
        return "it has expired"
    if issued is None or not now - OLDEST_S <= issued <= now + LEEWAY_S:
        return "it was not issued now"
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        return "the nonce is not ours"
    if partner.acr and claims.get("acr") not in partner.acr:
        return "the level (acr) is none of those asked for"
    if max_age_s is not None:
        verified = _time(claims, "auth_time")
        if verified is None or not now - max_age_s - LEEWAY_S <= verified <= now + LEEWAY_S:
            return "the person did not sign in lately"
    return None


def _not_for_us(claims: dict[str, Any], partner: Partner) -> str | None:
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if claims.get("iss") != partner.issuer:
        return "the issuer is not the partner"
    if not isinstance(audiences, list) or partner.client_id not in audiences:
        return "the audience is not us"
    return None


def word_of(*signed: Mapping[str, Any]) -> Word:
    """What a partner says of how its person signed in: each claim by the first of what it has signed that has it."""
    said = {name: value for claims in reversed(signed) for name, value in claims.items()}
    acr, amr = said.get("acr"), said.get("amr")
    words = [one for one in amr if isinstance(one, str)] if isinstance(amr, list) else []
    return Word(acr if isinstance(acr, str) else "", tuple(words), _time(said, "auth_time"))


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _claims(claims: dict[str, Any]) -> Claims | str:
    sub = claims.get("sub")
    if not isinstance(sub, str) or not 0 < len(sub) <= 255:
        return "the subject is missing"
    login, name, sid = claims.get("preferred_username"), claims.get("name"), claims.get("sid")
    known_as = login if isinstance(login, str) and login else sub
    return Claims(
        issuer=claims["iss"],
        sub=sub,
        name=(name if isinstance(name, str) and name else known_as)[:200],
        login=known_as[:200],
        auth_time=_time(claims, "auth_time"),
        sid=sid if isinstance(sid, str) else None,
        said=claims,
    )
