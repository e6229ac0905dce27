"""Opening a body: what its header fields say it is, its coding undone, its bytes read as characters, or a refusal.

Rules of this file:

1. One known media type, at most one known coding, one known charset: anything else is ``Unreadable``.
2. A body is whole or unreadable: truncated, followed by other bytes, or growing beyond the caps.
3. Bytes become characters strictly, by a codec that gives the same bytes back.
"""

import codecs
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from gateway.reading.charsets import codec_of, declared_inside, is_two_texts, mark_of
from gateway.reading.ports import Unreadable

MAX_DOCUMENT_BYTES: Final = 8 * 1024 * 1024
MAX_RATIO: Final = 100
"""Decoded bytes allowed for one coded byte."""
RATIO_FLOOR_BYTES: Final = 64 * 1024
"""Below this size the ratio says nothing: a short repetitive page compresses well."""


class Family(StrEnum):
    """How content of a media type is read."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    TSV = "tsv"
    XML = "xml"
    HTML = "html"
    TEXT = "text"
    SSE = "sse"
    CSS = "css"
    JAVASCRIPT = "javascript"
    INERT = "inert"
    OTHER = "other"
    UNTYPED = "untyped"

    @property
    def is_stream(self) -> bool:
        """Whether content of this family is a record stream (text may be one: see ``read.stream_for``)."""
        return self in (Family.NDJSON, Family.CSV, Family.TSV, Family.SSE)


@dataclass(frozen=True, slots=True)
class Media:
    """What an answer's header fields say of its body. ``charset``: the codec declared, ``None`` when none is."""

    family: Family
    media_type: str
    coding: str = "identity"
    charset: str | None = None


_FAMILIES: Final = {
    "application/json": Family.JSON,
    "text/json": Family.JSON,
    "text/x-json": Family.JSON,
    "application/x-ndjson": Family.NDJSON,
    "application/ndjson": Family.NDJSON,
    "application/jsonl": Family.NDJSON,
    "application/x-jsonlines": Family.NDJSON,
    "text/csv": Family.CSV,
    "application/csv": Family.CSV,
    "text/comma-separated-values": Family.CSV,
    "text/tab-separated-values": Family.TSV,
    "application/xml": Family.XML,
    "text/xml": Family.XML,
    "text/html": Family.HTML,
    "application/xhtml+xml": Family.HTML,
    "text/event-stream": Family.SSE,
    "text/css": Family.CSS,
    "text/javascript": Family.JAVASCRIPT,
    "text/ecmascript": Family.JAVASCRIPT,
    "application/javascript": Family.JAVASCRIPT,
    "application/x-javascript": Family.JAVASCRIPT,
    "application/ecmascript": Family.JAVASCRIPT,
    "application/font-woff": Family.INERT,
    "application/font-woff2": Family.INERT,
    "application/ogg": Family.INERT,
    "text/rtf": Family.OTHER,
    "application/json-seq": Family.OTHER,
}
_CODINGS: Final = {b"identity": "identity", b"gzip": "gzip", b"x-gzip": "gzip", b"deflate": "deflate"}
_WATCHED: Final = frozenset({b"content-type", b"content-encoding", b"content-range", b"transfer-encoding"})

_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE: Final = re.compile(rf"[ \t]*({_NAME})/({_NAME})[ \t]*")
_PARAMETER: Final = re.compile(
    rf";[ \t]*(?:({_NAME})=(?:({_NAME})|\"((?:[\t !#-\[\]-~]|\\[\t -~])*)\")[ \t]*)?",
)


def open_headers(headers: Sequence[tuple[bytes, bytes]], status: int = 200) -> Media | Unreadable:
    """What an answer with these header fields is (RFC 9110 section 8), or why it cannot be read whole.

    Without a Content-Type the family is ``UNTYPED``: readable only when empty.
    """
    seen: dict[bytes, bytes] = {}
    for name, value in headers:
        plain = _plain(name)
        if plain not in _WATCHED:
            continue
        if name.lower() != plain or plain in seen:
            return Unreadable(f"{plain.decode()} written twice or oddly")
        seen[plain] = value
    if status == 206 or b"content-range" in seen:
        return Unreadable("partial content")
    if seen.get(b"transfer-encoding", b"chunked").strip().lower() != b"chunked":
        return Unreadable("unknown transfer coding")
    coding = _CODINGS.get(seen.get(b"content-encoding", b"identity").strip(b" \t").lower())
    if coding is None:
        return Unreadable("unknown content coding")
    if b"content-type" not in seen:
        return Media(Family.UNTYPED, "", coding)
    return _media(seen[b"content-type"], coding)


@lru_cache(maxsize=1024)
def _plain(name: bytes) -> bytes:
    return name.strip().lower().replace(b"_", b"-")


@lru_cache(maxsize=512)
def _media(field: bytes, coding: str) -> Media | Unreadable:
    try:
        text = field.decode("ascii")
    except UnicodeDecodeError:
        return Unreadable("malformed content type")
    match = _MEDIA_TYPE.match(text)
    if match is None:
        return Unreadable("malformed content type")
    media_type = f"{match[1]}/{match[2]}".lower()
    charset: str | None = None
    names: set[str] = set()
    position = match.end()
    while position < len(text):
        parameter = _PARAMETER.match(text, position)
        if parameter is None:
            return Unreadable("malformed content type")
        position = parameter.end()
        if parameter[1] is None:
            continue
        name = parameter[1].lower()
        if name in names:
            return Unreadable("a content type's parameter given twice")
        names.add(name)
        if name == "charset":
            value = parameter[2] if parameter[2] is not None else re.sub(r"\\(.)", r"\1", parameter[3])
            charset = codec_of(value)
            if charset is None:
                return Unreadable("unknown charset")
    return Media(_family(media_type), media_type, coding, charset)


def _family(media_type: str) -> Family:
    known = _FAMILIES.get(media_type)
    if known is not None:
        return known
    kind, _, subtype = media_type.partition("/")
    if subtype.endswith("+json"):
        return Family.JSON
    if subtype.endswith("+xml"):
        return Family.XML
    if kind == "text":
        return Family.TEXT
    return Family.INERT if kind in ("image", "font", "audio", "video") else Family.OTHER


class Inflater:
    """Undoes one content coding piece by piece, within an absolute cap and a ratio cap (RFC 9110 section 8.4.1).

    ``max_bytes`` counts decoded bytes; ``None`` for record streams, which are released as they are read. Several
    gzip members are one body (RFC 1952 section 2.2); after the last nothing may follow. ``deflate`` is zlib's format
    or the bare one that some servers send. Once unreadable, it stays so.
    """

    def __init__(self, coding: str, max_bytes: int | None = MAX_DOCUMENT_BYTES) -> None:
        if coding not in _CODINGS.values():
            raise ValueError(coding)
        self._coding = coding
        self._max_bytes = max_bytes
        self._read = 0
        self._written = 0
        self._start = b""
        self._member: zlib._Decompress | None = None
        self._failed: Unreadable | None = None

    def feed(self, data: bytes) -> bytes | Unreadable:
        """The decoded bytes that ``data`` completes."""
        if self._failed is not None:
            return self._failed
        try:
            return self._decoded(data)
        except zlib.error:
            return self._fail("corrupt content coding")
        except _Refused as refused:
            return self._fail(str(refused))

    def end(self) -> Unreadable | None:
        """Call when the body has ended: why it is not whole, or ``None``."""
        if self._failed is not None:
            return self._failed
        if self._coding == "identity" or self._read == 0:
            return None
        if self._start or self._member is None or not self._member.eof:
            return self._fail("truncated content coding")
        return None

    def _fail(self, reason: str) -> Unreadable:
        self._failed = Unreadable(reason)
        self._member = None
        return self._failed

    def _decoded(self, data: bytes) -> bytes:
        pieces: list[bytes] = []
        # Slices keep the copying of what follows a member linear when a body holds very many members.
        for start in range(0, len(data), 65_536):
            piece = data[start : start + 65_536]
            self._read += len(piece)
            if self._coding == "identity":
                self._count(len(piece))
                pieces.append(piece)
            else:
                self._inflate(piece, pieces)
        return b"".join(pieces)

    def _inflate(self, piece: bytes, pieces: list[bytes]) -> None:
        rest = self._start + piece
        self._start = b""
        while rest:
            if self._member is None or (self._member.eof and self._coding == "gzip"):
                if len(rest) < 2:
                    self._start = rest
                    return
                self._member = zlib.decompressobj(self._window_bits(rest))
            if self._member.eof:
                raise _Refused("bytes after the coded body")
            decoded = self._member.decompress(rest, self._allowed() - self._written + 1)
            self._count(len(decoded))
            pieces.append(decoded)
            rest = self._member.unused_data

    def _window_bits(self, start: bytes) -> int:
        if self._coding == "gzip":
            if start[:2] != b"\x1f\x8b":
                raise _Refused("not gzip, or bytes after it")
            return 31
        looks_like_zlib = start[0] & 0x0F == 8 and start[0] >> 4 <= 7 and (start[0] << 8 | start[1]) % 31 == 0
        return 15 if looks_like_zlib else -15

    def _allowed(self) -> int:
        by_ratio = max(RATIO_FLOOR_BYTES, MAX_RATIO * self._read)
        return by_ratio if self._max_bytes is None else min(by_ratio, self._max_bytes)

    def _count(self, size_bytes: int) -> None:
        self._written += size_bytes
        if self._max_bytes is not None and self._written > self._max_bytes:
            raise _Refused("too large to read")
        if self._coding != "identity" and self._written > self._allowed():
            raise _Refused("decodes to far more than was sent")


class _Refused(Exception):
    """Carries a reason out of the loop above, no further."""


def charset_for(media: Media, body: bytes) -> str | Unreadable:
    """The codec that reads ``body``: byte order mark, header field, what HTML or XML say of themselves, UTF-8.

    A mark that contradicts the declaration is unreadable: two clients would read two texts.
    """
    mark = mark_of(body)
    if mark == "utf-32":
        return Unreadable("unknown charset")
    declared = media.charset
    if mark is not None:
        same = declared is None or declared == mark or (declared == "utf-16" and mark.startswith("utf-16"))
        return mark if same else Unreadable("the byte order mark contradicts the charset")
    if declared is not None and media.family is not Family.XML:
        return "utf-16-le" if declared == "utf-16" else declared
    inside = declared_inside(media.family.value, body)
    if isinstance(inside, Unreadable):
        return inside
    if declared is not None and inside is not None and declared != inside and not body.isascii():
        return Unreadable("the document contradicts the declared charset")
    chosen = declared or inside or "utf-8"
    return "utf-16-le" if chosen == "utf-16" else chosen


def decode(body: bytes, charset: str) -> str | Unreadable:
    """``body`` as characters, strictly: no invalid sequence, no NUL. A byte order mark stays as U+FEFF.

    Encoding the result with the same ``charset`` gives ``body`` back.
    """
    try:
        text = codecs.lookup(charset).decode(body, "strict")[0]
    except (UnicodeError, LookupError):
        return Unreadable(f"not valid {charset}")
    if "\0" in text:
        return Unreadable("NUL in text")
    if is_two_texts(body, charset):
        return Unreadable("ASCII in UTF-16")
    return text
