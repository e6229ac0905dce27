"""Confirming that it is you: the page, and the code's way in.

Rules of this file:

1. The store consumes a code before we know that it was right; the ledger knows before anything opens.
2. A cookie alone is not enough: the request must come from our own page.
3. A proof belongs to the credential that made it; a session gets a new cookie with it.
"""

import json
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.responses import Response

from gateway.core.assurance import ACT_LIVES_S, Caller, Challenge, Proof
from gateway.core.policy import RECOVERY, Policy
from gateway.core.reasons import Reason, Refusal
from gateway.edge import answers, asking, cookies
from gateway.edge.activity import since_of
from gateway.edge.challenges import accepts, own_challenge, page_of
from gateway.edge.context import Context, Identified
from gateway.edge.identity import confirm, confirmation
from gateway.edge.ways import Accepted
from gateway.edge.words import explain_reason
from gateway.ports import CodeRejected, NoCaller

CODE_LENGTHS = (6, 8)
REJECTED = {
    "code_used": Reason.CODE_USED,
    "code_next_needed": Reason.CODE_NEXT_NEEDED,
    "too_many_tries": Reason.TOO_MANY_TRIES,
    "factor_stopped": Reason.FACTOR_STOPPED,
    "no_factor": Reason.NO_FACTOR,
}


@dataclass(frozen=True, slots=True)
class Posted:
    """A code as it came: by a form without script, or as JSON; ``challenge``: the name of what it confirms, if any."""

    code: str
    flow: str | None
    by_form: bool
    challenge: str | None = None


async def step_up_page(context: Context) -> Response:
    """``GET step-up``: confirm on a page of its own."""
    identified = await context.caller(anywhere=True)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    if identified.caller.is_machine:
        return await refused_on_record(context, identified.caller, Refusal(Reason.MACHINE_TOKEN))
    values = asking.step_up_values(context.asked.language) | {"next": asking.next_of(context.window_flow)}
    values |= {"unconfirmed": bool(identified.caller.unconfirmed)}
    return context.page("step_up", values | {"since": await since_of(context, identified.caller)})


async def step_up_totp(context: Context) -> Response:
    """``POST step-up/totp``: one code, once."""
    identified = await context.caller(anywhere=True)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    if identified.cookie is not None and not context.same_origin():
        return await refused_on_record(context, identified.caller, Refusal(Reason.BAD_ORIGIN))
    if identified.caller.is_machine:
        return await refused_on_record(context, identified.caller, Refusal(Reason.MACHINE_TOKEN))
    body = await context.body()
    posted = body if isinstance(body, Refusal) else read_posted(body, context.one_header(b"content-type"))
    if isinstance(posted, Refusal):
        return await context.refuse(posted)
    challenge = await challenge_of(context, identified, posted, "totp")
    if isinstance(challenge, Refusal):
        return await refused_on_record(context, identified.caller, challenge)
    accepted = await verify_code(context, identified.caller, posted.code)
    if isinstance(accepted, Refusal):
        return await _refused(context, accepted, identified, posted, challenge)
    return await accepted_proof(context, identified, posted, accepted, challenge)


async def challenge_of(
    context: Context, identified: Identified, posted: Posted, kind: str
) -> Challenge | Refusal | None:
    """What is confirmed by name, if a name came; refused where a factor of ``kind`` would not do."""
    if posted.challenge is None:
        return None
    challenge = await own_challenge(context, identified, posted.challenge)
    return challenge if isinstance(challenge, Refusal) else accepts(context, challenge, kind) or challenge


def read_posted(body: bytes, content_type: str | None) -> Posted | Refusal:
    """The code in a form or in JSON; spaces in it are people's, a member given twice is nobody's."""
    media_type = (content_type or "").partition(";")[0].strip().lower()
    pairs: list[tuple[str, object]]
    try:
        if media_type == "application/json":
            content = json.loads(body, object_pairs_hook=list)
            pairs = content if isinstance(content, list) and body.lstrip()[:1] == b"{" else []
        elif media_type == "application/x-www-form-urlencoded":
            pairs = list(parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=8))
        else:
            return Refusal(Reason.MALFORMED_REQUEST)
    except (ValueError, RecursionError):
        return Refusal(Reason.MALFORMED_REQUEST)
    fields = dict(pairs)
    code, flow = fields.get("code"), fields.get("flow")
    if len(fields) != len(pairs) or not isinstance(code, str):
        return Refusal(Reason.MALFORMED_REQUEST)
    by_form = media_type != "application/json"
    flow, challenge = (said if isinstance(said, str) and said else None for said in (flow, fields.get("challenge")))
    return Posted("".join(code.split()), flow, by_form, challenge)


def fresh_for(policy: Policy, proof: Proof, now: float) -> dict[str, int]:
    """For how many more seconds a proof opens each class that it can open; one for one answer opens that alone."""
    age_s = now - proof.verified_at
    opened = (
        rule
        for rule in policy.classes.values()
        if rule.accepts(proof.kind) and (rule.klass is proof.act.klass if proof.act else not rule.bind)
    )
    return {rule.klass.word: max(0, math.floor((rule.max_age_s or ACT_LIVES_S) - age_s)) for rule in opened}


async def verify_code(context: Context, caller: Caller, code: str) -> Accepted | Refusal:
    """Whether a code is this person's, and new; the ledger has the try before anything opens."""
    if len(code) not in CODE_LENGTHS or not (code.isascii() and code.isdigit()):
        return Refusal(Reason.CODE_REJECTED)  # not a try: it could never have been right
    if "totp" not in await context.doors.factors.kinds(caller.user):
        return Refusal(Reason.NO_FACTOR)
    answer = await context.doors.factors.verify_totp(caller.user, code)
    record = record_of(context, caller)
    outcome: Accepted | Refusal
    if isinstance(answer, CodeRejected):
        outcome = Refusal(REJECTED.get(answer.reason, Reason.CODE_REJECTED), retry_s=answer.retry_s)
        record |= {"verdict": "refusal", "reason": str(outcome.reason), "proof": {"kind": "totp"}}
    else:
        outcome = answer
        record |= {"verdict": "accepted", "proof": {"kind": answer.kind, "credential": answer.factor_id}}
    on_disk = await recorded(context, record, reserve=isinstance(answer, CodeRejected))
    return outcome if on_disk else Refusal(Reason.LEDGER_UNAVAILABLE)


async def refused_on_record(context: Context, caller: Caller, refusal: Refusal) -> Response:
    """Refuse, once the ledger has it."""
    record = record_of(context, caller) | {"kind": "refusal", "verdict": "refusal", "reason": str(refusal.reason)}
    on_disk = await recorded(context, record, reserve=True)
    return await context.refuse(refusal if on_disk else Refusal(Reason.LEDGER_UNAVAILABLE))


async def recorded(context: Context, record: Mapping[str, object], *, reserve: bool) -> bool:
    """Whether the ledger has the record on disk."""
    try:
        await context.doors.records.append(record, now=context.doors.clock.now(), reserve=reserve)
    except Exception:  # what is not recorded does not happen, whatever the cause
        return False
    return True


def record_of(context: Context, caller: Caller) -> dict[str, object]:
    """The fields that every record of ours about a known caller has."""
    return {
        "kind": "factor",
        "ref": context.asked.reference,
        "request_id": context.asked.request_id,
        "caller": {
            "user": caller.user,
            "partner": caller.partner,
            "credential": caller.credential_id,
            "credential_kind": caller.credential,
            "client": context.client,
        },
    }


async def accepted_proof(
    context: Context, identified: Identified, posted: Posted, accepted: Accepted, challenge: Challenge | None = None
) -> Response:
    """A verified factor becomes a proof of the credential that showed it, or of the one that ``challenge`` names."""
    caller = identified.caller
    if challenge is not None and await context.doors.challenges.take(posted.challenge or "") is None:
        return await refused_on_record(context, caller, Refusal(Reason.CEREMONY_OVER))
    credential_id = caller.credential_id if challenge is None else challenge.credential_id
    for_program = credential_id != caller.credential_id
    proof = Proof(
        id=secrets.token_hex(8),
        kind=accepted.kind,
        verified_at=accepted.verified_at,
        user=caller.user,
        credential_id=credential_id,
        factor_id=accepted.factor_id,
        bound=accepted.bound,
        bound_at=accepted.bound_at,
        act=challenge.act if challenge else None,
    )
    headers: answers.Headers = []
    if for_program:
        record = record_of(context, caller) | {"verdict": "accepted", "reason": "confirmed_for_token"}
        if not await recorded(context, record | {"token": credential_id}, reserve=False):
            return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
    if for_program or identified.cookie is None:
        if not await context.doors.tokens.attach_proof(credential_id, proof):
            return await context.refuse(Refusal(Reason.TOKEN_UNKNOWN))
    else:
        if caller.unconfirmed:
            if isinstance(await context.doors.callers.by_session(identified.cookie, anew=True), NoCaller):
                return await context.refuse(Refusal(Reason.NO_CALLER))  # ended since it was last looked at
            record = record_of(context, caller) | confirmation(caller)
            if not await recorded(context, record, reserve=False):
                return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
            await confirm(context, caller)
        await context.doors.sessions.know(caller.credential_id, context.places)
        renewed = await context.doors.sessions.rotate(identified.cookie, proof)
        if renewed is None:
            return await context.refuse(Refusal(Reason.NO_CALLER))
        headers.append(cookies.session(renewed))
        if accepted.kind != RECOVERY:
            headers.append(cookies.used_way(accepted.kind))
    context.doors.callers.forget(credential_id)
    if posted.by_form and context.asked.navigating:
        if posted.flow is not None:
            return context.go(context.target_of(posted.flow), headers)
        return context.page("confirmed", {"program": challenge.holder if challenge and for_program else None}, headers)
    fresh = fresh_for(context.doors.policy(), proof, context.doors.clock.now())
    told = {"kind": proof.kind, "verified_at": int(proof.verified_at), "fresh_for_s": fresh}
    return context.document({"proof": told}, headers)


async def _refused(
    context: Context, refusal: Refusal, identified: Identified, posted: Posted, challenge: Challenge | None
) -> Response:
    if not (posted.by_form and context.asked.navigating) or refusal.reason is Reason.LEDGER_UNAVAILABLE:
        return await context.refuse(refusal)
    title, text = explain_reason(refusal.reason, context.asked.language)
    page, values = "step_up", asking.step_up_values(context.asked.language)
    if challenge is not None:
        page, values = page_of(context, identified, challenge, posted.challenge or "")
    unconfirmed = bool(identified.caller.unconfirmed)
    values |= {"flow": posted.flow, "error": f"{title}. {text}", "unconfirmed": unconfirmed}
    return context.page(page, values, status=answers.STATUS[refusal.reason])
