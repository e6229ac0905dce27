"""What waits for a partner is in the metrics, and outlives a gateway that is killed while it is being sent."""

import base64
import contextlib
import os
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
import pytest
from stack import Account, Stack, running_stack, serving, until

from gateway.demo.supervise import children
from gateway.stores import keys
from gateway.stores.freezes import Freezes

PARTNER = "relais-emploi"


@dataclass
class Endpoint:
    """A partner's endpoint: ``silent``: it takes a request and never answers."""

    came: list[str] = field(default_factory=list)
    silent: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def listening() -> Iterator[tuple[Endpoint, str]]:
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            token = self.rfile.read(int(self.headers["content-length"]))
            payload = token.split(b".")[1]
            endpoint.came.append(orjson.loads(base64.urlsafe_b64decode(payload + b"=="))["jti"])
            if endpoint.silent.is_set():
                endpoint.over.wait()
                return
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield endpoint, f"http://127.0.0.1:{server.server_address[1]}/events"
    finally:
        endpoint.over.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def told() -> Iterator[tuple[Stack, Endpoint]]:
    """A gateway whose partner wants to be told."""
    with listening() as (endpoint, url):
        changes = {"partners.toml": {'"http://127.0.0.1:8002/events"': f'"{url}"'}}
        with running_stack("http://127.0.0.1:1", changes=changes) as stack:
            yield stack, endpoint


def freeze(stack: Stack, somebody: Account) -> None:
    freezes = Freezes(stack.thread.store, stack.keyring, stack.settings.told)
    assert stack.thread.call(freezes.freeze("user", somebody.user, by="o", reason="r", now=time.time())) == PARTNER


def nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def waiting(stack: Stack) -> str:
    """What the metrics say of this partner's queue."""
    with urllib.request.urlopen(f"{stack.admin}/metrics", timeout=5) as answer:  # noqa: S310  (loopback)
        lines = answer.read().decode().splitlines()
    name = f'gateway_messages_waiting{{kind="signals",partner="{PARTNER}"}} '
    return next((line.removeprefix(name) for line in lines if line.startswith(name)), "")


def test_what_was_being_sent_by_a_gateway_that_was_killed_is_sent_by_the_next(told: tuple[Stack, Endpoint]) -> None:
    stack, endpoint = told
    endpoint.silent.set()
    freeze(stack, stack.account())
    until(lambda: endpoint.came, what="the first try")
    for pid in (stack.process.pid, *children(stack.process.pid)):
        os.kill(pid, signal.SIGKILL)
    stack.process.wait()
    until(lambda: nobody_listens(stack.port), what="the end of the worker")
    (first,) = endpoint.came
    endpoint.silent.clear()
    with serving(stack.settings, stack.log):
        until(lambda: first in endpoint.came[1:], what="the same signal")
        until(lambda: waiting(stack) == "0.0", what="the end of the queue in the metrics")
    assert len(set(endpoint.came)) == 2


def test_what_waits_is_in_the_metrics_and_what_cannot_be_read_ends_no_worker(told: tuple[Stack, Endpoint]) -> None:
    stack, endpoint = told
    stack.thread.call(stack.thread.store.call("ZADD", keys.signals_to(PARTNER), 0, b"not ours"))
    until(lambda: waiting(stack) == "1.0", what="the message in the metrics")
    freeze(stack, stack.account())
    until(lambda: len(endpoint.came) == 2, what="the others")
    assert "the others go on" in stack.said() and stack.process.poll() is None
