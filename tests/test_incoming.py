"""The body of a request: what is kept, what breaks it off, what is read of it."""

import asyncio
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.classify import UNCLEAR
from gateway.incoming import (
    MASK_ENDING,
    BodyStalled,
    BodyTooLarge,
    ClientGone,
    MaskReturned,
    RequestBody,
    names_in,
    parsed,
)

JSON = (b"content-type", b"application/json")
CHUNKED = (b"transfer-encoding", b"chunked")


def body_of(
    *pieces: bytes, fields: tuple[tuple[bytes, bytes], ...] = (CHUNKED, JSON), method: bytes = b"POST"
) -> RequestBody:
    messages: Iterator[dict[str, object]] = iter(
        {"type": "http.request", "body": piece, "more_body": index < len(pieces) - 1}
        for index, piece in enumerate(pieces)
    )

    async def receive() -> dict[str, object]:
        return next(messages)

    return RequestBody(receive, dict(fields), method, 10)


async def streamed(body: RequestBody) -> bytes:
    return b"".join([piece async for piece in body.stream()])


@pytest.mark.parametrize(
    ("fields", "method", "present", "length"),
    [
        ((), b"GET", False, None),
        ((), b"HEAD", False, None),
        ((), b"POST", True, None),
        (((b"content-length", b"0"),), b"POST", False, 0),
        (((b"content-length", b"5"),), b"GET", True, 5),
        ((CHUNKED,), b"GET", True, None),
    ],
)
def test_whether_there_is_a_body(fields, method: bytes, present: bool, length: int | None) -> None:
    body = body_of(fields=fields, method=method)
    assert (body.present, body.length, body.ended) == (present, length, not present)


async def test_a_short_body_is_given_whole_and_can_still_be_streamed() -> None:
    body = body_of(b"ab", b"", b"cd")
    assert await body.buffer(4) == b"abcd"
    assert body.ended
    assert await streamed(body) == b"abcd"


async def test_of_a_long_body_nothing_is_lost() -> None:
    body = body_of(b"ab", b"cd", b"ef")
    assert await body.buffer(3) is None
    assert not body.ended
    assert await streamed(body) == b"abcdef"


async def test_a_body_that_turns_out_empty_is_none() -> None:
    body = body_of(b"")
    assert await body.buffer(10) == b""
    assert not body.present


async def test_a_body_beyond_its_route_s_length_is_broken_off_however_it_is_framed() -> None:
    body = body_of(b"abc", b"de", fields=(CHUNKED,))
    body.most_bytes = 4
    with pytest.raises(BodyTooLarge):
        await streamed(body)
    whole = body_of(b"abcd")
    whole.most_bytes = 4
    assert await whole.buffer(100) == b"abcd"


async def test_a_client_that_leaves_is_gone() -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientGone):
        await RequestBody(receive, dict([CHUNKED]), b"POST", 10).buffer(10)


async def test_a_client_that_stops_has_stalled() -> None:
    async def receive() -> dict[str, object]:
        return await asyncio.Future()

    with pytest.raises(BodyStalled):
        await RequestBody(receive, dict([CHUNKED]), b"POST", 0.001).buffer(10)


SAVED = b'{"nir": "' + MASK_ENDING + b'", "a": 1}'


@given(st.lists(st.integers(1, len(SAVED) - 1), max_size=len(SAVED)))
def test_a_masked_value_is_seen_wherever_pieces_end(cuts: list[int]) -> None:
    edges = [0, *sorted(set(cuts)), len(SAVED)]
    pieces = [SAVED[start:end] for start, end in itertools.pairwise(edges)]
    with pytest.raises(MaskReturned):
        asyncio.run(streamed(body_of(*pieces)))


class Ended(Exception):
    pass


async def ended() -> None:
    raise Ended


async def test_a_body_that_does_not_come_is_watched_meanwhile() -> None:
    body = RequestBody(asyncio.Event().wait, dict([CHUNKED]), b"POST", 60)  # type: ignore[arg-type]  # never sends
    body.watch = ended
    with pytest.raises(Ended):
        await anext(body.stream())


@pytest.mark.parametrize(("length", "whole"), [(None, False), (b"2", True)])
async def test_after_its_last_byte_only_a_body_whose_end_is_still_to_be_said_is_watched(
    length: bytes | None, whole: bool
) -> None:
    fields = (CHUNKED if length is None else (b"content-length", length),)
    body = body_of(b"ab", b"", fields=fields)
    stream = body.stream()
    assert await anext(stream) == b"ab"
    body.watch = ended
    with pytest.raises(StopAsyncIteration if whole else Ended):
        await anext(stream)


async def test_a_mask_hides_under_no_media_type() -> None:
    with pytest.raises(MaskReturned):
        await streamed(body_of(SAVED, fields=(CHUNKED, (b"content-type", b"image/png"))))


async def test_where_masks_are_not_refused_they_pass() -> None:
    body = body_of(SAVED)
    body.refuses_masks = False
    assert await streamed(body) == SAVED


@pytest.mark.parametrize(
    "kind",
    [
        "application/JSON",
        "text/xml",
        "application/x-www-form-urlencoded",
        "Multipart/Form-Data; boundary=x",
        "text/csv",
        "",
    ],
)
def test_what_has_fields(kind: str) -> None:
    assert body_of(fields=((b"content-type", kind.encode()),)).structured


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream"])
def test_what_has_no_fields(kind: str) -> None:
    assert not body_of(fields=((b"content-type", kind.encode()),)).structured


@pytest.mark.parametrize(
    ("kind", "body", "value", "form"),
    [
        (b"application/json", b'{"a": [1, {"b": 2}]}', {"a": [1, {"b": 2}]}, []),
        (b"application/vnd.x+JSON", b"5", 5, []),
        (b"", b'{"a": 1}', {"a": 1}, []),
        (b"", b"[1]", [1], []),
        (b"", b"a=1", None, []),
        (b"application/json", b'{"a": 1, "a": 2}', UNCLEAR, []),
        (b"application/json", b'{"nir": 1, "NIR": 2}', UNCLEAR, []),
        (b"application/json", b'{"a": ', UNCLEAR, []),
        (b"application/json", b'{"a": NaN}', UNCLEAR, []),
        (b"application/json", b"\xff", UNCLEAR, []),
        (b"application/json", b"[" * 100_000, UNCLEAR, []),
        (
            b"application/x-www-form-urlencoded",
            b"a=1&a=2&b=&c=%C3%A9",
            None,
            [("a", "1"), ("a", "2"), ("b", ""), ("c", "é")],
        ),
        (b"text/plain", b'{"a": 1}', None, []),
    ],
)
def test_what_is_read_of_a_body(kind: bytes, body: bytes, value: object, form: list[tuple[str, str]]) -> None:
    assert parsed(kind, body) == (value, form)


async def test_a_duplicate_deep_inside_makes_only_its_object_unclear() -> None:
    value, _ = parsed(b"application/json", b'{"a": {"b": 1, "b": 2}, "c": 3}')
    assert value == {"a": UNCLEAR, "c": 3}


@pytest.mark.parametrize(
    "body",
    [
        b"nir=1",
        b"%6eir=1",
        b"a=1;nir=X",
        b"a=1; nir=X",
        b"person[nir]=1",
        b'{"nir":1}',
        b'{"n\\u0069r":"1"}',
        '{"nir":1}'.encode("utf-16"),
        b"<x:nir>1</x:nir>",
        b"--b\r\nContent-Disposition: form-data; name=nir\r\n\r\nX",
        b'Content-Disposition: form-data; name = "n%69r"',
        b"Content-Disposition: form-data; name*=utf-8''nir",
    ],
)
def test_the_name_of_a_field_is_seen_under_every_type_and_spelling(body: bytes) -> None:
    assert "nir" in names_in(body)


def test_a_value_is_no_name() -> None:
    assert "nir" not in names_in(b"ville=nir") | names_in(b'{"ville":"nir"}')
