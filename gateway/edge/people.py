"""How somebody's access stands, and what may be done about it: for the help desk, officers, and who audits.

Rules of this file:

1. Whom one looks after has a role in the policy, never oneself; looking needs a confirmation of this half-day, a change
   one of the last five minutes, both by a ripe factor.
2. A person is found by what they say themselves: the code that they asked for, or their login; nothing lists them.
3. The ledger knows who was looked up, and every change before it happens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.responses import Response

from gateway.core.assurance import Caller, changing
from gateway.core.charging import limits_of
from gateway.core.enrolment import Act, may, role_for
from gateway.core.policy import Scope, Then
from gateway.core.reasons import Reason, Refusal
from gateway.core.standing import Namesake, Standing
from gateway.edge import words
from gateway.edge.context import Context, Identified
from gateway.edge.enrol import CHANGE_WITHIN_S
from gateway.edge.notices import REOPENED, tell
from gateway.edge.partner import Partner
from gateway.edge.passkeys import person
from gateway.edge.step_up import record_of, recorded, refused_on_record
from gateway.edge.ways import InvitationRequest

SEE_WITHIN_S = 4 * 3600
LONGEST_LOGIN = 200


@dataclass(frozen=True, slots=True)
class Button:
    """What may be done: the right to it, its reason in the ledger, its words before and after."""

    act: Act
    reason: str
    label: str
    done: str
    danger: bool = False


BUTTONS: Mapping[str, Button] = {
    "end": Button(Act.END_SESSIONS, "sessions_ended", "people_end", "people_ended"),
    "start": Button(Act.START, "invitation_started", "people_start", "people_started"),
    "freeze": Button(Act.HALT, "user_frozen", "people_freeze", "people_frozen", danger=True),
    "unfreeze": Button(Act.HALT, "user_unfrozen", "people_unfreeze", "people_unfrozen"),
    "reopen": Button(Act.HALT, "user_reopened", "people_reopen", "people_reopened"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """Somebody, and how they were found: ``request`` by the code that they told, ``namesake`` by their login."""

    user: str
    partner: str
    said: Mapping[str, str]
    request: InvitationRequest | None = None
    namesake: Namesake | None = None


async def people_page(context: Context) -> Response:
    """``GET people``: where a code or a login is typed."""
    identified = await context.caller()
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    if (refusal := _refused(context, identified, SEE_WITHIN_S)) is not None:
        return await refused_on_record(context, identified.caller, refusal)
    return _search(context, identified.caller)


async def people(context: Context) -> Response:
    """``POST people`` (a form with ``code``, or ``login`` and ``partner``; also ``user`` of several, and ``act``)."""
    identified = await person(context)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    caller = identified.caller
    said = await context.form()
    if isinstance(said, Refusal):
        return await context.refuse(said)
    within_s = CHANGE_WITHIN_S if "act" in said else SEE_WITHIN_S
    if (refusal := _refused(context, identified, within_s)) is not None:
        return await refused_on_record(context, caller, refusal)
    policy, record = context.doors.policy(), record_of(context, caller) | {"kind": "operator"}
    meant = [one for one in await _find(context, said) if said.get("user", one.user) == one.user]
    roles = (role_for(policy, caller, Act.SEE, user=one.user, partner=one.partner) for one in meant)
    seen = [(one, role) for one, role in zip(meant, roles, strict=True) if role is not None]
    if not seen:
        # nobody learns whether a login is somebody's whom they may not see
        if not await recorded(context, record | {"verdict": "refusal", "reason": "not_found"}, reserve=True):
            return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
        return _search(context, caller, error=True)
    if "act" in said and len(meant) == 1:
        return await _act(context, caller, seen[0][0], said["act"])
    for one, role in seen:
        looked_up = {"verdict": "accepted", "reason": "user_seen", "user": one.user, "role": role}
        if not await recorded(context, record | looked_up, reserve=False):
            return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
    if len(meant) > 1:
        return _choice(context, [one for one, _ in seen])
    return await _shown(context, caller, seen[0][0], done=None)


def _refused(context: Context, identified: Identified, within_s: int) -> Refusal | None:
    if identified.cookie is None or not may(context.doors.policy(), identified.caller, Act.SEE):
        return Refusal(Reason.ROLE_REQUIRED)
    if changing(identified.caller, context.doors.clock.now(), within_s, removing=True) is None:
        return Refusal(Reason.PROOF_REQUIRED, kinds=("webauthn", "totp"), max_age_s=within_s)
    return None


async def _find(context: Context, said: Mapping[str, str]) -> Sequence[Found]:
    """Whom it names: by a code one, by a login everybody who says it."""
    if said.get("code"):
        request = await context.doors.invitations.asked(said["code"])
        return [Found(request.user, request.partner, {"code": said["code"]}, request)] if request else []
    login, partner = said.get("login", "").strip(), said.get("partner", "")
    if not login or len(login) > LONGEST_LOGIN or partner not in context.doors.partners:
        return []
    named = {"login": login, "partner": partner}
    return [
        Found(one.user, partner, named, namesake=one) for one in await context.doors.people.by_login(partner, login)
    ]


async def _act(context: Context, caller: Caller, found: Found, name: str) -> Response:
    button = BUTTONS.get(name)
    if button is None:
        return await context.refuse(Refusal(Reason.MALFORMED_REQUEST))
    policy, standing = context.doors.policy(), await context.doors.people.standing(found.user)
    role = role_for(policy, caller, button.act, user=found.user, partner=found.partner)
    if role is None:
        return await refused_on_record(context, caller, Refusal(Reason.ROLE_REQUIRED))
    if name not in _possible(found, standing):
        return await refused_on_record(context, caller, Refusal(Reason.INVITATION_REFUSED))
    record = record_of(context, caller) | {"kind": "operator", "verdict": "accepted", "reason": button.reason}
    if not await recorded(context, record | {"user": found.user, "role": role}, reserve=False):
        return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
    match name:
        case "end":
            await context.doors.people.end_sessions(found.user)
        case "start":
            await context.doors.invitations.start(found.request, by=caller.user)
        case "freeze":
            reason = f"on the page, {context.asked.reference}"
            await context.doors.people.freeze(found.user, by=caller.user, reason=reason)
        case "unfreeze":
            await context.doors.people.unfreeze(found.user)
        case "reopen":
            await context.doors.people.reopen(found.user)
            await tell(context, caller, REOPENED, user=found.user, partner=found.partner)
    context.doors.callers.forget(found.user)
    return await _shown(context, caller, found, done=button.done)


def _possible(found: Found, standing: Standing) -> tuple[str, ...]:
    """What there is to do for who stands so; an invitation only for who told their code and has no factor."""
    there = {
        "end": True,
        "start": found.request is not None and not standing.factors,
        "freeze": not standing.frozen,
        "unfreeze": standing.frozen,
        "reopen": standing.closed_from is not None,
    }
    return tuple(name for name, possible in there.items() if possible)


def _search(context: Context, caller: Caller, *, error: bool = False) -> Response:
    values = {"found": None, "several": (), "partners": _seen(context, caller), "error": error}
    return context.page("people", values, status=403 if error else 200)


def _choice(context: Context, seen: Sequence[Found]) -> Response:
    """Whoever says the same login, to choose from: the latest to say it may be saying another's."""
    return context.page("people", {"found": None, "several": seen, "now": context.doors.clock.now()})


def _seen(context: Context, caller: Caller) -> list[Partner]:
    """The partners of whom ``caller`` sees people."""
    policy = context.doors.policy()
    partners = context.doors.partners.values()
    return [one for one in partners if role_for(policy, caller, Act.SEE, user="", partner=one.id)]


async def _shown(context: Context, caller: Caller, found: Found, *, done: str | None) -> Response:
    policy, now, language = context.doors.policy(), context.doors.clock.now(), context.asked.language
    standing = await context.doors.people.standing(found.user)
    whose = Caller(found.user, found.partner, "", "", "", "person", "session", "", grants=standing.grants)
    limits = [one for one in limits_of(policy, whose, now) if one.scope is Scope.USER and one.then is not Then.ALARM]
    partner = context.doors.partners.get(found.partner)
    buttons = [
        {"value": one, "label": words.say(BUTTONS[one].label, language), "danger": BUTTONS[one].danger}
        for one in _possible(found, standing)
        if BUTTONS[one].done != done
        and role_for(policy, caller, BUTTONS[one].act, user=found.user, partner=found.partner)
    ]
    values = {
        "found": found,
        "standing": standing,
        "organisation": partner.name if partner else found.partner,
        "limits": [
            (words.kind_of_limit(one.limit, language), one.limit.window_s, one.used, one.limit.limit)
            for one in await context.doors.budgets.usage(tuple(limits))
            if one.used
        ],
        "refusals": [
            (_title(one.reason, language), one.reference, max(0.0, now - one.at))
            for one in await context.doors.history.refusals(found.user)
        ],
        "buttons": buttons,
        "done": done and words.say(done, language),
        "now": now,
    }
    return context.page("people", values)


def _title(reason: str, language: words.Language) -> str:
    return words.explain_reason(Reason(reason), language)[0] if reason in set(Reason) else reason
