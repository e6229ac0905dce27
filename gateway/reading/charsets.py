"""Which codec a name, a byte order mark, or a document's own words ask for."""

import re
from typing import Final

from gateway.reading.ports import Unreadable

_LABELS: Final = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    # Clients read ISO 8859-1 as windows-1252 (WHATWG Encoding, section 4.2): a dash may stand between digits there.
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso_8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "l1": "cp1252",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    "x-cp1252": "cp1252",
    "iso-8859-15": "iso8859-15",
    "iso8859-15": "iso8859-15",
    "latin9": "iso8859-15",
    "latin-9": "iso8859-15",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}
_PLAIN_RUN: Final = re.compile(rb"[\t\r\n\x20-\x7e]{8}")
PLAIN_RUN_BYTES: Final = 8
_META: Final = re.compile(rb"<meta\b[^>]{0,400}?charset[ \t\r\n\f]*=[ \t\r\n\f]*[\"']?[ \t\r\n\f]*([^\"'\s>;/]+)", re.I)
_XML_DECLARATION: Final = re.compile(rb"<\?xml[ \t\r\n][^>]{0,200}?encoding[ \t\r\n]*=[ \t\r\n]*([\"'])([^\"'>]*)\1")


def codec_of(label: str) -> str | None:
    """The Python codec for a charset's name; ``"utf-16"`` still awaits a byte order mark; ``None`` when unknown."""
    return _LABELS.get(label.strip().lower())


def is_two_texts(body: bytes, codec: str) -> bool:
    """Whether bytes that are to be read as UTF-16 hold plain ASCII too, which a client that ignores it would read."""
    return codec.startswith("utf-16") and _PLAIN_RUN.search(body) is not None


def mark_of(body: bytes) -> str | None:
    """The codec that a byte order mark names, ``"utf-32"`` included, ``None`` without a mark."""
    if body.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return "utf-32"
    if body.startswith(b"\xef\xbb\xbf"):
        return "utf-8"
    if body.startswith(b"\xff\xfe"):
        return "utf-16-le"
    return "utf-16-be" if body.startswith(b"\xfe\xff") else None


def declared_inside(family: str, body: bytes) -> str | Unreadable | None:
    """What the first kilobyte of an HTML or XML document says of its charset.

    A document that can be read byte by byte so far cannot be UTF-16, whatever it says (HTML standard, prescan).
    """
    start = body[:1024]
    if family == "html":
        labels = [found[1] for found in _META.finditer(start)]
    elif family == "xml":
        declaration = _XML_DECLARATION.match(start)
        labels = [declaration[2]] if declaration else []
    else:
        return None
    codecs = {codec_of(label.decode("ascii", "replace")) for label in labels}
    if None in codecs or len(codecs) > 1:
        return Unreadable("unknown charset")
    codec = next(iter(codecs), None)
    return "utf-8" if codec is not None and codec.startswith("utf-16") else codec
