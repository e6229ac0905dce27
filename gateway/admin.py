"""The admin listener, in the server's parent process: health, readiness, metrics. Never on the public port."""

import json
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STATE_FRESH_S = 3.0
"""A worker writes its state every second; three missed ones mean that it hangs."""


def write_state(folder: Path, *, ready: bool, why: str) -> None:
    """A worker's word on itself, replaced in one step."""
    file = folder / f"worker-{os.getpid()}.json"
    temporary = file.with_suffix(".new")
    temporary.write_text(json.dumps({"ready": ready, "why": why, "at": time.monotonic()}))
    temporary.replace(file)


def states(folder: Path, alive: frozenset[int]) -> dict[int, tuple[bool, str]]:
    """What each living worker says: ready or not, and why."""
    found: dict[int, tuple[bool, str]] = dict.fromkeys(alive, (False, "starting"))
    for pid in alive:
        try:
            state = json.loads((folder / f"worker-{pid}.json").read_text())
        except (OSError, ValueError):
            continue
        age_s = time.monotonic() - state["at"]
        found[pid] = (state["ready"], state["why"]) if age_s <= STATE_FRESH_S else (False, f"silent for {age_s:.0f} s")
    return found


class Handler(BaseHTTPRequestHandler):
    """``/healthz``, ``/readyz``, ``/metrics``."""

    def __init__(self, folder: Path, workers: Callable[[], frozenset[int]], *arguments: object) -> None:
        self._folder = folder
        self._workers = workers
        super().__init__(*arguments)  # type: ignore[arg-type]  # what socketserver gives, passed on

    def do_GET(self) -> None:
        """Answer one request."""
        match self.path:
            case "/healthz":
                self._answer(200, "text/plain", b"alive\n")
            case "/readyz":
                self._ready()
            case "/metrics":
                self._metrics()
            case _:
                self._answer(404, "text/plain", b"/healthz, /readyz, /metrics\n")

    def _ready(self) -> None:
        said = states(self._folder, self._workers())
        ready = bool(said) and all(ok for ok, _ in said.values())
        body = {"ready": ready, "workers": [{"pid": pid, "ready": ok, "why": why} for pid, (ok, why) in said.items()]}
        self._answer(200 if ready else 503, "application/json", json.dumps(body).encode())

    def _metrics(self) -> None:
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._folder))  # type: ignore[no-untyped-call]
        self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))

    def _answer(self, status: int, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  (the name in http.server)
        """Say nothing: health checks are many."""


def listen(address: str, port: int, folder: Path, workers: Callable[[], frozenset[int]]) -> ThreadingHTTPServer:
    """Serve in a thread of this process; raises ``OSError`` when the port is taken."""
    server = ThreadingHTTPServer((address, port), partial(Handler, folder, workers))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="admin", daemon=True).start()
    return server
