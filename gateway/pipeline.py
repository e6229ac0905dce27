"""THE path of a request, first byte to last, read top to bottom.

::

    gate -> caller -> classify -> whom it is about -> decide -> forward -> [ read -> decide -> charge -> record ]*

Rules of this file:

1. There is no middleware for who, what or how much: the order is a security property.
2. Every "no" is a ``Refusal`` returned early; every fault is an exception translated here, once, into a refusal.
3. Whatever is raised, nothing of the application's answer leaves after it.
"""

import asyncio
import contextlib
import logging
import time

from gateway import keeping, sealing
from gateway.answering import release_answer
from gateway.application import Application
from gateway.asked import look
from gateway.charges import Charger
from gateway.claiming import acts_of, claim, claim_acts
from gateway.core import decide
from gateway.core.assurance import Caller
from gateway.core.canonical import Headers, Target, canonicalise, check_headers, folded, host_of
from gateway.core.charging import limits_of
from gateway.core.classify import Classified
from gateway.core.extraction import Class
from gateway.core.policy import Route
from gateway.core.reasons import Reason, Refusal
from gateway.doors import Doors, Served
from gateway.edge import answers
from gateway.edge.answers import Rendered
from gateway.edge.credentials import DPOP, NOBODY, confirm_first, credential_of, refusal_of
from gateway.explaining import Explaining
from gateway.incoming import ClientGone, RequestBody
from gateway.leaving import Leaving
from gateway.looking_up import look_up
from gateway.means import ClientStalled, Means
from gateway.outgoing import to_application
from gateway.passage import Passage, Receive, Scope, Send, begin
from gateway.ports import NoCaller, StoreUnavailable
from gateway.refusing import Refusing, answer, translated
from gateway.release import Release
from gateway.sealing import PICK_UP_PATH, PickedUp, Spending, Taped, Unsealed
from gateway.upstream import Request
from gateway.watching import Watch

OWN_PATHS = b"/.gateway/"
HANDSHAKES_AT_ONCE = 8
"""Of WebSockets: where thousands come back together, they wait for each other, and requests need not wait for them."""

log = logging.getLogger(__name__)


class Pipeline:
    """The path. One per worker; a new policy replaces ``doors`` and ``served`` together."""

    def __init__(self, doors: Doors, served: Served) -> None:
        self.doors = doors
        self.served = served
        self.watch = Watch()
        self.handshakes = asyncio.Semaphore(HANDSHAKES_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        passage = begin(scope, receive, send, self.served.trusted_proxies)
        passage.house = self.served.house_networks
        try:
            refusal = await self._pass(passage)
        except (ClientGone, ClientStalled):
            return
        except Exception as fault:  # whatever is raised ends in a refusal: rule 3
            refusal = translated(fault)
            if refusal.reason is Reason.INTERNAL_FAULT:
                log.exception("request %s: a fault of ours", passage.reference, exc_info=fault)
        if refusal is not None:
            await self.refuse(passage, refusal)

    async def _pass(self, passage: Passage) -> Refusal | None:
        served = self.served
        gated = self.gate(passage, served)
        if isinstance(gated, Refusal):
            return gated
        if passage.raw_target.startswith(OWN_PATHS):
            if passage.raw_target.partition(b"?")[0] == PICK_UP_PATH:
                return await self._pick_up(passage)
            state = passage.scope.setdefault("state", {})
            state["gateway"] = passage.asked
            state["gateway_site"] = passage.application.site if passage.application else served.site
            passage.scope["client"] = (passage.client, 0)
            await self.doors.pages(passage.scope, passage.receive, passage.send)
            return None
        application = passage.application
        if application is None:
            return Refusal(Reason.UNKNOWN_HOST)
        if passage.method == b"OPTIONS" and await self._preflight(passage, application):
            return None
        body = RequestBody(passage.receive, passage.fields, passage.method, served.timeouts.body_idle_s)
        if passage.method == b"POST" and (kept_id := await keeping.sends(passage, body)):
            return await self._send_kept(passage, application, kept_id)
        passage.body, passage.body_ended = body, lambda: body.ended
        try:
            who = await self.identify(passage, application)
        except StoreUnavailable:
            if not _is_for_everybody(application, passage.method, gated):
                raise
            who = passage.caller = ANONYMOUS
        if isinstance(who, Refusal):
            return who
        while True:
            classified = self.classify(passage, application, gated)
            if isinstance(classified, Refusal):
                return classified
            classified = await look(passage, application, classified, body, served.request_bytes)
            if isinstance(classified, Refusal):
                return classified
            in_force = self.served.by_host[application.table.hosts[0]]
            if in_force is application:
                break
            passage.application = application = in_force  # a new policy came before the body
        if who is not ANONYMOUS and not passage.lately_seen:  # the body took its time
            who = await self.identify(passage, application)
            if isinstance(who, Refusal):
                return who
        standing = await self.standing(passage, application, classified)
        if isinstance(standing, Refusal):
            return standing
        permit = decide.permit(passage.method, gated.raw, standing)
        deadlines = application.deadlines_for(classified.route)
        async with contextlib.nullcontext() if body.ended else application.upstream.uploading(deadlines):
            return await self._forward(passage, application, classified, permit, body)

    async def _send_kept(self, passage: Passage, application: Application, kept_id: str) -> Refusal | None:
        """Send what this browser kept, on the whole path from its start, as if it had sent it now."""
        who = await self.identify(passage, application)
        if isinstance(who, Refusal):
            return who
        kept = await keeping.take(passage, who, self.doors.kept, kept_id)
        if isinstance(kept, Refusal):
            return kept
        scope, receive = keeping.as_sent(passage, kept)
        await self(scope, receive, keeping.forgetting(passage, kept_id))
        return None

    async def _pick_up(self, passage: Passage) -> Refusal | None:
        """Release an answer that waited for its caller's confirmation, as if the application had given it now."""
        application, sealed = passage.application, self.doors.sealed
        if application is None:
            return Refusal(Reason.UNKNOWN_HOST)
        who = await self.identify(passage, application)
        if isinstance(who, Refusal):
            return who
        pick_up = await sealing.look(passage, who, sealed)
        if isinstance(pick_up, Refusal):
            return pick_up
        classified = pick_up.classify(application)
        if isinstance(classified, Refusal):
            return classified
        passage.classified = classified
        standing = await self.standing(passage, application, classified)
        if isinstance(standing, Refusal):
            return standing
        if not await sealed.claim(pick_up.sealed_id):
            return Refusal(Reason.BUSY, detail="it is being picked up", retry_s=1)
        send = Spending(passage, who, pick_up, sealed)
        asked = pick_up.as_asked(passage, send)
        release = Release(asked, application, Unsealed(pick_up.answer), self.means(asked, application))
        try:
            return await release_answer(release)
        except PickedUp:
            return Refusal(Reason.ANSWER_GONE)
        finally:
            release.end()
            passage.started = send.begun
            with contextlib.suppress(StoreUnavailable):  # it ends by itself
                await sealed.let_go(pick_up.sealed_id)

    def gate(self, passage: Passage, served: Served) -> Target | Refusal:
        """The strict gate: headers, host, credentials, target. Gives the canonical target."""
        refusal = check_headers(passage.headers, passage.fields)
        if refusal:
            return refusal
        host = host_of(passage.fields)
        if isinstance(host, Refusal):
            return host
        application = served.by_host.get(host)
        if application is None and not served.site.pages_url.endswith(f"//{host}"):
            return Refusal(Reason.UNKNOWN_HOST, detail="no application has this host")
        passage.application = application
        credential = credential_of(passage.headers, passage.fields, self.doors.tokens.recognises)
        if isinstance(credential, Refusal):
            return credential
        passage.credential = credential
        allow = application.target_allow if application else frozenset()
        raw_path: bytes = passage.scope.get("raw_path") or passage.scope["path"].encode("latin-1", "replace")
        target = canonicalise(raw_path, passage.scope.get("query_string", b""), allow)
        if not isinstance(target, Refusal):
            passage.target = target
        return target

    async def _preflight(self, passage: Passage, application: Application) -> bool:
        """Answer OPTIONS that is a CORS preflight (Fetch standard) from the configuration; it is never forwarded."""
        asked = [value for name, value in passage.headers if folded(name) == b"access-control-request-method"]
        if not asked:
            return False
        headers = answers.always(passage.asked, application.site)
        if passage.asked.origin in application.site.cors_origins:
            wanted = [value for name, value in passage.headers if folded(name) == b"access-control-request-headers"]
            headers += [(b"access-control-allow-methods", asked[0]), (b"access-control-max-age", b"600")]
            headers += [(b"access-control-allow-headers", value) for value in wanted[:1]]
        await answer(passage, Rendered(204, headers, b""))
        return True

    async def identify(self, passage: Passage, application: Application, *, anew: bool = False) -> Caller | Refusal:
        """Who asks. While observing anybody may be anonymous. ``anew``: what is kept will not do."""
        credential = passage.credential
        found: Caller | NoCaller = UNSAID
        asked_at = time.monotonic()
        if credential is not NOBODY:
            found = await look_up(passage, self.doors.callers, anew=anew)
        if isinstance(found, NoCaller):
            if application.observing and found.reason != "frozen":
                passage.caller = ANONYMOUS
                return ANONYMOUS
            passage.ended = found.user
            return refusal_of(found, credential.kind)
        if refusal := await self._unshown(passage, found):
            if not application.observing:
                return refusal
            found = ANONYMOUS
        passage.know(found, asked_at)
        if (found.unconfirmed or found.places) and found.elsewhere(passage.places) and not application.observing:
            return confirm_first(found)
        return passage.caller or found

    async def _unshown(self, passage: Passage, caller: Caller) -> Refusal | None:
        """Why the caller's token does not count here: the key that it is bound to was not shown. Asked once."""
        possession = self.doors.possession
        if passage.possession or not possession.matters(passage.credential, caller):
            return None
        refusal = await possession.shown(passage.credential, caller, passage.headers, passage.asked)
        passage.possession = refusal is None
        passage.nonce = possession.nonce if passage.credential.scheme == DPOP else ""
        return refusal

    def classify(self, passage: Passage, application: Application, target: Target) -> Classified | Refusal:
        """The request's place in the policy. While observing nothing is refused: the would-be refusal is noted."""
        classified = application.routes.classify(passage.method, target)
        if isinstance(classified, Refusal):
            if not application.observing:
                return classified
            passage.would_be = classified
            classified = Classified(None, Class.PUBLIC, True, {})
        passage.classified = classified
        return classified

    async def standing(
        self, passage: Passage, application: Application, classified: Classified
    ) -> decide.Standing | Refusal:
        """Before forwarding: the class's proof, and for what is executed a budget that is not used up."""
        caller = passage.caller
        if caller is None:
            return Refusal(Reason.NO_CALLER)
        if application.observing:
            return decide.Standing()
        standing = await self._reach(passage, application, classified.klass)
        if isinstance(standing, Refusal) and passage.credential.kind == "token":
            # the proof may have been made at another worker since this one last asked
            found = await self.identify(passage, application, anew=True)
            if isinstance(found, Refusal):
                return found
            standing = await self._reach(passage, application, classified.klass)
        if isinstance(standing, Refusal) or not classified.reads:
            known = decide.Standing() if isinstance(standing, Refusal) else standing
            caller, now = passage.caller or caller, self.doors.clock.now()
            limits = limits_of(application.policy, caller, now, proof=known.proof, mandate=known.mandate)
            usages = await self.doors.budgets.usage(limits)
            if used_up := decide.exhausted(usages, classified.klass):
                return used_up
        return standing

    async def _reach(self, passage: Passage, application: Application, klass: Class) -> decide.Standing | Refusal:
        """On what the caller may reach a class; a proof that serves one answer is claimed for this one."""
        claims, hasher = self.doors.challenges, self.doors.hasher
        if acts := acts_of(passage.caller):
            await claim_acts(passage, acts, application.policy, self.doors.clock.now(), claims, hasher)
        while True:
            caller = passage.caller
            if caller is None:
                return Refusal(Reason.NO_CALLER)
            standing = application.standings.of(caller, klass, self.doors.clock.now())
            if isinstance(standing, Refusal) or not standing.claim or standing.proof is None:
                return standing
            await claim(passage, standing.proof, claims)

    async def _forward(
        self,
        passage: Passage,
        application: Application,
        classified: Classified,
        permit: decide.Permit,
        body: RequestBody,
    ) -> Refusal | None:
        """Forward, then release the answer. Closing the answer frees its connection or drops it."""
        route = classified.route
        means = self.means(passage, application)
        miss = await means.charger.before()
        if isinstance(miss, Refusal):
            return miss
        if means.charger.executing is not None:
            await means.record(passage, means.charger.executing, 0, "execute", kind="execution")
        if body.present:
            body.watch = means.charger.watch
        request = Request(
            passage.method,
            permit.target,
            self.headers(passage, application, route),
            body.stream() if body.present else None,
            body.length if body.present or body.length == 0 else None,
        )
        who = passage.caller
        pinned = who.credential_id if application.table.pin_connections and who else None
        started = time.monotonic()
        deadlines, before = application.deadlines_for(route), None if classified.reads else means.charger.watch
        whose = None if application.observing or who is None or who is ANONYMOUS else who.user
        leaving = Leaving(passage.receive) if classified.reads and body.ended else None
        async with leaving or contextlib.nullcontext():
            answer = await application.upstream.forward(
                permit, request, deadlines, pinned=pinned, whose=whose, before=before
            )
        means.meter.took("application", time.monotonic() - started)
        passage.executed = not classified.reads
        source = Taped(answer, means.room) if passage.executed else answer
        release = Release(passage, application, source, means, miss, gone=leaving.gone if leaving else None)
        try:
            refusal = await release_answer(release)
            await release.settle_miss()
            return await sealing.seal(passage, source, refusal, self.doors.sealed)
        finally:
            release.end()
            await source.close()
            body.watch = None  # the charger knows the body by its passage: such a circle is left to the collector

    def headers(self, passage: Passage, application: Application, route: Route | None) -> Headers:
        """The request's headers for the application, with who asks."""
        inspected = (route is None or route.inspect) and not application.observing
        caller, assertion = passage.caller, None
        if caller is not None and caller is not ANONYMOUS:
            assertion = self.doors.assertions.sign(caller, application.name, self.doors.clock.now())
        return to_application(passage, application, inspected, assertion)

    def means(self, passage: Passage, application: Application) -> Means:
        """What the release of this passage's answer works with."""
        charger = Charger(
            passage,
            lambda: (self.served.by_host[application.table.hosts[0]], self.doors.callers),
            self.doors.budgets,
            self.doors.clock,
            self.doors.challenges,
            Explaining(passage, self.doors.outsiders, self.doors.hasher),
            self.doors.hasher.person_hash,
            self.doors.factors,
        )
        return Means(
            application.name,
            self.doors.records,
            charger,
            self.doors.room,
            self.doors.metrics,
            self.doors.activity,
            self.doors.hasher.hash_kid,
            self.served.document_bytes,
            self.served.timeouts.write_idle_s,
        )

    async def refuse(self, passage: Passage, refusal: Refusal) -> None:
        """Record a refusal and answer it; a transfer that has begun is broken off instead."""
        await Refusing(self.doors).refuse(passage, refusal, self.served)


UNSAID = NoCaller("none")
ANONYMOUS = Caller("anonymous", "anonymous", "", "", "", "person", "anonymous", "anonymous")


def _is_for_everybody(application: Application, method: bytes, target: Target) -> bool:
    """Whether a rule says that nobody is in what is asked for: it passes also where the store is away."""
    classified = application.routes.classify(method, target)
    if isinstance(classified, Refusal) or classified.route is None:
        return False
    return classified.klass is Class.PUBLIC and classified.reads and not classified.route.inspect
