"""A person's own page: who they are here, their limits, their last confirmation."""

from starlette.responses import Response

from gateway.core.charging import Usage
from gateway.core.enrolment import Act, Role, may, roles_of
from gateway.core.policy import Scope
from gateway.core.reasons import Refusal
from gateway.edge import words
from gateway.edge.access import access_of
from gateway.edge.activity import recent_of
from gateway.edge.budget import usages
from gateway.edge.context import Context
from gateway.edge.notices import notices_of

ROLES = {
    Role.OPERATOR: "role_operator",
    Role.OFFICER: "role_officer",
    Role.REFERENT: "role_referent",
    Role.HELP_DESK: "role_help_desk",
    Role.DPO: "role_dpo",
    Role.AUDITOR: "role_auditor",
}


async def account(context: Context) -> Response:
    """``GET account``."""
    identified = await context.caller()
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    caller = identified.caller
    now = context.doors.clock.now()
    confirmed = max((proof.verified_at for proof in caller.proofs), default=None)
    partner = context.doors.partners.get(caller.partner)
    used = await usages(context, caller)
    by_session = identified.cookie is not None
    values = {
        "caller": caller,
        "partner": partner.name if partner is not None else caller.partner,
        "confirmed_ago_s": None if confirmed is None else max(0.0, now - confirmed),
        "disclosed": context.doors.policy().disclose,
        "limits": [_meter(usage, context) for usage in used if usage.limit.scope is not Scope.PARTNER],
        "recovery_left": await context.doors.recovery.left(caller.user),
        "roles": [
            words.say(ROLES[Role(one.role)], context.asked.language) for one in roles_of(context.doors.policy(), caller)
        ],
        "invites": may(context.doors.policy(), caller, Act.INVITE),
        "sees_people": may(context.doors.policy(), caller, Act.SEE),
        "closed": caller.closed_from is not None,
        "by_session": by_session,
        "ended": "ended" in context.request.query_params,
    }
    if by_session:
        recent = recent_of(context)
        values |= await access_of(context, caller) | await notices_of(context, caller)
        values |= {
            "recent": await recent.episodes(caller, context.asked.language),
            "since": await recent.since(caller, context.asked.language),
        }
    return context.page("account", values)


def _meter(usage: Usage, context: Context) -> dict[str, object]:
    limit = usage.limit
    return {
        "name": words.kind_of_limit(limit, context.asked.language),
        "used": min(usage.used, limit.limit),
        "limit": limit.limit,
        "full": usage.used >= limit.limit,
        "window_s": limit.window_s,
        "next_free_s": usage.next_free_s,
    }
