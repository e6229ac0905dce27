"""The shape of a mask, and its way back in requests."""

import json
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.reading.masks import is_masked, mask, masked_fields

MULTIPART = (
    b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n%s\r\n'
    b'--B\r\nContent-Disposition: form-data; name="f"; filename="f.json"\r\nContent-Type: application/json\r\n\r\n'
    b'{"x": 1}\r\n--B--\r\n'
)


@given(st.text(min_size=1, max_size=60))
def test_a_mask_keeps_the_length_is_ascii_and_is_recognised(value: str) -> None:
    masked = mask(value)
    assert len(masked) == max(6, len(value))
    assert masked.isascii()
    assert is_masked(masked)
    shown = min(5, len(value) // 3) if len(value) >= 8 else 0
    assert masked[shown:].endswith("xMASKx")
    assert set(masked[shown:-6]) <= {"x"}


@given(st.text(min_size=8), st.integers(0, 40))
def test_a_mask_that_was_cut_in_front_is_recognised(value: str, cut: int) -> None:
    masked = mask(value)
    assert is_masked(masked[min(cut, len(masked) - 6) :])


def test_masks_have_the_published_shape() -> None:
    assert mask("295109912611193") == "29510xxxxxMASKx"
    assert mask("abcdefg") == "xxMASKx"
    assert mask("Noël12345") == "NoxxMASKx"[:2] + "x" + "xMASKx"


@pytest.mark.parametrize("value", ["295109912611193", "MASK", "xMASKx est un masque", ""])
def test_other_values_are_no_masks(value: str) -> None:
    assert not is_masked(value)


def test_the_mask_of_a_number_inside_a_note_is_recognised() -> None:
    assert is_masked("NIR 29510xxxxxMASKx, vu ce jour")


@pytest.mark.parametrize(
    "value", [mask("295109912611193"), mask("2 95 10 99 126 111 93"), mask("jean@example.fr"), mask("x")]
)
def test_a_mask_is_noticed_in_every_encoding(value: str) -> None:
    raw = value.encode()
    nested = json.dumps({"a": [{"b": json.dumps({"c": value})}]})
    form = "application/x-www-form-urlencoded"
    for content_type, body, query in [
        ("", b"", b"nir=" + quote_plus(value).encode()),
        ("", b"", b"x=1&nir=" + "".join(f"%{char:02x}" for char in raw).encode()),
        (form, b"a=b&nir=" + quote(value).encode(), b""),
        (form, b"a=" + quote(nested).encode(), b""),
        ("multipart/form-data; boundary=B", MULTIPART % raw, b""),
        ("multipart/form-data; boundary=B", (MULTIPART % b"").replace(b'"x": 1', b'"x": "' + raw + b'"'), b""),
        ("multipart/form-data; boundary=C", MULTIPART % raw, b""),
        ("application/json", nested.encode(), b""),
        ("application/json", nested.encode("utf-16"), b""),
        ("application/json", nested[:-1].encode(), b""),
        ("application/x-ndjson", b'{"a": 1}\n{"a": "' + raw + b'"}\n', b""),
        ("application/xml", f"<a><b>{escape(value)}</b></a>".encode(), b""),
        ("application/xml", f"<a b='{value}'/>".replace("MASKx", "MAS&#75;&#x78;").encode(), b""),
        ("application/xml", f"<a><![CDATA[{value}]]></a>".encode(), b""),
        ("text/csv", b'a;b\r\n1;"' + raw + b'"\r\n', b""),
        ("application/octet-stream", raw, b""),
    ]:
        assert masked_fields(content_type, body, query), (content_type, body, query)


@pytest.mark.parametrize(
    ("content_type", "body", "query"),
    [
        ("application/x-www-form-urlencoded", b"a=1&b=%4D", b"q=mask"),
        ("application/json", b'{"note": "le mot xMASKx est un masque"}', b""),
        ("multipart/form-data; boundary=B", MULTIPART % b"MASK", b""),
        ("application/pdf", bytes(range(256)) * 10, b""),
    ],
)
def test_other_requests_pass(content_type: str, body: bytes, query: bytes) -> None:
    assert not masked_fields(content_type, body, query)
