"""Servers of the store for tests that hurt them: on loopback ports, alone, replicated, or watched by sentinels."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from stack import free_ports

READY_S = 20


class RedisServer:
    """One server process. ``settings``: of redis.conf; data and log are in ``directory``."""

    def __init__(self, directory: Path, settings: dict[str, str] | None = None, *, port: int | None = None) -> None:
        self.port = port or free_ports(1)[0]
        self.directory = directory
        self._settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "repl-diskless-sync-delay": "0",
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._left: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> "RedisServer":
        """Start, and return when it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        arguments = [part for name, value in self._settings.items() for part in (f"--{name}", *value.split("\n"))]
        self._process = self._spawn(["redis-server", *arguments, "--dir", str(self.directory)])
        wait_for(self.answers, f"the server at {self.port}: see {self.directory / 'log'}")
        return self

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def serve_tls(self) -> None:
        """Speak TLS alone, from the next start."""
        self._settings |= {"port": "0", "tls-port": str(self.port)}

    def follow(self, port: int) -> None:
        """Be a replica of the server there, from the next start."""
        self._settings["replicaof"] = f"127.0.0.1\n{port}"

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def ask(self, *command: Any) -> Any:
        """One command, on a connection of its own."""
        return self._ask(command, decode_responses=True)

    def raw(self, *command: Any) -> Any:
        """As ``ask``, in bytes."""
        return self._ask(command, decode_responses=False)

    def _ask(self, command: tuple[Any, ...], *, decode_responses: bool) -> Any:
        once = Retry(NoBackoff(), 0)
        client = redis.Redis(port=self.port, socket_timeout=5, retry=once, decode_responses=decode_responses)
        with contextlib.closing(client) as connection:
            return connection.execute_command(*command)

    @contextlib.contextmanager
    def watching(self) -> Iterator[Callable[[], list[tuple[str, str]]]]:
        """What is sent to it meanwhile: gives a function that tells all commands so far, each with its connection."""
        with contextlib.closing(redis.Redis(port=self.port, socket_timeout=5)) as client, client.monitor() as monitor:

            def told() -> list[tuple[str, str]]:
                self.ask("ECHO", "the end")
                found: list[tuple[str, str]] = []
                for one in monitor.listen():
                    name = str(one["command"]).partition(" ")[0].upper()
                    if name == "ECHO":
                        return found
                    found.append((f"{one['client_address']}:{one['client_port']}", name))
                return found

            yield told

    def says(self, word: str) -> bool:
        """Whether it answers with an error that begins so."""
        try:
            self.ask("PING")
        except redis.RedisError as fault:
            return f"{getattr(fault, 'status_code', None) or ''} {fault}".strip().startswith(word)
        return False

    def leave(self, *command: str) -> None:
        """Send a command and do not wait for its answer; the connection lasts as long as the server."""
        sending = socket.create_connection(("127.0.0.1", self.port))
        parts = b"".join(b"$%d\r\n%s\r\n" % (len(part), part.encode()) for part in command)
        sending.sendall(b"*%d\r\n%s" % (len(command), parts))
        self._left.append(sending)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def suspend(self) -> None:
        """Stop it as a machine that hangs: connections stay, nothing is answered."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a machine that loses its power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        while self._left:
            self._left.pop().close()


def wait_for(condition: Any, what: str, timeout_s: float = READY_S) -> None:
    """Return when ``condition()`` holds; fails naming ``what`` when it does not within the time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} was not there within {timeout_s} s"
        time.sleep(0.02)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A short-named folder, gone afterwards."""
    made = Path(tempfile.mkdtemp(prefix="gr"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def running(directory: Path, settings: dict[str, str] | None = None) -> Iterator[RedisServer]:
    """One server while the block runs."""
    server = RedisServer(directory, settings)
    try:
        yield server.start()
    finally:
        server.kill()


@contextlib.contextmanager
def replicated(directory: Path, replicas: int = 1) -> Iterator[tuple[RedisServer, ...]]:
    """A primary and its replicas, each up to date, while the block runs; the primary first."""
    with contextlib.ExitStack() as ends:
        primary = ends.enter_context(running(directory / "0"))
        follows = {"replicaof": f"127.0.0.1\n{primary.port}"}
        servers = [primary, *(ends.enter_context(running(directory / str(at + 1), follows)) for at in range(replicas))]
        wait_for(lambda: in_step(primary) == replicas, "the replicas")
        yield tuple(servers)


def in_step(primary: RedisServer) -> int:
    """How many replicas have all that their primary has."""
    return int(primary.ask("WAIT", 16, 1)) if primary.ask("SET", "in-step", "1") else 0


class Sentinel(RedisServer):
    """One sentinel that watches ``service``, whose primary is at ``primary`` when it starts."""

    def __init__(self, directory: Path, service: str, primary: int, quorum: int, more: str = "") -> None:
        super().__init__(directory)
        self._configuration = (
            f"port {self.port}\nbind 127.0.0.1\ndir {directory}\n"
            f"sentinel monitor {service} 127.0.0.1 {primary} {quorum}\n"
            f"sentinel down-after-milliseconds {service} 500\nsentinel failover-timeout {service} 4000\n{more}"
        )

    def start(self) -> "Sentinel":
        self.directory.mkdir(parents=True, exist_ok=True)
        file = self.directory / "sentinel.conf"
        file.write_text(self._configuration)
        self._process = self._spawn(["redis-sentinel", str(file)])
        wait_for(self.answers, f"the sentinel at {self.port}: see {self.directory / 'log'}")
        return self


SERVICE = "jobs"


class Watched:
    """A primary and its replica, watched by three sentinels."""

    def __init__(self, servers: tuple[RedisServer, ...], sentinels: tuple[Sentinel, ...]) -> None:
        self.servers = servers
        self.sentinels = sentinels

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(f'127.0.0.1:{one.port}' for one in self.sentinels)}/{SERVICE}"

    @property
    def primary(self) -> RedisServer:
        """Who is primary, as the sentinels say."""
        told = [int(one.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1]) for one in self.sentinels]
        (found,) = [one for one in self.servers if one.port == max(told, key=told.count)]
        return found

    @property
    def other(self) -> RedisServer:
        (found,) = [one for one in self.servers if one is not self.primary]
        return found

    def settled(self) -> bool:
        """Whether every sentinel knows primary and replica, and the others, so that a failover can begin."""
        for one in self.sentinels:
            said = one.ask("SENTINEL", "MASTER", SERVICE)
            known = said if isinstance(said, dict) else dict(zip(said[::2], said[1::2], strict=True))
            others = int(known["num-other-sentinels"]), int(known["num-slaves"])
            if others != (len(self.sentinels) - 1, 1) or "down" in str(known["flags"]):
                return False
            (replica,) = one.ask("SENTINEL", "REPLICAS", SERVICE)
            told = replica if isinstance(replica, dict) else dict(zip(replica[::2], replica[1::2], strict=True))
            if told["master-link-status"] != "ok" or "down" in str(told["flags"]):
                return False
        return in_step(self.primary) == 1

    def bring_back(self, server: RedisServer) -> None:
        """Start a server again as its container does: it asks the sentinels whom to follow."""
        server.follow(self.primary.port)
        server.start()


@contextlib.contextmanager
def watched(directory: Path) -> Iterator[Watched]:
    """A primary, its replica and three sentinels, ready to fail over, while the block runs."""
    with contextlib.ExitStack() as ends:
        servers = ends.enter_context(replicated(directory))
        sentinels = tuple(Sentinel(directory / f"s{at}", SERVICE, servers[0].port, 2) for at in range(3))
        for one in sentinels:
            ends.callback(one.kill)
            one.start()
        group = Watched(servers, sentinels)
        wait_for(group.settled, "the sentinels")
        yield group
