"""What was asked to be confirmed, by name: on another device for a program, or for one answer alone.

Rules of this file:

1. Only its own user sees what a name stands for; to everybody else it is unknown.
2. The proof is the credential's that was asked: another of the same user's only where that is a program's token.
"""

from starlette.responses import Response

from gateway.core.assurance import Challenge
from gateway.core.extraction import Class
from gateway.core.policy import ClassRule
from gateway.core.reasons import Reason, Refusal
from gateway.edge import asking
from gateway.edge.context import Context, Identified

UNKNOWN = Refusal(Reason.STEP_UP_CODE_UNKNOWN)


async def challenge_page(context: Context, name: str) -> Response:
    """``GET step-up?code=NAME``: what is asked, and the ways to confirm it."""
    identified = await context.caller(anywhere=True)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    challenge = await own_challenge(context, identified, name)
    if isinstance(challenge, Refusal):
        return await context.refuse(challenge)
    return context.page(*page_of(context, identified, challenge, name))


async def own_challenge(context: Context, identified: Identified, name: str) -> Challenge | Refusal:
    """What ``name`` stands for, where this caller may confirm it."""
    challenge = await context.doors.challenges.look(name)
    caller = identified.caller
    if challenge is None or challenge.user != caller.user or caller.is_machine:
        return UNKNOWN
    for_program = challenge.credential == "token" and identified.cookie is not None
    return challenge if for_program or challenge.credential_id == caller.credential_id else UNKNOWN


def accepts(context: Context, challenge: Challenge | None, kind: str) -> Refusal | None:
    """Why a factor of ``kind`` would confirm this in vain, if so: nobody burns a code for nothing."""
    if challenge is None:
        return None
    rule = _rule(context, challenge)
    if rule.accepts(kind):
        return None
    return Refusal(Reason.PROOF_REQUIRED, klass=rule.klass, kinds=rule.kinds, max_age_s=rule.max_age_s)


def _rule(context: Context, challenge: Challenge) -> ClassRule:
    klass = Class.of(challenge.klass)
    return ClassRule(klass, challenge.kinds) if challenge.kinds else context.doors.policy().classes[klass]


def page_of(
    context: Context, identified: Identified, challenge: Challenge, name: str, error: str | None = None
) -> tuple[str, dict[str, object]]:
    """The page that asks, and its values."""
    rule = _rule(context, challenge)
    partner = context.doors.partners.get(identified.caller.partner)
    recipient = partner.name if partner else identified.caller.partner
    language = context.asked.language
    act = challenge.act
    values = asking.step_up_values(language, rule.klass, rule.kinds, None if act else rule.max_age_s) | {
        "challenge": name,
        "error": error,
        "next": asking.next_of(context.window_flow),
        "releases": act and asking.releases(language, rule.klass, challenge.label, act.most, recipient),
    }
    if challenge.credential_id == identified.caller.credential_id:
        return "step_up", values
    return "device", values | {"asked": challenge}
