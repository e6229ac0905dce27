"""A house behind the pages: what stores keep, a partner's real provider, and a browser."""

import hashlib
import json
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import httpx2
import pytest
import pytest_asyncio

from gateway.core.assurance import Caller, Proof
from gateway.core.charging import Limit, Usage
from gateway.core.extraction import Class
from gateway.core.policy import BudgetRule, ClassRule, Policy, Scope, Then
from gateway.edge.doors import Doors, Partner
from gateway.edge.site import build
from gateway.ports import CodeRejected, NoCaller, StoreUnavailable

ORIGIN = "http://localhost:8080"
CODE = "123456"


@dataclass(frozen=True)
class Accepted:
    factor_id: str
    kind: str
    verified_at: float


@dataclass
class House:
    """Everything that the pages ask for, kept in memory, with the stores' promises."""

    at: float = field(default_factory=time.time)
    by_cookie: dict[str, Caller] = field(default_factory=dict)
    by_bearer: dict[str, Caller] = field(default_factory=dict)
    kept: dict[tuple[str, str], Mapping[str, object]] = field(default_factory=dict)
    enrolled: set[str] = field(default_factory=lambda: {"u-alice"})
    used_codes: set[str] = field(default_factory=set)
    rejections: dict[str, CodeRejected] = field(default_factory=dict)
    ledger: list[Mapping[str, object]] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    disclose: bool = True
    ledger_full: bool = False
    store_down: bool = False

    def now(self) -> float:
        return self.at

    def _check(self) -> None:
        if self.store_down:
            raise StoreUnavailable("down")

    async def by_token(self, token: str) -> Caller | NoCaller:
        self._check()
        return self.by_bearer.get(token) or NoCaller("unknown")

    async def by_session(self, cookie: str) -> Caller | NoCaller:
        self._check()
        return self.by_cookie.get(cookie) or NoCaller("unknown")

    def forget(self, credential: str) -> None:
        self.forgotten.append(credential)

    async def attach_proof(self, token_id: str, proof: Proof) -> None:
        for token, caller in list(self.by_bearer.items()):
            if caller.credential_id == token_id:
                self.by_bearer[token] = replace(caller, proofs=(*caller.proofs, proof))

    async def open(self, *, issuer: str, sub: str, partner: str, name: str, login: str) -> str:
        self._check()
        cookie = secrets.token_urlsafe(32)
        user = self.user_id(issuer, sub)
        self.by_cookie[cookie] = Caller(user, partner, issuer, sub, name, "person", "session", f"s-{cookie[:6]}")
        return cookie

    async def rotate(self, cookie: str, proof: Proof | None) -> str | None:
        caller = self.by_cookie.pop(cookie, None)
        if caller is None:
            return None
        renewed = secrets.token_urlsafe(32)
        self.by_cookie[renewed] = replace(caller, proofs=(*caller.proofs, *([proof] if proof else [])))
        return renewed

    async def end(self, cookie: str) -> None:
        self.by_cookie.pop(cookie, None)

    async def keep(self, kind: str, value: Mapping[str, object], ttl_s: int) -> str:
        self._check()
        key = secrets.token_urlsafe(32)
        self.kept[kind, key] = value
        return key

    async def take(self, kind: str, key: str) -> Mapping[str, object] | None:
        return self.kept.pop((kind, key), None)

    async def kinds(self, user: str) -> tuple[str, ...]:
        return ("totp",) if user in self.enrolled else ()

    async def verify_totp(self, user: str, code: str) -> Accepted | CodeRejected:
        self._check()
        if code in self.rejections:
            return self.rejections[code]
        if code in self.used_codes:
            return CodeRejected("code_used")
        if code != CODE:
            return CodeRejected("code_wrong")
        self.used_codes.add(code)
        return Accepted("f-1", "totp", self.at)

    async def charge(self, charge: object) -> object:
        raise AssertionError("pages charge nobody")

    async def usage(self, limits: tuple[Limit, ...]) -> tuple[Usage, ...]:
        self._check()
        return tuple(Usage(limit, 7, 720) for limit in limits)

    async def append(self, record: Mapping[str, object], *, now: float, reserve: bool = False) -> int:
        if self.ledger_full and not reserve:
            raise OSError("disk full")
        self.ledger.append(record)
        return len(self.ledger)

    def count(self, key: tuple[str, ...], *, now: float) -> None:
        raise AssertionError("pages count nothing")

    def user_id(self, issuer: str, sub: str) -> str:
        return "u-alice" if sub == "sub-alice" else "u-" + hashlib.sha256(f"{issuer} {sub}".encode()).hexdigest()[:8]

    def jwks(self) -> Mapping[str, object]:
        return {"keys": []}

    def policy(self) -> Policy:
        return Policy(
            digest="d",
            classes={
                Class.PERSONAL: ClassRule(Class.PERSONAL, ("totp",), 28_800, None),
                Class.SENSITIVE: ClassRule(Class.SENSITIVE, ("totp",), 14_400, 40),
                Class.RESTRICTED: ClassRule(Class.RESTRICTED, ("webauthn",), 300, 5),
            },
            unreadable=Class.SENSITIVE,
            unsafe_default=Class.INTERNAL,
            media=MappingProxyType({}),
            fields=(),
            unique=(),
            routes={},
            budgets=(
                BudgetRule("hour", Scope.USER, Class.SENSITIVE, 60, 3600),
                BudgetRule("day", Scope.USER, Class.SENSITIVE, 150, 86_400),
                BudgetRule("alarm", Scope.EVERYONE, Class.SENSITIVE, 5000, 3600, Then.ALARM),
                BudgetRule("lookups", Scope.USER, Class.INTERNAL, 20, 3600, misses=True),
            ),
            disclose=self.disclose,
        )

    def sign_in(self) -> str:
        """A session of Alice's that is there already; its cookie."""
        cookie = secrets.token_urlsafe(32)
        self.by_cookie[cookie] = Caller(
            "u-alice", "agency", "i", "sub-alice", "Alice Martin", "person", "session", "s-1"
        )
        return cookie


@pytest.fixture
def house() -> House:
    return House()


def doors_of(house: House, partners: Mapping[str, Partner]) -> Doors:
    return Doors(
        clock=house,
        callers=house,
        tokens=house,
        sessions=house,
        flows=house,
        factors=house,
        budgets=house,  # type: ignore[arg-type]  # its charge never returns
        records=house,
        keyring=house,
        policy=house.policy,
        partners=partners,
        pages_url=ORIGIN,
        help_desk="3949",
        product="Register",
    )


@dataclass(frozen=True)
class RunningProvider:
    issuer: str
    login: str = "alice"
    password: str = "correct horse"


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProvider]:
    """The demo's provider as a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = RunningProvider(f"http://127.0.0.1:{port}")
    users = tmp_path_factory.mktemp("provider") / "users.json"
    person = {"login": running.login, "password": running.password, "sub": "sub-alice", "name": "Alice Martin"}
    callbacks = [f"{ORIGIN}/.gateway/callback/{partner}" for partner in ("agency", "other")]
    client = {
        "client_id": "gateway",
        "client_secret": "s:e c+ret",
        "redirect_uris": callbacks,
        "post_logout_redirect_uris": [f"{ORIGIN}/.gateway/signed-out"],
    }
    users.write_text(json.dumps({"users": [person], "clients": [client]}))
    command = [sys.executable, "-m", "gateway.demo.sso", "--port", str(port), "--issuer", running.issuer]
    process = subprocess.Popen([*command, "--users", str(users), "--die-with-parent"], cwd=Path(__file__).parents[2])
    try:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            with socket.socket() as connection:
                if connection.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield running
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def partner(provider: RunningProvider) -> Partner:
    return Partner("agency", "Agence Nord", provider.issuer, "gateway", "s:e c+ret")


@pytest_asyncio.fixture
async def pages(house: House) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the pages, for what needs no partner."""
    partners = {
        name: Partner(name, title, f"https://{name}.example", "gateway", "secret")
        for name, title in (("agency", "Agence Nord"), ("mission", "Mission locale"))
    }
    transport = httpx2.ASGITransport(app=build(doors_of(house, partners)), raise_app_exceptions=True)
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        yield client
