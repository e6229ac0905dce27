"""Every door of the path, as a Protocol: what the pipeline asks of stores and ledger, and the faults they raise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.assurance import Caller, Proof
from gateway.core.charging import Charge, Charged, Limit, Usage
from gateway.core.values import frozen


class StoreUnavailable(Exception):
    """The store did not answer, answered wrongly, or is not the one we knew: 503, always."""


@frozen
class NoCaller:
    """A credential that names nobody: ``unknown``, ``expired``, ``revoked``, ``frozen``.

    ``user``: whose session it was, where it has expired by time; that opens nothing.
    """

    reason: str
    user: str = ""


@dataclass(frozen=True, slots=True)
class CodeRejected:
    """A factor's answer that was not accepted: ``code_wrong``, ``code_used``, ``too_many_tries``, ``factor_stopped``;
    ``code_next_needed``: right, but for a clock far from ours, so that the next code must confirm it.

    ``retry_s`` is given where waiting helps.
    """

    reason: str
    retry_s: int | None = None


class Clock(Protocol):
    """The store's time in Unix seconds, never running backwards (offset sampled every second)."""

    def now(self) -> float: ...


class Callers(Protocol):
    """Who asks. Answers are cached for at most the promise of revocation (1 s); ``anew`` asks the store."""

    def lately(self, kind: str, value: str) -> Caller | NoCaller | None:
        """What is kept of a ``token`` or ``session``; ``None``: it has to be asked."""

    async def by_token(self, token: str, *, anew: bool = False) -> Caller | NoCaller: ...

    async def by_session(self, cookie: str, *, anew: bool = False) -> Caller | NoCaller: ...

    async def by_family(self, let_in: Caller, *, anew: bool = False) -> Caller | NoCaller:
        """Who was let in by a session's cookie, whatever became of that: for what is on its way, and nothing new."""


class Factors(Protocol):
    """What people can confirm with."""

    async def kinds(self, user: str) -> tuple[str, ...]: ...


class Budgets(Protocol):
    """Distinct persons per scope and window. All charges waiting in the loop go in one script call."""

    async def charge(self, charge: Charge) -> Charged: ...

    async def withdraw(self, limits: Sequence[Limit], member: bytes) -> None: ...

    async def usage(self, limits: Sequence[Limit]) -> tuple[Usage, ...]: ...

    @property
    def epoch(self) -> bytes: ...

    async def stand(self, epoch: bytes) -> None: ...


class Records(Protocol):
    """The ledger as the path sees it: returns once the record is on disk."""

    async def append(self, record: Mapping[str, object], *, now: float, reserve: bool = False) -> int: ...

    def count(self, key: tuple[str, ...], *, now: float) -> None: ...


class Proofs(Protocol):
    """Factors and the proofs made with them."""

    async def verify_totp(self, caller: Caller, code: str) -> Proof | CodeRejected: ...
