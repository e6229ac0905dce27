"""A "no" on its way out: recorded, then answered, with whatever lets the person go on from there.

Rules of this file:

1. Nothing is answered before the ledger has it; what cannot be recorded is a plain 503.
2. What an executed request gives is never asked for again: its content is withheld instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.claiming import request_of
from gateway.core import decide
from gateway.core.assurance import Act, Challenge
from gateway.core.charging import limits_of
from gateway.core.reasons import Reason, Refusal
from gateway.doors import Doors, Served
from gateway.edge import answers, asking
from gateway.edge.answers import RETURN_FLOW, RETURN_FLOW_TTL_S, Rendered
from gateway.incoming import BodyStalled, BodyTooLarge, CallerEnded, MaskReturned
from gateway.keeping import keep, may_be_kept
from gateway.ledger import LedgerUnavailable
from gateway.passage import Passage
from gateway.ports import StoreUnavailable
from gateway.recording import refused
from gateway.upstream import ShareTaken, UpstreamFault


@dataclass(frozen=True, slots=True)
class Refusing:
    """Answers refusals."""

    _doors: Doors

    async def refuse(self, passage: Passage, refusal: Refusal, served: Served) -> None:
        """Record a refusal and answer it; a transfer that has begun is broken off instead."""
        if passage.executed and refusal.reason is not Reason.CONTENT_WITHHELD:
            refusal = Refusal(Reason.CONTENT_WITHHELD, klass=refusal.klass, detail=str(refusal.reason))
        site = passage.application.site if passage.application else served.site
        name = passage.application.name if passage.application else "-"
        self._doors.metrics.refused(name, refusal)
        refusal = await self._record_refusal(passage, refusal, name)
        if passage.started:
            return
        asked = passage.asked
        flow, kept = None, None
        try:
            refusal = await self._with_challenge(passage, refusal)
        except StoreUnavailable as fault:
            refusal = translated(fault)
        if passage.body is not None and may_be_kept(passage, refusal):
            try:
                kept = await keep(passage, passage.body, self._doors.kept)
                if kept is not None:
                    target: dict[str, object] = {"target": kept[0], "host": asked.host}
                    flow = self._doors.flows.hand_out(RETURN_FLOW, target, RETURN_FLOW_TTL_S)
            except StoreUnavailable as fault:
                refusal, kept = translated(fault), None
        if answers.keeps_target(refusal, asked):
            flow = self._doors.flows.hand_out(RETURN_FLOW, answers.kept_target(asked), RETURN_FLOW_TTL_S)
        reason_flow = None
        try:
            reason_flow = await self._reason_flow(passage, refusal, kept[0] if kept else None)
        except StoreUnavailable as fault:
            refusal = translated(fault)
        status = passage.status if passage.executed else None
        rendered = answers.render(
            refusal,
            request=asked,
            site=site,
            sign_in_flow=flow,
            application_status=status,
            kept_at=kept[0] if kept else None,
            released=self._released(passage, refusal, served.partner_names),
            since=await self._since(passage, refusal),
            reason_flow=reason_flow,
        )
        for cookie in (kept[1] if kept else None, passage.own_cookie):
            if cookie is not None:
                rendered.headers.append(cookie)
        await answer(passage, rendered)

    async def _reason_flow(self, passage: Passage, refusal: Refusal, kept_at: str | None) -> str | None:
        """The key of the question why, where our page can ask it and the request can be made again."""
        caller, asked = passage.caller, passage.asked
        again = asked.method in (b"GET", b"HEAD") and len(passage.raw_target) <= answers.LONGEST_TARGET_BYTES
        if refusal.reason is not Reason.REASON_REQUIRED or caller is None or passage.credential.kind != "session":
            return None
        if not asked.navigating or not (again or kept_at):
            return None
        target = kept_at or passage.raw_target.decode("latin-1")
        request = self._doors.hasher.request_hash(passage.method, passage.host, passage.raw_target)
        about = asking.asked_about(target, passage.host, request, caller.credential_id)
        return await self._doors.flows.keep(asking.REASON_FLOW, about, RETURN_FLOW_TTL_S)

    async def _with_challenge(self, passage: Passage, refusal: Refusal) -> Refusal:
        """Name what is asked, where somebody confirms elsewhere (a token's owner) or for this answer alone."""
        caller, classified, application = passage.caller, passage.classified, passage.application
        klass, kind = refusal.klass, passage.credential.kind
        if refusal.reason is not Reason.PROOF_REQUIRED or caller is None or caller.is_machine or klass is None:
            return refusal
        if classified is None or application is None or not (kind == "token" or refusal.bound):
            return refusal
        most, act = refusal.limit, None
        if refusal.bound:
            limits = limits_of(application.policy, caller, self._doors.clock.now())
            usages = await self._doors.budgets.usage(limits)
            most = decide.most_of_act(application.policy, classified, caller, klass, usages)
            act = Act(request_of(passage, self._doors.hasher), klass, most)
        label = classified.route.label if classified.route else {}
        asked = Challenge(
            caller.user,
            caller.credential_id,
            kind,
            caller.name,
            klass.word,
            application.name,
            classified.rule,
            label,
            act,
            () if refusal.kinds == application.policy.classes[klass].kinds else refusal.kinds,
        )
        return replace(refusal, limit=most, challenge=await self._doors.challenges.offer(asked))

    async def _since(self, passage: Passage, refusal: Refusal) -> Mapping[str, object] | None:
        """What happened since the last confirmation, for who is asked or stopped in a browser."""
        caller, asked = passage.caller, passage.asked
        if caller is None or caller.credential != "session" or not answers.tells_since(refusal, asked):
            return None
        return await self._doors.recent.since(caller, asked.language)

    def _released(self, passage: Passage, refusal: Refusal, partner_names: Mapping[str, str]) -> Mapping[str, object]:
        """What one answer would release, in words, where it is that answer which is to be confirmed."""
        caller, classified, klass = passage.caller, passage.classified, refusal.klass
        if not refusal.bound or caller is None or classified is None or klass is None:
            return {}
        label = classified.route.label if classified.route else {}
        recipient = partner_names.get(caller.partner, caller.partner)
        return asking.releases(passage.asked.language, klass, label, refusal.limit, recipient)

    async def _record_refusal(self, passage: Passage, refusal: Refusal, name: str) -> Refusal:
        """One record for a known caller, a count for an unknown one; without a record the answer is a plain 503."""
        now = self._doors.clock.now()
        if passage.caller is None or refusal.reason is Reason.LEDGER_UNAVAILABLE:
            self._doors.records.count(("refusal", name, str(refusal.reason)), now=now)
            return refusal
        try:
            await self._doors.records.append(refused(passage, refusal), now=now, reserve=True)
        except LedgerUnavailable as fault:
            return translated(fault)
        return refusal


async def answer(passage: Passage, rendered: Rendered) -> None:
    """Send an answer of our own."""
    passage.started = True
    await passage.send({"type": "http.response.start", "status": rendered.status, "headers": rendered.headers})
    await passage.send({"type": "http.response.body", "body": rendered.body, "more_body": False})


def translated(fault: BaseException) -> Refusal:
    """A fault as a refusal: the one place where exceptions become answers."""
    match fault:
        case StoreUnavailable():
            return Refusal(Reason.STORE_UNAVAILABLE, detail=str(fault), retry_s=2)
        case LedgerUnavailable():
            return Refusal(Reason.LEDGER_UNAVAILABLE, detail=str(fault), retry_s=5)
        case UpstreamFault() if fault.is_timeout:
            return Refusal(Reason.UPSTREAM_TIMEOUT, detail=str(fault))
        case UpstreamFault() if fault.reason == "upstream_unreachable":
            return Refusal(Reason.UPSTREAM_UNREACHABLE, detail=str(fault))
        case UpstreamFault():
            return Refusal(Reason.UPSTREAM_MALFORMED, detail=str(fault))
        case ShareTaken():
            return Refusal(Reason.BUSY, detail="as many answers of theirs are on their way as may be", retry_s=1)
        case CallerEnded():
            return fault.refusal
        case BodyStalled():
            return Refusal(Reason.BODY_STALLED)
        case BodyTooLarge():
            return Refusal(Reason.BODY_TOO_LARGE)
        case MaskReturned():
            return Refusal(Reason.MASKED_VALUE_RETURNED)
        case _:
            return Refusal(Reason.INTERNAL_FAULT, detail=type(fault).__name__)
