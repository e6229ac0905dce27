"""Who is stopped while a request is on its way: nothing of it is executed, nothing more leaves."""

import contextlib
import threading

import pytest
import wire
from browsers import browser_of, the_promise_is_due
from persons import RAW, Raw
from scripted_application import Exchange
from stack import Account, until

from gateway.edge.cookies import SESSION
from gateway.stores.sessions import Sessions

NARROW = "narrow.test"
PIECE, LENGTH = b"x", 20_000
ROUTES = {"save": "POST", "unread": "PUT"}
"""Routes with what is sent to them: the body is kept and looked at, or passed on as it comes."""
GIF, OBJECT = b"GIF89a" + bytes(20), b'{"offers": 3}'
LATE = {
    "unread": ("unread", "text/plain", b"anything", 0),
    "unread and begun": ("unread", "text/plain", b"anything", 1),
    "of nobody": ("", "application/json", OBJECT, 0),
    "inert": ("", "image/gif", GIF, 0),
}
"""Answers that charge nobody: under which route, their type and content, and how many of two parts come at once."""


def framed(framing: str) -> tuple[tuple[str, str], bytes, bytes]:
    """The field that says how a body is framed, one piece of it and its last."""
    if framing == "chunked":
        return ("Transfer-Encoding", "chunked"), b"1\r\n" + PIECE + b"\r\n", b"0\r\n\r\n"
    return ("Content-Length", str(LENGTH)), PIECE, b""


@pytest.mark.parametrize("kind", ["token", "session"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("route", sorted(ROUTES))
def test_a_request_whose_body_was_still_coming_is_not_executed(
    raw: Raw, somebody: Account, route: str, framing: str, kind: str
) -> None:
    there = raw.under(route)
    there.says(b'{"done": 1}')
    browser = browser_of(raw.stack, somebody)
    shown = {
        "token": [somebody.bearer],
        "session": [("Cookie", "; ".join(map("=".join, browser.cookies.items()))), ("Sec-Fetch-Site", "same-origin")],
    }[kind]
    how, piece, end = framed(framing)
    head = wire.request(there.path, RAW, *shown, ("Content-Type", "text/plain"), how, method=ROUTES[route])
    assert wire.send(raw.stack.port, wire.request("/.gateway/budget", RAW, *shown)).status == 200
    with wire.connect(raw.stack.port) as connection:
        connection.sendall(head + piece)
        if route == "unread":
            until(lambda: there.received, what="the beginning at the application")
        if kind == "token":
            raw.stack.revoke(somebody)
        else:
            sessions = Sessions(raw.stack.thread.store, raw.stack.keyring)
            raw.stack.thread.call(sessions.end(browser.cookies[SESSION]))

        def drip() -> None:
            with contextlib.suppress(OSError):
                connection.sendall(piece)

        the_promise_is_due(drip)
        with contextlib.suppress(OSError):
            connection.sendall(end or piece * LENGTH)
        answer = wire.parse(wire.rest(connection))
    assert answer.status == 401, answer
    assert not any(one.body for one in there.received)
    if route == "unread":
        assert raw.stack.record_of(answer)["kind"] == "refusal"


@pytest.mark.parametrize("case", sorted(LATE))
def test_an_answer_that_comes_later_does_not_leave(raw: Raw, somebody: Account, case: str) -> None:
    route, media_type, content, at_once = LATE[case]
    there = raw.under(route) if route else raw
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {len(content)}\r\n\r\n"
    asked, go_on = threading.Event(), threading.Event()

    def script(exchange: Exchange) -> None:
        parts = [head.encode(), content]
        exchange.send(*parts[:at_once])
        asked.set()
        assert go_on.wait(60)
        exchange.send(*parts[at_once:])

    there.runs(script)
    with wire.connect(raw.stack.port) as connection:
        connection.sendall(wire.request(there.path, RAW, somebody.bearer))
        until(asked.is_set, what="the request at the application")
        raw.stack.revoke(somebody)
        the_promise_is_due()
        go_on.set()
        answer = wire.parse(wire.rest(connection))
    assert (answer.status, answer.reason) == (401, "token_revoked")
    assert content not in answer.raw
    assert raw.stack.record_of(answer)["kind"] == "refusal"


def test_a_request_that_waited_for_a_connection_is_not_executed(raw: Raw, somebody: Account) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def script(exchange: Exchange) -> None:
        asked.set()
        assert go_on.wait(60)
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    raw.runs(script)
    other, port = raw.stack.account(), raw.stack.port
    assert raw.stack.get("/.gateway/budget", somebody).status == 200
    with wire.connect(port) as first, wire.connect(port) as second:
        first.sendall(wire.request(raw.path, NARROW, other.bearer))
        until(asked.is_set, what="the only connection's use")
        second.sendall(wire.request(raw.path, NARROW, somebody.bearer, method="DELETE"))
        raw.stack.revoke(somebody)
        the_promise_is_due()
        go_on.set()
        assert wire.parse(wire.rest(first)).status == 200
        answer = wire.parse(wire.rest(second))
    assert (answer.status, answer.reason) == (401, "token_revoked")
    assert [one.method for one in raw.received] == [b"GET"]
