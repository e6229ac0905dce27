"""Signing in at a partner."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode

from starlette.responses import Response

from gateway.core.assurance import Proof, Word, proof_by_word
from gateway.core.places import browser_family, network_of
from gateway.core.policy import AssertedRule
from gateway.core.reasons import Reason, Refusal
from gateway.edge import cookies
from gateway.edge.context import FLOW_KEY, Context, Identified
from gateway.edge.identity import who_signs_in
from gateway.edge.jwks import NotFetched
from gateway.edge.notices import first_to_see
from gateway.edge.realms import LONGEST_DOMAIN, domain_of, of_domain
from gateway.edge.sso import FLOW_TTL_S, PartnerSso, SignedIn
from gateway.edge.step_up import recorded
from gateway.edge.tickets import browser_of, onward, to_pages
from gateway.edge.tries import Tries
from gateway.ports import NoCaller

WAY_FLOW = "way"
WAY_TTL_S = 120


class SignIn:
    """The pages of signing in, for all partners of one site."""

    def __init__(self, partners: Mapping[str, PartnerSso]) -> None:
        self._partners = partners
        self._tries = Tries()

    async def sign_in(self, context: Context) -> Response:
        """``GET sign-in``: how to go on to one's partner, or straight on where that is known.

        ``partner``: its id; ``hint``: an address or domain of its people, which may lead nowhere; ``way``: what was
        typed before. Whoever guesses is told nothing but that one cannot go on.
        """
        query = _query(context)
        if query is None:
            return await context.refuse(Refusal(Reason.MALFORMED_REQUEST))
        named: dict[str, str] = {name: query[name] for name in ("partner", "hint", "again") if name in query}
        return await self._begun(context, query.get("flow"), named, way=query.get("way"))

    async def entry(self, context: Context) -> Response:
        """``GET sign-in/{partner}``: a partner's own entry."""
        return await self._begun(context, None, {"partner": context.request.path_params["partner"]})

    async def _begun(
        self, context: Context, flow: str | None, named: Mapping[str, str], way: str | None = None
    ) -> Response:
        if any(key is not None and not FLOW_KEY.fullmatch(key) for key in (flow, way)):
            return await context.refuse(Refusal(Reason.MALFORMED_REQUEST))
        identified = await _signed_in(context)
        again = self._again(context, identified, named)
        if isinstance(identified, Identified) and again is None:
            return context.go(await onward(context, identified, flow))
        if not context.on_pages_host:
            return await to_pages(context, flow, named)
        if again is not None:
            return await self._go(context, again, flow, again=True)
        typed = context.doors.flows.handed_back(WAY_FLOW, way) if way is not None else None
        sought = way is not None or "partner" in named
        chosen = self._chosen(named, str((typed or {}).get("domain", "")).strip())
        if chosen is None and not sought and len(self._partners) == 1:
            chosen = next(iter(self._partners.values()))
        return self._page(context, flow, unknown=sought) if chosen is None else await self._go(context, chosen, flow)

    def _again(
        self, context: Context, identified: Identified | Refusal | None, named: Mapping[str, str]
    ) -> PartnerSso | None:
        """Where whoever is signed in here confirms by signing in anew, if that is wanted and a proof."""
        if not isinstance(identified, Identified) or named.get("again") != "1":
            return None
        partner = identified.caller.partner
        return self._partners.get(partner) if context.doors.policy().of(partner).asserted else None

    def _chosen(self, named: Mapping[str, str], typed: str) -> PartnerSso | None:
        domain = typed or domain_of(named.get("hint", ""))
        known = of_domain((sso.partner for sso in self._partners.values()), domain)
        return self._partners.get(named.get("partner") or known or "")

    def _page(self, context: Context, flow: str | None, *, unknown: bool) -> Response:
        partners = [sso.partner for sso in self._partners.values()]
        chooser = context.doors.chooser
        values = {
            "partners": [(one.id, one.name) for one in partners] if chooser else [],
            "asks": not chooser or any(one.domains for one in partners),
            "flow": flow,
            "unknown": unknown,
        }
        return context.page("sign_in", values, status=404 if unknown else 200)

    async def _go(self, context: Context, sso: PartnerSso, flow: str | None, *, again: bool = False) -> Response:
        if sso.partner.par and (wait_s := self._wait_s(context)):
            return await context.refuse(Refusal(Reason.TOO_MANY_SIGN_INS, retry_s=wait_s))
        browser = browser_of(context.headers)
        try:
            asserted = context.doors.policy().of(sso.partner.id).asserted
            address = await sso.begin(browser, flow, context.doors.clock.now(), asserted, again=again)
        except NotFetched as fault:
            return await self._failed(context, sso, _unreachable(fault))
        return context.go(address, [cookies.flow(browser, FLOW_TTL_S)])

    async def typed(self, context: Context) -> Response:
        """``POST sign-in`` (a form with ``email``, ``flow``): on, in the same way and time whatever was typed."""
        if not context.same_origin():
            return await context.refuse(Refusal(Reason.BAD_ORIGIN))
        body = await context.body()
        if isinstance(body, Refusal):
            return await context.refuse(body)
        try:
            form = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=4))
        except ValueError:
            return await context.refuse(Refusal(Reason.MALFORMED_REQUEST))
        flow = form.get("flow") or None
        if flow is not None and not FLOW_KEY.fullmatch(flow):
            return await context.refuse(Refusal(Reason.MALFORMED_REQUEST))
        domain = domain_of(form.get("email", "")).ljust(LONGEST_DOMAIN)  # the answer has one length for all
        way = context.doors.flows.hand_out(WAY_FLOW, {"domain": domain}, WAY_TTL_S)
        address = "/.gateway/sign-in?" + urlencode({"way": way} | ({"flow": flow} if flow else {}))
        # a redirect would be stopped by form-action, which holds for what follows a form
        return context.page("sign_in_onward", {"address": address}, [(b"refresh", f"0; url={address}".encode())])

    async def callback(self, context: Context) -> Response:
        """``GET callback/{partner}``: back from the partner, with a code. Nobody is told which ids are partners'."""
        raw = context.request.scope.get("query_string", b"").decode("latin-1")
        try:
            pairs = parse_qsl(raw, keep_blank_values=True, max_num_fields=32)
        except ValueError:
            return await context.refuse(Refusal(Reason.MALFORMED_REQUEST))
        if len(dict(pairs)) != len(pairs):
            return await context.refuse(Refusal(Reason.MALFORMED_REQUEST))
        came_back, now = self._came_back(context, pairs), context.doors.clock.now()
        if isinstance(came_back, Refusal):
            # anybody can send one: a count, and not a record each
            context.doors.records.count(("refusal", "-", str(came_back.reason)), now=now)
            return await context.refuse(came_back)
        sso, begun = came_back
        if wait_s := self._wait_s(context):
            return await context.refuse(Refusal(Reason.TOO_MANY_SIGN_INS, retry_s=wait_s))
        try:
            signed_in = await sso.complete(begun, pairs, now)
        except NotFetched as fault:
            signed_in = _unreachable(fault)
        if isinstance(signed_in, Refusal):
            return await self._failed(context, sso, signed_in)
        return await self._open(context, sso, signed_in)

    def _came_back(
        self, context: Context, pairs: Sequence[tuple[str, str]]
    ) -> tuple[PartnerSso, Mapping[str, object]] | Refusal:
        """The partner, and what this browser began there or elsewhere."""
        sso = self._partners.get(context.request.path_params["partner"])
        if sso is None:
            return Refusal(Reason.SIGN_IN_FAILED, detail="no such partner")
        begun = sso.began(pairs, cookies.read(context.headers, cookies.FLOW))
        return begun if isinstance(begun, Refusal) else (sso, begun)

    def _wait_s(self, context: Context) -> int:
        """How long this network waits for another call to a partner; 0: not at all."""
        return math.ceil(self._tries.take(network_of(context.client), context.doors.clock.now()))

    async def _open(self, context: Context, sso: PartnerSso, signed_in: SignedIn) -> Response:
        person = signed_in.person
        known = await who_signs_in(context, person.issuer, person.sub)
        if isinstance(known, Refusal):
            return await self._failed(context, sso, known)
        user = known.user
        record = _record(context, sso) | {"caller": _caller(context, sso) | {"user": user}}
        if known.unconfirmed:
            record["identity"] = known.identity
        if (refused := await context.doors.seating.seated(sso.partner.id, user, record)) is not None:
            return await context.refuse(refused)
        rule = context.doors.policy().of(sso.partner.id)
        proof = None if known.unconfirmed else await _proof(context, rule.asserted, signed_in.word, user)
        if not await recorded(context, record | {"verdict": "accepted"} | _told(proof), reserve=False):
            return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
        before = cookies.read(context.headers, cookies.SESSION)
        if signed_in.again and before is not None:
            confirmed = await self._confirmed(context, user, before, proof, signed_in.return_flow)
            if confirmed is not None:
                return confirmed
        if before is not None:
            await context.doors.sessions.end(before)
            context.doors.callers.forget(before)
        cookie = await context.doors.sessions.open(
            issuer=person.issuer,
            sub=person.sub,
            partner=sso.partner.id,
            name=person.name,
            login=person.login,
            organisation=person.organisation,
            agency=await context.doors.seating.agency(user, person.agency, record),
            roles=person.roles,
            network=network_of(context.client),
            browser=browser_family(context.one_header(b"user-agent") or ""),
            places=context.places,
            sid=person.sid or "",
            idle_s=rule.idle_s,
            absolute_s=rule.absolute_s,
            proof=proof if isinstance(proof, Proof) else None,
            sign_out_by=signed_in.sign_out_by,
            user=user,
            unconfirmed=known.unconfirmed,
        )
        sid, begun_at = person.sid or "", signed_in.begun_at
        rests_on = {user, known.identity}  # what is said of an identity before it is confirmed is said of it alone
        ended = [await context.doors.signals.ended_since(one, sso.partner.id, sid, begun_at) for one in rests_on]
        if any(ended) or await who_signs_in(context, person.issuer, person.sub) != known:  # meanwhile
            await context.doors.sessions.end(cookie)
            why = "ended by the partner or changed while signing in"
            return await self._failed(context, sso, Refusal(Reason.SIGN_IN_FAILED, detail=why))
        opened = await context.doors.callers.by_session(cookie)
        if isinstance(opened, NoCaller):
            return await context.refuse(Refusal(Reason.FROZEN if opened.reason == "frozen" else Reason.NO_CALLER))
        target = await first_to_see(context, user, signed_in.return_flow)
        target = target or await onward(context, Identified(opened, cookie), signed_in.return_flow)
        return context.go(target, [cookies.session(cookie)])

    async def _confirmed(
        self, context: Context, user: str, cookie: str, proof: Proof | str | None, flow: str | None
    ) -> Response | None:
        """On with the session that was there, and its new proof if there is one; ``None``: it is over, or another's."""
        identified = await _signed_in(context)
        if not isinstance(identified, Identified) or identified.caller.user != user:
            return None
        if not isinstance(proof, Proof):
            return context.go(await onward(context, identified, flow))
        family = identified.caller.credential_id
        renewed = await context.doors.sessions.rotate(cookie, replace(proof, credential_id=family))
        context.doors.callers.forget(family)
        opened = NoCaller("unknown") if renewed is None else await context.doors.callers.by_session(renewed)
        if renewed is None or isinstance(opened, NoCaller):
            return None
        return context.go(await onward(context, Identified(opened, renewed), flow), [cookies.session(renewed)])

    async def _failed(self, context: Context, sso: PartnerSso, refusal: Refusal) -> Response:
        said = {"verdict": "refusal", "reason": str(refusal.reason), "detail": refusal.detail}
        await recorded(context, _record(context, sso) | said, reserve=True)  # refused in any case
        return await context.refuse(refusal)


async def _signed_in(context: Context) -> Identified | Refusal | None:
    return None if cookies.read(context.headers, cookies.SESSION) is None else await context.caller()


def _unreachable(fault: NotFetched) -> Refusal:
    return Refusal(Reason.PARTNER_UNREACHABLE, detail=str(fault))


def _query(context: Context) -> dict[str, str] | None:
    raw = context.request.scope.get("query_string", b"").decode("latin-1")
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, max_num_fields=8)
    except ValueError:
        return None
    return dict(pairs) if len(dict(pairs)) == len(pairs) else None


async def _proof(context: Context, asserted: AssertedRule | None, word: Word, user: str) -> Proof | str | None:
    """What the partner's word is worth as a proof, or why nothing; ``None``: the policy does not ask for it."""
    if asserted is None:
        return None
    ended_at = await context.doors.sessions.ended_at(user)
    return proof_by_word(asserted, word, user, "", context.doors.clock.now(), ended_at)


def _told(proof: Proof | str | None) -> dict[str, object]:
    """What the ledger says of the partner's word."""
    if isinstance(proof, Proof):
        at = int(proof.verified_at)
        return {"proof": {"kind": proof.kind, "id": proof.id, "credential": proof.factor_id, "verified_at": at}}
    return {} if proof is None else {"detail": f"no proof: {proof}"}


def _record(context: Context, sso: PartnerSso) -> dict[str, object]:
    return {
        "kind": "sign_in",
        "ref": context.asked.reference,
        "request_id": context.asked.request_id,
        "caller": _caller(context, sso),
    }


def _caller(context: Context, sso: PartnerSso) -> dict[str, object]:
    return {"partner": sso.partner.id, "client": context.client}
