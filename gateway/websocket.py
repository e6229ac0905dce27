"""A WebSocket on its way: the path of a request up to the handshake, then every message a slice of the answer.

Rules of this file:

1. The handshake passes the same gate, caller, class and proof as a GET; a browser's comes from the site's own pages.
2. A message of the application leaves only after its persons are charged and its record is on disk.
3. Of a caller who is revoked, frozen or expired nothing more passes, also when the conversation is silent.
4. Whatever ends it is told: to the client by a notice and a code, to the application by a close, to the ledger.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import orjson

from gateway.application import Application
from gateway.asked import identify_in
from gateway.core import decide
from gateway.core.classify import Unclear, request_persons
from gateway.core.extraction import Class, PersonFound, attribute, by_size
from gateway.core.reasons import Reason, Refusal
from gateway.edge.answers import notice_detail
from gateway.means import ClientStalled, Means
from gateway.passage import Passage, Receive, Scope, Send, begin
from gateway.pipeline import Pipeline
from gateway.reading.body import Family, Media
from gateway.reading.masks import masked_fields
from gateway.reading.ports import Reading, Unreadable
from gateway.reading.read import read_document
from gateway.refusing import translated
from gateway.upstream import UpstreamRefusedUpgrade, UpstreamWebSocket

MAX_MESSAGE_BYTES = 1_048_576
LAST_WORDS_S = 2.0
NO_ROOM = "as many WebSockets are open as may be"
NORMAL, POLICY_VIOLATION, TOO_BIG, FAULT, SERVICE_RESTART, TRY_AGAIN_LATER = 1000, 1008, 1009, 1011, 1012, 1013
_NEVER_SENT = {1005: NORMAL, 1006: FAULT, 1015: FAULT}
"""Codes that stand for what happened and are never written into a frame (RFC 6455 section 7.4.1)."""
_CODES = {
    Reason.BODY_TOO_LARGE: TOO_BIG,
    Reason.STORE_UNAVAILABLE: TRY_AGAIN_LATER,
    Reason.LEDGER_UNAVAILABLE: TRY_AGAIN_LATER,
    Reason.INTERNAL_FAULT: FAULT,
    Reason.UPSTREAM_MALFORMED: FAULT,
    Reason.UPSTREAM_TIMEOUT: FAULT,
    Reason.UPSTREAM_UNREACHABLE: FAULT,
}
_JSON = Media(Family.JSON, "application/json", charset="utf-8")
_TEXT = Media(Family.TEXT, "text/plain", charset="utf-8")

log = logging.getLogger(__name__)


async def serve_websocket(pipeline: Pipeline, scope: Scope, receive: Receive, send: Send, *, room: bool) -> None:
    """Serve one WebSocket from its handshake to its close; without ``room`` it is refused."""
    passage = begin(scope, receive, _as_handshake(scope, send), pipeline.served.trusted_proxies)
    passage.house = pipeline.served.house_networks
    if (await receive())["type"] != "websocket.connect":
        return
    try:
        async with pipeline.handshakes:
            opened = await _open(pipeline, passage) if room else Refusal(Reason.BUSY, detail=NO_ROOM, retry_s=1)
    except Exception as fault:  # whatever is raised ends in a refusal, as on the path
        opened = _translated(passage, fault)
    if isinstance(opened, Refusal):
        await pipeline.refuse(passage, opened)
        return
    passage.send = send
    await _Conversation(pipeline, passage, opened).run()


def _as_handshake(scope: Scope, send: Send) -> Send:
    """Sends an HTTP answer instead of the handshake's (ASGI's ``websocket.http.response``), or refuses with 403."""

    async def answer(message: Any) -> None:
        if "websocket.http.response" in (scope.get("extensions") or {}):
            await send({**message, "type": f"websocket.{message['type']}"})
        elif message["type"] == "http.response.start":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})

    return answer


def _translated(passage: Passage, fault: Exception) -> Refusal:
    if isinstance(fault, UpstreamRefusedUpgrade):
        return Refusal(Reason.UPSTREAM_MALFORMED, detail=str(fault))
    refusal = translated(fault)
    if refusal.reason is Reason.INTERNAL_FAULT:
        log.error("websocket %s: a fault of ours", passage.reference, exc_info=fault)
    return refusal


async def _open(pipeline: Pipeline, passage: Passage) -> UpstreamWebSocket | Refusal:
    """The path up to the application's handshake."""
    gated = pipeline.gate(passage, pipeline.served)
    if isinstance(gated, Refusal):
        return gated
    if passage.scope.get("method", "GET") != "GET":
        return Refusal(Reason.METHOD_NOT_LISTED, methods=("GET",), detail="RFC 6455: a handshake is a GET")
    application = passage.application
    if application is None:
        return Refusal(Reason.NOT_FOUND)
    if not _is_own(passage, application):
        return Refusal(Reason.BAD_ORIGIN, detail="the handshake comes from another site's page")
    who = await pipeline.identify(passage, application)
    if isinstance(who, Refusal):
        return who
    classified = pipeline.classify(passage, application, gated)
    if isinstance(classified, Refusal):
        return classified
    if classified.route is not None and classified.route.lookup:
        return Refusal(Reason.DENIED_BY_RULE, rule=classified.rule, detail="a lookup is no conversation")
    if not application.observing and masked_fields("", b"", gated.query):
        return Refusal(Reason.MASKED_VALUE_RETURNED)
    persons = request_persons(classified, gated.query, passage.headers, None, [], identify_in(application))
    if isinstance(persons, Unclear):
        passage.unclear = True
        classified = replace(classified, klass=max(classified.klass, application.policy.unreadable))
        passage.classified = classified
    else:
        passage.persons = persons
    standing = await pipeline.standing(passage, application, classified)
    if isinstance(standing, Refusal):
        return standing
    headers = pipeline.headers(passage, application, classified.route)
    return await application.upstream.websocket(
        decide.permit(passage.method, gated.raw, standing),
        [one for one in headers if not one[0].lower().startswith(b"sec-websocket-")],
        tuple(passage.scope.get("subprotocols") or ()),
        application.deadlines_for(classified.route),
    )


def _is_own(passage: Passage, application: Application) -> bool:
    """Whether no other site's page can have begun this: browsers send cookies with any handshake, and an Origin."""
    origin = passage.asked.origin
    if origin is None:
        return passage.credential.kind == "token" or (application.observing and passage.credential.kind == "none")
    own = {f"http://{passage.host}", f"https://{passage.host}"}
    return origin in own or origin in application.table.websocket_origins


@dataclass(frozen=True, slots=True)
class _Ending:
    """Why a conversation is over: what the client is told (nothing where it has gone), and what the application is."""

    code: int
    reason: str = ""
    refusal: Refusal | None = None
    client_gone: bool = False


def _refused(refusal: Refusal) -> _Ending:
    return _Ending(_CODES.get(refusal.reason, POLICY_VIOLATION), str(refusal.reason), refusal)


@dataclass(slots=True)
class _Conversation:
    """One open WebSocket between a client and the application."""

    pipeline: Pipeline
    passage: Passage
    upstream: UpstreamWebSocket
    means: Means = field(init=False)
    application: Application = field(init=False)
    _over: bool = False

    def __post_init__(self) -> None:
        if self.passage.application is None:
            raise TypeError("a conversation begins only after its application is known")
        self.application = self.passage.application
        self.means = self.pipeline.means(self.passage, self.application)

    async def run(self) -> None:
        """Accept, then pass messages both ways until one side, the watch or a fault ends it."""
        self.passage.started, self.passage.status = True, 101
        tasks: list[asyncio.Task[_Ending]] = []
        try:
            await self._send({"type": "websocket.accept", "subprotocol": self.upstream.subprotocol})
            ways = [self._to_application(), self._to_client(), self._watch()]
            tasks = [asyncio.create_task(self._ended(way)) for way in ways]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            self._over = True
            tasks[0].cancel()  # the server does not close while somebody waits for the client's next message
            await asyncio.wait(tasks[:1], timeout=LAST_WORDS_S)
            await self._end(next(task for task in tasks if task in done).result())
        except ClientStalled:
            pass
        finally:
            for task in tasks:
                task.cancel()
            await self.upstream.close()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ended(self, way: Awaitable[_Ending]) -> _Ending:
        try:
            return await way
        except ClientStalled:
            return _Ending(FAULT, client_gone=True)
        except Exception as fault:  # whatever is raised ends in a refusal, as on the path
            return _refused(_translated(self.passage, fault))

    async def _end(self, ending: _Ending) -> None:
        """Tell the client first: a revoked one is out within the second; then the application; then the ledger."""
        if not ending.client_gone:
            with contextlib.suppress(TimeoutError):  # a client that does not read is not told
                async with asyncio.timeout(LAST_WORDS_S):
                    await self._tell(ending)
        if ending.refusal is not None:
            await self.pipeline.refuse(self.passage, ending.refusal)
        await self.upstream.close(NORMAL if ending.client_gone else _NEVER_SENT.get(ending.code, ending.code))

    async def _tell(self, ending: _Ending) -> None:
        if ending.refusal is not None:
            await self.passage.send({"type": "websocket.send", "text": self._notice(ending.refusal)})
        await self.passage.send({"type": "websocket.close", "code": ending.code, "reason": ending.reason})

    def _notice(self, refusal: Refusal) -> str:
        reference = self.passage.reference
        detail = notice_detail(refusal, reference=reference, language=self.passage.asked.language)
        return orjson.dumps(
            {"gateway": {"reason": str(refusal.reason), "reference": reference, "detail": detail}}
        ).decode()

    async def _send(self, message: dict[str, object]) -> None:
        try:
            async with asyncio.timeout(self.means.write_idle_s):
                await self.passage.send(message)
        except TimeoutError as fault:
            raise ClientStalled from fault

    async def _watch(self) -> _Ending:
        """Ends when the caller may ask nothing more, or the server is to end: another may then be asked."""
        watch = self.pipeline.watch
        if self.application.observing:
            await watch.ending.wait()
        elif gone := await watch.over(self.passage.credential, partial(self.means.charger.still_allowed, anew=True)):
            return _refused(gone)
        return _Ending(SERVICE_RESTART, "the gateway restarts")

    # From the client to the application

    async def _to_application(self) -> _Ending:
        while (message := await self.passage.receive())["type"] == "websocket.receive":
            text = message.get("text")
            content: str | bytes = text if text is not None else message.get("bytes") or b""
            if refusal := await self._may_ask(content):
                return _refused(refusal)
            await self.upstream.send(content)
        return _Ending(NORMAL, client_gone=True)

    async def _may_ask(self, content: str | bytes) -> Refusal | None:
        """Why a message of the client does not go on: its size, a masked value, a proof that is no longer fresh."""
        data = content.encode("utf-8", "replace") if isinstance(content, str) else content
        if len(data) > MAX_MESSAGE_BYTES:
            return Refusal(Reason.BODY_TOO_LARGE, detail="a message")
        if self.application.observing:
            return None
        if masked_fields("application/json", data, b""):
            return Refusal(Reason.MASKED_VALUE_RETURNED)
        charger = self.means.charger
        return await charger.still_allowed() or await charger.standing_for(charger.classified.klass)

    # From the application to the client

    async def _to_client(self) -> _Ending:
        while (content := await self.upstream.receive()) is not None:
            if refusal := await self._release(content):
                return _refused(refusal)
        code = self.upstream.close_code
        return _Ending(_NEVER_SENT.get(code, code), self.upstream.close_reason)

    async def _release(self, content: str | bytes) -> Refusal | None:
        """Read, decide, charge, record and release one message of the application."""
        if not self.application.observing and (gone := await self.means.charger.still_allowed()):
            return gone
        route = self.means.charger.classified.route
        if route is not None and not route.inspect:
            await self._pass_on(content)
            return None
        if isinstance(content, bytes):
            return await self._unreadable(content, "a binary message")
        body = content.encode()
        reading = self._read(content, body)
        if isinstance(reading, Unreadable):
            return await self._unreadable(content, reading.reason)
        persons = self._attributed(reading, body)
        if not persons:
            await self._pass_on(content)
            return None
        charger = self.means.charger
        outcome = await charger.document(persons, masks=True)
        if isinstance(outcome, Refusal):
            return outcome
        masked = not charger.observing and any(one.masked for one in outcome.plan.persons)
        out = reading.masked(outcome.plan.hide) if masked else body
        await self.means.record(self.passage, outcome, len(out), "mask" if masked else "release")
        await self._deliver(out.decode())
        return None

    def _read(self, text: str, body: bytes) -> Reading | Unreadable:
        rules = self.means.charger.rules
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError:
            return read_document(_TEXT, body, rules)
        return read_document(_JSON, body, rules)

    def _attributed(self, reading: Reading, body: bytes) -> tuple[PersonFound, ...]:
        charger = self.means.charger
        floor = charger.classified.klass
        if not body:
            return ()
        if self.passage.unclear and not any(record.persons for record in reading.records):
            floor = max(floor, charger.policy.unreadable)
        return attribute(reading.records, self.passage.persons, floor)

    async def _unreadable(self, content: str | bytes, reason: str) -> Refusal | None:
        """A message that is not provably plain: the request's person, or by size, at the class ``unreadable``."""
        charger = self.means.charger
        if charger.observing:
            await self._pass_on(content)
            return None
        size_bytes = len(content.encode() if isinstance(content, str) else content)
        floor = max(charger.policy.unreadable, charger.classified.klass)
        persons = [PersonFound((one,), (), floor) for one in self.passage.persons or ()]
        outcome = await charger.document(persons or [PersonFound((), (), floor, by_size(size_bytes))], masks=False)
        if isinstance(outcome, Refusal):
            return outcome
        await self.means.record(self.passage, outcome, size_bytes, "release", reason)
        await self._deliver(content)
        return None

    async def _pass_on(self, content: str | bytes) -> None:
        """A message that carries nothing of anybody, or is not read: counted by the minute."""
        charger = self.means.charger
        key = ("answer", self.application.name, charger.classified.rule, "101", charger.caller.partner)
        self.means.records.count(key, now=charger.now)
        self.means.meter.released(self.application.name, "release", Class.PUBLIC, 0)
        await self._deliver(content)

    async def _deliver(self, content: str | bytes) -> None:
        if self._over:
            return
        self.passage.bytes_out += len(content)
        name = "text" if isinstance(content, str) else "bytes"
        await self._send({"type": "websocket.send", name: content})
