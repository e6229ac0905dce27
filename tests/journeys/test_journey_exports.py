"""An export gives exactly what is left, then fails visibly: in curl, in Python, behind other proxies."""

import http.client
import os
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running_demo import CI, Caller, RunningDemo, at_once
from stack import free_ports, until

LIMIT = 60
BEFORE = 5
CURL_PARTIAL_FILE = 18
SEARCHED = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{gateway}; proxy_http_version 1.1; proxy_set_header Host $http_host; }}
  }}
}}
"""
HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend front
  bind 127.0.0.1:{port}
  default_backend gateway
backend gateway
  server gateway 127.0.0.1:{gateway}
"""


def _program(name: str) -> str | None:
    return shutil.which(name, path=SEARCHED)


# Where continuous integration runs, a missing program is a failure; elsewhere its stories are not collected.
PATHS = ["direct", *(name for name in ("nginx", "haproxy") if CI or _program(name))]
CURL = ["curl"] if CI or _program("curl") else []


@contextmanager
def in_front(name: str, gateway: int) -> Iterator[int]:
    """A proxy before the gateway: its port."""
    if name == "direct":
        yield gateway
        return
    program = _program(name)
    assert program is not None, f"{name} is not installed"
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="jp", dir="/tmp") as made:
        folder = Path(made)
        text = NGINX if name == "nginx" else HAPROXY
        file = folder / "conf"
        file.write_text(text.format(folder=folder, port=port, gateway=gateway))
        command = [program, "-p", made, "-c", str(file)] if name == "nginx" else [program, "-db", "-f", str(file)]
        with (folder / "out").open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out)
        try:

            def listens() -> bool:
                assert process.poll() is None, (folder / "out").read_text()
                try:
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
                    connection.connect()
                except OSError:
                    return False
                connection.close()
                return True

            until(listens, what=name)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _with_curl(url: str, demo: RunningDemo, caller: Caller) -> bytes:
    program = _program("curl")
    assert program is not None, "curl is not installed"
    given = ["-s", "--noproxy", "*", "-H", f"Host: {demo.host}", "-H", ": ".join(caller.bearer), url]
    ran = subprocess.run([program, *given], capture_output=True, timeout=120, check=False)
    assert ran.returncode == CURL_PARTIAL_FILE
    return ran.stdout


def _with_urllib(url: str, demo: RunningDemo, caller: Caller) -> bytes:
    asked = urllib.request.Request(url, headers={"Host": demo.host, caller.bearer[0]: caller.bearer[1]})  # noqa: S310  (loopback)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asked, timeout=120) as answer:
        assert answer.status == 200
        with pytest.raises(http.client.IncompleteRead) as cut:
            answer.read()
    return cut.value.partial


@pytest.mark.parametrize("path", PATHS)
def test_an_export_gives_what_is_left_and_then_fails_visibly(running: RunningDemo, path: str) -> None:
    caller = running.proven(max_persons=LIMIT)
    early = at_once(running.port, [running.record(caller, number) for number in running.ids[-BEFORE:]])
    assert [answer.status for answer in early] == [200] * BEFORE
    clients = [_with_urllib, *([_with_curl] if CURL else [])]
    with in_front(path, running.port) as port:
        url = f"http://127.0.0.1:{port}{running.export}"
        # The second time the same persons are free, and nobody else is left.
        for fetch in clients:
            text = fetch(url, running, caller)
            lines = text.decode().splitlines()
            assert len(lines) == 1 + (LIMIT - BEFORE) + 1
            assert [line.split(";")[0] for line in lines[1:-1]] == [str(n) for n in range(1, LIMIT - BEFORE + 1)]
            assert lines[-1].startswith("gateway:")
            assert "budget_exhausted" in lines[-1]
            assert running.seen(text) >= set(range(1, LIMIT - BEFORE + 1))
            assert len(running.seen(text)) == LIMIT - BEFORE
            assert running.used(caller)["sensitive-hour"] == LIMIT
    report = running.report(caller)
    assert report["persons"] == LIMIT


def test_an_export_with_nothing_left_does_not_begin(running: RunningDemo) -> None:
    caller = running.proven(max_persons=LIMIT)
    numbers = running.ids[-LIMIT:]
    answers = at_once(running.port, [running.record(caller, number) for number in numbers])
    assert [answer.status for answer in answers] == [200] * LIMIT
    answer = running.ask(caller, running.export)
    assert (answer.status, answer.reason) == (429, "budget_exhausted")
    assert running.seen(answer.raw) == set()
    assert int(answer.one("retry-after") or 0) > 3_000
