"""What an application does wrong ends in a refusal, never in its bytes."""

import queue
import threading

import pytest
import wire
from persons import RAW, Raw, as_json, record
from scripted_application import Exchange
from stack import Account

JSON = b"Content-Type: application/json\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{"a":1}',
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n bad: 1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 99 X\r\nContent-Length: 0\r\n\r\n",
        b"SMTP ready\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\n" + JSON + b'Content-Length: 100\r\n\r\n{"a": 1',
    ],
)
def test_a_malformed_answer_is_502(raw: Raw, proven: Account, answer: bytes) -> None:
    raw.answers(answer, close=True)
    got = raw.ask(proven)
    assert (got.status, got.reason) == (502, "upstream_malformed")


def test_nothing_of_a_document_that_is_cut_leaves(raw: Raw, proven: Account) -> None:
    body = as_json({"rows": [record(1), record(2)]})
    raw.answers(b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: %d\r\n\r\n" % len(body) + body[:-2], close=True)
    assert raw.ask(proven).status == 502


def held(exchange: Exchange, *pieces: bytes) -> None:
    """Send something, then nothing until the gateway gives up."""
    exchange.send(*pieces)
    assert exchange.gone(10)
    exchange.close = True


def test_no_answer_within_the_routes_deadline_is_504(raw: Raw, somebody: Account) -> None:
    there = raw.under("short-header")
    there.runs(held)
    answer = there.ask(somebody)
    assert (answer.status, answer.reason) == (504, "upstream_timeout")


def test_who_leaves_while_the_application_takes_its_time_leaves_its_connection_to_others(
    raw: Raw, somebody: Account
) -> None:
    seen: queue.Queue[bool] = queue.Queue()

    def script(exchange: Exchange) -> None:
        seen.put(True)
        seen.put(exchange.gone(10))
        exchange.close = True

    raw.runs(script)
    with wire.connect(raw.stack.port) as connection:
        connection.sendall(wire.request(raw.path, RAW, somebody.bearer))
        assert seen.get(timeout=wire.PATIENCE_S)
    assert seen.get(timeout=wire.PATIENCE_S)


def test_a_document_that_stops_coming_is_504(raw: Raw, somebody: Account) -> None:
    there = raw.under("short-idle")
    there.runs(lambda exchange: held(exchange, b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: 10\r\n\r\n{"))
    answer = there.ask(somebody)
    assert (answer.status, answer.reason) == (504, "upstream_timeout")


def test_an_answer_that_drips_past_its_total_time_is_504(raw: Raw, somebody: Account) -> None:
    there, ended = raw.under("short-total"), threading.Event()

    def drip(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: 100000\r\n\r\n")
        while not exchange.gone(0.05):
            exchange.send(b" ")
        ended.set()
        exchange.close = True

    there.runs(drip)
    answer = there.ask(somebody)
    assert (answer.status, answer.reason) == (504, "upstream_timeout")
    assert ended.wait(5)


def test_a_stream_that_ends_early_reaches_the_client_incomplete(raw: Raw, proven: Account) -> None:
    rows = b'{"nom":"A"}\n{"nom":"B"}\n'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: 1000\r\n\r\n"
    raw.answers(head + rows, close=True)
    answer = raw.ask(proven)
    assert not answer.complete
    assert b"upstream_malformed" in answer.body


def test_an_answer_that_asks_for_a_range_nobody_asked_for_is_refused(raw: Raw, proven: Account) -> None:
    raw.answers(
        b"HTTP/1.1 206 Partial Content\r\n" + JSON + b"Content-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\n{}"
    )
    answer = raw.ask(proven, ("Range", "bytes=0-1"), ("If-Range", '"a"'))
    assert (answer.status, answer.reason) == (502, "upstream_malformed")
    assert raw.received[0].all("range") == raw.received[0].all("if-range") == []


def test_a_range_passes_where_nothing_is_read(raw: Raw, somebody: Account) -> None:
    there = raw.under("unread")
    there.answers(b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nab")
    answer = there.ask(somebody, ("Range", "bytes=0-1"))
    assert (answer.status, answer.body, answer.one("content-range")) == (206, b"ab", "bytes 0-1/9")
    assert there.received[0].all("range") == [b"bytes=0-1"]
