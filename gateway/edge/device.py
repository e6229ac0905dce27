"""Confirming for a program that has no browser: its owner opens the challenge's address on any device.

Rules of this file:

1. Only the token's own user sees what a code stands for; to everybody else it is unknown.
2. The proof is the token's, not the session's; a code serves one confirmation.
"""

import secrets
from urllib.parse import parse_qsl

from starlette.responses import Response

from gateway.core.assurance import Proof
from gateway.core.extraction import Class
from gateway.core.reasons import Reason, Refusal
from gateway.edge import answers, words
from gateway.edge.context import Context, Identified
from gateway.edge.doors import AskedFor
from gateway.edge.passkeys import person
from gateway.edge.step_up import record_of, recorded, refused_on_record, verify_code
from gateway.edge.words import explain_reason


async def device_page(context: Context, identified: Identified, code: str) -> Response:
    """``GET step-up?code=…``: which token, what for, and a field for the person's own code."""
    asked = await _own(context, identified, code)
    if isinstance(asked, Refusal):
        return await refused_on_record(context, identified.caller, asked)
    return _page(context, asked, code, None)


async def confirm(context: Context) -> Response:
    """``POST step-up/device`` (a form with ``device`` and ``code``): confirm for the token, once."""
    identified = await person(context)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    caller = identified.caller
    body = await context.body()
    if isinstance(body, Refusal):
        return await context.refuse(body)
    said = dict(parse_qsl(body.decode("latin-1"), max_num_fields=4))
    asked = await _own(context, identified, said.get("device", ""))
    if isinstance(asked, Refusal):
        return await refused_on_record(context, caller, asked)
    accepted = await verify_code(context, caller, "".join(said.get("code", "").split()))
    if isinstance(accepted, Refusal):
        if accepted.reason is Reason.LEDGER_UNAVAILABLE:
            return await context.refuse(accepted)
        title, text = explain_reason(accepted.reason, context.asked.language)
        status = answers.STATUS[accepted.reason]
        return _page(context, asked, said["device"], f"{title}. {text}", status=status)
    if await context.doors.step_up_codes.take(said["device"]) is None:
        return await refused_on_record(context, caller, Refusal(Reason.STEP_UP_CODE_UNKNOWN))
    proof = Proof(
        id=secrets.token_hex(8),
        kind=accepted.kind,
        verified_at=accepted.verified_at,
        user=caller.user,
        credential_id=asked.token_id,
        factor_id=accepted.factor_id,
        bound=accepted.bound,
        bound_at=accepted.bound_at,
    )
    record = record_of(context, caller) | {
        "verdict": "accepted",
        "reason": "confirmed_for_token",
        "token": asked.token_id,
    }
    if not await recorded(context, record, reserve=False):
        return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
    if not await context.doors.tokens.attach_proof(asked.token_id, proof):
        return await refused_on_record(context, caller, Refusal(Reason.TOKEN_UNKNOWN))
    context.doors.callers.forget(asked.token_id)
    return context.page("device_confirmed", {"token": asked.token_name})


async def _own(context: Context, identified: Identified, code: str) -> AskedFor | Refusal:
    asked = await context.doors.step_up_codes.look(code)
    if identified.cookie is None or asked is None or asked.user != identified.caller.user:
        return Refusal(Reason.STEP_UP_CODE_UNKNOWN)
    return asked


def _page(context: Context, asked: AskedFor, code: str, error: str | None, *, status: int = 200) -> Response:
    about = words.about(Class.of(asked.klass), context.asked.language)
    return context.page("device", {"asked": asked, "about": about, "device": code, "error": error}, status=status)
