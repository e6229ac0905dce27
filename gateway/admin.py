"""The admin listener, in the server's parent process: health, readiness, metrics. Never on the public port."""

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from gateway.reloading import Taken

STATE_FRESH_S = 3.0
"""A worker writes its state every second; three missed ones mean that it hangs."""


RELOAD_HEADER = "Gateway-Reload"
"""Asked for at ``/reload``: no page of a browser can send it without asking first (Fetch standard)."""


@dataclass(frozen=True, slots=True)
class State:
    """A worker's word on itself: ready, or why not; which generation it decides by, or why by no newer one.

    Ready is who can answer, even if with a refusal; ``store``: what is wrong with the store, which all share: it would
    help nobody to ask another. ``ending``: it begins no conversation any more; ``conversations``: open WebSockets;
    ``partners``: what was wrong with the last call of which partner's provider, which makes no worker less well.
    """

    ready: bool
    why: str = ""
    store: str = ""
    generation: int = 0
    behind: str = ""
    ending: bool = False
    conversations: int = 0
    partners: Mapping[str, str] = field(default_factory=dict)

    @property
    def well(self) -> bool:
        """Whether nothing is wrong."""
        return self.ready and not self.store


def write_state(folder: Path, state: State) -> None:
    """Say how this worker is; replaced in one step."""
    file = folder / f"worker-{os.getpid()}.json"
    temporary = file.with_suffix(".new")
    temporary.write_text(json.dumps({"state": asdict(state), "at": time.monotonic()}))
    temporary.replace(file)


def states(folder: Path, alive: frozenset[int]) -> dict[int, State]:
    """What each living worker says of itself."""
    found = dict.fromkeys(alive, State(False, "starting", behind="starting"))
    for pid in alive:
        try:
            said = json.loads((folder / f"worker-{pid}.json").read_text())
        except (OSError, ValueError):
            continue
        state, age_s = State(**said["state"]), time.monotonic() - said["at"]
        found[pid] = state if age_s <= STATE_FRESH_S else replace(state, ready=False, why=f"silent for {age_s:.0f} s")
    return found


class Handler(BaseHTTPRequestHandler):
    """``/healthz``: alive; ``/readyz``: can answer; ``/healthz/deep``: all is well; ``/metrics``; POST ``/reload``."""

    def __init__(
        self, folder: Path, workers: Callable[[], frozenset[int]], reload: Callable[[], Taken], *arguments: object
    ) -> None:
        self._folder = folder
        self._workers = workers
        self._reload = reload
        super().__init__(*arguments)  # type: ignore[arg-type]  # what socketserver gives, passed on

    def handle(self) -> None:
        """Serve one connection; whoever asks may be gone before the answer (HAProxy's checks are)."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        """Answer one request."""
        match self.path:
            case "/healthz":
                self._answer(200, "text/plain", b"alive\n")
            case "/readyz":
                self._states("ready")
            case "/healthz/deep":
                self._states("well")
            case "/metrics":
                self._metrics()
            case _:
                self._answer(404, "text/plain", b"/healthz, /healthz/deep, /readyz, /metrics, POST /reload\n")

    def do_POST(self) -> None:
        """Take a new policy into force, for ``gateway reload``: 200, 422 with the mistakes, 503 while workers lag."""
        if self.path != "/reload" or self.headers.get(RELOAD_HEADER) is None:
            self._answer(404, "text/plain", f"POST /reload, with the header {RELOAD_HEADER}\n".encode())
            return
        taken = self._reload()
        body = {
            "policy": taken.policy,
            "mistakes": [asdict(one) for one in taken.mistakes],
            "waiting": [{"pid": pid, "why": why} for pid, why in taken.waiting.items()],
        }
        status = 422 if taken.mistakes else 503 if taken.waiting else 200
        self._answer(status, "application/json", json.dumps(body).encode())

    def _states(self, asked: str) -> None:
        said = states(self._folder, self._workers())
        holds = bool(said) and all(getattr(state, asked) for state in said.values())
        body = {asked: holds, "workers": [{"pid": pid, **asdict(state)} for pid, state in said.items()]}
        self._answer(200 if holds else 503, "application/json", json.dumps(body).encode())

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


def listen(
    address: str, port: int, folder: Path, workers: Callable[[], frozenset[int]], reload: Callable[[], Taken]
) -> ThreadingHTTPServer:
    """Serve in a thread of this process; raises ``OSError`` when the port is taken."""
    server = ThreadingHTTPServer((address, port), partial(Handler, folder, workers, reload))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="admin", daemon=True).start()
    return server
