"""What the pages ask of the rest: every door as a Protocol, joined in one frozen value."""

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol
from urllib.parse import urlsplit

from gateway.core.activity import Opened
from gateway.core.assurance import Caller, Proof
from gateway.core.canonical import Headers
from gateway.core.identity import Known, Merge, Pair
from gateway.core.policy import Policy
from gateway.core.reasons import Refusal
from gateway.core.signals import Take
from gateway.core.standing import Namesake, Standing
from gateway.edge.asked import Asked
from gateway.edge.credentials import Credential
from gateway.edge.partner import Partner
from gateway.edge.seats import Seating
from gateway.edge.ways import Challenges, Factors, Invitations, Letters, Passkeys, Recovery
from gateway.ports import Budgets, Callers, Clock, Records


class People(Protocol):
    """Users, for those who look after them."""

    async def by_login(self, partner: str, login: str) -> Sequence[Namesake]: ...

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


class ForgettingCallers(Callers, Protocol):
    """Callers, with the word that one credential changed just now."""

    def forget(self, credential: str) -> None: ...


class Tokens(Protocol):
    """Tokens that may carry proofs."""

    async def attach_proof(self, token_id: str, proof: Proof) -> bool: ...


class PartnerTokens(Protocol):
    """Tokens that partners have issued."""

    def recognises(self, token: str) -> bool: ...


class Possession(Protocol):
    """Whether the key of a token was shown in a request."""

    @property
    def nonce(self) -> str: ...

    def matters(self, credential: Credential, caller: Caller) -> bool: ...

    async def shown(self, credential: Credential, caller: Caller, headers: Headers, asked: Asked) -> Refusal | None: ...


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
        organisation: str = "",
        agency: str = "",
        roles: Sequence[str] = (),
        sid: str = "",
        idle_s: int | None = None,
        absolute_s: int | None = None,
        proof: Proof | None = None,
        sign_out_by: str = "",
        user: str | None = None,
        unconfirmed: str = "",
    ) -> str: ...

    async def settle(self, family: str) -> None: ...

    async def ended_at(self, user: str) -> float | None: ...

    async def sign_out_by(self, family: str, user: str) -> str: ...

    async def know(self, family: str, places: frozenset[str]) -> None: ...

    async def join(self, family: str, *, sees: int, instead_of: str | None = None) -> str | None: ...

    async def refound(self, cookie: str, user: str) -> str | None: ...

    async def rotate(self, cookie: str, proof: Proof | None) -> str | None: ...

    async def end(self, cookie: str) -> None: ...


class Signals(Protocol):
    """What partners signal, as it takes effect."""

    async def take(self, partner: str, jti: str) -> Take: ...

    async def done(self, partner: str, jti: str, until: float) -> None: ...

    async def signed_out(self, partner: str, sid: str) -> None: ...

    async def ended_since(self, user: str, partner: str, sid: str, begun_at: float) -> bool: ...

    async def user_of(self, partner: str, sid: str) -> str | None: ...

    async def end(self, user: str, sid: str | None, *, all_unless_known: bool = False) -> int: ...

    async def changed(self, user: str) -> None: ...


class Identities(Protocol):
    """Whose identity one is, where that is not its own user's."""

    async def of(self, issuer: str, sub: str) -> Known: ...

    async def known(self, identity: str) -> Known: ...

    async def carry(self, pair: Pair, *, partners: tuple[str, str]) -> str: ...

    async def share(self, partner: str, other: str) -> str: ...

    async def merge(self, merges: Iterable[Merge]) -> None: ...

    async def confirm(self, identity: str, *, family: str) -> str: ...


class Migration(Protocol):
    """People of one partner who become others'; ``at``: Unix seconds."""

    @property
    def id(self) -> str: ...

    @property
    def old(self) -> str: ...

    @property
    def new(self) -> str: ...

    @property
    def people(self) -> int: ...

    @property
    def by(self) -> str: ...

    @property
    def signed(self) -> tuple[str, ...]: ...

    @property
    def at(self) -> float: ...

    @property
    def fingerprint(self) -> str: ...


class Migrations(Protocol):
    """Migrations that wait for signatures."""

    async def waiting(self) -> Sequence[Migration]: ...

    async def pairs(self, migration: str) -> Sequence[Pair]: ...

    async def sign(self, migration: str, user: str) -> int: ...

    async def end(self, migration: str) -> None: ...


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


class Activity(Protocol):
    """What people lately opened, in figures."""

    async def of(self, user: str) -> Sequence[Opened]: ...


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
    """Values between two requests: kept and taken at most once, or handed out sealed."""

    async def keep(self, kind: str, value: Mapping[str, object], ttl_s: int) -> str: ...

    async def take(self, kind: str, key: str) -> Mapping[str, object] | None: ...

    def hand_out(self, kind: str, value: Mapping[str, object], ttl_s: int) -> str: ...

    def handed_back(self, kind: str, key: str) -> Mapping[str, object] | None: ...

    async def spend(self, kind: str, name: str, ttl_s: int) -> bool: ...


class Documents(Protocol):
    """What partners publish, fetched by one worker for all."""

    async def claim(self, address: str) -> bool: ...

    async def keep(self, address: str, content: bytes) -> None: ...

    async def young(self, address: str) -> bytes | None: ...


class Keyring(Protocol):
    """The gateway's keys, as far as pages need them."""

    def user_id(self, issuer: str, sub: str) -> str: ...

    def jwks(self) -> Mapping[str, object]: ...

    def seal(self, plain: bytes, context: str) -> bytes: ...

    def unseal(self, sealed: bytes, context: str) -> bytes: ...

    def request_hash(self, method: bytes, host: str, target: bytes) -> str: ...


class Outsiders(Protocol):
    """Reasons for seeing persons of other agencies, each for one request of one session."""

    async def keep(self, credential_id: str, request: str, why: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Doors:
    """Everything behind the pages. ``policy`` is asked anew each time: it may have been reloaded.

    ``observing``: every application only observes; ``chooser``: whoever signs in may see who the partners are;
    ``partner_faults``: by id, what was wrong with the last call of a partner's provider.
    """

    clock: Clock
    callers: ForgettingCallers
    tokens: Tokens
    partner_tokens: PartnerTokens
    possession: Possession
    sessions: Sessions
    seating: Seating
    identities: Identities
    migrations: Migrations
    access: Access
    notices: Notices
    activity: Activity
    flows: Flows
    documents: Documents
    factors: Factors
    recovery: Recovery
    passkeys: Passkeys
    invitations: Invitations
    letters: Letters
    people: People
    history: History
    closures: Closures
    signals: Signals
    kept: KeptRequests
    challenges: Challenges
    outsiders: Outsiders
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
    chooser: bool = True
    settles_s: float = 1.0
    partner_faults: MutableMapping[str, str] = field(default_factory=dict)

    def origin_of(self, host: str) -> str:
        """The origin of one of our hosts: all are reached by the scheme of the pages."""
        return f"{urlsplit(self.pages_url).scheme}://{host}"

    observing: bool = False
