"""The one entry to the readers: a body of a known media type becomes a reading, a stream's reader, or a refusal.

A type is a claim: HTML that is JSON is read as both, plain text that is markup as markup; unsure, it is unreadable.
"""

from typing import Final

from gateway.core.extraction import Identifier, Record
from gateway.reading.body import Family, Inflater, Media, charset_for, decode
from gateway.reading.csv import CsvStream, looks_like_csv
from gateway.reading.html import read_html
from gateway.reading.json import read_json
from gateway.reading.media import is_inert
from gateway.reading.ports import Reading, RecordStream, Unreadable
from gateway.reading.rules import Rules
from gateway.reading.spans import SpanReading
from gateway.reading.streams import NdjsonStream, SseStream
from gateway.reading.text import read_text
from gateway.reading.xml import read_xml

_MARK: Final = "\ufeff"
_EMPTY: Final = SpanReading("", "utf-8", (Record((), ()),))


def read_document(media: Media, body: bytes, rules: Rules) -> Reading | Unreadable:
    """Read a whole body, its content coding already undone. An empty one carries nothing, whatever it is."""
    if not body:
        return _EMPTY
    if media.family is Family.INERT:
        return _inert(media, body)
    if media.family in (Family.OTHER, Family.UNTYPED):
        return Unreadable(f"{media.media_type or 'content without a type'} is not read")
    if media.family.is_stream:
        return Unreadable("a record stream where a document was expected")
    encoding = charset_for(media, body)
    if isinstance(encoding, Unreadable):
        return encoding
    text = decode(body, encoding)
    if isinstance(text, Unreadable):
        return text
    return _read(media.family, text, encoding, rules)


def _inert(media: Media, body: bytes) -> Reading | Unreadable:
    if not is_inert(media.media_type, body):
        return Unreadable("no media that proves itself inert")
    # Bytes as characters, one for one: nothing is found in them and they come out as they went in.
    return SpanReading(body.decode("latin-1"), "latin-1", (Record((), ()),))


def _read(family: Family, text: str, encoding: str, rules: Rules) -> Reading | Unreadable:
    match family:
        case Family.JSON:
            return read_json(text, encoding, rules)
        case Family.XML:
            return read_xml(text, encoding, rules)
        case Family.HTML:
            return _read_html(text, encoding, rules)
        case Family.TEXT:
            if _begins(text) == "<":
                return read_html(text, encoding, rules)
            return read_text(text, encoding, rules)
        case _:
            # In code and style sheets a colon names nothing, and a mask of what follows would break them.
            return read_text(text, encoding, rules, pairs=False)


def _read_html(text: str, encoding: str, rules: Rules) -> Reading | Unreadable:
    page = read_html(text, encoding, rules)
    if _begins(text) not in ("{", "[") or isinstance(page, Unreadable):
        return page
    document = read_json(text, encoding, rules)
    if isinstance(document, Unreadable):
        return page
    if _identifiers(page) <= _identifiers(document):
        return document
    return Unreadable("JSON called HTML, which says more as a page")


def _begins(text: str) -> str:
    return text[:2000].lstrip(_MARK + " \t\r\n\f")[:1]


def _identifiers(reading: Reading) -> set[Identifier]:
    return {one for record in reading.records for person in record.persons for one in person}


def stream_for(media: Media, first: bytes, rules: Rules) -> RecordStream | None:
    """The reader of a record stream that begins with the bytes ``first`` (coded as they came).

    ``None``: no record stream, or one whose charset cannot be told.
    """
    if not media.family.is_stream and media.family is not Family.TEXT:
        return None
    start = Inflater(media.coding, None).feed(first)
    if isinstance(start, Unreadable):
        return None
    encoding = charset_for(media, start)
    if isinstance(encoding, Unreadable):
        return None
    match media.family:
        case Family.CSV:
            return CsvStream(encoding, rules)
        case Family.TSV:
            return CsvStream(encoding, rules, separator="\t")
        case Family.NDJSON:
            return NdjsonStream(encoding, rules)
        case Family.SSE:
            return SseStream(encoding, rules)
        case _:
            text = start.decode(encoding, "replace")
            is_csv = _begins(text) not in ("<", "{", "[") and looks_like_csv(text.encode("utf-8"), rules)
            return CsvStream(encoding, rules) if is_csv else None
