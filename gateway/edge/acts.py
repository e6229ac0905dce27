"""An act of our own pages that is confirmed by itself: whoever does it is told what, to whom, and means it now.

A confirmation made for something else does not do: a session in the wrong hands could live on it for minutes.
"""

from collections.abc import Mapping

from starlette.responses import Response

from gateway.core.assurance import Act, Challenge, Proof, settled
from gateway.core.extraction import Class
from gateway.core.policy import TOTP, WEBAUTHN
from gateway.core.reasons import Reason, Refusal
from gateway.edge import asking
from gateway.edge.context import Context, Identified
from gateway.edge.step_up import refused_on_record

WITHIN_S = 300
"""How long a confirmation waits for its act."""
KINDS = (WEBAUTHN, TOTP)


async def confirmed(
    context: Context, identified: Identified, act: str, whom: str, label: Mapping[str, str], again: Mapping[str, str]
) -> Proof | Response:
    """The proof that ``act`` on ``whom`` (a user) was confirmed with a settled factor, claimed; or the page that asks.

    ``label``: the act in words, by language; ``again``: the form's fields, sent again once it is confirmed.
    """
    caller, now = identified.caller, context.doors.clock.now()
    request = context.doors.keyring.request_hash(act.encode(), context.asked.host, whom.encode())
    for proof in caller.proofs:
        if proof.act is None or proof.act.request != request or not -2.0 <= now - proof.verified_at <= WITHIN_S:
            continue
        if not settled(proof, now):
            return await refused_on_record(context, caller, Refusal(Reason.FACTOR_COOLING))
        if await context.doors.challenges.claim(proof):
            return proof
    asked = Challenge(
        caller.user,
        caller.credential_id,
        caller.credential,
        caller.name,
        Class.PUBLIC.word,
        "",
        act,
        label,
        Act(request, Class.PUBLIC),
        KINDS,
    )
    values = asking.step_up_values(context.asked.language, None, KINDS) | {
        "challenge": await context.doors.challenges.offer(asked),
        "act": label[context.asked.language],
        "after": "again",
        "again": (context.request.url.path, again),
    }
    return context.page("step_up", values, status=401)
