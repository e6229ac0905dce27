"""A demo from an empty folder to the ready file: what is started, in which order, and what it is told."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.config import Settings, load
from gateway.demo import cast, population, ready
from gateway.demo.ready import Pids, Ready, ReadyPartner
from gateway.demo.supervise import Command, DidNotStart, Household, StoreProgram, answers, children
from gateway.initialise import DEMO_MARK, PARTNER_IDS, write_configuration
from gateway.stores.embedded import EmbeddedStore

LEAST_PERSONS: Final = 2_000
_LOOK_EVERY_S: Final = 0.25
SECOND_APPLICATION: Final = {
    "gateway.toml": """
# A second application, on a host of its own: its people sign in once for both, and confirm in a small window.
[applications.guichet]
hosts = ["{host}"]
upstream = "{upstream}"
assist = true
""",
    "policy.toml": """
[[routes]]
name = "counter-record"
application = "guichet"
path = "/api/demandeurs/{{id}}"
methods = ["GET", "PATCH"]
class = "sensitive"
person = "path:id"
""",
}
"""What a demo adds to the example: files, and the text at their ends."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens."""

    gateway: int
    admin: int
    upstream: int
    partners: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """A demo being built in ``folder``."""

    folder: Path
    ports: Ports
    workers: int
    household: Household

    @property
    def config(self) -> Path:
        """The configuration's folder."""
        return self.folder / "config"

    @property
    def gateway(self) -> str:
        """The gateway's address."""
        return f"http://localhost:{self.ports.gateway}"

    @property
    def upstream(self) -> str:
        """The application's own address."""
        return f"http://127.0.0.1:{self.ports.upstream}"

    @property
    def admin(self) -> str:
        """The admin listener's address."""
        return f"http://127.0.0.1:{self.ports.admin}"

    def issuer(self, index: int) -> str:
        """A partner's provider."""
        return f"http://127.0.0.1:{self.ports.partners[index]}"

    def _command(self, name: str, *arguments: str) -> Command:
        python = [sys.executable, *arguments]
        return Command(name, python, self.folder / "logs" / f"{name}.log", self.folder / "tmp")

    def build(self, persons: int, built: Callable[[int], None], say: Callable[[str], None]) -> Ready:
        """Start everything. :raises DidNotStart, NoServer, StoreUnavailable, OSError:"""
        for name in ("logs", "tmp"):
            (self.folder / name).mkdir(mode=0o700)
        store = EmbeddedStore(self.folder / "store")
        settings = self._configure(store.url)
        self.household.start(StoreProgram(store))
        say("building the population")
        database = self.folder / "population.db"
        population.build(database, persons, progress=built)
        say("starting the application and the partners")
        self._start_application(database)
        self._start_partners()
        store.wait_ready()
        users, tokens = asyncio.run(cast.enter(settings))
        say("starting the gateway")
        self._start_gateway()
        partners = tuple(ReadyPartner(name, self.issuer(at)) for at, name in enumerate(PARTNER_IDS))
        ids = ready.single_persons(database)
        return Ready(self.gateway, self.upstream, self.admin, str(self.config), partners, users, tokens, ids)

    def _configure(self, store_url: str) -> Settings:
        changes = {
            "gateway.toml": {
                "\nport = 8080": f"\nport = {self.ports.gateway}",
                '"localhost:8080"': f'"localhost:{self.ports.gateway}"',
                "\nport = 9090": f"\nport = {self.ports.admin}",
                "\nworkers = 2": f"\nworkers = {self.workers}",
                '\nurl = "redis://127.0.0.1:6379"': f'\nurl = "{store_url}"',
                '"http://127.0.0.1:8001"': f'"{self.upstream}"',
            },
            "partners.toml": {
                '"http://127.0.0.1:8002"': f'"{self.issuer(0)}"',
                '"http://127.0.0.1:8003"': f'"{self.issuer(1)}"',
                '"http://127.0.0.1:8002/events"': f'"{self.issuer(0)}/events"',
                '"http://127.0.0.1:8003/events"': f'"{self.issuer(1)}/events"',
            },
        }
        write_configuration(self.config, changes)
        for name, text in SECOND_APPLICATION.items():
            with (self.config / name).open("a", encoding="utf-8") as file:
                file.write(text.format(host=f"guichet.localhost:{self.ports.gateway}", upstream=self.upstream))
        (self.config / DEMO_MARK).touch()
        return load(self.config)

    def _start_application(self, database: Path) -> None:
        self.household.start(
            self._command(
                "application",
                *("-m", "gateway.demo.application", "--database", str(database)),
                *("--port", str(self.ports.upstream), "--die-with-parent"),
            )
        )

    def _start_partners(self) -> None:
        for at, name in enumerate(PARTNER_IDS):
            users = self.folder / f"{name}.json"
            users.touch(mode=0o600)
            users.write_text(cast.provider_file(name, cast.partner_secret(self.config, name), self.gateway))
            self.household.start(
                self._command(
                    name,
                    *("-m", "gateway.demo.sso", "--port", str(self.ports.partners[at]), "--issuer", self.issuer(at)),
                    *("--users", str(users), "--die-with-parent"),
                )
            )

    def _start_gateway(self) -> None:
        arguments = ("-m", "gateway", "serve", "--config", str(self.config), "--die-with-parent")
        self.household.start(self._command("gateway", *arguments))
        self.household.wait("application", lambda: answers(f"{self.upstream}/compteur"))
        for at, name in enumerate(PARTNER_IDS):
            url = f"{self.issuer(at)}/.well-known/openid-configuration"
            self.household.wait(name, lambda url=url: answers(url))  # type: ignore[misc]  # mypy infers no default
        self.household.wait("gateway", lambda: answers(f"{self.admin}/healthz/deep"))

    def pids(self) -> Pids:
        """The processes that run now."""

        def one(name: str) -> tuple[int, ...]:
            pid = self.household.programs[name].pid
            return () if pid is None else (pid,)

        parent = one("gateway")
        workers = tuple(child for pid in parent for child in children(pid))
        return Pids(parent, workers, one("store"), one("application"))

    def keep(self, told: Ready, ready_file: Path | None, say: Callable[[str], None]) -> None:
        """Keep everything alive until this process is asked to end; the ready file follows the process ids."""
        written: Pids | None = None
        while True:
            for words in self.household.tend(time.monotonic()):
                say(words)
            current = self.pids()
            complete = current.gateway and current.store and current.upstream and len(current.workers) >= self.workers
            if ready_file is not None and complete and current != written:
                ready.write(ready_file, told.as_json(current))
                written = current
            time.sleep(_LOOK_EVERY_S)


def choose_ports(port: int) -> Ports:
    """Free ports for everything; ``port`` for the gateway unless it is 0. :raises DidNotStart: when it is taken."""
    sockets = []
    try:
        for wanted in (port, 0, 0, 0, 0):
            one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sockets.append(one)
            one.bind(("127.0.0.1", wanted))
        numbers = [one.getsockname()[1] for one in sockets]
    except OSError as fault:
        raise DidNotStart(f"the port {port} is taken: choose another with --port, or 0 for any") from fault
    finally:
        for one in sockets:
            one.close()
    return Ports(numbers[0], numbers[1], numbers[2], tuple(numbers[3:]))
