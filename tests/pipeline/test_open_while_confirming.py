"""What is open while its person confirms in another tab: it goes on for as long as the session, not the old cookie."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import wire
from browsers import Browser, browser_of, the_promise_is_due
from persons import RAW, Raw
from scripted_application import Exchange
from stack import Account, Stack, until

from gateway.edge.cookies import SESSION
from gateway.stores import keys
from gateway.stores.sessions import Sessions

TEXT = ("Content-Type", "text/plain")
UPLOADS = {"save": "POST", "unread": "PUT"}
"""Routes with what is sent to them: the body is kept and looked at, or passed on as it comes."""
PIECE = b"1\r\nx\r\n"
FIRST, SECOND = b'{"offers": 1}\n', b'{"offers": 2}\n'


@pytest.fixture
def browser(stack: Stack, somebody: Account) -> Browser:
    return browser_of(stack, somebody)


def fields_of(browser: Browser) -> list[tuple[str, str]]:
    return [("Cookie", "; ".join(map("=".join, browser.cookies.items()))), ("Sec-Fetch-Site", "same-origin")]


def confirm_in_another_tab(browser: Browser, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Give the session another cookie, and let the ten seconds of the one before be over."""
    before = replace(browser, cookies=dict(browser.cookies))
    browser.confirm()
    stack = browser.stack
    old = keys.session(stack.keyring.token_hash(before.cookies[SESSION]))
    stack.thread.call(stack.thread.store.call("HSET", old, "until", "1.0"))
    the_promise_is_due(meanwhile)
    assert before.ask("/.gateway/budget").status == 401


def sign_out(browser: Browser, meanwhile: Callable[[], None] = lambda: None) -> None:
    sessions = Sessions(browser.stack.thread.store, browser.stack.keyring)
    browser.stack.thread.call(sessions.end(browser.cookies[SESSION]))
    the_promise_is_due(meanwhile)


@contextlib.contextmanager
def uploading(raw: Raw, browser: Browser, route: str) -> Iterator[tuple[socket.socket, Callable[[], None]]]:
    """A request whose body has begun, and what sends one more piece of it."""
    there = raw.under(route)
    there.says(b'{"done": 1}')
    head = wire.request(
        there.path, RAW, *fields_of(browser), TEXT, ("Transfer-Encoding", "chunked"), method=UPLOADS[route]
    )
    assert browser.ask("/.gateway/budget").status == 200
    with wire.connect(raw.stack.port) as connection:
        connection.sendall(head + PIECE)
        if route == "unread":
            until(lambda: there.received, what="the beginning at the application")

        def drip() -> None:
            with contextlib.suppress(OSError):
                connection.sendall(PIECE)

        yield connection, drip


@pytest.mark.parametrize("route", sorted(UPLOADS))
def test_an_upload_goes_on(raw: Raw, browser: Browser, route: str) -> None:
    with uploading(raw, browser, route) as (connection, drip):
        confirm_in_another_tab(browser, drip)
        connection.sendall(b"0\r\n\r\n")
        answer = wire.parse(wire.rest(connection))
    assert (answer.status, answer.body) == (200, b'{"done": 1}')
    (there,) = raw.under(route).received
    assert there.body.startswith(b"xx")


@pytest.mark.parametrize("route", sorted(UPLOADS))
def test_an_upload_ends_with_the_session_all_the_same(raw: Raw, browser: Browser, route: str) -> None:
    with uploading(raw, browser, route) as (connection, drip):
        confirm_in_another_tab(browser, drip)
        sign_out(browser, drip)
        with contextlib.suppress(OSError):
            connection.sendall(b"0\r\n\r\n")
        answer = wire.parse(wire.rest(connection))
    assert (answer.status, answer.reason) == (401, "no_caller")
    assert not any(one.body for one in raw.under(route).received)


@pytest.mark.parametrize("ended", [False, True], ids=["goes on", "signed out"])
def test_a_download_goes_on_until_the_session_ends(raw: Raw, browser: Browser, ended: bool) -> None:
    go_on = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
        exchange.send(b"%x\r\n%s\r\n" % (len(FIRST), FIRST))
        assert go_on.wait(60)
        exchange.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(SECOND), SECOND))

    raw.runs(script)
    assert browser.ask("/.gateway/budget").status == 200
    with wire.connect(raw.stack.port) as connection:
        connection.sendall(wire.request(raw.path, RAW, *fields_of(browser)))
        received = b""
        while FIRST not in received:
            received += connection.recv(65_536)
        confirm_in_another_tab(browser)
        if ended:
            sign_out(browser)
        go_on.set()
        answer = wire.parse(received + wire.rest(connection))
    assert answer.complete is not ended
    assert answer.body.startswith(FIRST if ended else FIRST + SECOND)
    assert (SECOND in answer.body) is not ended
    assert (b"no_caller" in answer.body) is ended
