"""Starting the demo's programs as processes of their own, on free ports."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PERSONS = 300


@dataclass(frozen=True)
class Program:
    """A running program."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_up(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise AssertionError(f"the program ended with {process.returncode}")


@contextmanager
def running(module: str, port: int, log: Path, *arguments: str) -> Iterator[Program]:
    command = [sys.executable, "-m", module, "--port", str(port), "--die-with-parent", *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            wait_until_up(port, process)
            yield Program(f"http://127.0.0.1:{port}", process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


SSO_USERS = {
    "users": [
        {
            "login": "h.lefevre",
            "password": "éclair au café",
            "sub": "u-1",
            "name": "Hélène Lefèvre",
            "email": "h@x.example",
            "agency": "75011",
        },
        {
            "login": "p.martin",
            "password": "second",
            "sub": "u-2",
            "name": "Paul Martin",
            "acr": "eidas2",
            "amr": ["pwd", "hwk"],
        },
    ],
    "clients": [
        {"client_id": "gateway", "client_secret": "s3cret:+", "redirect_uris": ["https://client.example/back"]},
        {"client_id": "other", "client_secret": "other", "redirect_uris": ["https://other.example/back"]},
    ],
}
