"""What a partner signals about one of its people: signed out there, session revoked, credential changed.

Sources: OpenID Connect Back-Channel Logout 1.0, 2.4 to 2.6; RFC 8417 (security event tokens); RFC 8935, 2.4 (errors);
CAEP 1.0; RFC 9493 and OpenID Shared Signals Framework 1.0, 3 (subjects).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

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

LONGEST_SID = 4_096
"""In characters: OpenID Connect bounds a subject, and no session's name; some providers write a whole token there."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal. ``sub`` or ``sid``: of whom, or of which of their sessions; ``until``: how long its ``jti`` is known.

    ``ends``: it ends sessions and drops proofs; ``changed``: a credential was changed at the partner's;
    ``all_unless_known``: ``sid`` may be by another's count, and where none of ours came by it all are meant.
    """

    jti: str
    sub: str | None
    sid: str | None
    ends: bool
    changed: bool
    until: float
    all_unless_known: bool = False


class Take(Enum):
    """How a signal finds itself: it takes effect now, does so at this moment elsewhere, or did before."""

    FIRST = auto()
    DOING = auto()
    DONE = auto()


@dataclass(frozen=True, slots=True)
class Disbelieved:
    """Why a signal is not taken: in a code of RFC 8935, 2.4, and in words."""

    error: str
    why: str


@dataclass(frozen=True, slots=True)
class _Subject:
    """Whom an event is about; ``sid``: only that session of theirs, where it names one."""

    sub: str
    sid: str | None = None


def logout_of(claims: Mapping[str, object], issuer: str, client_id: str, now: float) -> Signal | Disbelieved:
    """What a logout token signals, else why it is not believed. Its signature and type were verified before."""
    if wrong := _wrong(claims, issuer, client_id, now, LOGOUT_OLDEST_S):
        return wrong
    expires = _number(claims.get("exp"))
    if expires is None or expires + LEEWAY_S <= now:
        return _invalid("it has expired")
    if "nonce" in claims:
        return _invalid("a logout token has no nonce: this may be an ID token")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGGED_OUT), dict):
        return _invalid("it says nothing of a logout")
    sub, sid = _text(claims.get("sub")), _text(claims.get("sid"), LONGEST_SID)
    if sub is None and sid is None:
        return _invalid("it names neither subject nor session")
    return Signal(str(claims["jti"]), sub, sid, True, False, expires + LEEWAY_S)


def event_of(claims: Mapping[str, object], issuer: str, client_id: str, now: float) -> Signal | Disbelieved:
    """What a security event token signals, as ``logout_of``.

    An event of another kind ends nothing, whomever it is about. Among them is the transmitter's question whether it is
    heard at all (``VERIFICATION``), which is about a stream.
    """
    if wrong := _wrong(claims, issuer, client_id, now, EVENT_OLDEST_S):
        return wrong
    events = claims.get("events")
    if not isinstance(events, dict) or len(events) != 1:
        return _invalid("it holds not exactly one event")
    kind, event = next(iter(events.items()))
    if not isinstance(event, dict):
        return _invalid("the event is no object")
    jti, until = str(claims["jti"]), now + EVENT_OLDEST_S
    subject = _subject(claims.get("sub_id", event.get("subject")), issuer)
    ends = kind in (SESSION_REVOKED, CREDENTIAL_CHANGE)
    if isinstance(subject, Disbelieved):
        return subject if ends else Signal(jti, None, None, False, False, until)
    return Signal(jti, subject.sub, subject.sid, ends, kind == CREDENTIAL_CHANGE, until, True)


def _invalid(why: str) -> Disbelieved:
    return Disbelieved("invalid_request", why)


def _wrong(
    claims: Mapping[str, object], issuer: str, client_id: str, now: float, oldest_s: float
) -> Disbelieved | None:
    audience = claims.get("aud")
    if claims.get("iss") != issuer:
        return Disbelieved("invalid_issuer", "the issuer is not the partner")
    if client_id not in ([audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []):
        return Disbelieved("invalid_audience", "the audience is not us")
    issued = _number(claims.get("iat"))
    if issued is None or not now - oldest_s <= issued <= now + LEEWAY_S:
        return _invalid("it was not issued lately")
    return None if _text(claims.get("jti")) else _invalid("it has no id")


def _subject(said: object, issuer: str) -> _Subject | Disbelieved:
    """The subject in the format ``iss_sub``, or ``complex`` with such a ``user`` and perhaps a ``session``.

    Somebody known only by an address or by an opaque word is nobody: no partner may name another's people. Where what
    stands beside the user is not known here, such as a device, all of the user's sessions are meant.
    """
    if not isinstance(said, dict):
        return _invalid("it names no subject")
    is_complex = said.get("format") == "complex" or isinstance(said.get("user"), dict)
    user = said.get("user") if is_complex else said
    if not isinstance(user, dict) or user.get("format", "iss_sub") != "iss_sub":
        return _invalid("subjects are named by iss_sub, or complex with such a user")
    sub = _text(user.get("sub"))
    if sub is None or user.get("iss") != issuer:
        return _invalid("it names no subject of this issuer")
    session = said.get("session") if is_complex else None
    named = isinstance(session, dict) and session.get("format") == "opaque"
    return _Subject(sub, _text(session.get("id"), LONGEST_SID) if named and isinstance(session, dict) else None)


def _text(value: object, longest: int = 255) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= longest else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
