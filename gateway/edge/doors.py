"""What the pages ask of the rest: every door as a Protocol, joined in one frozen value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Protocol
from urllib.parse import urlsplit

from gateway.core.assurance import Act, Caller, Proof
from gateway.core.policy import Policy
from gateway.core.standing import Standing
from gateway.factors.totp import Oath
from gateway.factors.webauthn import Registered
from gateway.ports import Budgets, Callers, Clock, CodeRejected, Records


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner organisation's OpenID provider. ``algorithms``: those its ID tokens may be signed with, no others."""

    id: str
    name: str
    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    algorithms: tuple[str, ...] = ("ES256",)
    scope: str = "openid profile"


class Accepted(Protocol):
    """A factor's answer that was accepted, and how that factor was bound; times in Unix seconds."""

    @property
    def factor_id(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def verified_at(self) -> float: ...

    @property
    def bound(self) -> str: ...

    @property
    def bound_at(self) -> float: ...


@dataclass(frozen=True, slots=True)
class AcceptedFactor:
    """An ``Accepted`` that a page made itself."""

    factor_id: str
    kind: str
    verified_at: float
    bound: str
    bound_at: float


class Passkey(Protocol):
    """One WebAuthn credential of a person."""

    @property
    def factor_id(self) -> str: ...

    @property
    def credential_id(self) -> bytes: ...

    @property
    def public_key(self) -> bytes: ...

    @property
    def transports(self) -> tuple[str, ...]: ...

    @property
    def name(self) -> str: ...

    @property
    def bound(self) -> str: ...

    @property
    def bound_at(self) -> float: ...


class Passkeys(Protocol):
    """Passkeys and security keys."""

    async def bind(self, user: str, made: Registered, *, name: str, bound: str, by: str) -> str: ...

    async def of(self, user: str) -> Sequence[Passkey]: ...

    async def used(self, user: str, factor_id: str, sign_count: int) -> str: ...

    async def remove(self, user: str, passkey: Any, *, by: str) -> str: ...


class InvitationRequest(Protocol):
    """Who asks to be invited."""

    @property
    def user(self) -> str: ...

    @property
    def partner(self) -> str: ...

    @property
    def name(self) -> str: ...


class StartedInvitation(InvitationRequest, Protocol):
    """Whom the help desk started an invitation for."""

    @property
    def by(self) -> str: ...


class Invitations(Protocol):
    """Leave to bind a first factor."""

    async def ask(self, caller: Caller) -> str: ...

    async def asked(self, code: str) -> InvitationRequest | None: ...

    async def invite(self, user: str, *, by: str, role: str, in_person: bool) -> str: ...

    async def start(self, asked: Any, *, by: str) -> None: ...

    async def started(self, partner: str) -> Sequence[StartedInvitation]: ...

    async def signed(self, user: str, partner: str) -> None: ...

    async def by_letter(self, user: str) -> None: ...

    async def waiting(self, user: str) -> str | None: ...

    async def take(self, user: str) -> str | None: ...


class Letters(Protocol):
    """Codes on paper."""

    async def burn(self, user: str, typed: str) -> CodeRejected | None: ...


class People(Protocol):
    """Users, for those who look after them."""

    async def by_login(self, partner: str, login: str) -> str | None: ...

    async def standing(self, user: str) -> Standing: ...

    async def end_sessions(self, user: str) -> int: ...

    async def freeze(self, user: str, *, by: str, reason: str) -> None: ...

    async def unfreeze(self, user: str) -> bool: ...

    async def reopen(self, user: str) -> bool: ...


class PastRefusal(Protocol):
    """A refusal that happened; ``at``: Unix seconds."""

    @property
    def at(self) -> float: ...

    @property
    def reference(self) -> str: ...

    @property
    def reason(self) -> str: ...


class History(Protocol):
    """What was lately refused to whom."""

    async def refusals(self, user: str) -> Sequence[PastRefusal]: ...


class Closures(Protocol):
    """What people close to themselves."""

    async def not_me(self, user: str, *, but: str) -> tuple[int, int]: ...


class KeptRequest(Protocol):
    """A request that waits for being sent."""

    @property
    def host(self) -> str: ...

    @property
    def target(self) -> str: ...

    @property
    def body(self) -> bytes: ...


class KeptRequests(Protocol):
    """Interrupted requests, kept for one sending."""

    async def look(self, user: str, family: str, kept_id: str, half: str) -> KeptRequest | None: ...


class Challenge(Protocol):
    """What somebody was asked to confirm, for which of their credentials (``token`` or ``session``)."""

    @property
    def user(self) -> str: ...

    @property
    def credential_id(self) -> str: ...

    @property
    def credential(self) -> str: ...

    @property
    def holder(self) -> str: ...

    @property
    def klass(self) -> str: ...

    @property
    def application(self) -> str: ...

    @property
    def route(self) -> str: ...

    @property
    def label(self) -> Mapping[str, str]: ...

    @property
    def act(self) -> Act | None: ...


class Challenges(Protocol):
    """What is open to be confirmed, by name."""

    async def look(self, name: str) -> Challenge | None: ...

    async def take(self, name: str) -> Challenge | None: ...


class ForgettingCallers(Callers, Protocol):
    """Callers, with the word that one credential changed just now."""

    def forget(self, credential: str) -> None: ...


class Tokens(Protocol):
    """Tokens that may carry proofs."""

    async def attach_proof(self, token_id: str, proof: Proof) -> bool: ...


class Sessions(Protocol):
    """Browsers that are signed in; a cookie's value is known to its browser alone."""

    async def open(
        self,
        *,
        issuer: str,
        sub: str,
        partner: str,
        name: str,
        login: str,
        network: str = "",
        browser: str = "",
        places: frozenset[str] = frozenset(),
    ) -> str: ...

    async def know(self, family: str, places: frozenset[str]) -> None: ...

    async def join(self, family: str, *, instead_of: str | None = None) -> str | None: ...

    async def rotate(self, cookie: str, proof: Proof | None) -> str | None: ...

    async def end(self, cookie: str) -> None: ...


class LivingSession(Protocol):
    """A session that goes on. Times: Unix seconds."""

    @property
    def id(self) -> str: ...

    @property
    def since(self) -> float: ...

    @property
    def seen(self) -> float: ...

    @property
    def network(self) -> str: ...

    @property
    def browser(self) -> str: ...


class LivingToken(Protocol):
    """A token that is good. Times: Unix seconds."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def since(self) -> float: ...

    @property
    def expires_at(self) -> float: ...


class Access(Protocol):
    """What a person is signed in with."""

    async def of(self, user: str) -> tuple[Sequence[LivingSession], Sequence[LivingToken]]: ...

    async def end(self, user: str, which: str) -> tuple[int, int]: ...

    async def end_others(self, user: str, *, but: str) -> tuple[int, int]: ...


class Notice(Protocol):
    """A change that a person is told of; ``at``: Unix seconds."""

    @property
    def kind(self) -> str: ...

    @property
    def at(self) -> float: ...

    @property
    def reference(self) -> str: ...

    @property
    def by(self) -> str: ...


class Notices(Protocol):
    """Changes that people have not seen yet."""

    async def add(self, user: str, partner: str, kind: str, *, reference: str, by: str) -> None: ...

    async def of(self, user: str) -> Sequence[Notice]: ...

    async def seen(self, user: str, *, until: float, by: str) -> int: ...


class Flows(Protocol):
    """Values kept between two requests, each taken at most once."""

    async def keep(self, kind: str, value: Mapping[str, object], ttl_s: int) -> str: ...

    async def take(self, kind: str, key: str) -> Mapping[str, object] | None: ...


class Factors(Protocol):
    """What a person can confirm with."""

    async def kinds(self, user: str) -> tuple[str, ...]: ...

    async def enrol_oath(self, user: str, oath: Oath, *, bound: str) -> str: ...

    async def verify_totp(self, user: str, code: str) -> Accepted | CodeRejected: ...


class Recovery(Protocol):
    """Codes for when everything else is lost."""

    async def issue(self, user: str) -> tuple[str, ...]: ...

    async def left(self, user: str) -> int: ...

    async def burn(self, user: str, typed: str) -> Accepted | CodeRejected: ...


class Keyring(Protocol):
    """The gateway's keys, as far as pages need them."""

    def user_id(self, issuer: str, sub: str) -> str: ...

    def jwks(self) -> Mapping[str, object]: ...

    def seal(self, plain: bytes, context: str) -> bytes: ...

    def unseal(self, sealed: bytes, context: str) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Doors:
    """Everything behind the pages. ``policy`` is asked anew each time: it may have been reloaded.

    ``observing``: every application only observes.
    """

    clock: Clock
    callers: ForgettingCallers
    tokens: Tokens
    sessions: Sessions
    access: Access
    notices: Notices
    flows: Flows
    factors: Factors
    recovery: Recovery
    passkeys: Passkeys
    invitations: Invitations
    letters: Letters
    people: People
    history: History
    closures: Closures
    kept: KeptRequests
    challenges: Challenges
    budgets: Budgets
    records: Records
    keyring: Keyring
    policy: Callable[[], Policy]
    partners: Mapping[str, Partner]
    pages_url: str
    help_desk: str = ""
    house_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    product: str = "Gateway"
    hosts: frozenset[str] = frozenset()

    def origin_of(self, host: str) -> str:
        """The origin of one of our hosts: all are reached by the scheme of the pages."""
        return f"{urlsplit(self.pages_url).scheme}://{host}"

    observing: bool = False
