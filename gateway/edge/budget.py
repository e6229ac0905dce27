"""What is left of one's limits, as far as the policy lets it be told."""

from starlette.responses import Response

from gateway.core.assurance import Caller, mandated
from gateway.core.charging import Limit, Usage, limits_of
from gateway.core.decide import newest
from gateway.core.policy import Policy, Then
from gateway.core.reasons import Refusal
from gateway.edge.context import Context


async def budget(context: Context) -> Response:
    """``GET budget``: ``{"budgets": [{"name", "scope", "class", "limit", "used", "window_s", "next_free_s"}]}``."""
    identified = await context.caller()
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    used = await usages(context, identified.caller)
    return context.document({"budgets": [told(usage) for usage in used]})


async def usages(context: Context, caller: Caller) -> tuple[Usage, ...]:
    """How much of each limit is used that may be told; nothing is asked of the store where nothing may."""
    limits = disclosed(context.doors.policy(), caller, context.doors.clock.now())
    return await context.doors.budgets.usage(limits) if limits else ()


def disclosed(policy: Policy, caller: Caller, now: float) -> tuple[Limit, ...]:
    """The limits that ``caller`` may know of: none, or all but silent alarms (to know one is to stay below it)."""
    if not policy.disclose:
        return ()
    mandate = caller.mandate and mandated(caller, caller.mandate.klass, now)
    found = (
        *limits_of(policy, caller, now, proof=newest(policy, caller, now), mandate=mandate),
        *limits_of(policy, caller, now, misses=True),
    )
    return tuple(limit for limit in found if limit.then is not Then.ALARM)


def told(usage: Usage) -> dict[str, object]:
    """One limit in the contract's words; ``outside``: it counts only persons outside; ``floor``: where it has one."""
    own = {"floor": usage.floor, "floor_used": usage.floor_used} if usage.limit.floor else {}
    outside = {"outside": True} if usage.limit.outside else {}
    return {
        "name": usage.limit.name,
        "scope": str(usage.limit.scope),
        "class": usage.limit.klass.word,
        "limit": usage.limit.limit,
        "used": usage.used,
        "window_s": usage.limit.window_s,
        "next_free_s": usage.next_free_s,
        **outside,
        **own,
    }
