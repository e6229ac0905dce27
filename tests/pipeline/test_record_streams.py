"""Streams of records: the longest prefix of whole records, a notice, and a transfer that is visibly cut."""

import csv
import gzip
import io
import json
import threading
import time

import pytest
import wire
from persons import RAW, Raw, as_json, nir
from scripted_application import Exchange
from stack import Account, until

MEDIA = {"csv": "text/csv", "ndjson": "application/x-ndjson", "sse": "text/event-stream"}


def row(media: str, number: int) -> bytes:
    match media:
        case "csv":
            return f"{nir(number)};Nom{number}\r\n".encode()
        case "ndjson":
            return as_json({"nir": nir(number), "nom": f"Nom{number}"}) + b"\n"
        case _:
            return b"data: " + as_json({"nir": nir(number)}) + b"\n\n"


def stream(media: str, numbers: range) -> bytes:
    head = b"nir;nom\r\n" if media == "csv" else b""
    return head + b"".join(row(media, number) for number in numbers)


def chunked(media: str, *pieces: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {MEDIA[media]}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def last_notice(media: str, body: bytes) -> tuple[bytes, str]:
    """What stands before the notice, and the notice's text."""
    match media:
        case "csv":
            before, _, notice = body.rstrip(b"\r\n").rpartition(b"\r\n")
            first = next(csv.reader(io.StringIO(notice.decode()), delimiter=";"))[0]
            assert first.startswith("gateway:")
            return before + b"\r\n", notice.decode()
        case "ndjson":
            before, _, notice = body.rstrip(b"\n").rpartition(b"\n")
            return before + b"\n", json.loads(notice)["gateway"]["reason"]
        case _:
            before, _, notice = body.rpartition(b"event: gateway\n")
            return before, json.loads(notice.split(b"data: ")[1])["reason"]


@pytest.mark.parametrize("media", MEDIA)
def test_a_stream_within_the_limit_comes_byte_for_byte(raw: Raw, proven: Account, media: str) -> None:
    whole = stream(media, range(30))
    raw.answers(chunked(media, whole[:100], whole[100:107], whole[107:]))
    answer = raw.ask(proven)
    assert answer.complete
    assert answer.body == whole
    assert raw.stack.used(proven, "sensitive-hour") == 30


@pytest.mark.parametrize("media", MEDIA)
def test_a_stream_stops_after_the_last_person_of_the_limit(raw: Raw, proven: Account, media: str) -> None:
    whole = stream(media, range(1_000, 1_075))
    raw.answers(chunked(media, whole))
    answer = raw.ask(proven)
    assert (answer.status, answer.complete) == (200, False)
    before, notice = last_notice(media, answer.body)
    assert before == stream(media, range(1_000, 1_060))
    assert "budget_exhausted" in notice
    assert raw.stack.used(proven, "sensitive-hour") == 60


def test_the_ledger_has_every_person_of_a_stream_and_why_it_stopped(raw: Raw, proven: Account) -> None:
    raw.answers(chunked("csv", stream("csv", range(2_000, 2_070))))
    records = raw.stack.records(raw.ask(proven).one("x-request-id"))
    released = {one["h"] for record in records if record["kind"] == "answer" for one in record["persons"]}
    assert len(released) == 60
    assert records[-1]["reason"] == "budget_exhausted"


def test_a_stream_of_which_nothing_may_leave_is_an_ordinary_refusal(raw: Raw, proven: Account) -> None:
    raw.answers(chunked("ndjson", stream("ndjson", range(3_000, 3_060))))
    raw.ask(proven)
    raw.answers(chunked("ndjson", stream("ndjson", range(3_100, 3_160))))
    answer = raw.ask(proven)
    assert (answer.status, answer.reason) == (429, "budget_exhausted")
    assert int(answer.one("retry-after") or 0) > 0


def test_a_record_of_too_many_persons_stops_a_stream_and_none_after_it_is_lost_in_silence(
    raw: Raw, proven: Account
) -> None:
    crowd = as_json({"note": " ".join(nir(number) for number in range(1_001))}) + b"\n"
    raw.answers(chunked("ndjson", row("ndjson", 5_000) + crowd + row("ndjson", 5_001)))
    answer = raw.ask(proven)
    assert (answer.status, answer.complete) == (200, False)
    assert last_notice("ndjson", answer.body) == (row("ndjson", 5_000), "too_many_persons")


def test_persons_already_taken_are_free_in_a_stream(raw: Raw, proven: Account) -> None:
    whole = stream("csv", range(4_000, 4_060))
    raw.answers(chunked("csv", whole))
    raw.ask(proven)
    again = raw.ask(proven)
    assert (again.complete, again.body) == (True, whole)


@pytest.mark.parametrize("media", MEDIA)
def test_numbers_of_a_stream_are_masked_without_a_proof(raw: Raw, somebody: Account, media: str) -> None:
    raw.answers(chunked(media, stream(media, range(5_000, 5_010))))
    answer = raw.ask(somebody)
    assert answer.complete
    assert answer.body.count(b"xMASKx") == 10
    assert not any(nir(number).encode() in answer.body for number in range(5_000, 5_010))


def test_a_coded_stream_is_decoded_and_read(raw: Raw, somebody: Account) -> None:
    coded = gzip.compress(stream("csv", range(5_100, 5_110)))
    raw.says(coded, "text/csv", "Content-Encoding: gzip")
    answer = raw.ask(somebody)
    assert (answer.complete, answer.one("content-encoding")) == (True, None)
    assert answer.body.count(b"xMASKx") == 10


def test_a_coded_stream_that_is_cut_is_not_taken_for_whole(raw: Raw, somebody: Account) -> None:
    coded = gzip.compress(stream("csv", range(5_100, 5_110)))[:-9]
    raw.says(coded, "text/csv", "Content-Encoding: gzip")
    assert not raw.ask(somebody).complete or raw.ask(somebody).status >= 400


def test_an_old_client_gets_no_stream(raw: Raw, proven: Account) -> None:
    raw.answers(chunked("csv", stream("csv", range(3))))
    answer = raw.ask(proven, version="1.0")
    assert (answer.status, answer.reason) == (505, "http_version_too_old")
    assert nir(0).encode() not in answer.raw


def test_an_old_client_gets_documents(raw: Raw, proven: Account) -> None:
    raw.says(b"{}")
    assert raw.ask(proven, version="1.0").status == 200


def test_a_record_leaves_before_the_next_one_comes(raw: Raw, proven: Account) -> None:
    seen = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", row("sse", 6_000))
        assert seen.wait(10)
        exchange.send(row("sse", 6_001))
        exchange.close = True

    raw.runs(script)
    with wire.connect(raw.stack.port) as connection:
        connection.sendall(wire.request(raw.path, RAW, proven.bearer))
        received = b""
        while nir(6_000).encode() not in received:
            received += connection.recv(65_536)
        assert nir(6_001).encode() not in received
        seen.set()
        received += wire.rest(connection)
    assert nir(6_001).encode() in received


def drip(exchange: Exchange) -> None:
    """One record every 20 ms, until the gateway goes."""
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    number = 0
    while not exchange.gone(0.02):
        exchange.send(b'data: {"nom": "n%d"}\n\n' % number)
        number += 1
    exchange.close = True


def test_a_revoked_token_stops_a_running_stream_within_a_second(raw: Raw, somebody: Account) -> None:
    raw.runs(drip)
    with wire.connect(raw.stack.port) as connection:
        connection.sendall(wire.request(raw.path, RAW, somebody.bearer))
        received = connection.recv(65_536)
        assert received.startswith(b"HTTP/1.1 200")
        raw.stack.revoke(somebody)
        connection.settimeout(5)
        revoked_at = time.monotonic()
        received += wire.rest(connection)
        took_s = time.monotonic() - revoked_at
    answer = wire.parse(received)
    assert not answer.complete
    assert last_notice("sse", answer.body)[1] == "token_revoked"
    assert took_s < 1.5  # the promise of one second, and a busy machine


def test_a_client_that_leaves_ends_the_applications_stream(raw: Raw, somebody: Account) -> None:
    ended = threading.Event()

    def script(exchange: Exchange) -> None:
        drip(exchange)
        ended.set()

    raw.runs(script)
    with wire.connect(raw.stack.port) as connection:
        connection.sendall(wire.request(raw.path, RAW, somebody.bearer))
        assert connection.recv(65_536)
    assert until(ended.is_set, what="the end of the application's stream")
