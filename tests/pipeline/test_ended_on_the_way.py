"""Who is stopped while a request is on its way: nothing of it is executed, nothing more leaves."""

import contextlib
import time

import pytest
import wire
from browsers import browser_of
from persons import RAW, Raw
from stack import Account, until

from gateway.edge.cookies import SESSION
from gateway.stores.sessions import Sessions

PROMISE_S = 1.0
PIECE, LENGTH = b"x", 20_000
ROUTES = {"save": "POST", "unread": "PUT"}
"""Routes with what is sent to them: the body is kept and looked at, or passed on as it comes."""


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
        promised = time.monotonic() + PROMISE_S

        def over() -> bool:
            with contextlib.suppress(OSError):
                connection.sendall(piece)
            return time.monotonic() >= promised

        until(over, what="the second of the promise")
        with contextlib.suppress(OSError):
            connection.sendall(end or piece * LENGTH)
        answer = wire.parse(wire.rest(connection))
    assert answer.status == 401, answer
    assert not any(one.body for one in there.received)
    if route == "unread":
        assert raw.stack.record_of(answer)["kind"] == "refusal"
