"""NDJSON, server-sent events and lines of text, in any chunks."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from declared import NIR, RULES, WHOLE
from hypothesis import given
from hypothesis import strategies as st

from gateway.reading.csv import CsvStream
from gateway.reading.ports import Reading, RecordStream, Unreadable
from gateway.reading.rules import Rules
from gateway.reading.streams import NdjsonStream, SseStream, TextStream

HIDE_NIR = frozenset({"nir"})
NDJSON = b'\xef\xbb\xbf{"nir": "2951099126111", "x": 1.50}\r\n\n{"nom": "\xc3\x89"}\n[{"nir": "253072A073004"}]'
SSE = (
    b': 1\r\n\r\nid: 7\r\nevent: a\r\ndata: {"nir":\r\ndata:  "2951099126111"}\r\nretry: 5\r\n\r\n'
    b"data: dossier\ndata: 253072A07300443\n\ndata: fin"
)
TEXT = b"Bonjour,\nNIR 2951099126111\r\nle 2 53 07 2A\n073 004 43 aussi\n\nFin"


def readings(stream: RecordStream, data: bytes, cuts: list[int]) -> list[Reading]:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces: list[Reading] = []
    for start, end in pairwise(edges):
        read = stream.feed(data[start:end])
        assert not isinstance(read, Unreadable), read
        pieces += read
    last = stream.end()
    assert not isinstance(last, Unreadable), last
    return pieces + last


def persons(pieces: list[Reading]) -> list[str]:
    return [one.value for piece in pieces for record in piece.records for who in record.persons for one in who]


@pytest.mark.parametrize(
    ("kind", "data"), [(NdjsonStream, NDJSON), (SseStream, SSE), (TextStream, TEXT)], ids=["ndjson", "sse", "text"]
)
@given(cuts=st.lists(st.integers(0, 160), max_size=8))
def test_chunks_do_not_matter_and_the_very_bytes_come_back(
    kind: type[NdjsonStream | SseStream | TextStream], data: bytes, cuts: list[int]
) -> None:
    pieces = readings(kind("utf-8", RULES), data, cuts)
    assert b"".join(piece.masked(frozenset()) for piece in pieces) == data
    assert persons(pieces) == ["2951099126111", "253072A073004"]
    masked = b"".join(piece.masked(HIDE_NIR) for piece in pieces)
    assert b"09912" not in masked
    assert b"073 004" not in masked
    assert b"2A073004" not in masked


def test_masked_lines_are_json_still() -> None:
    pieces = readings(NdjsonStream("utf-8", RULES), NDJSON, [])
    lines = b"".join(piece.masked(HIDE_NIR) for piece in pieces).decode("utf-8-sig").split("\n")
    assert [json.loads(line) for line in lines if line.strip()] == [
        {"nir": "2951xxxxMASKx", "x": 1.5},
        {"nom": "É"},
        [{"nir": "2530xxxxMASKx"}],
    ]
    assert [len(piece.records) for piece in pieces] == [1, 0, 1, 2]


@pytest.mark.parametrize(
    ("kind", "frame"), [(NdjsonStream, b"%b\n"), (SseStream, b"data: %b\n\n")], ids=["ndjson", "sse"]
)
def test_records_follow_other_rules_from_where_they_come(kind: type[NdjsonStream | SseStream], frame: bytes) -> None:
    stream, piece = kind("utf-8", RULES), frame % b'{"matricule": "2951099126111"}'
    before = stream.feed(piece)
    stream.follow(Rules((), (replace(NIR, names=("matricule",)),)))
    after = stream.feed(piece)
    assert not isinstance(before, Unreadable)
    assert not isinstance(after, Unreadable)
    assert (persons(before), persons(after)) == ([], ["2951099126111"])


def test_a_line_that_is_not_json_is_unreadable() -> None:
    assert isinstance(NdjsonStream("utf-8", RULES).feed(b'{"a": 1}\noops\n'), Unreadable)


def test_masked_events_keep_their_other_fields() -> None:
    pieces = readings(SseStream("utf-8", RULES), SSE, [])
    assert [piece.masked(HIDE_NIR) for piece in pieces] == [
        b": 1\r\n\r\n",
        b'id: 7\r\nevent: a\r\ndata: {"nir": "2951xxxxMASKx"}\nretry: 5\r\n\r\n',
        b"data: dossier\ndata: 25307xxxxxMASKx\n\n",
        b"data: fin",
    ]


def test_a_number_in_an_event_s_id_is_found_and_cannot_be_masked() -> None:
    (event,) = readings(SseStream("utf-8", RULES), b"id: 295109912611193\ndata: x\n\n", [])
    assert persons([event]) == ["2951099126111"]
    assert [one.maskable for record in event.records for one in record.found] == [False]


@pytest.mark.parametrize("kind", [CsvStream, NdjsonStream, SseStream, TextStream])
def test_endless_records_and_wrong_bytes_are_unreadable(
    kind: type[CsvStream | NdjsonStream | SseStream | TextStream],
) -> None:
    assert isinstance(kind("utf-8", RULES).feed(b"x" * (1 << 20) + b"xx"), Unreadable)
    stream = kind("utf-8", RULES)
    read = stream.feed(b'"\xff"\n\n')
    assert isinstance(read, Unreadable) or isinstance(stream.end(), Unreadable)


def test_notices_are_of_the_format() -> None:
    stopped = ("budget_exhausted", "K7Q-4M2", "été")
    line = NdjsonStream("utf-8", RULES).notice(*stopped)
    assert json.loads(line) == {"gateway": {"reason": stopped[0], "reference": stopped[1], "detail": stopped[2]}}
    event, data, *_ = SseStream("utf-8", RULES).notice(*stopped).decode().split("\n")
    assert (event, json.loads(data.removeprefix("data: "))["reference"]) == ("event: gateway", stopped[1])
    assert TextStream("utf-8", RULES).notice(*stopped).startswith(b"gateway: budget_exhausted K7Q-4M2")


def test_many_numbers_on_lines_of_their_own_are_all_found() -> None:
    data = "\n".join(WHOLE).encode()
    assert set(persons(readings(TextStream("utf-8", RULES), data, []))) == {number[:13] for number in WHOLE}
