"""Recovery codes: made and shown once on the account page, used where the telephone is lost.

Rules of this file:

1. Codes are made only with a fresh proof by a ripe factor: a recovery code begets no recovery codes.
2. The ledger knows before the codes are shown, and before a proof by one opens anything.
"""

from starlette.responses import Response

from gateway.core.assurance import Caller, changing
from gateway.core.policy import RECOVERY
from gateway.core.reasons import Reason, Refusal
from gateway.edge import answers
from gateway.edge.context import Context, Identified
from gateway.edge.enrol import CHANGE_WITHIN_S
from gateway.edge.notices import RECOVERY_CODES, tell
from gateway.edge.passkeys import person
from gateway.edge.step_up import (
    REJECTED,
    accepted_proof,
    challenge_of,
    read_posted,
    record_of,
    recorded,
    refused_on_record,
)
from gateway.edge.ways import Accepted
from gateway.edge.words import explain_reason
from gateway.ports import CodeRejected


async def recovery_page(context: Context) -> Response:
    """``GET recovery``: where a recovery code is typed."""
    identified = await _person(context)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    return context.page("recovery", {"error": None, "challenge": context.request.query_params.get("code", "")})


async def step_up_recovery(context: Context) -> Response:
    """``POST step-up/recovery``: one code, once; what it opens cools off."""
    identified = await _person(context)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    if identified.cookie is not None and not context.same_origin():
        return await refused_on_record(context, identified.caller, Refusal(Reason.BAD_ORIGIN))
    body = await context.body()
    posted = body if isinstance(body, Refusal) else read_posted(body, context.one_header(b"content-type"))
    if isinstance(posted, Refusal):
        return await context.refuse(posted)
    challenge = await challenge_of(context, identified, posted, RECOVERY)
    if isinstance(challenge, Refusal):
        return await refused_on_record(context, identified.caller, challenge)
    outcome = await _burn(context, identified.caller, posted.code)
    if not isinstance(outcome, Refusal):
        return await accepted_proof(context, identified, posted, outcome, challenge)
    if not (posted.by_form and context.asked.navigating) or outcome.reason is Reason.LEDGER_UNAVAILABLE:
        return await context.refuse(outcome)
    title, text = explain_reason(outcome.reason, context.asked.language)
    values = {"error": f"{title}. {text}", "challenge": posted.challenge or ""}
    return context.page("recovery", values, status=answers.STATUS[outcome.reason])


async def _burn(context: Context, caller: Caller, code: str) -> Accepted | Refusal:
    answer = await context.doors.recovery.burn(caller.user, code)
    record = record_of(context, caller) | {"proof": {"kind": RECOVERY}}
    if isinstance(answer, CodeRejected):
        refusal = Refusal(REJECTED.get(answer.reason, Reason.CODE_REJECTED), retry_s=answer.retry_s)
        record |= {"verdict": "refusal", "reason": str(refusal.reason)}
        return refusal if await recorded(context, record, reserve=True) else Refusal(Reason.LEDGER_UNAVAILABLE)
    record |= {"verdict": "accepted"}
    return answer if await recorded(context, record, reserve=False) else Refusal(Reason.LEDGER_UNAVAILABLE)


async def make_codes(context: Context) -> Response:
    """``POST recovery/codes``: ten new codes, shown once; the old ones are over."""
    identified = await person(context)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    caller = identified.caller
    if identified.cookie is None or not context.same_origin():
        return await refused_on_record(context, caller, Refusal(Reason.BAD_ORIGIN))
    proof = changing(caller, context.doors.clock.now(), CHANGE_WITHIN_S, removing=True)
    if proof is None or proof.kind == RECOVERY:
        wanted = Refusal(Reason.PROOF_REQUIRED, kinds=("webauthn", "totp"), max_age_s=CHANGE_WITHIN_S)
        return await refused_on_record(context, caller, wanted)
    record = record_of(context, caller) | {"verdict": "accepted", "reason": "recovery_codes_made"}
    if not await recorded(context, record, reserve=False):
        return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
    codes = await context.doors.recovery.issue(caller.user)
    await tell(context, caller, RECOVERY_CODES)
    return context.page("recovery_codes", {"codes": codes})


async def _person(context: Context) -> Identified | Refusal:
    identified = await context.caller(anywhere=True)
    if not isinstance(identified, Refusal) and identified.caller.is_machine:
        return Refusal(Reason.MACHINE_TOKEN)
    return identified
