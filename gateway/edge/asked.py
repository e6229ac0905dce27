"""What an answer of ours needs to know of its request: whether a person looks at it, and in which language."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from gateway.edge import words
from gateway.edge.words import Language


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer needs to know of its request. ``target``: path and query as sent; ``host``: lower-cased."""

    navigating: bool
    language: Language
    method: bytes
    target: bytes
    reference: str
    request_id: str
    signed_in: bool = False
    origin: str | None = None
    host: str = ""
    scheme: str = "bearer"  # "bearer" | "dpop"
    kind_of_credential: str = "none"  # "none" | "session" | "token"


def navigating(headers: Iterable[tuple[bytes, bytes]], method: bytes = b"GET") -> bool:
    """Whether a person's browser is going to a page (W3C Fetch Metadata; without it, GET or POST that accepts HTML)."""
    modes = [value for name, value in headers if name == b"sec-fetch-mode"]
    if modes:
        return modes == [b"navigate"]
    if method not in (b"GET", b"POST"):
        return False
    return any(name == b"accept" and b"text/html" in value.lower() for name, value in headers)


@lru_cache(maxsize=1024)
def language(accept_language: str | None, cookie: str | None = None) -> Language:
    """French or English: the person's own switch first, then Accept-Language (RFC 9110, 12.5.4), else English."""
    for known in words.LANGUAGES:
        if cookie == known:
            return known
    best: Language = "en"
    best_weight = 0.0
    for part in (accept_language or "").lower().split(","):
        tag, _, parameter = part.strip().partition(";")
        weight = _weight(parameter)
        for known in words.LANGUAGES:
            if tag.strip().split("-")[0] == known and weight > best_weight:
                best, best_weight = known, weight
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
