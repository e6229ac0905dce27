"""What people confirm with, as pages ask for it: every way, and what lets somebody have one, as a Protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.core.assurance import Caller, Challenge, Proof
from gateway.factors.totp import Oath
from gateway.factors.webauthn import Registered
from gateway.ports import CodeRejected


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

    @property
    def identity(self) -> str: ...


class StartedInvitation(InvitationRequest, Protocol):
    """Whom the help desk started an invitation for."""

    @property
    def by(self) -> str: ...


class Invitations(Protocol):
    """Leave to bind a first factor."""

    async def ask(self, caller: Caller) -> str: ...

    async def asked(self, code: str) -> InvitationRequest | None: ...

    async def invite(self, user: str, *, by: str, role: str, in_person: bool, identity: str = "") -> str: ...

    async def start(self, asked: Any, *, by: str) -> None: ...

    async def started(self, partner: str) -> Sequence[StartedInvitation]: ...

    async def signed(self, user: str, partner: str) -> None: ...

    async def by_letter(self, invited: str) -> None: ...

    async def waiting(self, invited: str) -> str | None: ...

    async def take(self, invited: str) -> str | None: ...


class Letters(Protocol):
    """Codes on paper."""

    async def burn(self, user: str, typed: str) -> CodeRejected | None: ...


class Challenges(Protocol):
    """What is open to be confirmed, by name."""

    async def look(self, name: str) -> Challenge | None: ...

    async def take(self, name: str) -> Challenge | None: ...

    async def offer(self, challenge: Challenge) -> str: ...

    async def claim(self, proof: Proof) -> bool: ...


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
