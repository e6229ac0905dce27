"""Opening a body: header fields, codings, charsets."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.reading.body import Family, Inflater, Media, charset_for, decode, open_headers
from gateway.reading.ports import Unreadable


def typed(value: bytes, *more: tuple[bytes, bytes]) -> Media | Unreadable:
    return open_headers([(b"Content-Type", value), *more])


def family(value: bytes) -> Family:
    media = typed(value)
    assert isinstance(media, Media)
    return media.family


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"application/json", Family.JSON),
        (b"Application/Problem+JSON; charset=UTF-8", Family.JSON),
        (b"application/x-ndjson", Family.NDJSON),
        (b"application/jsonl", Family.NDJSON),
        (b"application/json-seq", Family.OTHER),
        (b"text/csv;header=present", Family.CSV),
        (b"text/tab-separated-values", Family.TSV),
        (b"text/xml", Family.XML),
        (b"image/svg+xml", Family.XML),
        (b"application/xhtml+xml", Family.HTML),
        (b"text/html;", Family.HTML),
        (b"text/plain", Family.TEXT),
        (b"text/vcard", Family.TEXT),
        (b"text/event-stream", Family.SSE),
        (b"text/css", Family.CSS),
        (b"application/javascript", Family.JAVASCRIPT),
        (b"image/png", Family.INERT),
        (b"multipart/mixed; boundary=x", Family.OTHER),
        (b"message/rfc822", Family.OTHER),
        (b"application/octet-stream", Family.OTHER),
    ],
)
def test_media_type_names_its_family(value: bytes, expected: Family) -> None:
    assert family(value) is expected


@pytest.mark.parametrize(
    ("value", "codec"),
    [
        (b"text/plain; charset=utf-8", "utf-8"),
        (b'text/plain; charset="ISO-8859-1"', "cp1252"),
        (b'text/plain; charset="u\\tf-8"', "utf-8"),
        (b"text/plain; charset=latin9", "iso8859-15"),
        (b"text/plain", None),
    ],
)
def test_charset_parameter_is_read(value: bytes, codec: str | None) -> None:
    media = typed(value)
    assert isinstance(media, Media)
    assert media.charset == codec


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"json",
        b"text/html, application/json",
        b"text/html charset=utf-8",
        b"text/html; charset",
        b"text/html; charset=utf-8; charset=utf-16",
        b"text/html; charset=utf-7",
        b'text/html; charset="utf-8',
        b"text/html\x00",
        b"text/html; a=\xe9",
    ],
)
def test_malformed_content_type_is_unreadable(value: bytes) -> None:
    assert isinstance(typed(value), Unreadable)


def test_two_content_types_are_unreadable() -> None:
    assert isinstance(typed(b"text/css", (b"content-type", b"text/html")), Unreadable)


@pytest.mark.parametrize("name", [b"Content-Type ", b"content_type"])
def test_oddly_written_watched_name_is_unreadable(name: bytes) -> None:
    assert isinstance(open_headers([(name, b"text/html")]), Unreadable)


def test_missing_content_type_is_untyped() -> None:
    assert open_headers([]) == Media(Family.UNTYPED, "")


@pytest.mark.parametrize(
    ("value", "coding"), [(b"gzip", "gzip"), (b" X-GZip", "gzip"), (b"deflate", "deflate"), (b"identity", "identity")]
)
def test_known_coding_is_named(value: bytes, coding: str) -> None:
    media = typed(b"text/html", (b"Content-Encoding", value))
    assert isinstance(media, Media)
    assert media.coding == coding


@pytest.mark.parametrize("value", [b"br", b"gzip, gzip", b"gzip;q=1", b"gz\x00ip", b"", b"deflate;"])
def test_any_other_coding_is_unreadable(value: bytes) -> None:
    assert isinstance(typed(b"text/html", (b"Content-Encoding", value)), Unreadable)


def test_two_codings_are_unreadable() -> None:
    assert isinstance(
        typed(b"text/html", (b"Content-Encoding", b"identity"), (b"content-encoding", b"gzip")), Unreadable
    )


def test_partial_content_is_unreadable() -> None:
    assert isinstance(typed(b"text/html", (b"Content-Range", b"bytes 0-1/2")), Unreadable)
    assert isinstance(open_headers([(b"content-type", b"text/html")], status=206), Unreadable)


def test_unknown_transfer_coding_is_unreadable() -> None:
    assert isinstance(typed(b"text/html", (b"Transfer-Encoding", b"gzip, chunked")), Unreadable)


def inflate(coding: str, data: bytes, size: int, max_bytes: int | None = 1 << 20) -> bytes | Unreadable:
    inflater = Inflater(coding, max_bytes)
    pieces: list[bytes] = []
    for start in range(0, len(data), size):
        piece = inflater.feed(data[start : start + size])
        if isinstance(piece, Unreadable):
            return piece
        pieces.append(piece)
    return inflater.end() or b"".join(pieces)


def raw_deflate(data: bytes) -> bytes:
    coder = zlib.compressobj(wbits=-15)
    return coder.compress(data) + coder.flush()


CODERS = {"identity": bytes, "gzip": gzip.compress, "deflate": zlib.compress}


@given(st.sampled_from(sorted(CODERS)), st.binary(max_size=2000), st.integers(1, 50))
def test_inflater_gives_back_what_was_coded(coding: str, data: bytes, size: int) -> None:
    assert inflate(coding, CODERS[coding](data), size) == data


@given(st.binary(min_size=1, max_size=500), st.integers(1, 50))
def test_bare_deflate_is_decoded(data: bytes, size: int) -> None:
    assert inflate("deflate", raw_deflate(data), size) == data


@given(st.integers(1, 100))
def test_gzip_members_follow_one_another(size: int) -> None:
    assert inflate("gzip", gzip.compress(b"one") + gzip.compress(b"two"), size) == b"onetwo"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@given(data=st.data())
def test_truncated_body_is_unreadable(coding: str, data: st.DataObject) -> None:
    coded = CODERS[coding](b"a body of some length")
    cut = data.draw(st.integers(1, len(coded) - 1))
    assert isinstance(inflate(coding, coded[:cut], 7), Unreadable)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("tail", [b"\0", b"295109912611193", b"\x1f\x8b"])
@pytest.mark.parametrize("size", [1, 1000])
def test_bytes_after_the_coded_body_are_unreadable(coding: str, tail: bytes, size: int) -> None:
    assert isinstance(inflate(coding, CODERS[coding](b"body") + tail, size), Unreadable)


def test_no_bytes_at_all_are_a_whole_body() -> None:
    assert Inflater("gzip").end() is None


def test_bomb_is_unreadable_by_ratio() -> None:
    assert inflate("gzip", gzip.compress(bytes(10_000_000)), 100, None) == Unreadable(
        "decodes to far more than was sent"
    )


def test_small_repetitive_body_is_no_bomb() -> None:
    assert inflate("gzip", gzip.compress(b" " * 60_000), 1000) == b" " * 60_000


@pytest.mark.parametrize("coding", sorted(CODERS))
def test_cap_is_absolute(coding: str) -> None:
    body = bytes(range(256)) * 4
    assert inflate(coding, CODERS[coding](body), 64, 1024) == body
    assert inflate(coding, CODERS[coding](body + b"!"), 64, 1024) == Unreadable("too large to read")


def test_failed_inflater_stays_unreadable() -> None:
    inflater = Inflater("gzip")
    first = inflater.feed(b"not gzip")
    assert isinstance(first, Unreadable)
    assert inflater.feed(gzip.compress(b"x")) == first == inflater.end()


@given(st.sampled_from(["gzip", "deflate"]), st.lists(st.binary(max_size=30), max_size=6))
def test_inflater_never_raises(coding: str, pieces: list[bytes]) -> None:
    inflater = Inflater(coding)
    for piece in pieces:
        assert isinstance(inflater.feed(piece), bytes | Unreadable)
    assert isinstance(inflater.end(), Unreadable | None)


def charset(value: bytes, body: bytes) -> str | Unreadable:
    media = typed(value)
    assert isinstance(media, Media)
    return charset_for(media, body)


@pytest.mark.parametrize(
    ("value", "body", "codec"),
    [
        (b"text/plain", b"x", "utf-8"),
        (b"text/plain; charset=iso-8859-1", b"x", "cp1252"),
        (b"text/plain", b"\xff\xfex\0", "utf-16-le"),
        (b"text/plain; charset=utf-16", b"\xfe\xff\0x", "utf-16-be"),
        (b"text/plain; charset=utf-16", b"x\0", "utf-16-le"),
        (b"text/html", b'<meta charset="ISO-8859-15">', "iso8859-15"),
        (
            b"text/html",
            b'<META http-equiv=content-type content="text/html; charset=windows-1252">',
            "cp1252",
        ),
        (b"text/html", b"<meta charset=utf-16>", "utf-8"),
        (b"text/html; charset=utf-8", b"<meta charset=latin1>", "utf-8"),
        (b"text/xml", b"<?xml version='1.0' encoding='iso-8859-1'?><a/>", "cp1252"),
        (b"text/xml; charset=utf-8", b"<?xml version='1.0' encoding='iso-8859-1'?><a/>", "utf-8"),
    ],
)
def test_charset_is_mark_then_field_then_document(value: bytes, body: bytes, codec: str) -> None:
    assert charset(value, body) == codec


@pytest.mark.parametrize(
    ("value", "body"),
    [
        (b"text/plain; charset=iso-8859-1", b"\xef\xbb\xbfx"),
        (b"text/plain; charset=utf-16le", b"\xfe\xff\0x"),
        (b"text/plain", b"\xff\xfe\0\0x\0\0\0"),
        (b"text/html", b"<meta charset=utf-7>"),
        (b"text/html", b"<meta charset=utf-8><meta charset=latin1>"),
        (b"text/xml; charset=utf-8", "<?xml version='1.0' encoding='iso-8859-1'?><é/>".encode()),
    ],
)
def test_contradicting_or_unknown_charset_is_unreadable(value: bytes, body: bytes) -> None:
    assert isinstance(charset(value, body), Unreadable)


@pytest.mark.parametrize(
    ("body", "codec"),
    [(b"\xe9", "utf-8"), (b"\xe9", "ascii"), (b"2\x009\x00", "utf-8"), (b"x\0\0", "utf-16-le"), (b"\x81", "cp1252")],
)
def test_body_not_in_its_charset_is_unreadable(body: bytes, codec: str) -> None:
    assert isinstance(decode(body, codec), Unreadable)


@given(st.binary(max_size=200), st.sampled_from(["utf-8", "ascii", "cp1252", "iso8859-15", "utf-16-le", "utf-16-be"]))
def test_decoded_text_encodes_to_the_same_bytes(body: bytes, codec: str) -> None:
    text = decode(body, codec)
    assert isinstance(text, Unreadable) or text.encode(codec) == body


@given(st.lists(st.tuples(st.sampled_from([b"Content-Type", b"content-encoding", b"x"]), st.binary(max_size=40))))
def test_open_headers_never_raises(headers: list[tuple[bytes, bytes]]) -> None:
    assert isinstance(open_headers(headers), Media | Unreadable)
