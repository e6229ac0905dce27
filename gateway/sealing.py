"""An executed request's answer that waits for its caller's confirmation: sealed, then released once.

Rules of this file:

1. Only what a confirmation would open is sealed, and only for who caused it: the same user, session family or token.
2. What is picked up is decided, charged and recorded as if the application had given it now; nothing is executed.
3. It is gone from the store before its first byte leaves: of several that pick it up one gets it.
"""

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from gateway.application import Application
from gateway.core.assurance import Caller
from gateway.core.canonical import Headers, canonicalise
from gateway.core.classify import Classified
from gateway.core.extraction import Class, Identifier
from gateway.core.reasons import Reason, Refusal
from gateway.edge import cookies
from gateway.edge.cookies import AmbiguousCookie
from gateway.keeping import asked_id, forgetting
from gateway.means import Room, Source
from gateway.passage import Passage, Send
from gateway.ports import StoreUnavailable
from gateway.stores.halved import LARGEST_BYTES
from gateway.stores.sealed_answers import SealedAnswer
from gateway.upstream import UpstreamFault

PICK_UP_PATH = b"/.gateway/answers"
REST_S = 10.0
"""An answer that takes longer to come to its end is not sealed: a stream of events never does."""
_BODYLESS = frozenset({204, 304})


class Sealing(Protocol):
    """Where sealed answers wait."""

    async def keep(
        self, user: str, credential_id: str, answer: SealedAnswer, half: str | None
    ) -> tuple[str, str] | None: ...

    async def look(self, user: str, credential_id: str, sealed_id: str, half: str) -> SealedAnswer | None: ...

    async def claim(self, sealed_id: str) -> bool: ...

    async def let_go(self, sealed_id: str) -> None: ...

    async def spend(self, user: str, credential_id: str, sealed_id: str) -> bool: ...


class Taped:
    """An application's answer that remembers what was read of it, as far as that can be sealed."""

    def __init__(self, answer: Source, room: Room) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.has_body = answer.has_body
        self.content_length = answer.content_length
        self._answer = answer
        self._room = room
        self._pieces: list[bytes] | None = []
        self._bytes = 0

    @property
    def arrived(self) -> bool:
        """Whether the next read has nothing to wait for."""
        return self._answer.arrived

    async def read(self) -> bytes:
        """The next piece."""
        piece = await self._answer.read()
        if self._pieces is not None:
            if self._bytes + len(piece) > LARGEST_BYTES or not self._room.take(len(piece)):
                self._forget()
            else:
                self._pieces.append(piece)
                self._bytes += len(piece)
        return piece

    async def whole(self) -> bytes | None:
        """The whole body, read to its end; ``None`` where it is too large or does not end."""
        try:
            async with asyncio.timeout(REST_S):
                while self._pieces is not None and await self.read():
                    pass
        except (TimeoutError, UpstreamFault):
            return None
        return None if self._pieces is None else b"".join(self._pieces)

    async def close(self) -> None:
        """Forget it, and free or drop its connection."""
        self._forget()
        await self._answer.close()

    def _forget(self) -> None:
        if self._pieces is not None:
            self._room.give_back(self._bytes)
            self._pieces = None


class Unsealed:
    """A sealed answer, as the application gave it."""

    arrived = True

    def __init__(self, sealed: SealedAnswer) -> None:
        self.status = sealed.status
        self.headers: Headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sealed.headers]
        self.has_body = sealed.has_body
        self.content_length = len(sealed.body) if sealed.has_body else sealed.content_length
        self._left = [sealed.body] if sealed.body else []

    async def read(self) -> bytes:
        """The body, then nothing."""
        return self._left.pop() if self._left else b""

    async def close(self) -> None:
        """Nothing to close."""


async def seal(passage: Passage, answer: Source, refusal: Refusal | None, sealing: Sealing) -> Refusal | None:
    """Seal the answer of an executed request where a confirmation would open it; the refusal says where it waits."""
    caller, classified = passage.caller, passage.classified
    if refusal is None or refusal.reason is not Reason.PROOF_REQUIRED or passage.started:
        return refusal
    if not isinstance(answer, Taped) or answer.status in _BODYLESS or caller is None or classified is None:
        return refusal
    body = await answer.whole()
    if body is None:
        return refusal
    persons = passage.persons
    sealed = SealedAnswer(
        passage.reference,
        passage.method.decode("latin-1"),
        passage.raw_target.decode("latin-1"),
        passage.host,
        classified.klass.word,
        [(one.kind, one.value) for one in persons] if persons is not None else None,
        passage.unclear,
        answer.status,
        [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers],
        answer.has_body,
        answer.content_length,
        body,
    )
    token = passage.credential.value if passage.credential.kind == "token" else None
    try:
        kept = await sealing.keep(caller.user, caller.credential_id, sealed, token)
    except StoreUnavailable:
        return refusal
    if kept is None:
        return refusal
    if token is None:
        passage.own_cookie = cookies.kept(*kept)
    pick_up = f"{PICK_UP_PATH.decode()}?id={kept[0]}"
    return Refusal(Reason.CONTENT_WITHHELD, klass=refusal.klass, detail=str(refusal.reason), pick_up=pick_up)


@dataclass(frozen=True, slots=True)
class PickUp:
    """A sealed answer that its caller asks for now."""

    sealed_id: str
    answer: SealedAnswer

    def classify(self, application: Application) -> Classified | Refusal:
        """The request's place in the policy of now, never below what it was when it was executed."""
        path, _, query = self.answer.target.encode("latin-1").partition(b"?")
        target = canonicalise(path, query, frozenset[str](application.table.target_allow))
        if isinstance(target, Refusal):
            return target
        classified = application.routes.classify(self.answer.method.encode("latin-1"), target)
        if isinstance(classified, Refusal):
            return classified
        return replace(classified, klass=max(classified.klass, Class.of(self.answer.klass)), reads=True)

    def as_asked(self, passage: Passage, send: Send) -> Passage:
        """The request that this is the answer to, asked by who picks it up."""
        persons = self.answer.persons
        return replace(
            passage,
            send=send,
            method=self.answer.method.encode("latin-1"),
            raw_target=self.answer.target.encode("latin-1"),
            target=None,  # what was asked for was judged just now
            persons=None if persons is None else tuple(Identifier(kind, value) for kind, value in persons),
            unclear=self.answer.unclear,
            _asked=passage.asked,
        )


class PickedUp(Exception):
    """Another was quicker."""


class Spending:
    """Sends an answer that is picked up: what is sealed is gone before the first byte leaves."""

    def __init__(self, passage: Passage, caller: Caller, pick_up: PickUp, sealing: Sealing) -> None:
        self._caller = caller
        self._pick_up = pick_up
        self._sealing = sealing
        self._send = forgetting(passage, pick_up.sealed_id) if caller.credential == "session" else passage.send
        self.begun = False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        """ASGI. Raises ``PickedUp``, ``StoreUnavailable``: then nothing has left."""
        if not self.begun:
            caller, sealed_id = self._caller, self._pick_up.sealed_id
            if not await self._sealing.spend(caller.user, caller.credential_id, sealed_id):
                raise PickedUp
            self.begun = True
        await self._send(message)


async def look(passage: Passage, caller: Caller, sealing: Sealing) -> PickUp | Refusal:
    """What this caller picks up; it stays where it is."""
    if passage.method != b"GET":
        return Refusal(Reason.METHOD_NOT_LISTED, methods=("GET",))
    sealed_id = asked_id(passage)
    if sealed_id is None:
        return Refusal(Reason.MALFORMED_REQUEST)
    half: str | None = passage.credential.value
    if passage.credential.kind != "token":
        try:
            half = cookies.read(passage.headers, cookies.kept_name(sealed_id))
        except AmbiguousCookie:
            return Refusal(Reason.AMBIGUOUS_CREDENTIALS)
    found = await sealing.look(caller.user, caller.credential_id, sealed_id, half) if half else None
    if found is None or found.host != passage.host:
        return Refusal(Reason.ANSWER_GONE)
    passage.notes["picked_up"] = found.reference
    return PickUp(sealed_id, found)
