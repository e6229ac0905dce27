"""Persons of other agencies on one request's way: who is one, and why the caller needs them.

Rules of this file:

1. A reason is asked where somebody outside would leave at ``personal`` or above, once a day for each of them.
2. It comes with the request (``Gateway-Reason``), or from our own page, kept for exactly this request; one reason
   serves everybody in the answer, and stands in the ledger with it.
3. Who is inside is remembered, once that is on disk, for answers that do not say.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from gateway.core.assurance import Caller
from gateway.core.decide import Costed
from gateway.core.extraction import Class, Identifier, PersonFound
from gateway.core.inside import is_inside, judged, unsure
from gateway.core.policy import Policy
from gateway.core.reasons import Reason, Refusal
from gateway.passage import Passage
from gateway.reading.why import why_of

HEADER = b"gateway-reason"
ASKED_FROM = Class.PERSONAL


class Outsiders(Protocol):
    """What is remembered of persons inside and outside."""

    async def inside(self, user: str, agency: str, hashes: Sequence[bytes]) -> frozenset[bytes]: ...

    async def explained(self, user: str, hashes: Sequence[bytes]) -> frozenset[bytes]: ...

    async def see(self, user: str, agency: str, *, inside: Iterable[bytes], outside: Iterable[bytes]) -> None: ...

    async def explain(self, user: str, hashes: Iterable[bytes]) -> None: ...

    async def take(self, credential_id: str, request: str) -> str | None: ...


class Hasher(Protocol):
    """Keyed hashes of identifiers and of requests."""

    def person_hash(self, identifier: Identifier) -> bytes: ...

    def request_hash(self, method: bytes, host: str, target: bytes) -> str: ...


class Explaining:
    """One request's persons outside. ``why``: the reason given with it, once one was needed."""

    def __init__(self, passage: Passage, outsiders: Outsiders, hasher: Hasher) -> None:
        application = passage.application
        self._applies = application is not None and application.policy.inside is not None and not application.observing
        self._passage = passage
        self._outsiders = outsiders
        self._hasher = hasher
        self.why: str | None = None

    async def judged(
        self, policy: Policy, caller: Caller, groups: Sequence[Sequence[PersonFound]], now: float
    ) -> list[tuple[PersonFound, ...]]:
        """Several records' persons as the policy sees them: inside or outside, dormant or not."""
        if policy.inside is None and policy.dormant is None:
            return [tuple(group) for group in groups]
        known: frozenset[bytes] = frozenset()
        if self._applies and caller.agency:
            unknown = [one for group in groups for one in group if unsure(one)]
            if unknown:
                known = await self._outsiders.inside(caller.user, caller.agency, self._hashes(unknown))

        def is_known(person: PersonFound) -> bool:
            return all(one in known for one in self._hashes([person]))

        return [judged(policy, caller, group, now, is_known) for group in groups]

    async def asked(self, caller: Caller, persons: Iterable[Costed]) -> Refusal | None:
        """Ask why, where nobody has said it yet of somebody who would leave."""
        outside = _to_explain(persons) if self._applies and self.why is None else []
        if not outside:
            return None
        hashes = self._hashes(one.person for one in outside)
        explained = await self._outsiders.explained(caller.user, hashes) if hashes else frozenset()
        new = [one for one in outside if explained.isdisjoint(self._hashes([one.person]))]
        if not new:
            return None
        said = [value for name, value in self._passage.headers if name.lower() == HEADER]
        if said:
            self.why = why_of(_text(said[0])) if len(said) == 1 else None
        else:
            self.why = await self._outsiders.take(caller.credential_id, self.request)
        if self.why is not None:
            return None
        detail = "Gateway-Reason is not one sentence of 10 to 500 characters" if said else ""
        count = sum(one.person.weight for one in new)
        return Refusal(Reason.REASON_REQUIRED, klass=max(one.klass for one in new), asked=count, detail=detail)

    @property
    def request(self) -> str:
        """The keyed hash of this request: a reason typed on our page is kept for it."""
        passage = self._passage
        return self._hasher.request_hash(passage.method, passage.host, passage.raw_target)

    def why_of(self, persons: Iterable[Costed]) -> str | None:
        """The reason that stands in the record of an answer with these persons."""
        return self.why if self.why is not None and _to_explain(persons) else None

    async def remember(self, caller: Caller, persons: Sequence[Costed]) -> None:
        """Remember who is inside, and of whom it was said why: their record is on disk. Raises StoreUnavailable."""
        if not self._applies:
            return
        told = [one.person for one in persons if one.person.told.inside and one.klass > Class.PUBLIC]
        if told and caller.agency:
            at_home = [one for one in told if is_inside(caller, one)]
            others = [one for one in told if not is_inside(caller, one)]
            inside, outside = self._hashes(at_home), self._hashes(others)
            await self._outsiders.see(caller.user, caller.agency, inside=inside, outside=outside)
        if self.why is not None and (explained := self._hashes(one.person for one in _to_explain(persons))):
            await self._outsiders.explain(caller.user, explained)

    def _hashes(self, persons: Iterable[PersonFound]) -> list[bytes]:
        identifiers = dict.fromkeys(identifier for person in persons for identifier in person.identifiers)
        return [self._hasher.person_hash(one) for one in identifiers]


def _to_explain(persons: Iterable[Costed]) -> list[Costed]:
    return [one for one in persons if one.person.outside and one.klass >= ASKED_FROM]


def _text(value: bytes) -> str:
    """A header's value: UTF-8 as programs mean it, else latin-1 as HTTP says."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
