"""The one entry: which reader a body gets."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markup_rules import ALL, RULES, numbers

from gateway.reading.body import Media, open_headers
from gateway.reading.csv import CsvStream
from gateway.reading.ports import Reading, Unreadable
from gateway.reading.read import read_document, stream_for
from gateway.reading.streams import NdjsonStream, SseStream

NIR = "2951099126111"


def media(value: bytes, *more: tuple[bytes, bytes]) -> Media:
    opened = open_headers([(b"content-type", value), *more])
    assert isinstance(opened, Media)
    return opened


def read(value: bytes, body: bytes) -> Reading | Unreadable:
    return read_document(media(value), body, RULES)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"application/json", f'{{"nir": "{NIR}"}}'),
        (b"text/xml", f"<nir>{NIR}</nir>"),
        (b"image/svg+xml", f"<svg><text class='x'>{NIR}93</text></svg>"),
        (b"text/html", f"<i class=nir>{NIR}</i>"),
        (b"text/html", f'{{"nir": "{NIR}"}}'),
        (b"text/plain", f"<html><i class=nir>{NIR}</i>"),
        (b"text/plain", f'{{"nir": "{NIR}"}}'),
        (b"text/plain", f"numero {NIR}93"),
        (b"text/css", f"/* {NIR}93 */"),
        (b"application/javascript", f"var a = '{NIR}93'"),
    ],
)
@pytest.mark.parametrize("codec", ["utf-8", "iso-8859-1", "utf-16", "utf-16le"])
def test_document_is_read_by_its_type_and_charset(value: bytes, text: str, codec: str) -> None:
    body = (text + "\n").encode(codec)
    reading = read(value + b"; charset=" + codec.encode(), body)
    assert not isinstance(reading, Unreadable)
    assert numbers(reading) == {NIR}
    assert reading.masked(frozenset()) == body
    hidden = reading.masked(ALL).decode(codec)
    assert NIR not in hidden
    assert "MASKx" in hidden


@pytest.mark.parametrize(
    ("value", "body"),
    [
        (b"application/octet-stream", b"x"),
        (b"multipart/mixed; boundary=x", b"x"),
        (b"application/pdf", b"%PDF"),
        (b"image/png", b"no png"),
        (b"text/csv", b"a,b"),
        (b"text/html; charset=utf-8", b"\xe9"),
        (b"text/plain", b"a\0b"),
        (b"application/json", '{"nir": 1}'.encode("utf-16-le")),
        (b"text/html", b'{"a": "295<b>10</b>9912611193"}'),
    ],
)
def test_what_is_not_provably_plain_is_unreadable(value: bytes, body: bytes) -> None:
    assert isinstance(read(value, body), Unreadable)


def test_body_without_a_type_is_unreadable_unless_empty() -> None:
    untyped = open_headers([])
    assert isinstance(untyped, Media)
    assert isinstance(read_document(untyped, b"x", RULES), Unreadable)
    assert not isinstance(read_document(untyped, b"", RULES), Unreadable)


def test_inert_media_carry_nothing_and_pass_unchanged() -> None:
    picture = b"\x89PNG\r\n\x1a\n\xff\x00"
    reading = read(b"image/png", picture)
    assert not isinstance(reading, Unreadable)
    assert reading.masked(ALL) == picture


@pytest.mark.parametrize(
    ("value", "first", "stream"),
    [
        (b"text/csv", b"", CsvStream),
        (b"text/tab-separated-values", b"a", CsvStream),
        (b"application/x-ndjson", b"{", NdjsonStream),
        (b"text/event-stream", b"data", SseStream),
        (b"text/plain", b"nom,nir\r\nA,1\r\n", CsvStream),
        (b"text/plain; charset=utf-16le", "nom,nir\r\nA,1\r\n".encode("utf-16-le"), CsvStream),
        (b"text/plain", b"Un texte.\n", type(None)),
        (b"text/plain", b'{"nir": 1,\n"nom": 2}', type(None)),
        (b"text/html", b"nom,nir\n", type(None)),
        (b"text/csv; charset=utf-16be", b"\xff\xfea\0", type(None)),
    ],
)
def test_stream_is_read_by_its_type(value: bytes, first: bytes, stream: type) -> None:
    assert type(stream_for(media(value), first, RULES)) is stream


def test_coded_text_is_looked_into() -> None:
    coded = media(b"text/plain", (b"content-encoding", b"gzip"))
    assert isinstance(stream_for(coded, gzip.compress(b"nom,nir\r\nA,1\r\n"), RULES), CsvStream)


TYPES = st.sampled_from([b"application/json", b"text/html", b"text/xml", b"text/plain", b"text/css", b"image/gif"])
BODIES = st.binary(max_size=80) | st.sampled_from([b"<a>", b"{}", b"<r>\xc3\xa9</r>", b"\xff\xfe<\0", b"GIF89a"])


@given(TYPES, st.sampled_from([b"", b"; charset=utf-16", b"; charset=latin1"]), BODIES, st.binary(max_size=20))
def test_bytes_never_raise(value: bytes, charset: bytes, body: bytes, more: bytes) -> None:
    reading = read(value + charset, body + more)
    if not isinstance(reading, Unreadable):
        assert reading.masked(frozenset()) == body + more
    stream_for(media(value + charset), body + more, RULES)
