"""A running demo as journeys use it: callers of their own, requests over sockets, what ledger and database say.

Everything secret that a journey makes or sees is kept in ``secrets``: the last journey looks for it everywhere.
"""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyotp
import redis
import wire
from stack import until
from typer.testing import CliRunner
from wire import Answer

from gateway.__main__ import app
from gateway.config import load
from gateway.core.extraction import Identifier
from gateway.keyring import KeyRing

ROOT = Path(__file__).parents[2]
PARTNER = "relais-emploi"
PERIOD_S = 30
PERSONS = 3_000
WORKERS = 4
CI = os.environ.get("CI") == "true"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser"))), None)
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Caller:
    """Somebody with a token and a code generator."""

    login: str
    token: str
    secret: str

    @property
    def bearer(self) -> tuple[str, str]:
        return "Authorization", f"Bearer {self.token}"


@dataclass
class RunningDemo:
    """One demo for all journeys."""

    folder: Path
    process: subprocess.Popen[bytes]
    secrets: dict[str, str] = field(default_factory=dict)
    typed: dict[str, int] = field(default_factory=dict)
    """The step of the last code that each of the demo's people has typed."""

    @property
    def told(self) -> dict[str, Any]:
        """The ready file as it is now: process ids change."""
        said: dict[str, Any] = json.loads((self.folder / "ready.json").read_bytes())
        return said

    def look_up(self) -> "RunningDemo":
        """Read what does not change."""
        told = self.told
        self.gateway: str = told["gateway"]
        self.upstream: str = told["upstream"]
        self.admin: str = told["admin"]
        self.config = Path(told["config"])
        self.ids: list[int] = told["samples"]["ids"]
        self.export: str = told["samples"]["export"]
        self.list: str = told["samples"]["list"]
        parts = urllib.parse.urlsplit(self.gateway)
        self.host, self.port = parts.netloc, parts.port or 80
        self.upstream_port = urllib.parse.urlsplit(self.upstream).port or 80
        self.keyring = KeyRing.load(self.config / "keys")
        self.nirs = self._nirs()
        for user in told["users"]:
            self.secrets |= {user["password"]: "password", user["totp_secret"]: "code generator"}
        self.secrets |= {one["token"]: "token" for one in told["tokens"]}
        return self

    # -- What an operator does ----------------------------------------------------------------------------------------

    def command(self, *arguments: str) -> Any:
        """What ``gateway … --json`` says."""
        ran = CliRunner().invoke(app, [*arguments, "--json", "--config", str(self.config)])
        assert ran.exit_code == 0, ran.output
        return json.loads(ran.stdout)

    def caller(self, max_persons: int | None = None) -> Caller:
        """Somebody new."""
        login = f"adviser{next(_NUMBERS)}"
        token = self._issue(login, max_persons)
        secret: str = self.command("user", "enrol", login, "--partner", PARTNER)["totp_secret"]
        self.secrets[secret] = "code generator"
        return Caller(login, token, secret)

    def another_token(self, caller: Caller, max_persons: int | None = None) -> Caller:
        """The same user with one more token."""
        return Caller(caller.login, self._issue(caller.login, max_persons), caller.secret)

    def _issue(self, login: str, max_persons: int | None) -> str:
        given = ("token", "issue", "--partner", PARTNER, "--sub", login, "--login", login, "--name", "journey")
        more = () if max_persons is None else ("--max-persons", str(max_persons))
        token: str = self.command(*given, *more)["token"]
        self.secrets[token] = "token"
        return token

    def report(self, caller: Caller) -> dict[str, Any]:
        """The ledger's report of what a user was given, with every person's hash."""
        said: dict[str, Any] = self.command("report", "caller", caller.login, "--hashes")
        assert said["verification"]["intact"], said["verification"]
        return said

    # -- What a client does -------------------------------------------------------------------------------------------

    def code(self, caller: Caller, offset: int = 0) -> str:
        """The code of this step, or of one so many away."""
        code = pyotp.TOTP(caller.secret).at(int(time.time()) + offset * PERIOD_S)
        self.secrets[code] = "code"
        return code

    def confirmation(self, caller: Caller, code: str) -> bytes:
        """The request that confirms with a code."""
        body, kind = json.dumps({"code": code}).encode(), ("Content-Type", "application/json")
        return wire.request("/.gateway/step-up/totp", self.host, caller.bearer, kind, method="POST", body=body)

    def step_up(self, caller: Caller, offset: int = 0) -> Answer:
        """Confirm; once more when the step ended between the making of the code and its verifying."""
        answer = wire.send(self.port, self.confirmation(caller, self.code(caller, offset)))
        if answer.reason in ("code_rejected", "code_next_needed"):
            answer = wire.send(self.port, self.confirmation(caller, self.code(caller, offset)))
        return answer

    def proven(self, max_persons: int | None = None) -> Caller:
        """Somebody new who has just confirmed."""
        caller = self.caller(max_persons)
        assert self.step_up(caller).status == 200
        return caller

    def ask(
        self,
        caller: Caller | None,
        target: str,
        *fields: tuple[str, str],
        method: str = "GET",
        body: bytes | None = None,
    ) -> Answer:
        """One request on a connection of its own."""
        who = (caller.bearer,) if caller else ()
        return wire.send(self.port, wire.request(target, self.host, *who, *fields, method=method, body=body))

    def record(self, caller: Caller, number: int) -> bytes:
        """The request for a record."""
        return wire.request(f"/api/demandeurs/{number}", self.host, caller.bearer)

    def used(self, caller: Caller) -> dict[str, int]:
        """Persons taken of each limit that the caller may know of."""
        said = json.loads(self.ask(caller, "/.gateway/budget").body)
        return {one["name"]: one["used"] for one in said["budgets"] if one["scope"] == "user"}

    # -- What is true -------------------------------------------------------------------------------------------------

    @property
    def database(self) -> Path:
        return self.config.parent / "population.db"

    @contextlib.contextmanager
    def sqlite(self) -> Iterator[sqlite3.Connection]:
        """The application's own database, to be read."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)
        try:
            yield connection
        finally:
            connection.close()

    def _nirs(self) -> dict[int, str]:
        with self.sqlite() as rows:
            return dict(rows.execute("SELECT id, nir FROM demandeur"))

    def all_nirs(self) -> set[str]:
        """The 13 characters of everybody in the database, families too."""
        with self.sqlite() as rows:
            query = "SELECT nir FROM demandeur UNION SELECT nir FROM conjoint UNION SELECT nir FROM enfant"
            return {nir[:13] for (nir,) in rows.execute(query)}

    def seen(self, *answers: bytes) -> set[int]:
        """The ids of those whose number stands in these bytes."""
        text = b"".join(answers).decode("latin-1")
        return {number for number, nir in self.nirs.items() if nir[:13] in text}

    def missing(self, numbers: Iterable[int], hashes: Iterable[str]) -> set[int]:
        """Which of these persons are not among the ledger's hashes, under any identifier that the store links."""
        known, url = set(hashes), load(self.config).gateway.store.url
        lost = set()
        with contextlib.closing(redis.Redis.from_url(url)) as store:
            for number in numbers:
                own = self.keyring.person_hash(Identifier("nir", self.nirs[number][:13]))
                root = store.get(b"l:" + own) or own
                names = {own, root, *store.hvals(b"g:" + root)}
                if not known & {name.hex() for name in names}:
                    lost.add(number)
        return lost

    def workers_that_answered(self, user: str) -> int:
        """How many workers have recorded an answer or a refusal for this user: each has a chain of its own."""
        chains = set()
        for file in (self.config / "ledger").rglob("*.jsonl"):
            records = [json.loads(line) for line in file.read_bytes().splitlines()]
            records = [one for one in records if one["kind"] in ("answer", "refusal")]
            chains |= {one["chain"] for one in records if one["caller"]["user"] == user}
        return len(chains)

    def worker_of(self, connection: socket.socket) -> int:
        """The gateway's process that holds the other end of a connection (proc(5), tcp and fd)."""
        mine = f"{connection.getsockname()[1]:04X}"
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(f":{self.port:04X}") and fields[2].endswith(f":{mine}"):
                wanted = f"socket:[{fields[9]}]"
                for pid in self.told["pids"]["workers"]:
                    for entry in Path(f"/proc/{pid}/fd").iterdir():
                        with contextlib.suppress(OSError):
                            if str(entry.readlink()) == wanted:
                                return int(pid)
        raise LookupError("nobody holds this connection")

    def is_ready(self) -> bool:
        """Whether every worker answers to its store and ledger."""
        parts = urllib.parse.urlsplit(self.admin)
        try:
            return wire.send(parts.port or 80, wire.request("/healthz/deep", parts.netloc)).status == 200
        except OSError:
            return False


def at_once(port: int, requests: Sequence[bytes]) -> list[Answer]:
    """Send requests at the same time: first all connections, then all bytes. Status 0: closed without an answer."""

    async def one(raw: bytes, barrier: asyncio.Barrier) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await barrier.wait()
        received = b""
        with contextlib.suppress(ConnectionError):
            writer.write(raw)
            while piece := await asyncio.wait_for(reader.read(65_536), wire.PATIENCE_S):
                received += piece
        writer.close()
        return wire.parse(received)

    async def every() -> list[Answer]:
        barrier = asyncio.Barrier(len(requests))
        return await asyncio.gather(*(one(raw, barrier) for raw in requests))

    return asyncio.run(every())


@contextlib.contextmanager
def demo_in(folder: Path) -> Iterator[RunningDemo]:
    """``gateway demo`` with its temporary files in ``folder``."""
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "gateway", "demo", "--port", "0", "--ready-file", str(ready)]
    more = ["--persons", str(PERSONS), "--workers", str(WORKERS)]
    with (folder / "out").open("wb") as out:
        environment = {**os.environ, "TMPDIR": str(folder)}
        process = subprocess.Popen([*command, *more], cwd=ROOT, stdout=out, stderr=out, env=environment)
    try:

        def is_up() -> bool:
            assert process.poll() is None, (folder / "out").read_text()
            return ready.exists()

        until(is_up, what="the demo")
        yield RunningDemo(folder, process).look_up()
    finally:
        process.terminate()
        process.wait(30)
