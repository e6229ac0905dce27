"""Setting up a code application: a secret shown once, and a code that proves that it arrived.

Rules of this file:

1. What ``enrol`` asks for a passkey is asked here too: a fresh proof, or an invitation where there is no factor yet.
2. The secret is sealed while it waits, and bound only by a code made from it; that code opens nothing besides.
"""

import secrets
from base64 import b32encode, b64decode, b64encode

import segno
from markupsafe import Markup
from starlette.responses import Response

from gateway.core.policy import TOTP
from gateway.core.reasons import Reason, Refusal
from gateway.edge.context import Context
from gateway.edge.enrol import allowed, how_bound
from gateway.edge.notices import FACTOR_BOUND, tell
from gateway.edge.step_up import record_of, recorded, refused_on_record
from gateway.factors.totp import Oath, matching_step, provisioning_uri

FLOW = "totp-enrol"
FLOW_TTL_S = 600
SECRET_BYTES = 20
"""RFC 4226, section 4: 160 bits."""


async def begin(context: Context) -> Response:
    """``POST enrol/totp``: the page with the secret, as a drawing and in letters."""
    permitted = await allowed(context, removing=False)
    if isinstance(permitted, Response):
        return permitted
    return await _page(context, permitted[0].caller.user, secrets.token_bytes(SECRET_BYTES), wrong=False)


async def finish(context: Context) -> Response:
    """``POST enrol/totp/verify`` (a form with ``ceremony`` and ``code``): bind it."""
    permitted = await allowed(context, removing=False)
    if isinstance(permitted, Response):
        return permitted
    identified, proof = permitted
    caller = identified.caller
    said = await context.form()
    if isinstance(said, Refusal):
        return await context.refuse(said)
    kept = await context.doors.flows.take(FLOW, said.get("ceremony", ""))
    if kept is None or kept["user"] != caller.user:
        return await refused_on_record(context, caller, Refusal(Reason.CEREMONY_OVER))
    secret = context.doors.keyring.unseal(b64decode(str(kept["sealed"])), _place(caller.user))
    code = "".join(said.get("code", "").split())
    if matching_step(Oath(secret), code, context.doors.clock.now()) is None:
        return await _page(context, caller.user, secret, wrong=True)
    how = await how_bound(context, caller, proof, TOTP)
    if how is None:
        return await refused_on_record(context, caller, Refusal(Reason.INVITATION_REQUIRED))
    record = record_of(context, caller) | {
        "verdict": "accepted",
        "reason": "factor_bound",
        "proof": {"kind": proof.kind, "credential": proof.factor_id} if proof else {"kind": "invitation"},
        "detail": f"totp, bound {how}",
    }
    if not await recorded(context, record, reserve=False):
        return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
    await context.doors.factors.enrol_oath(caller.user, Oath(secret), bound=how)
    await context.doors.factors.verify_totp(caller.user, code)  # burns the code that came here
    await tell(context, caller, FACTOR_BOUND)
    return context.go("/.gateway/enrol")


async def _page(context: Context, user: str, secret: bytes, *, wrong: bool) -> Response:
    sealed = context.doors.keyring.seal(secret, _place(user))
    ceremony = await context.doors.flows.keep(FLOW, {"user": user, "sealed": b64encode(sealed).decode()}, FLOW_TTL_S)
    text = b32encode(secret).decode()
    drawn = segno.make(provisioning_uri(secret, context.asked.host, context.doors.product), error="m")
    values = {
        "ceremony": ceremony,
        "secret": " ".join(text[start : start + 4] for start in range(0, len(text), 4)),
        "drawing": Markup(drawn.svg_inline(scale=5, border=2)),  # noqa: S704  (our own drawing of our own secret)
        "wrong": wrong,
    }
    return context.page("enrol_totp", values, status=403 if wrong else 200)


def _place(user: str) -> str:
    return f"totp-enrol:{user}"
