"""The code of a letter: typed by its person, signed in as themselves, it becomes an invitation.

Rules of this file:

1. It serves only who has no factor yet, in a browser, on our own page.
2. The ledger knows that it is used before it opens anything.
"""

from starlette.responses import Response

from gateway.core.reasons import Reason, Refusal
from gateway.edge import answers
from gateway.edge.context import Context
from gateway.edge.enrol import enrol_values
from gateway.edge.notices import LETTER_USED, tell
from gateway.edge.passkeys import person
from gateway.edge.step_up import REJECTED, record_of, recorded, refused_on_record
from gateway.edge.words import explain_reason

KIND = "letter"


async def letter(context: Context) -> Response:
    """``POST enrol/letter`` (a form with ``code``)."""
    identified = await person(context, unconfirmed=True)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    caller = identified.caller
    if identified.cookie is None or await context.doors.factors.kinds(caller.user):
        return await refused_on_record(context, caller, Refusal(Reason.INVITATION_REFUSED))
    said = await context.form()
    if isinstance(said, Refusal):
        return await context.refuse(said)
    rejected = await context.doors.letters.burn(caller.user, said.get("code", ""))
    record = record_of(context, caller) | {"proof": {"kind": KIND}}
    if rejected is not None:
        reason = Reason.CODE_REJECTED if rejected.reason == "no_factor" else REJECTED.get(rejected.reason)
        refusal = Refusal(reason or Reason.CODE_REJECTED, retry_s=rejected.retry_s)
        record |= {"verdict": "refusal", "reason": str(refusal.reason)}
        if not await recorded(context, record, reserve=True):
            return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
        title, _ = explain_reason(refusal.reason, context.asked.language)
        values = await enrol_values(context, caller) | {"letter_error": title}
        return context.page("enrol", values, status=answers.STATUS[refusal.reason])
    record |= {"verdict": "accepted", "reason": "letter_used"}
    if not await recorded(context, record, reserve=False):
        return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
    await context.doors.invitations.by_letter(caller.invited_as)
    await tell(context, caller, LETTER_USED)
    return context.go("/.gateway/enrol")
