"""A seat for whoever signs in: the first sight of somebody is a record, and one more than a partner has is refused."""

from collections.abc import Mapping

from gateway.core.reasons import Reason, Refusal
from gateway.edge.context import Context
from gateway.edge.step_up import recorded


async def seated(context: Context, partner: str, user: str, record: Mapping[str, object]) -> Refusal | None:
    """Let ``user`` sit down at ``partner``, or the refusal. ``record``: what every record of this sign-in has.

    While every application only observes nobody is refused, and whoever is seen then is not new later.
    """
    seats, observing = context.doors.seats, context.doors.observing
    most = context.doors.policy().of(partner).seats
    taken = await seats.take(partner, user, most=None if observing else most, ripe=observing)
    if taken == "full":
        refused = Refusal(Reason.NO_SEAT, limit=most)
        said = {"reason": str(refused.reason), "limit": most}
        await recorded(context, {**record, "verdict": "refusal", **said}, reserve=True)  # refused in any case
        await recorded(context, {**record, "kind": "alarm", **said}, reserve=True)
        return refused
    if taken == "first" and not await recorded(context, {**record, "kind": "first_sight"}, reserve=False):
        await seats.leave(partner, user)
        return Refusal(Reason.LEDGER_UNAVAILABLE)
    return None
