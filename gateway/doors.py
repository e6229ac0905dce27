"""Everything outside the path that it calls, and what it serves, each in one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from gateway.application import Application
from gateway.claiming import Claims
from gateway.core.assurance import Caller, Challenge
from gateway.core.extraction import Identifier
from gateway.core.reasons import Refusal
from gateway.edge.answers import Site
from gateway.edge.doors import PartnerTokens, Possession
from gateway.edge.words import Language
from gateway.explaining import Outsiders
from gateway.keeping import Keeping
from gateway.means import Activity, Meter, Room
from gateway.passage import Receive, Scope, Send
from gateway.ports import Budgets, Callers, Clock, Factors, Records
from gateway.sealing import Sealing


class Pages(Protocol):
    """What answers under ``/.gateway/``."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class Assertions(Protocol):
    """Signs who asks, for the application."""

    def sign(self, caller: Caller, application: str, now: float) -> str: ...


class Flows(Protocol):
    """Keeps what a person is asked, and hands out the target that they go back to."""

    async def keep(self, kind: str, value: Mapping[str, object], ttl_s: int) -> str: ...

    def hand_out(self, kind: str, value: Mapping[str, object], ttl_s: int) -> str: ...


class Challenges(Claims, Protocol):
    """Names what is asked to be confirmed, and lets a proof for one answer serve once."""

    async def offer(self, challenge: Challenge) -> str: ...


class Recent(Protocol):
    """What lately happened in somebody's name, in words."""

    async def since(self, caller: Caller, language: Language) -> Mapping[str, object] | None: ...


class Hasher(Protocol):
    """The keyed hash of an identifier, and the id of its key."""

    @property
    def hash_kid(self) -> str: ...

    def person_hash(self, identifier: Identifier) -> bytes: ...

    def request_hash(self, method: bytes, host: str, target: bytes) -> str: ...


class Metrics(Meter, Protocol):
    """Counts decisions."""

    def refused(self, application: str, refusal: Refusal) -> None: ...


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a client may take: between two pieces of its body, and to take a piece of the answer (seconds)."""

    body_idle_s: float = 10.0
    write_idle_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Doors:
    """Everything outside the path that it calls."""

    callers: Callers
    budgets: Budgets
    factors: Factors
    records: Records
    clock: Clock
    tokens: PartnerTokens
    possession: Possession
    flows: Flows
    kept: Keeping
    sealed: Sealing
    challenges: Challenges
    outsiders: Outsiders
    hasher: Hasher
    assertions: Assertions
    metrics: Metrics
    pages: Pages
    room: Room
    activity: Activity
    recent: Recent


@dataclass(slots=True)
class Served:
    """What is served: applications by host, and where the pages are. Replaced whole when the policy changes."""

    by_host: Mapping[str, Application]
    site: Site
    partner_names: Mapping[str, str] = field(default_factory=dict)
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    house_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    timeouts: Timeouts = Timeouts()
    request_bytes: int = 1024 * 1024
    document_bytes: int = 8 * 1024 * 1024
