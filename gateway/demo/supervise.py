"""The demo's programs: started in order, started again when they die, stopped together; nothing stays behind.

Rules of this file:

1. Every program is a child of this process, started from its main thread, and dies with it (`parentdeath`).
2. What died is started again, not sooner than ``RESTART_AFTER_S`` after its death: whoever killed it sees it dead.
3. The folder is removed by this process, or, when it was killed, by a shell that waits for the end of a pipe.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, Protocol
from urllib.parse import urlsplit

from gateway.stores.embedded import LONGEST_SOCKET_PATH, EmbeddedStore

RESTART_AFTER_S: Final = 2.0
_STOP_S: Final = 8.0
_POLL_S: Final = 0.05
_LOG_TAIL: Final = 12
_SOCKET_NAME: Final = "/store/s"
_BROOM: Final = 'read -r word || { sleep 1; rm -rf -- "$0"; sleep 2; rm -rf -- "$0"; }'


class Stopped(BaseException):
    """Somebody asked the demo to end: Ctrl-C, SIGTERM or SIGHUP."""


class DidNotStart(Exception):
    """A program ended or did not become ready; the message says which, and the end of its log."""


class Program(Protocol):
    """Something that runs."""

    name: str

    @property
    def pid(self) -> int | None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Command:
    """One child process in a session of its own, so that a Ctrl-C in the terminal reaches this process alone."""

    def __init__(self, name: str, arguments: Sequence[str], log: Path, temporary: Path) -> None:
        self.name = name
        self.log = log
        self._arguments = list(arguments)
        self._environment = {**os.environ, "TMPDIR": str(temporary)}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process's id while it runs. One that has ended is buried at once, with whatever it left running."""
        if self._process is not None and self._process.returncode is None and self._is_over():
            self._bury()
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    @property
    def ended(self) -> str:
        """How it ended, in words; empty while it runs."""
        status = None if self._process is None else self._process.returncode
        if status is None:
            return ""
        return f"with status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"

    def start(self) -> None:
        """Start it; its output goes to the log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )

    def stop(self) -> None:
        """End it and whatever it started."""
        pid = self.pid
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_S
        while not self._is_over() and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        self._bury()

    def _is_over(self) -> bool:
        """Whether it has ended; it is not waited for yet, so that its number stays its own."""
        process = self._process
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return process is None or os.waitid(os.P_PID, process.pid, how) is not None

    def _bury(self) -> None:
        """Kill its whole group, then wait for it: afterwards the number may be another's, and is never signalled."""
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class StoreProgram:
    """The private store as a program."""

    def __init__(self, store: EmbeddedStore) -> None:
        self.name = "store"
        self.store = store

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self.store.pid

    def start(self) -> None:
        """Start the server; raises ``NoServer``."""
        self.store.start()

    def stop(self) -> None:
        """End the server."""
        self.store.stop()


class Household:
    """All programs of one demo, in the order of their starting."""

    def __init__(self) -> None:
        self.programs: dict[str, Program] = {}
        self._died: dict[str, float] = {}

    def start(self, program: Program) -> None:
        """Start a program and take it in."""
        self.programs[program.name] = program
        program.start()

    def tend(self, now: float) -> list[str]:
        """Start again what has been dead for long enough; says what was. ``now``: monotonic seconds."""
        started = []
        for name, program in self.programs.items():
            if program.pid is not None:
                self._died.pop(name, None)
            elif now - self._died.setdefault(name, now) >= RESTART_AFTER_S:
                del self._died[name]
                how = f" {program.ended}" if isinstance(program, Command) else ""
                program.start()
                started.append(f"{name} had ended{how} and was started again")
        return started

    def wait(self, name: str, ready: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Wait until a program is ready. :raises DidNotStart: when it ends first or time is over."""
        program = self.programs[name]
        deadline = time.monotonic() + timeout_s
        while not ready():
            if program.pid is None:
                raise DidNotStart(f"{name} ended at once{_tail(program)}")
            if time.monotonic() > deadline:
                raise DidNotStart(f"{name} was not ready within {timeout_s:g} s{_tail(program)}")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Stop everything, last started first."""
        for program in reversed(list(self.programs.values())):
            program.stop()


def _tail(program: Program) -> str:
    if not isinstance(program, Command) or not program.log.exists():
        return ""
    lines = program.log.read_text("utf-8", "replace").splitlines()[-_LOG_TAIL:]
    return ":\n  " + "\n  ".join(lines) if lines else ""


def answers(url: str, status: int = 200) -> bool:
    """Whether a GET of ``url`` is answered with ``status``."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=2)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status == status
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def children(pid: int) -> list[int]:
    """The processes whose parent is ``pid`` (proc(5)), oldest first."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            stat = (entry / "stat").read_text("latin-1")
        except OSError:
            continue
        fields = stat.rpartition(")")[2].split()
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(entry.name))
    return sorted(found)


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into ``Stopped``; further ones are ignored while all is put away."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in handled:
            signal.signal(number, signal.SIG_IGN)
        raise Stopped

    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder of one's own (0700) with a short path, gone at the end, even when this process is killed."""
    base = tempfile.gettempdir()
    if len(base) + len("/gw-12345678") + len(_SOCKET_NAME) > LONGEST_SOCKET_PATH:
        base = "/tmp"  # noqa: S108  (mkdtemp makes a folder of our own there)
    folder = Path(tempfile.mkdtemp(prefix="gw-", dir=base))
    broom = subprocess.Popen(
        ["/bin/sh", "-c", _BROOM, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        broom.communicate(b"done\n")
