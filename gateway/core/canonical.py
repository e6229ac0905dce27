"""The strict gate: one reading of the target, of the Host and of every header that decides.

Rules of this file:

1. The raw target is read once; what is classified is what is forwarded, byte for byte.
2. Whatever two parsers could read in two ways is refused, never repaired. An application that needs such targets
   names the exception; then every reading counts and the most sensitive wins.
3. The query is opaque: only controls and spaces are refused in it.
4. A header that decides stands once; names are compared lower-cased with ``_`` as ``-`` (CGI's view of them).
"""

import re
from collections.abc import Mapping, Sequence, Set
from functools import lru_cache
from itertools import product

from gateway.core.reasons import Reason, Refusal
from gateway.core.values import frozen

Headers = Sequence[tuple[bytes, bytes]]
Fields = Mapping[bytes, bytes]
"""A request's headers by their folded names: of one that stands twice the first value."""

ONCE = frozenset(
    {
        b"host",
        b"authorization",
        b"gateway-authorization",
        b"content-type",
        b"content-length",
        b"origin",
        b"transfer-encoding",
    }
)
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    }
)
"""RFC 9110 section 7.6.1, and the fields that old clients still send."""

METHOD_OVERRIDES = frozenset({b"x-http-method-override", b"x-http-method", b"x-method-override"})

_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_FORBIDDEN_RAW = re.compile(rb"[\x00-\x20\x7f#]")
_FORBIDDEN_QUERY = re.compile(rb"[\x00-\x20\x7f]")
_PLAIN_PATH = re.compile(rb"(?:/[A-Za-z0-9_~-][A-Za-z0-9_~.-]*+)++/?+|/")
"""Most paths: no escape, empty segment or dot segment, nor any character that somebody might read as another."""
_DECODED_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_OVERLONG = re.compile(rb"[\xc0\xc1]|\xe0[\x80-\x9f]|\xf0[\x80-\x8f]|[\xf8-\xff][\x80-\xbf]")
_DOTS = frozenset({b".", b".."})
_HOST = re.compile(
    rb"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(?::\d{1,5})?"
)


@frozen
class Target:
    """A request target: ``raw`` is forwarded, ``readings`` (decoded paths) and ``query`` are classified."""

    raw: bytes
    readings: tuple[bytes, ...]
    query: bytes

    @property
    def path(self) -> bytes:
        """The first reading: the path as written, percent-decoded."""
        return self.readings[0]


def _malformed(detail: str) -> Refusal:
    return Refusal(Reason.AMBIGUOUS_TARGET, detail=detail)


def canonicalise(raw_path: bytes, query: bytes, allow: frozenset[str] = frozenset()) -> Target | Refusal:
    """Read a request target once.

    ``allow`` holds an application's exceptions: ``double-slash``, ``semicolon``, ``encoded-slash``, ``backslash``.
    Returns a ``Refusal`` naming what is ambiguous.
    """
    if _PLAIN_PATH.fullmatch(raw_path) and (not query or not _FORBIDDEN_QUERY.search(query)):
        return Target(raw_path + b"?" + query if query else raw_path, (raw_path,), query)
    return _examined(raw_path, query, allow)


def _examined(raw_path: bytes, query: bytes, allow: frozenset[str]) -> Target | Refusal:
    if not raw_path.startswith(b"/"):
        return _malformed("the target is not in origin form")
    if _FORBIDDEN_RAW.search(raw_path) or _FORBIDDEN_QUERY.search(query):
        return _malformed("a control character, a space or '#' in the target")
    if _PERCENT.search(raw_path):
        return _malformed("'%' without two hexadecimal digits in the path")
    if _ESCAPE.search(_decode(raw_path)):
        return _malformed("a doubly encoded character in the path")
    problem = _ambiguity(raw_path, allow)
    if problem:
        return _malformed(problem)
    readings = _readings(raw_path, allow)
    for reading in readings:
        if any(segment in _DOTS for segment in reading.split(b"/")):
            return _malformed("a dot segment in the path")
    raw = raw_path + b"?" + query if query else raw_path
    return Target(raw, readings, query)


def _ambiguity(raw_path: bytes, allow: frozenset[str]) -> str | None:
    lowered = raw_path.lower()
    decoded = _decode(raw_path)
    checks = (
        ("encoded-slash", b"%2f" in lowered, "an encoded slash in the path"),
        ("backslash", b"\\" in decoded, "a backslash in the path"),
        ("double-slash", b"//" in raw_path, "an empty segment ('//') in the path"),
        ("semicolon", b";" in decoded, "a ';' parameter in the path"),
    )
    for quirk, present, words in checks:
        if present and quirk not in allow:
            return words
    if _DECODED_CONTROL.search(decoded):
        return "an encoded control character in the path"
    if _OVERLONG.search(decoded) and not _is_text(decoded):
        return "overlong UTF-8 in the path"
    return None


def _is_text(decoded: bytes) -> bool:
    """Whether bytes that look overlong are a lone legacy byte: 0xC0/0xC1 not followed by a continuation byte."""
    return re.search(rb"(?:[\xc0\xc1]|\xe0[\x80-\x9f]|\xf0[\x80-\x8f]|[\xf8-\xff])[\x80-\xbf]", decoded) is None


def _decode(path: bytes, keep: frozenset[bytes] = frozenset()) -> bytes:
    if b"%" not in path:
        return path

    def one(match: re.Match[bytes]) -> bytes:
        return match[0].lower() if match[1].lower() in keep else bytes((int(match[1], 16),))

    return _ESCAPE.sub(one, path)


def _readings(raw_path: bytes, allow: frozenset[str]) -> tuple[bytes, ...]:
    plain = _decode(raw_path, keep=frozenset({b"2f"}))
    if not allow:
        return (plain,)
    choices = product(*((False, True) for _ in _REWRITES))
    found = {plain: None}
    for choice in choices:
        reading = plain
        for (quirk, pattern, replacement), use in zip(_REWRITES, choice, strict=True):
            if use and quirk in allow:
                reading = pattern.sub(replacement, reading)
        found[reading] = None
    return tuple(found)


_REWRITES = (
    ("encoded-slash", re.compile(rb"%2f"), b"/"),
    ("backslash", re.compile(rb"\\"), b"/"),
    ("semicolon", re.compile(rb";[^/]*"), b""),
    ("double-slash", re.compile(rb"//+"), b"/"),
)


@lru_cache(maxsize=1024)
def folded(name: bytes) -> bytes:
    """A header's name as every application may read it: lower-cased, ``_`` as ``-``."""
    return name.lower().replace(b"_", b"-")


def fields_of(headers: Headers) -> Fields:
    """The headers by name, read once for all that is asked of them."""
    return {folded(name): value for name, value in reversed(headers)}


def check_headers(headers: Headers, fields: Fields) -> Refusal | None:
    """Refuse a request in which a header that decides stands twice, or ``Connection`` names a protected one."""
    if len(fields) < len(headers):
        names = [folded(name) for name, _ in headers]
        for key in ONCE:
            if names.count(key) > 1:
                return Refusal(Reason.MALFORMED_REQUEST, detail=f"the header {key.decode()} stands twice")
    if fields.get(b"transfer-encoding", b"chunked").strip().lower() != b"chunked":
        return Refusal(Reason.MALFORMED_REQUEST, detail="a transfer coding that is not chunked")
    if b"connection" in fields:
        for named in named_by_connection(headers):
            if named in ONCE or named.startswith(b"x-gateway-") or named in (b"cookie", b"x-request-id"):
                return Refusal(Reason.MALFORMED_REQUEST, detail="Connection names a protected header")
    return None


def host_of(fields: Fields) -> str | Refusal:
    """The request's host, lower-cased, with its port as sent; refused when it is not plainly a name or address."""
    host = fields.get(b"host")
    if host is None:
        return Refusal(Reason.UNKNOWN_HOST, detail="no Host header")
    return _plain_host(host) or Refusal(Reason.UNKNOWN_HOST, detail="the Host header is not a plain host name")


@lru_cache(maxsize=256)
def _plain_host(host: bytes) -> str:
    """A host as sent, lower-cased; empty where it is not plainly one."""
    return host.lower().decode("ascii") if _HOST.fullmatch(host.lower()) else ""


def joined(headers: Headers, name: bytes, separator: bytes = b",") -> bytes | None:
    """All values of one list header, joined (cookies with ``; ``: HTTP/2 splits them)."""
    values = [value for key, value in headers if folded(key) == name]
    return separator.join(values) if values else None


def end_to_end(headers: Headers, drop: Set[bytes] = frozenset()) -> list[tuple[bytes, bytes]]:
    """The headers that travel on, in order: no hop-by-hop fields, none that ``Connection`` names, none of ``drop``."""
    named = named_by_connection(headers)
    return [
        (name, value)
        for name, value in headers
        if (key := folded(name)) not in drop and key not in HOP_BY_HOP and key not in named
    ]


def named_by_connection(headers: Headers) -> Set[bytes]:
    """The names, folded, of the fields that are for this connection alone."""
    named: Set[bytes] = frozenset()
    for name, value in headers:
        if folded(name) == b"connection":
            named |= _options(value)
    return named


@lru_cache(maxsize=256)
def _options(connection: bytes) -> Set[bytes]:
    return frozenset(folded(option.strip()) for option in connection.split(b","))
