"""Letting somebody bind a first factor.

Rules of this file:

1. Who invites has a role in the policy, and confirms this very invitation with a factor that is not young.
2. They see whom they invite before they do; the ledger knows before the invitation stands.
"""

from starlette.responses import Response

from gateway.core.assurance import Caller
from gateway.core.enrolment import Act, may, role_for
from gateway.core.reasons import Reason, Refusal
from gateway.edge import words
from gateway.edge.acts import confirmed
from gateway.edge.context import Context, Identified
from gateway.edge.notices import INVITED, tell
from gateway.edge.passkeys import person
from gateway.edge.step_up import record_of, recorded, refused_on_record
from gateway.edge.ways import StartedInvitation


async def ask(context: Context) -> Response:
    """``POST enrol/ask``: a code to tell, for who has no factor yet, or has lost theirs."""
    identified = await person(context, unconfirmed=True)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    caller = identified.caller
    if identified.cookie is None:
        return await refused_on_record(context, caller, Refusal(Reason.INVITATION_REFUSED))
    record = record_of(context, caller) | {"verdict": "accepted", "reason": "invitation_asked"}
    if not await recorded(context, record, reserve=True):
        return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
    return context.page("invitation_asked", {"code": await context.doors.invitations.ask(caller)})


async def invite_page(context: Context) -> Response:
    """``GET invite``: where a code that somebody told is typed."""
    identified = await context.caller()
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    if not may(context.doors.policy(), identified.caller, Act.INVITE):
        return await refused_on_record(context, identified.caller, Refusal(Reason.ROLE_REQUIRED))
    return await _typed(context, identified.caller)


async def invite(context: Context) -> Response:
    """``POST invite`` (a form with ``code`` or ``started``, then also ``yes`` and ``here``): see who it is, invite."""
    identified = await person(context)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    if identified.cookie is None or not may(context.doors.policy(), identified.caller, Act.INVITE):
        return await refused_on_record(context, identified.caller, Refusal(Reason.ROLE_REQUIRED))
    said = await context.form()
    if isinstance(said, Refusal):
        return await context.refuse(said)
    return await _found(context, identified, said)


async def _found(context: Context, identified: Identified, said: dict[str, str]) -> Response:
    caller, code, started = identified.caller, said.get("code", ""), said.get("started", "")
    asked = await (_waiting(context, caller, started) if started else context.doors.invitations.asked(code))
    policy = context.doors.policy()
    role = role_for(policy, caller, Act.INVITE, user=asked.user, partner=asked.partner) if asked else None
    if asked is None or role is None:
        # nobody learns whether a code is somebody's whom they may not invite
        record = record_of(context, caller) | {"verdict": "refusal", "reason": str(Reason.INVITATION_REFUSED)}
        if not await recorded(context, record, reserve=True):
            return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
        return await _typed(context, caller, error=True)
    partner = context.doors.partners.get(asked.partner)
    by = {"started": started} if started else {"code": code}
    values = {
        "asked": asked,
        "partner": partner.name if partner else asked.partner,
        "by": by,
        "error": False,
        "lost": bool(await context.doors.factors.kinds(asked.user)),
    }
    if said.get("yes") != "1":
        return context.page("invite", values | {"done": None})
    in_person = said.get("here") == "1"
    proof = await confirmed(
        context,
        identified,
        "invite-here" if in_person else "invite",
        asked.user,
        {
            language: words.say("invite_act_here" if in_person else "invite_act", language, name=asked.name)
            for language in words.LANGUAGES
        },
        {**by, "yes": "1"} | ({"here": "1"} if in_person else {}),
    )
    if isinstance(proof, Response):
        return proof
    record = record_of(context, caller) | {"verdict": "accepted", "reason": "invited", "user": asked.user, "role": role}
    record |= {"proof": {"kind": proof.kind, "credential": proof.factor_id}}
    if not await recorded(context, record, reserve=False):
        return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
    made = await context.doors.invitations.invite(
        asked.user, by=caller.user, role=role, in_person=in_person, identity=asked.identity
    )
    if made not in ("remote", "vouched"):
        return await refused_on_record(context, caller, Refusal(Reason.INVITATION_REFUSED, detail=made))
    await context.doors.invitations.signed(asked.user, asked.partner)
    await tell(context, caller, INVITED, user=asked.user, partner=asked.partner)
    return context.page("invite", values | {"done": made})


async def _typed(context: Context, caller: Caller, *, error: bool = False) -> Response:
    values = {"asked": None, "done": None, "error": error, "started": await _started(context, caller)}
    return context.page("invite", values, status=403 if error else 200)


async def _started(context: Context, caller: Caller) -> list[StartedInvitation]:
    """Whom ``caller`` may sign for: never what they started themselves."""
    policy = context.doors.policy()
    found: list[StartedInvitation] = []
    for partner in context.doors.partners:
        if role_for(policy, caller, Act.INVITE, user="", partner=partner):
            found += await context.doors.invitations.started(partner)
    return [one for one in found if caller.user not in (one.user, one.by)]


async def _waiting(context: Context, caller: Caller, user: str) -> StartedInvitation | None:
    return next((one for one in await _started(context, caller) if one.user == user), None)
