"""``gateway serve``: the server's parent process. Workers are its children, and nothing else is."""

import importlib
import os
import resource
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import MPServer

from gateway import admin
from gateway.config import Settings, warnings
from gateway.ledger.shipping import ship
from gateway.reloading import Check, InForce, Taken

CONFIG_VARIABLE = "GATEWAY_CONFIG"
RUN_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
DRAIN_S = 60
"""How long answers that are on their way may take to their end once the server is to end."""

GOODBYE_S = 3.0
"""How long workers have for closing WebSockets before that; who balances load has seen by then that nobody is ready."""

LAST_FRAMES_S = 0.5
"""How long the last frames of conversations have for reaching their clients: the workers' connections end abruptly."""

ENDING = "ending"
"""A file in the server's folder that tells workers that it is to end."""

SHIP_EVERY_S = 60
RESPAWN_S = 2.0
APPLICATION = "gateway.app:create"


class Server(MPServer):
    """Granian's server with the admin listener beside it. A hangup brings a new policy, and replaces no process."""

    def __init__(self, settings: Settings, folder: Path, in_force: InForce, announce: Callable[[str], None]) -> None:
        listen = settings.gateway.listen
        super().__init__(
            APPLICATION,
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
        self._admin = settings.gateway.admin
        self._folder = folder
        self._in_force = in_force
        self._announce = announce
        self._listening: list[ThreadingHTTPServer] = []
        self.on_startup(self._listen_to_admin)
        self.on_startup(partial(_ship_ever_after, settings, announce))

    def close(self) -> None:
        """End the admin listener."""
        for one in self._listening:
            one.shutdown()

    def _listen_to_admin(self) -> None:
        at = self._admin
        self._listening.append(admin.listen(at.address, at.port, self._folder, self.worker_pids, self.take_anew))

    def worker_pids(self) -> frozenset[int]:
        """The process ids of the workers alive now."""
        alive = (worker.inner for worker in list(self.wrks) if worker.inner.is_alive())
        return frozenset(process.pid for process in alive if process.pid)

    def _said(self) -> Mapping[int, admin.State]:
        return admin.states(self._folder, self.worker_pids())

    def take_anew(self) -> Taken:
        """Take the files as they are now into force, and say aloud what became of it."""
        taken = self._in_force.reload(lambda: {pid: (one.generation, one.behind) for pid, one in self._said().items()})
        tell(taken, self._announce)
        return taken

    def _reload(self, spawn_target, target_loader):  # type: ignore[no-untyped-def]
        """Granian would start every worker anew, and fail a few requests."""
        self.reload_signal = False
        self.main_loop_interrupt.clear()
        threading.Thread(target=self.take_anew, name="reload", daemon=True).start()

    def _respawn_workers(self, workers, spawn_target, target_loader, delay=0):  # type: ignore[no-untyped-def]
        """Start workers again no sooner than ``RESPAWN_S`` after a death: a crash loop must not spin.

        Granian would end all workers where one dies again within seconds.
        """
        self.main_loop_interrupt.wait(RESPAWN_S)
        super()._respawn_workers(workers, spawn_target, target_loader, delay)
        self.respawned_wrks.clear()

    def _stop_workers(self):  # type: ignore[no-untyped-def]
        """Granian would drop WebSockets without a word, and be called ready to its end."""
        self._say_goodbye()
        super()._stop_workers()  # type: ignore[no-untyped-call]

    def _say_goodbye(self) -> None:
        (self._folder / ENDING).touch()
        deadline, told = time.monotonic() + GOODBYE_S, False
        while time.monotonic() < deadline:
            said = self._said().values()
            told = told or any(one.conversations for one in said)
            if all(one.ending and not one.conversations for one in said):
                time.sleep(LAST_FRAMES_S if told else 0)
                return
            time.sleep(0.05)


def serve(settings: Settings, *, check: Check, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; ``announce`` is told what it begins with.

    ``check``: what must hold of a new policy's settings, as of these. Raises ``OSError``: a port is taken;
    ``ConfigurationError``: the files have changed since they were read.
    """
    listen = settings.gateway.listen
    folder = Path(tempfile.mkdtemp(prefix="gateway-"))
    os.environ[RUN_VARIABLE] = str(folder)
    os.environ[CONFIG_VARIABLE] = str(settings.directory)
    _raise_open_files()
    # a forked worker has this process's handler until it sets its own, and would swallow the order to end
    os.register_at_fork(after_in_child=_forget_signals)
    in_force = InForce(folder, settings, check)
    in_force.take()
    importlib.import_module(APPLICATION.partition(":")[0])  # once, for every worker that is forked from here
    server = Server(settings, folder, in_force, announce)
    for warning in warnings(settings):
        announce(str(warning))
    scheme = "https" if listen.certificate else "http"
    announce(f"listening on {scheme}://{listen.address}:{listen.port}, {listen.workers} workers")
    try:
        server.serve()
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


def _ship_ever_after(settings: Settings, announce: Callable[[str], None]) -> None:
    """Hand closed files of the ledger on, beside everything else, where the configuration says how."""
    command, directory = settings.gateway.ledger.ship, settings.path(settings.gateway.ledger.directory)
    if command is None:
        return

    def work() -> None:
        while True:
            time.sleep(SHIP_EVERY_S)
            try:
                faults = [f"{told.file}: {told.fault}" for told in ship(directory, command) if told.fault]
            except OSError as fault:
                faults = [str(fault)]
            for one in faults:
                announce(f"not handed on yet: {one}")

    threading.Thread(target=work, name="ship", daemon=True).start()


def tell(taken: Taken, announce: Callable[[str], None]) -> None:
    """Say aloud what became of a reload."""
    for mistake in taken.mistakes:
        announce(f"reload: {mistake}")
    if taken.mistakes:
        announce(f"reload REFUSED, {len(taken.mistakes)} mistakes: policy {taken.policy} stays in force")
        return
    for pid, why in taken.waiting.items():
        announce(f"reload: worker {pid} has not taken it yet: {why or 'no answer'}")
    announce(f"reload: policy {taken.policy} is in force")


def _forget_signals() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the server's to answer, also where a whole group is told


def _raise_open_files() -> None:
    """As many open files as the system allows: every silent socket is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
