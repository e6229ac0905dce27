"""``gateway serve``: the server's parent process. Workers are its children, and nothing else is."""

import os
import resource
import shutil
import signal
import tempfile
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import MPServer

from gateway import admin
from gateway.config import Settings, warnings

CONFIG_VARIABLE = "GATEWAY_CONFIG"
RUN_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
DRAIN_S = 60
RESPAWN_S = 2.0


class Server(MPServer):
    """Granian's server with the admin listener beside it."""

    def worker_pids(self) -> frozenset[int]:
        """The process ids of the workers alive now."""
        alive = (worker.inner for worker in list(self.wrks) if worker.inner.is_alive())
        return frozenset(process.pid for process in alive if process.pid)

    def _respawn_workers(self, workers, spawn_target, target_loader, delay=0):  # type: ignore[no-untyped-def]
        """Start workers again no sooner than ``RESPAWN_S`` after a death: a crash loop must not spin."""
        self.main_loop_interrupt.wait(RESPAWN_S)
        super()._respawn_workers(workers, spawn_target, target_loader, delay)


def serve(settings: Settings, *, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; ``announce`` is told what it begins with. Raises ``OSError``: a port is taken."""
    listen = settings.gateway.listen
    folder = Path(tempfile.mkdtemp(prefix="gateway-"))
    os.environ[RUN_VARIABLE] = str(folder)
    os.environ[CONFIG_VARIABLE] = str(settings.directory)
    _raise_open_files()
    # a forked worker has this process's handler until it sets its own, and would swallow the order to end
    os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
    server = Server(
        "gateway.app:create",
        address=listen.address,
        port=listen.port,
        interface=Interfaces.ASGI,
        workers=listen.workers,
        loop=Loops.uvloop,
        http=HTTPModes.auto,
        websockets=True,
        backlog=4096,
        backpressure=listen.backpressure,
        http1_settings=HTTP1Settings(header_read_timeout=int(listen.header_timeout * 1000)),
        log_level=LogLevels.warning,
        ssl_cert=settings.path(listen.certificate) if listen.certificate else None,
        ssl_key=settings.path(listen.key) if listen.key else None,
        respawn_failed_workers=True,
        respawn_interval=RESPAWN_S,
        workers_kill_timeout=DRAIN_S,
        factory=True,
    )
    listening: list[ThreadingHTTPServer] = []

    def start_admin() -> None:
        at = settings.gateway.admin
        listening.append(admin.listen(at.address, at.port, folder, server.worker_pids))

    server.on_startup(start_admin)
    for warning in warnings(settings):
        announce(str(warning))
    scheme = "https" if listen.certificate else "http"
    announce(f"listening on {scheme}://{listen.address}:{listen.port}, {listen.workers} workers")
    try:
        server.serve()
    finally:
        for one in listening:
            one.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _raise_open_files() -> None:
    """As many open files as the system allows: every silent socket is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
