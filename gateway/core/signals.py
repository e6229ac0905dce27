"""What a partner signals about one of its people: signed out there, session revoked, credential changed.

Sources: OpenID Connect Back-Channel Logout 1.0, 2.4 to 2.6; RFC 8417 (security event tokens); CAEP 1.0; RFC 9493.
"""

from collections.abc import Mapping
from dataclasses import dataclass

LOGOUT_TYP, EVENT_TYP = "logout+jwt", "secevent+jwt"
LOGGED_OUT = "http://schemas.openid.net/event/backchannel-logout"
_CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
SESSION_REVOKED, CREDENTIAL_CHANGE = f"{_CAEP}session-revoked", f"{_CAEP}credential-change"
RISK_LEVEL_CHANGE = f"{_CAEP}risk-level-change"
VERIFICATION = "https://schemas.openid.net/secevent/ssf/event-type/verification"
LEEWAY_S = 60
LOGOUT_OLDEST_S = 600
EVENT_OLDEST_S = 7 * 86_400
"""A transmitter tries again for days (RFC 8935, 2.4 says nothing shorter); as long is remembered what came."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal. ``sub`` or ``sid``: of whom, or of which of their sessions; ``until``: how long its ``jti`` is known.

    ``ends``: it ends sessions and drops proofs; ``changed``: a credential was changed at the partner's.
    """

    jti: str
    sub: str | None
    sid: str | None
    ends: bool
    changed: bool
    until: float


def logout_of(claims: Mapping[str, object], issuer: str, client_id: str, now: float) -> Signal | str:
    """What a logout token signals, else why it is not believed. Its signature and type were verified before."""
    if wrong := _wrong(claims, issuer, client_id, now, LOGOUT_OLDEST_S):
        return wrong
    expires = _number(claims.get("exp"))
    if expires is None or expires + LEEWAY_S <= now:
        return "it has expired"
    if "nonce" in claims:
        return "a logout token has no nonce: this may be an ID token"
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGGED_OUT), dict):
        return "it says nothing of a logout"
    sub, sid = _text(claims.get("sub")), _text(claims.get("sid"))
    if sub is None and sid is None:
        return "it names neither subject nor session"
    return Signal(str(claims["jti"]), sub, sid, True, False, expires + LEEWAY_S)


def event_of(claims: Mapping[str, object], issuer: str, client_id: str, now: float) -> Signal | str:
    """What a security event token signals, as ``logout_of``. An event of another kind ends nothing."""
    if wrong := _wrong(claims, issuer, client_id, now, EVENT_OLDEST_S):
        return wrong
    events = claims.get("events")
    if not isinstance(events, dict) or len(events) != 1:
        return "it holds not exactly one event"
    kind, event = next(iter(events.items()))
    if not isinstance(event, dict):
        return "the event is no object"
    sub = _subject(claims.get("sub_id", event.get("subject")), issuer)
    ends = kind in (SESSION_REVOKED, CREDENTIAL_CHANGE)
    if ends and sub is None:
        return "it names no subject of this issuer"
    return Signal(str(claims["jti"]), sub, None, ends, kind == CREDENTIAL_CHANGE, now + EVENT_OLDEST_S)


def _wrong(claims: Mapping[str, object], issuer: str, client_id: str, now: float, oldest_s: float) -> str | None:
    audience = claims.get("aud")
    if claims.get("iss") != issuer:
        return "the issuer is not the partner"
    if client_id not in ([audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []):
        return "the audience is not us"
    issued = _number(claims.get("iat"))
    if issued is None or not now - oldest_s <= issued <= now + LEEWAY_S:
        return "it was not issued lately"
    return None if _text(claims.get("jti")) else "it has no id"


def _subject(said: object, issuer: str) -> str | None:
    """The subject in the formats ``iss_sub``, or complex with a ``user`` (RFC 9493, 3.2.7 and 3.3)."""
    if not isinstance(said, dict):
        return None
    one = said.get("user") if isinstance(said.get("user"), dict) else said
    right = isinstance(one, dict) and one.get("format", "iss_sub") == "iss_sub" and one.get("iss") == issuer
    return _text(one.get("sub")) if isinstance(one, dict) and right else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 255 else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
