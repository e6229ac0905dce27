"""The whole gateway for tests: its own store, ``gateway serve`` as a process, accounts with tokens and codes.

::

    with scripted_application() as app, running_stack(f"http://127.0.0.1:{app.port}") as stack:
        somebody = stack.account()
        stack.step_up(somebody)
        answer = stack.get("/api/demandeurs/1", somebody)
"""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pyotp
import wire
from wire import Answer

from gateway.config import POLICY, Settings, load
from gateway.core.assurance import Mandate
from gateway.initialise import example, write_configuration
from gateway.keyring import KeyRing
from gateway.stores.connection import Store
from gateway.stores.embedded import EmbeddedStore
from gateway.stores.factors import Factors
from gateway.stores.tokens import Tokens

PERIOD_S = 30
CODES_OPEN_ALL = {
    'proof = ["webauthn"]   ': 'proof = ["webauthn", "totp"]   ',
    'bind = true\nmax_age = "10m"\nmax_persons = 500\n': 'max_age = "4h"\n',
}
"""Changes to the example policy: what asks for a passkey there opens by a code here."""
MANY_PEOPLE = {"\nper_seat = 40\n": "\nper_seat = 4_000\n", "\nfloor = 40  ": "\nfloor = 1   "}
"""Changes to the example policy: one partner has the accounts of all tests, more than it has seats."""
PATIENCE_S = 120.0
"""Until what does not come is called missing: no promise, and so long that a busy machine is no failure."""
_OFF = "# [inside]\n"
"""Where the example's settings for least privilege begin, which are comments in it."""
_Given, _Result = TypeVar("_Given"), TypeVar("_Result")


def until(true: Callable[[], _Result], *, what: str = "what was awaited") -> _Result:
    """Poll until ``true`` gives something true, and give it back."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.01)
    raise AssertionError(f"{what} did not come within {PATIENCE_S} s")


def at_once(work: Callable[[_Given], _Result], given: Sequence[_Given], threads: int = 12) -> list[_Result]:
    """What ``work`` gives for each of ``given``, in their order, done by several threads."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, given))


def least_privilege() -> dict[str, str]:
    """Changes to the example policy: what it says of persons outside and of dormant records holds."""
    text = example(POLICY)
    off = text[text.index(_OFF) : text.index("\n# --- Partners:")]
    return {off: "".join(line.removeprefix("#").removeprefix(" ") for line in off.splitlines(keepends=True))}


@dataclass(frozen=True)
class Account:
    """Somebody with a token; ``secret``: of their codes, base 32."""

    token: str
    token_id: str
    user: str
    sub: str
    partner: str
    secret: str
    kind: str = "person"

    @property
    def bearer(self) -> tuple[str, str]:
        """The header that says who asks."""
        return "Authorization", f"Bearer {self.token}"

    def code(self, offset: int = 0) -> str:
        """The code of the current step, or of one so many steps away."""
        return pyotp.TOTP(self.secret).at(int(time.time()) + offset * PERIOD_S)


class StoreThread:
    """The store as tests reach it: one connection on a loop of its own, callable from anywhere."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.store = self.call(Store.connect(url, timeout_s=20))

    def call(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run something on the loop and give its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def close(self) -> None:
        self.call(self.store.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


@dataclass
class Stack:
    """A running gateway. ``host``: of its first application."""

    directory: Path
    settings: Settings
    process: subprocess.Popen[bytes]
    thread: StoreThread
    embedded: EmbeddedStore
    log: Path
    keyring: KeyRing
    accounts: list[Account] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.settings.gateway.listen.port

    @property
    def host(self) -> str:
        return next(iter(self.settings.gateway.applications.values())).hosts[0]

    @property
    def admin(self) -> str:
        return f"http://127.0.0.1:{self.settings.gateway.admin.port}"

    def account(
        self,
        *,
        partner: str = "relais-emploi",
        kind: str = "person",
        max_persons: int | None = None,
        agency: str = "",
    ) -> Account:
        """Somebody new, with a token and (a person) a code generator."""
        sub, secret = f"u-{secrets.token_hex(6)}", pyotp.random_base32()
        nobody = Account("", "", "", sub, partner, secret, kind)
        made = self.another_token(nobody, max_persons=max_persons, agency=agency)
        if kind == "person":
            raw = pyotp.TOTP(secret).byte_secret()
            self.thread.call(Factors(self.thread.store, self.keyring).enrol_totp(made.user, raw))
        self.accounts.append(made)
        return made

    def another_token(
        self, account: Account, *, max_persons: int | None = None, lasts_s: float = 3600, agency: str = ""
    ) -> Account:
        """One more token of the same person."""
        issuer = self.settings.partners[account.partner].issuer
        token, token_id = self.thread.call(
            Tokens(self.thread.store, self.keyring).issue(
                issuer=issuer,
                sub=account.sub,
                partner=account.partner,
                name="Zoé Tést",
                login=account.sub,
                kind=account.kind,
                expires_at=time.time() + lasts_s,
                max_persons=max_persons,
                agency=agency,
            )
        )
        return replace(account, token=token, token_id=token_id, user=self.keyring.user_id(issuer, account.sub))

    def revoke(self, account: Account) -> None:
        """Stop the account's token."""
        assert self.thread.call(Tokens(self.thread.store, self.keyring).revoke(account.token_id))

    def mandate(self, account: Account, mandate: Mandate) -> None:
        """Give a machine's token a mandate."""
        assert self.thread.call(Tokens(self.thread.store, self.keyring).set_mandate(account.token_id, mandate))

    def step_up(self, account: Account, offset: int = 0) -> Answer:
        """Confirm with a code: of the current step, or so many away (each step once ever)."""
        body = json.dumps({"code": account.code(offset)}).encode()
        kind = ("Content-Type", "application/json")
        return self.ask("/.gateway/step-up/totp", account, kind, method="POST", body=body)

    def ask(
        self,
        target: str | bytes,
        account: Account | None = None,
        *fields: tuple[str, str | bytes],
        method: str = "GET",
        body: bytes | None = None,
        host: str | None = None,
        version: str = "1.1",
    ) -> Answer:
        """One request on a connection of its own."""
        who = (account.bearer,) if account else ()
        raw = wire.request(
            target, self.host if host is None else host, *who, *fields, method=method, body=body, version=version
        )
        return wire.send(self.port, raw, head=method == "HEAD")

    def get(self, target: str | bytes, account: Account | None = None, *fields: tuple[str, str | bytes]) -> Answer:
        """GET from the first application."""
        return self.ask(target, account, *fields)

    def used(self, account: Account, budget: str) -> int:
        """Persons that an account has taken of one of its budgets."""
        said = json.loads(self.get("/.gateway/budget", account).body)
        return next(one["used"] for one in said["budgets"] if one["name"] == budget)

    def records(self, request_id: str | None = None) -> list[dict[str, Any]]:
        """The ledger's records, or those of one request."""
        directory = self.settings.path(self.settings.gateway.ledger.directory)
        lines = [line for file in sorted(directory.rglob("*.jsonl")) for line in file.read_bytes().splitlines()]
        found = [json.loads(line) for line in lines]
        return found if request_id is None else [one for one in found if one.get("request_id") == request_id]

    def record_of(self, answer: Answer, kind: str | None = None) -> dict[str, Any]:
        """The one record (of a kind) of the request that ``answer`` answers."""
        found = [one for one in self.records(answer.one("x-request-id")) if kind in (None, one["kind"])]
        assert len(found) == 1, found
        return found[0]

    def said(self) -> str:
        """What the gateway's process has written."""
        return self.log.read_text("utf-8", "replace")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with contextlib.ExitStack() as probes:
        sockets = [probes.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def configure(
    directory: Path,
    store_url: str,
    upstream: str,
    *,
    workers: int = 1,
    changes: Mapping[str, Mapping[str, str]] | None = None,
    more: Mapping[str, str] | None = None,
) -> Settings:
    """Write a configuration: the example with ``changes`` (old text to new), and ``more`` at the end of its files."""
    port, admin = free_ports(2)
    gateway = {
        "\nport = 8080": f"\nport = {port}",
        '"localhost:8080"': f'"localhost:{port}"',
        "\nport = 9090": f"\nport = {admin}",
        "\nworkers = 2": f"\nworkers = {workers}",
        '\nurl = "redis://127.0.0.1:6379"': f'\nurl = "{store_url}"',
        '"http://127.0.0.1:8001"': f'"{upstream}"',
    }
    given = changes or {}
    own = {"gateway.toml": {**gateway, **given.get("gateway.toml", {})}}
    write_configuration(directory, {**given, **own, "policy.toml": {**MANY_PEOPLE, **given.get("policy.toml", {})}})
    for name, text in (more or {}).items():
        with (directory / name).open("a", encoding="utf-8") as file:
            file.write("\n" + text)
    return load(directory)


@contextlib.contextmanager
def serving(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``gateway serve`` as a process, ready."""
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(settings.directory), "--die-with-parent"]
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, "NO_COLOR": "1"})
    try:
        url = f"http://127.0.0.1:{settings.gateway.admin.port}/healthz/deep"
        until(lambda: _ready(url, process, log), what="the gateway's readiness")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(url: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, f"the gateway ended: {log.read_text()}"
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  (loopback)
            return bool(answer.status == 200)
    except urllib.error.HTTPError as fault:
        fault.close()
        return False
    except OSError:
        return False


@contextlib.contextmanager
def running_stack(
    upstream: str,
    *,
    workers: int = 1,
    changes: Mapping[str, Mapping[str, str]] | None = None,
    more: Mapping[str, str] | None = None,
    store_url: str | None = None,
) -> Iterator[Stack]:
    """Store and gateway before the application at ``upstream``; ``store_url``: a store that runs already."""
    folder = Path(tempfile.mkdtemp(prefix="gw"))
    embedded = EmbeddedStore(folder / "r")
    with contextlib.ExitStack() as ending:
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        if store_url is None:
            embedded.start()
            ending.callback(embedded.stop)
            embedded.wait_ready()
        url = store_url or embedded.url
        settings = configure(folder / "config", url, upstream, workers=workers, changes=changes, more=more)
        thread = StoreThread(url)
        ending.callback(thread.close)
        log = folder / "log"
        process = ending.enter_context(serving(settings, log))
        keyring = KeyRing.load(settings.path(settings.gateway.keys))
        yield Stack(folder / "config", settings, process, thread, embedded, log, keyring)


@contextlib.contextmanager
def demo_application(persons: int = 300) -> Iterator[tuple[str, Path]]:
    """The demo's employment application over a population of its own: its address and its database."""
    from gateway.demo.population import build

    folder = Path(tempfile.mkdtemp(prefix="gwapp"))
    try:
        database, (port,) = folder / "population.db", free_ports(1)
        build(database, persons)
        command = [sys.executable, "-m", "gateway.demo.application", "--database", str(database)]
        with (folder / "log").open("wb") as output:
            process = subprocess.Popen(
                [*command, "--port", str(port), "--die-with-parent"], stdout=output, stderr=output
            )
        try:
            until(lambda: _listens(port), what="the application")
            yield f"http://127.0.0.1:{port}", database
        finally:
            process.terminate()
            process.wait(10)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
