"""What comes to the demo's OpenID provider, read strictly; pure."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_plus

Fields = dict[str, str]


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in of one person at this provider."""

    sid: str
    login: str
    auth_time: float


@dataclass(frozen=True, slots=True)
class Code:
    """What an authorization code stands for, bound to client, redirect URI and challenge."""

    request: Fields
    session: Session
    expires_at: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """An OAuth error (RFC 6749 §4.1.2.1, §5.2) in the answer's own words."""

    error: str
    status: int = 400


def fields(encoded: bytes) -> Fields | None:
    """The parameters of a query or a form, `None` where one comes twice (RFC 6749 §3.1)."""
    pairs = parse_qsl(encoded.decode("latin-1"), keep_blank_values=True, errors="replace")
    found = dict(pairs)
    return found if len(found) == len(pairs) else None


def request_error(asked: Fields) -> str | None:
    """What is wrong with an authorization request whose client and redirect URI are known."""
    if "request" in asked or "request_uri" in asked:
        return "request_not_supported" if "request" in asked else "request_uri_not_supported"
    if asked.get("response_type") != "code":
        return "unsupported_response_type"
    if "openid" not in asked.get("scope", "").split():
        return "invalid_scope"
    well_formed = (
        asked.get("code_challenge_method") == "S256"
        and len(asked.get("code_challenge", "")) == 43
        and asked["code_challenge"].isascii()
        and asked.get("response_mode", "query") == "query"
        and asked.get("prompt", "login") in ("none", "login", "consent", "select_account")
        and asked.get("max_age", "0").isdecimal()
        and len(asked.get("max_age", "")) < 10
    )
    return None if well_formed else "invalid_request"


def login_needed(asked: Fields, session: Session, now: float) -> bool:
    if asked.get("prompt") in ("login", "select_account"):
        return True
    # Strictly younger, so that `max_age=0` always asks (OpenID Connect Core §3.1.2.1).
    return "max_age" in asked and now - session.auth_time >= int(asked["max_age"])


def basic_pair(authorization: str) -> tuple[str, str]:
    """Client id and secret of HTTP Basic, each form-encoded inside (RFC 6749 §2.3.1); empty where unreadable."""
    kind, _, encoded = authorization.partition(" ")
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return (unquote_plus(name), unquote_plus(secret)) if kind.lower() == "basic" else ("", "")
