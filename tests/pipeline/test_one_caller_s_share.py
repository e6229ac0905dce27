"""One who does not read their answers holds half of an application's connections, and leaves the others to others."""

import contextlib
import threading

import wire
from persons import Raw
from scripted_application import Exchange
from stack import Account, until

SHARED = "shared.test"
MOST = 2
"""Half of the application's connections."""


def test_others_are_answered_while_somebody_holds_all_that_may_be_theirs(raw: Raw, somebody: Account) -> None:
    go_on, asked = threading.Event(), threading.Semaphore(0)

    def script(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\na")
        asked.release()
        assert go_on.wait(60)
        exchange.send(b"b")

    raw.runs(script)
    other, quick, port = raw.stack.account(), Raw(raw.stack, raw.app, raw.path + "/quick"), raw.stack.port
    quick.says(b"at once", "text/plain")
    with contextlib.ExitStack() as opened:
        held = [opened.enter_context(wire.connect(port)) for _ in range(MOST)]
        for one in held:
            one.sendall(wire.request(raw.path, SHARED, somebody.bearer))
        for _ in held:
            assert asked.acquire(timeout=60)
        refused = quick.ask(somebody, host=SHARED)
        assert (refused.status, refused.reason, refused.one("retry-after")) == (503, "busy", "1")
        assert quick.ask(other, host=SHARED).body == b"at once"
        assert len(quick.received) == 1
        go_on.set()
        assert [wire.parse(wire.rest(one)).body for one in held] == [b"ab"] * MOST
    until(lambda: quick.ask(somebody, host=SHARED).body == b"at once", what="their own turn again")
