"""WebSockets that come together: their handshakes wait for each other, and requests do not wait for them."""

import contextlib
import threading

import wire
from persons import RAW, Raw
from scripted_application import NOT_SCRIPTED, Exchange
from stack import Account, until

from gateway.pipeline import HANDSHAKES_AT_ONCE

MORE = 4


def test_so_many_handshakes_at_once_and_requests_beside_them(raw: Raw, somebody: Account) -> None:
    going = threading.Event()

    def script(exchange: Exchange) -> None:
        going.wait(wire.PATIENCE_S)
        exchange.send(NOT_SCRIPTED)

    raw.runs(script)
    beside = raw.under("beside")
    beside.says(b"{}")
    upgrade = [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "A" * 22 + "==")]
    line = wire.request(raw.path, RAW, somebody.bearer, *upgrade).replace(b"tion: close", b"tion: Upgrade")
    with contextlib.ExitStack() as leaving:
        clients = [leaving.enter_context(wire.connect(raw.stack.port)) for _ in range(HANDSHAKES_AT_ONCE + MORE)]
        for client in clients:
            client.sendall(line)
        until(lambda: len(raw.received) >= HANDSHAKES_AT_ONCE, what="the first handshakes")
        assert [beside.ask(somebody).status for _ in range(3)] == [200] * 3
        assert len(raw.received) == HANDSHAKES_AT_ONCE
        going.set()
        for client in clients:
            assert client.recv(12) == b"HTTP/1.1 502"
    assert len(raw.received) == HANDSHAKES_AT_ONCE + MORE
