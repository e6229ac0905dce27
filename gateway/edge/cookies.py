"""Cookies of our own: names, attributes, and one strict reading (RFC 6265; prefixes: RFC 6265bis 4.1.3)."""

import re
from collections.abc import Iterable

SESSION = "__Host-gateway"
FLOW = "__Host-gateway-flow"
LANGUAGE = "gateway_lang"
WAY = "gateway_way"

PLAIN = re.compile(r"[A-Za-z0-9_.~-]{1,512}")


class AmbiguousCookie(ValueError):
    """One of our names stands twice, or holds what we never set."""


def read(headers: Iterable[tuple[bytes, bytes]], name: str) -> str | None:
    """The value of one of our cookies, ``None`` when there is none or it is empty.

    All ``Cookie`` fields count as one (HTTP/2 splits them). :raises AmbiguousCookie: when the name stands twice.
    """
    line = b"; ".join(value for field, value in headers if field == b"cookie").decode("latin-1")
    found = [
        value.strip() for key, _, value in (part.partition("=") for part in line.split(";")) if key.strip() == name
    ]
    if len(found) > 1:
        raise AmbiguousCookie(f"{name} stands {len(found)} times")
    if not found or not found[0]:
        return None
    if not PLAIN.fullmatch(found[0]):
        raise AmbiguousCookie(f"{name} holds what we never set")
    return found[0]


def session(value: str) -> tuple[bytes, bytes]:
    """The header that gives a browser its session; it ends with the browser or on the server."""
    return _set(f"{SESSION}={value}; Path=/; Secure; HttpOnly; SameSite=Lax")


def end_session() -> tuple[bytes, bytes]:
    """The header that takes the session's cookie away."""
    return _set(f"{SESSION}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")


def flow(value: str, max_age_s: int) -> tuple[bytes, bytes]:
    """The header that binds a sign-in to the browser in which it began."""
    return _set(f"{FLOW}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={max_age_s}")


def kept_name(kept_id: str) -> str:
    """The cookie that holds the browser's half of the key to a request or an answer that is kept."""
    return f"{SESSION}-kept.{kept_id}"


def kept(kept_id: str, half: str, *, after_sign_in: bool = False) -> tuple[bytes, bytes]:
    """The header that gives a browser its half of the key; no other site's request brings it along.

    ``after_sign_in``: but the way back from a partner's sign-in, which browsers take for another site's link.
    """
    same_site = "Lax" if after_sign_in else "Strict"
    return _set(f"{kept_name(kept_id)}={half}; Path=/; Secure; HttpOnly; SameSite={same_site}; Max-Age=600")


def no_longer_kept(kept_id: str) -> tuple[bytes, bytes]:
    """The header that takes the half of a key away."""
    return _set(f"{kept_name(kept_id)}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0")


def chosen_language(language: str) -> tuple[bytes, bytes]:
    """The header that remembers the language switch; no secret, so also for plain HTTP."""
    return _set(f"{LANGUAGE}={language}; Path=/; SameSite=Lax; Max-Age=31536000")


def used_way(kind: str) -> tuple[bytes, bytes]:
    """The header that remembers on a device how its person confirmed last; no secret, and read by our pages' script."""
    return _set(f"{WAY}={kind}; Path=/; SameSite=Lax; Max-Age=31536000")


def _set(value: str) -> tuple[bytes, bytes]:
    return b"set-cookie", value.encode("ascii")
