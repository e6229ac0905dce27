"""The gate refuses what two parsers could read in two ways, and never changes what it lets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.canonical import Target, _examined, canonicalise, check_headers, end_to_end, fields_of, host_of
from gateway.core.reasons import Reason, Refusal

ALL = frozenset({"double-slash", "semicolon", "encoded-slash", "backslash"})


@pytest.mark.parametrize(
    "path",
    [
        b"/a/../b",
        b"/a/%2e%2e/b",
        b"/a/.%2E/b",
        b"/./a",
        b"/a//b",
        b"//a",
        b"/a%2fb",
        b"/a%5Cb",
        b"/a\\b",
        b"/a;x=1/b",
        b"/a%3bx",
        b"/a%00",
        b"/a%0d%0a",
        b"/a%7f",
        b"/a%252fb",
        b"/a%25%32%66b",
        b"/a%c0%afb",
        b"/a%e0%80%afb",
        b"/a%",
        b"/a%2",
        b"/a%zz",
        b"/a b",
        b"/a\tb",
        b"/a#b",
        b"a/b",
        b"*",
        b"",
        b"http://elsewhere/a",
    ],
)
def test_an_ambiguous_path_is_refused(path: bytes) -> None:
    refusal = canonicalise(path, b"")
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.AMBIGUOUS_TARGET


@pytest.mark.parametrize(
    "path", [b"/", b"/a/b.json", b"/%E9t%E9", b"/caf%C3%A9", b"/a|b'c", b"/..a/b..", b"/a%25", b"/\xe9"]
)
def test_a_plain_path_passes_byte_for_byte(path: bytes) -> None:
    target = canonicalise(path, b"q=%2f%00//..;")
    assert isinstance(target, Target)
    assert target.raw == path + b"?q=%2f%00//..;"


@pytest.mark.parametrize("query", [b"a b", b"a\x00", b"a\r\nb", b"a\x7f"])
def test_a_control_or_space_in_the_query_is_refused(query: bytes) -> None:
    assert isinstance(canonicalise(b"/a", query), Refusal)


def test_an_allowed_quirk_gives_every_reading_and_keeps_the_bytes() -> None:
    target = canonicalise(b"/a//b;c%2fd", b"", ALL)
    assert isinstance(target, Target)
    assert target.raw == b"/a//b;c%2fd"
    assert {b"/a//b;c%2fd", b"/a/b/d", b"/a/b;c/d", b"/a/b"} <= set(target.readings)


@pytest.mark.parametrize("path", [b"/a/..%2fb", b"/a/..;x/b", b"/a/..\\b"])
def test_a_dot_segment_in_any_reading_is_refused(path: bytes) -> None:
    assert isinstance(canonicalise(path, b"", ALL), Refusal)


@given(st.binary(max_size=60), st.binary(max_size=30), st.sets(st.sampled_from(sorted(ALL))))
def test_what_passes_is_forwarded_unchanged(path: bytes, query: bytes, allow: set[str]) -> None:
    target = canonicalise(b"/" + path, query, frozenset(allow))
    if isinstance(target, Target):
        assert target.raw == b"/" + path + (b"?" + query if query else b"")
        assert all(segment not in (b".", b"..") for reading in target.readings for segment in reading.split(b"/"))


@pytest.mark.parametrize(
    "name",
    [b"host", b"authorization", b"content-type", b"content-length", b"origin", b"content_length", b"Content-Type"],
)
def test_a_deciding_header_stands_once(name: bytes) -> None:
    headers = [(b"host", b"a"), (name.lower().replace(b"_", b"-"), b"1"), (name, b"1")]
    refusal = check_headers(headers, fields_of(headers))
    assert refusal is not None
    assert refusal.reason is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize(
    "named", [b"authorization", b"X-Gateway-User", b"cookie", b"close, host", b"x_gateway_assertion"]
)
def test_connection_may_not_name_a_protected_header(named: bytes) -> None:
    headers = [(b"host", b"a"), (b"connection", named)]
    assert check_headers(headers, fields_of(headers)) is not None


@pytest.mark.parametrize("host", [b"a.", b"u@a", b"a,b", b"a b", b"a:1:2", b"", b"a/b", b"-a", b"a:port"])
def test_a_host_that_is_no_plain_name_is_refused(host: bytes) -> None:
    assert isinstance(host_of({b"host": host}), Refusal)


@pytest.mark.parametrize(
    ("host", "read"), [(b"A.Example:80", "a.example:80"), (b"[::1]:8", "[::1]:8"), (b"localhost", "localhost")]
)
def test_a_plain_host_is_lower_cased(host: bytes, read: str) -> None:
    assert host_of({b"host": host}) == read


def test_hop_by_hop_headers_and_those_that_connection_names_do_not_travel_on() -> None:
    headers = [
        (b"te", b"x"),
        (b"connection", b"x-hop"),
        (b"x_hop", b"1"),
        (b"x-b", b"2"),
        (b"x-a", b"1"),
        (b"x-b", b"3"),
    ]
    assert end_to_end(headers) == [(b"x-b", b"2"), (b"x-a", b"1"), (b"x-b", b"3")]


@given(
    st.lists(st.sampled_from([b"/", b".", b"a", b"9", b"_", b"~", b"-", b"%", b"2", b"f", b";", b"\\", b"%41"]))
    .map(b"".join)
    .map(b"/".__add__),
    st.sampled_from([b"", b"a=%2F;b", b"a b", b"\x00"]),
)
def test_a_plain_path_is_read_as_any_other(path: bytes, query: bytes) -> None:
    assert canonicalise(path, query) == _examined(path, query, frozenset())
    assert canonicalise(path, query, ALL) == _examined(path, query, ALL)
