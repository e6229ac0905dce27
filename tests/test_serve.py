"""The end of a server, and a restart that nobody notices: what is on its way arrives, what stays open is told."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import wire
from stack import Stack, demo_application, free_ports, running_stack, serving, until
from traffic import Hammer, Stream, admin
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from gateway.config import GATEWAY, Settings, load
from gateway.keyring import KeyRing

HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout check 5s
  timeout client 60s
  timeout server 60s
  retries 3
  retry-on conn-failure empty-response
frontend gateways
  bind 127.0.0.1:{port}
  monitor-uri /both-are-up
  monitor fail if {{ nbsrv(gateways) lt 2 }}
  default_backend gateways
backend gateways
  balance roundrobin
  option redispatch 1
  option httpchk GET /readyz
  default-server check inter 200ms fall 1 rise 1
  server a 127.0.0.1:{a} port {a_admin}
  server b 127.0.0.1:{b} port {b_admin}
"""


@pytest.fixture(scope="module")
def application() -> Iterator[str]:
    with demo_application() as (upstream, _):
        yield upstream


def test_an_end_tells_conversations_finishes_answers_and_refuses_what_is_new(application: str) -> None:
    with running_stack(application, workers=2) as stack:
        account = stack.account()
        token = dict([stack.account().bearer])
        with (
            Stream(stack, account, "/evenements?intervalle_ms=100") as stream,
            connect(f"ws://{stack.host}/ws/dossiers", additional_headers=token) as conversation,
        ):
            stack.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                for _ in conversation:
                    pass
                conversation.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
            until(lambda: refuses(stack.port), what="the end of listening")
            assert admin(stack, "GET", "/readyz")[0] == 503
            stream.flows_on()
            stack.process.send_signal(signal.SIGKILL)


def test_a_worker_that_dies_again_at_once_is_started_again_and_takes_no_other_along(application: str) -> None:
    with running_stack(application, workers=2) as stack:
        kept, dying = sorted(workers(stack))
        for _ in range(2):
            os.kill(dying, signal.SIGKILL)
            until(lambda before=dying: len(workers(stack) - {kept, before}) == 1, what="a new worker")
            (dying,) = workers(stack) - {kept}
        assert kept in workers(stack)


def workers(stack: Stack) -> set[int]:
    """The process ids of the workers that are there."""
    return {one["pid"] for one in json.loads(admin(stack, "GET", "/readyz")[1])["workers"]}


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def beside(stack: Stack, directory: Path) -> Settings:
    """The configuration of a second node: the same keys, store and application, its own ports and ledger."""
    shutil.copytree(stack.directory, directory, ignore=shutil.ignore_patterns("ledger"))
    port, admin_port = free_ports(2)
    listen, at = stack.settings.gateway.listen, stack.settings.gateway.admin
    text = (directory / GATEWAY).read_text()
    for old, new in ((f"port = {listen.port}", f"port = {port}"), (f"port = {at.port}", f"port = {admin_port}")):
        text = text.replace(f"\n{old}", f"\n{new}")
    (directory / GATEWAY).write_text(text.replace('\nnode = "gateway"', '\nnode = "b"'))
    return load(directory)


@contextlib.contextmanager
def balanced(a: Settings, b: Settings, folder: Path) -> Iterator[int]:
    """HAProxy before two gateways; its port."""
    (port,) = free_ports(1)
    ports = {"a": a.gateway.listen.port, "a_admin": a.gateway.admin.port}
    ports |= {"b": b.gateway.listen.port, "b_admin": b.gateway.admin.port}
    (folder / "haproxy.cfg").write_text(HAPROXY.format(port=port, **ports))
    process = subprocess.Popen(["haproxy", "-f", folder / "haproxy.cfg"], stderr=subprocess.DEVNULL)
    try:
        until(lambda: not refuses(port), what="HAProxy")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def both_are_up(port: int) -> None:
    """Wait until HAProxy sends to both gateways."""
    until(lambda: wire.send(port, wire.request("/both-are-up", "any")).status == 200, what="HAProxy to find both up")


def restarted(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(wire.PATIENCE_S) == 0


def test_two_gateways_are_restarted_one_by_one_and_no_request_fails(application: str, tmp_path: Path) -> None:
    with running_stack(application, workers=2) as stack, contextlib.ExitStack() as nodes:
        a, b = stack.settings, beside(stack, tmp_path / "b")
        of_b = nodes.enter_context(serving(b, tmp_path / "log"))
        accounts = [stack.account() for _ in range(4)]
        assert {stack.step_up(one).status for one in accounts} == {200}
        port = nodes.enter_context(balanced(a, b, tmp_path))
        with Hammer(port, stack.host, accounts, "/api/demandeurs/1") as hammer:
            for settings, process in ((a, stack.process), (b, of_b)):
                both_are_up(port)
                before = hammer.answered
                until(lambda before=before: hammer.answered > before + 100 or hammer.failed, what="a hundred answers")
                restarted(process)
                nodes.enter_context(serving(settings, tmp_path / "log"))
            before = hammer.answered
            until(lambda: hammer.answered > before + 100 or hammer.failed, what="a hundred answers")
        assert hammer.failed == []


def test_a_node_with_keys_of_its_own_is_never_ready_and_says_why(application: str, tmp_path: Path) -> None:
    with running_stack(application) as stack:
        settings = beside(stack, tmp_path / "b")
        shutil.rmtree(tmp_path / "b" / "keys")
        KeyRing.create(tmp_path / "b" / "keys")
        for path in (stack.directory / "keys").glob("partner-*"):
            shutil.copy(path, tmp_path / "b" / "keys")
        command = [sys.executable, "-m", "gateway", "serve", "--config", str(tmp_path / "b"), "--die-with-parent"]
        with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                until(lambda: "was begun with" in said(settings), what="the reason")
                assert wire.send(settings.gateway.listen.port, wire.request("/", stack.host)).status == 503
            finally:
                process.terminate()


def said(settings: Settings) -> str:
    """What the admin listener says of readiness; nothing before it listens."""
    connection = http.client.HTTPConnection("127.0.0.1", settings.gateway.admin.port, timeout=wire.PATIENCE_S)
    with contextlib.closing(connection), contextlib.suppress(ConnectionRefusedError):
        connection.request("GET", "/readyz")
        return connection.getresponse().read().decode()
    return ""
