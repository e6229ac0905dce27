"""One exchange as bytes: heads written, responses read, whatever the pieces they come in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.message import MAX_HEAD_BYTES, ResponseReader, UpstreamFault, request_head

HOST = (b"Host", b"a")


def head(method=b"GET", target=b"/", headers=(HOST,), length=None, body=False):
    return request_head(method, target, headers, length=length, body=body)


def read(data, method=b"GET", cuts=()):
    """Feed the data cut at these places; the reader and the body."""
    reader, body, start = ResponseReader(method), b"", 0
    for cut in [*sorted(cuts), len(data)]:
        if cut > start:
            body += reader.feed(data[start:cut])
            start = cut
    return reader, body


def answer(*fields, body=b"", start=b"HTTP/1.1 200 OK"):
    return b"\r\n".join((start, *fields)) + b"\r\n\r\n" + body


def chunked(body, *fields):
    return answer(b"Transfer-Encoding: chunked", *fields, body=body)


@pytest.mark.parametrize(
    "target",
    [
        b"/a/../b",
        b"/it's",
        b"/a|b",
        b"/%E9",
        b"/\xc3\xa9\xff",
        b'//x/./y;p=1?a=%2f&b=[]{}"<>\\^`',
        b"/?" + b"q" * 20_000,
        b"*",
    ],
)
def test_the_target_is_sent_untouched(target):
    assert head(target=target) == b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n"


def test_headers_keep_their_order_repeats_case_and_bytes():
    headers = ((b"x-B", b"1"), HOST, (b"X-a", b" \xe9\t "), (b"x-B", b""))
    assert head(headers=headers) == b"GET / HTTP/1.1\r\nx-B: 1\r\nHost: a\r\nX-a:  \xe9\t \r\nx-B: \r\n\r\n"


@pytest.mark.parametrize("target", [b"", b"/a b", b"/a\r\nX: y", b"/\x00", b"/\x7f", b"/a\tb", b"/a\n"])
def test_a_target_with_spaces_or_controls_is_refused(target):
    with pytest.raises(ValueError, match="target"):
        head(target=target)


@pytest.mark.parametrize("method", [b"", b"GET ", b"G\nT", b"CONNECT", b"TRACE", b"G\xe9"])
def test_a_method_that_is_no_token_or_never_forwarded_is_refused(method):
    with pytest.raises(ValueError, match="method"):
        head(method=method)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"X", b"a\r\nY: b"),
        (b"X", b"a\nb"),
        (b"X", b"a\rb"),
        (b"X", b"a\x00"),
        (b"X", b"\x7f"),
        (b"", b"a"),
        (b"X y", b"a"),
        (b"X:", b"a"),
        (b"X\r\nY", b"a"),
        (b"X,,Y", b"a"),
        (b"\xe9", b"a"),
        (b"Content-Length", b"1"),
        (b"transfer-ENCODING", b"chunked"),
        (b"HOST", b"b"),
    ],
)
def test_a_header_that_could_be_read_otherwise_is_refused(name, value):
    with pytest.raises(ValueError, match=r"header|Host"):
        head(headers=(HOST, (name, value)))


def test_a_host_is_needed():
    with pytest.raises(ValueError, match="Host"):
        head(headers=((b"X", b"a"),))


@pytest.mark.parametrize(
    ("method", "length", "body", "framing"),
    [
        (b"GET", None, False, b""),
        (b"GET", 0, False, b""),
        (b"DELETE", 0, True, b""),
        (b"POST", None, False, b""),
        (b"POST", 0, False, b"content-length: 0\r\n"),
        (b"PUT", 0, True, b"content-length: 0\r\n"),
        (b"PATCH", 0, False, b"content-length: 0\r\n"),
        (b"GET", 5, True, b"content-length: 5\r\n"),
        (b"POST", None, True, b"transfer-encoding: chunked\r\n"),
    ],
)
def test_the_framing_is_ours(method, length, body, framing):
    assert head(method, length=length, body=body) == method + b" / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n"


def test_a_length_needs_a_body():
    with pytest.raises(ValueError, match="length"):
        head(b"POST", length=5)


VALID = {
    "length": (answer(b"Content-Length: 5", body=b"hello"), b"hello"),
    "length-0": (answer(b"Content-Length: 0"), b""),
    "chunks": (chunked(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), b"hello world"),
    "chunk-extension": (chunked(b'2;a=b;c="d"\r\nok\r\n0;x\r\n\r\n'), b"ok"),
    "chunked-mixed-case": (answer(b"Transfer-Encoding: ChunKed", body=b"002\r\nok\r\n0\r\n\r\n"), b"ok"),
    "trailers": (chunked(b"2\r\nok\r\n0\r\nX-Trailer: 1\r\nContent-Type: text/html\r\n\r\n"), b"ok"),
    "no-reason": (answer(b"Content-Length: 2", body=b"ok", start=b"HTTP/1.1 200"), b"ok"),
    "upgrade-offered": (answer(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 2", body=b"ok"), b"ok"),
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        + answer(b"Link: </x>", start=b"HTTP/1.1 103 Early Hints")
        + answer(b"Content-Length: 2", body=b"ok"),
        b"ok",
    ),
    "http-1.0": (answer(b"Content-Length: 2", body=b"ok", start=b"HTTP/1.0 200 OK"), b"ok"),
}  # fmt: skip


EVIL = b"HTTP/1.1 200 OK\r\nX-Evil: 1\r\nContent-Length: 4\r\n\r\nevil"


@pytest.mark.parametrize("name", VALID)
@given(data=st.data())
def test_an_answer_is_read_alike_however_it_is_cut(name, data):
    raw, body = VALID[name]
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=12))
    reader, got = read(raw, cuts=cuts)
    assert (reader.ended, reader.surplus, reader.status, got) == (True, b"", 200, body)


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize(
    "after",
    [b"\r", b"\n", b"\r\n", b"x", b"\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Evil: 1\r\nContent-Length: 4\r\n\r\nevil"],
)
def test_bytes_after_an_answer_are_noticed_and_never_part_of_it(name, after):
    raw, body = VALID[name]
    for cuts in ((), range(len(raw + after)), (len(raw),), (len(raw) - 1,)):
        reader, got = read(raw + after, cuts=cuts)
        assert reader.ended
        assert reader.surplus
        assert got == body
        assert (b"X-Evil", b"1") not in reader.headers


def test_headers_are_given_as_received():
    reader, _ = read(answer(b"set-Cookie: a", b"X: \xe9 \t", b"Set-cookie:b", b"Empty:", b"Content-Length: 0"))
    assert reader.headers == [
        (b"set-Cookie", b"a"), (b"X", b"\xe9"), (b"Set-cookie", b"b"), (b"Empty", b""), (b"Content-Length", b"0"),
    ]  # fmt: skip


def test_trailers_are_dropped():
    reader, _ = read(VALID["trailers"][0])
    assert reader.headers == [(b"Transfer-Encoding", b"chunked")]


@pytest.mark.parametrize("fields", [(), (b"Content-Length: 7",), (b"Transfer-Encoding: chunked",)])
@pytest.mark.parametrize(
    ("method", "status"), [(b"HEAD", b"200"), (b"GET", b"204"), (b"GET", b"304"), (b"HEAD", b"500")]
)
def test_head_204_and_304_have_no_body_whatever_is_announced(method, status, fields):
    raw = answer(*fields, start=b"HTTP/1.1 " + status + b" X")
    reader, body = read(raw, method)
    assert (reader.ended, reader.has_body, body, reader.surplus) == (True, False, b"", b"")
    with pytest.raises(UpstreamFault, match="upstream_malformed"):
        read(raw + b"hello", method)


MALFORMED = {
    "both-framings": answer(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "both-framings-2": answer(b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "two-lengths": answer(b"Content-Length: 5", b"Content-Length: 6"),
    "one-length-twice": answer(b"Content-Length: 5", b"content-length: 5"),
    "length-plus": answer(b"Content-Length: +5"),
    "length-minus": answer(b"Content-Length: -5"),
    "length-list": answer(b"Content-Length: 5,5"),
    "length-spaces": answer(b"Content-Length:  5 5"),
    "length-hex": answer(b"Content-Length: 0x5"),
    "length-empty": answer(b"Content-Length:"),
    "length-huge": answer(b"Content-Length: 99999999999999999999"),
    "length-superscript": answer("Content-Length: ²".encode("latin-1")),
    "length-underscore": answer(b"Content-Length: 1_0"),
    "coding-gzip": answer(b"Transfer-Encoding: gzip"),
    "coding-gzip-chunked": answer(b"Transfer-Encoding: gzip, chunked"),
    "coding-twice": answer(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "coding-list": answer(b"Transfer-Encoding: chunked,"),
    "coding-identity": answer(b"Transfer-Encoding: identity"),
    "coding-quoted": answer(b'Transfer-Encoding: "chunked"'),
    "coding-vertical-tab": answer(b"Transfer-Encoding: \x0bchunked"),
    "coding-empty": answer(b"Transfer-Encoding:"),
    "coding-in-1.0": answer(b"Transfer-Encoding: chunked", start=b"HTTP/1.0 200 OK"),
    "coding-space-colon": answer(b"Transfer-Encoding : chunked"),
    "folded": answer(b"X: a", b" b"),
    "folded-tab": answer(b"X: a", b"\tb"),
    "folded-first": answer(b" X: a"),
    "bare-lf": b"HTTP/1.1 200 OK\r\nX: a\nContent-Length: 0\r\n\r\n",
    "bare-lf-status": b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    "bare-lf-end": b"HTTP/1.1 200 OK\r\nContent-Length: 2\n\nok",
    "bare-cr": b"HTTP/1.1 200 OK\r\nX: a\rY: b\r\n\r\n",
    "nul-value": answer(b"X: a\x00"),
    "nul-name": answer(b"X\x00: a"),
    "control-value": answer(b"X: \x1b[0m"),
    "delete-value": answer(b"X: \x7f"),
    "8-bit-name": answer(b"X\xe9: a"),
    "no-colon": answer(b"X"),
    "no-name": answer(b": a"),
    "status-099": answer(start=b"HTTP/1.1 099 X"),
    "status-600": answer(start=b"HTTP/1.1 600 X"),
    "status-20": answer(start=b"HTTP/1.1 20 X"),
    "status-2000": answer(start=b"HTTP/1.1 2000 X"),
    "status-two-spaces": answer(start=b"HTTP/1.1  200 X"),
    "status-tab": answer(start=b"HTTP/1.1\t200 X"),
    "control-reason": answer(start=b"HTTP/1.1 200 \x08"),
    "version-1.2": answer(start=b"HTTP/1.2 200 OK"),
    "version-2": answer(start=b"HTTP/2 200 OK"),
    "version-0.9": b"<html>",
    "lower-case": answer(start=b"http/1.1 200 OK"),
    "rtsp": answer(start=b"RTSP/1.0 200 OK"),
    "leading-line-end": b"\r\n" + answer(),
    "101-not-asked": answer(b"Upgrade: websocket", b"Connection: Upgrade", start=b"HTTP/1.1 101 X"),
    "nine-interim": b"HTTP/1.1 102 X\r\n\r\n" * 9 + answer(b"Content-Length: 0"),
    "interim-length": answer(b"Content-Length: 5", start=b"HTTP/1.1 100 X") + b"hello",
    "interim-length-0": answer(b"Content-Length: 0", start=b"HTTP/1.1 100 X") + answer(b"Content-Length: 0"),
    "201-fields": answer(*[b"X: a"] * 201),
    "head-over-64k": answer(b"X: " + b"a" * MAX_HEAD_BYTES),
    "head-over-64k-unfinished": b"HTTP/1.1 200 OK\r\nX: " + b"a" * MAX_HEAD_BYTES,
    "chunk-bare-lf": chunked(b"2\nok\r\n0\r\n\r\n"),
    "chunk-data-bare-lf": chunked(b"2\r\nok\n0\r\n\r\n"),
    "chunk-data-bare-cr": chunked(b"2\r\nok\r0\r\n\r\n"),
    "chunk-extension-bare-lf": chunked(b"2;a\nok\r\n0\r\n\r\n"),
    "chunk-extension-bare-cr": chunked(b"2;a\rb\r\nok\r\n0\r\n\r\n"),
    "chunk-extension-nul": chunked(b"2;a=\x00\r\nok\r\n0\r\n\r\n"),
    "chunk-size-space": chunked(b"2 \r\nok\r\n0\r\n\r\n"),
    "chunk-size-0x": chunked(b"0x2\r\nok\r\n0\r\n\r\n"),
    "chunk-size-plus": chunked(b"+2\r\nok\r\n0\r\n\r\n"),
    "chunk-size-empty": chunked(b"\r\n"),
    "chunk-size-overflow": chunked(b"10000000000000002\r\nok\r\n0\r\n\r\n"),
    "chunk-too-long": chunked(b"2\r\nokk\r\n0\r\n\r\n"),
    "chunk-extensions-over-16k": chunked(b"2;" + b"a" * 17_000 + b"\r\nok\r\n0\r\n\r\n"),
    "chunk-extensions-over-16k-in-all": chunked((b"1;" + b"a" * 100 + b"\r\nx\r\n") * 200 + b"0\r\n\r\n"),
    "chunk-size-zeros": chunked(b"0" * 17_000),
    "trailers-over-16k": chunked(b"0\r\n" + b"X: " + b"a" * 17_000 + b"\r\n\r\n"),
    "trailer-bare-lf": chunked(b"0\r\nX: a\n\r\n"),
    "trailer-control": chunked(b"0\r\nX: \x01\r\n\r\n"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_could_be_read_in_two_ways_is_malformed(name):
    raw = MALFORMED[name]
    for cuts in ((), range(0, len(raw), 1 + len(raw) // 200)):
        with pytest.raises(UpstreamFault, match="upstream_malformed"):
            read(raw, cuts=cuts)


def test_eight_interim_answers_are_skipped():
    reader, body = read(b"HTTP/1.1 102 X\r\n\r\n" * 8 + VALID["length"][0])
    assert (reader.status, body) == (200, b"hello")


def test_many_small_chunks_are_no_extension():
    reader, body = read(chunked(b"1\r\nx\r\n" * 5_000 + b"0\r\n\r\n"))
    assert (reader.ended, len(body)) == (True, 5_000)


@pytest.mark.parametrize(
    ("fields", "start", "keeps"),
    [
        ((), b"HTTP/1.1 200 OK", True),
        ((b"Connection: Close",), b"HTTP/1.1 200 OK", False),
        ((b"Connection: x", b"connection: y, close"), b"HTTP/1.1 200 OK", False),
        ((), b"HTTP/1.0 200 OK", False),
        ((b"Connection: Keep-Alive",), b"HTTP/1.0 200 OK", True),
    ],
)
def test_whether_the_connection_is_kept_is_the_answers_word(fields, start, keeps):
    reader, _ = read(answer(b"Content-Length: 0", *fields, start=start))
    assert reader.keep_alive is keeps


@pytest.mark.parametrize("name", ["length", "chunks", "chunk-extension", "trailers", "interim"])
def test_every_proper_prefix_of_an_answer_is_truncated(name):
    raw = VALID[name][0]
    for size in range(1, len(raw)):
        reader, _ = read(raw[:size])
        with pytest.raises(UpstreamFault, match="upstream_truncated"):
            reader.end_of_input()


def test_a_body_without_framing_ends_with_the_connection_and_says_so():
    reader, body = read(answer(b"Content-Type: text/plain", body=b"until the end"))
    assert (reader.close_delimited, reader.ended, reader.keep_alive, body) == (True, False, False, b"until the end")
    reader.end_of_input()
    assert reader.ended


@given(st.binary(max_size=300))
def test_no_input_raises_anything_but_a_fault(data):
    for start in (b"", b"HTTP/1.1 200 OK\r\n", chunked(b"")):
        reader = ResponseReader(b"GET")
        try:
            reader.feed(start + data)
            reader.feed(data)
            reader.end_of_input()
        except UpstreamFault as fault:
            assert not fault.is_timeout
