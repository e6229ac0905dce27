"""A house behind the pages: the real stores and ledger, a partner's real provider, and a browser."""

import json
import socket
import subprocess
import sys
import time
from base64 import b32encode
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import httpx2
import pyotp
import pytest
import pytest_asyncio

from gateway.core.assurance import Caller
from gateway.core.charging import Charge, PersonCharge, limits_of
from gateway.core.extraction import Class
from gateway.core.policy import BudgetRule, ClassRule, Policy, Scope, Then
from gateway.edge.access_tokens import AccessTokens
from gateway.edge.doors import Doors
from gateway.edge.partner import Partner
from gateway.edge.possession import Possession
from gateway.edge.seats import Seating
from gateway.edge.site import build
from gateway.keyring import KeyRing
from gateway.ledger import Ledger
from gateway.ledger.history import History
from gateway.stores.access import Access
from gateway.stores.activity import Activity
from gateway.stores.budgets import Budgets
from gateway.stores.callers import StoredCallers
from gateway.stores.challenges import Challenges
from gateway.stores.closures import Closures
from gateway.stores.connection import Store
from gateway.stores.documents import Documents
from gateway.stores.factors import Factors
from gateway.stores.flows import Flows
from gateway.stores.identities import Identities
from gateway.stores.invitations import Invitations
from gateway.stores.kept_requests import KeptRequests
from gateway.stores.letters import Letters
from gateway.stores.migrations import Migrations
from gateway.stores.notices import Notices
from gateway.stores.outsiders import Outsiders
from gateway.stores.partner_tokens import SeenProofs
from gateway.stores.passkeys import Passkeys
from gateway.stores.people import People
from gateway.stores.recovery import RecoveryCodes
from gateway.stores.seats import Seats
from gateway.stores.sessions import Sessions
from gateway.stores.signals import Signals
from gateway.stores.tokens import Tokens

ORIGIN = "http://localhost:8080"
ISSUER, SUB = "https://agency.example", "sub-alice"
SECRET = b"a secret of twenty b"
POLICY = Policy(
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
    disclose=True,
)


class SettableClock(Protocol):
    at: float

    def now(self) -> float: ...

    def forward(self, seconds: float) -> None: ...


@dataclass
class House:
    """What the pages stand on, and what a test does to it."""

    store: Store
    keyring: KeyRing
    clock: SettableClock
    records: Ledger
    ledger_directory: Path
    policy: Policy = POLICY
    observing: bool = False
    pages_url: str = ORIGIN
    chooser: bool = True
    doors: Doors = field(init=False)

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.store, self.keyring, self.clock)
        self.tokens = Tokens(self.store, self.keyring, self.clock)
        self.seats = Seats(self.store, self.clock)
        self.identities = Identities(self.store, self.keyring, self.clock)
        self.migrations = Migrations(self.store, self.clock)
        self.access = Access(self.store, self.clock)
        self.notices = Notices(self.store, self.clock)
        self.activity = Activity(self.store, self.clock)
        self.flows = Flows(self.store, self.keyring, self.clock)
        self.factors = Factors(self.store, self.keyring, self.clock)
        self.recovery = RecoveryCodes(self.store, self.keyring, self.clock)
        self.passkeys = Passkeys(self.store, self.keyring, self.clock)
        self.invitations = Invitations(self.store, self.keyring, self.clock)
        self.letters = Letters(self.store, self.keyring, self.clock)
        self.people = People(self.store, self.keyring, self.clock)
        self.closures = Closures(self.store, self.clock)
        self.signals = Signals(self.store, self.keyring, self.clock)
        self.kept = KeptRequests(self.store, self.keyring, self.clock)
        self.challenges = Challenges(self.store, self.keyring, self.clock)
        self.outsiders = Outsiders(self.store, self.keyring, self.clock)
        self.budgets = Budgets(self.store, self.clock)
        self.user = self.keyring.user_id(ISSUER, SUB)
        self.doors = self.doors_of(self.store, {})

    def doors_of(self, store: Store, partners: Mapping[str, Partner]) -> Doors:
        return Doors(
            clock=self.clock,
            callers=StoredCallers(store, self.keyring, self.clock),
            tokens=self.tokens,
            partner_tokens=AccessTokens([]),
            possession=Possession(self.pages_url, self.keyring.nonce, SeenProofs(store, self.keyring), self.clock),
            sessions=self.sessions,
            seating=Seating(self.seats, self.records, self.clock, lambda: self.policy, self.observing),
            identities=self.identities,
            migrations=self.migrations,
            settles_s=0,
            access=self.access,
            notices=self.notices,
            activity=self.activity,
            flows=self.flows,
            documents=Documents(store, self.clock),
            factors=self.factors,
            recovery=self.recovery,
            passkeys=self.passkeys,
            invitations=self.invitations,
            letters=self.letters,
            people=self.people,
            history=History(self.ledger_directory),
            closures=self.closures,
            signals=self.signals,
            kept=self.kept,
            challenges=self.challenges,
            outsiders=self.outsiders,
            budgets=self.budgets,
            records=self.records,
            keyring=self.keyring,
            policy=lambda: self.policy,
            partners=partners,
            pages_url=self.pages_url,
            hosts=frozenset({"localhost:8080", "desk.localhost:8080"}),
            help_desk="3949",
            product="Register",
            chooser=self.chooser,
            observing=self.observing,
        )

    def client(self, *partners: Partner, store: Store | None = None) -> httpx2.AsyncClient:
        """A client of the pages of a site with these partners."""
        doors = self.doors_of(store or self.store, {partner.id: partner for partner in partners})
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=build(doors)), base_url=ORIGIN)

    async def sign_in(self) -> str:
        """A session of Alice's that is there already; its cookie."""
        return await self.sessions.open(issuer=ISSUER, sub=SUB, partner="agency", name="Alice Martin", login="alice")

    async def cookie(self) -> dict[str, str]:
        return {"cookie": f"__Host-gateway={await self.sign_in()}"}

    async def token(self, kind: str = "person") -> dict[str, str]:
        """The header of a token of Alice's."""
        person = {"issuer": ISSUER, "sub": SUB, "partner": "agency", "name": "script", "login": "alice"}
        token, _ = await self.tokens.issue(**person, kind=kind, expires_at=self.clock.now() + 10**8)
        return {"authorization": f"Bearer {token}"}

    async def enrol(self) -> None:
        await self.factors.enrol_totp(self.user, SECRET)

    def code(self) -> str:
        """The code that Alice's telephone shows now."""
        return str(pyotp.TOTP(b32encode(SECRET).decode()).at(int(self.clock.now())))

    def wrong_code(self) -> str:
        """A code that is none of the neighbouring steps'."""
        totp = pyotp.TOTP(b32encode(SECRET).decode())
        right = {totp.at(int(self.clock.now()) + shift) for shift in (-60, -30, 0, 30, 60)}
        return next(code for code in ("000000", "111111", "222222", "333333", "444444", "555555") if code not in right)

    async def caller(self, headers: Mapping[str, str]) -> Caller | None:
        """Whom a credential names now, in the store."""
        callers = StoredCallers(self.store, self.keyring, self.clock)
        if "authorization" in headers:
            found = await callers.by_token(headers["authorization"].removeprefix("Bearer "))
        else:
            found = await callers.by_session(headers["cookie"].removeprefix("__Host-gateway="))
        return found if isinstance(found, Caller) else None

    async def taken(self, caller: Caller, persons: int) -> None:
        """Charge some persons to a caller."""
        records = tuple(
            (PersonCharge((number.to_bytes(16, "big"),), ("nir",), Class.SENSITIVE),) for number in range(persons)
        )
        limits = limits_of(self.policy, caller, self.clock.now())
        assert (await self.budgets.charge(Charge(limits, records))).granted == persons

    async def keep_target(self, target: str = "/dossiers/7", host: str = "localhost:8080") -> str:
        return self.flows.hand_out("return", {"target": target, "host": host}, 60)

    @property
    def ledger(self) -> list[dict[str, Any]]:
        """What the ledger holds, its own marks left out."""
        lines = [
            line for path in sorted(self.ledger_directory.glob("*.jsonl")) for line in path.read_bytes().splitlines()
        ]
        return [record for record in map(json.loads, lines) if record["kind"] not in ("start", "stop")]


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing.create(tmp_path_factory.mktemp("ring") / "keys")


@pytest_asyncio.fixture
async def house(store: Store, keyring: KeyRing, clock: SettableClock, tmp_path: Path) -> AsyncIterator[House]:
    clock.at = time.time()  # a provider in another process stamps its tokens with this machine's time
    directory = tmp_path / "ledger"
    directory.mkdir()
    records = await Ledger.open(directory, "n1", b"k" * 32, "k1", now=clock.at, reserve_bytes=4096)
    yield House(store, keyring, clock, records, directory)
    await records.aclose()


@dataclass(frozen=True)
class RunningProvider:
    issuer: str
    login: str = "alice"
    password: str = "correct horse"


@contextmanager
def serving(port: int, *command: str) -> Iterator[None]:
    """A program as a process of its own, from when it answers at its port."""
    process = subprocess.Popen([sys.executable, *command], cwd=Path(__file__).parents[2])
    try:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            with socket.socket() as connection:
                if connection.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProvider]:
    """The demo's provider as a process of its own."""
    port = free_port()
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
    command = ("-m", "gateway.demo.sso", "--port", str(port), "--issuer", running.issuer)
    with serving(port, *command, "--users", str(users), "--die-with-parent"):
        yield running


@pytest.fixture(scope="session")
def liar() -> Iterator[str]:
    """The lying provider as a process of its own; its address."""
    port = free_port()
    with serving(port, str(Path(__file__).with_name("lying_provider.py")), "--port", str(port)):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def partner(provider: RunningProvider) -> Partner:
    return Partner("agency", "Agence Nord", provider.issuer, "gateway", "s:e c+ret")


@pytest_asyncio.fixture
async def pages(house: House) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the pages, for what needs no partner; Alice can confirm."""
    await house.enrol()
    titles = (("agency", "Agence Nord"), ("mission", "Mission locale"))
    partners = [Partner(name, title, f"https://{name}.example", "gateway", "secret") for name, title in titles]
    async with house.client(*partners) as client:
        yield client


def undisclosed(policy: Policy) -> Policy:
    return replace(policy, disclose=False)
