"""People whose partner calls them by another name than before: let in by the new one, once an old factor confirms it.

Rules of this file:

1. Before it is confirmed a new identity opens nothing, and nothing that its partner says of it reaches its user.
2. The ledger knows before the old identity is over; then everything that was opened by it ends.
"""

from gateway.core.assurance import Caller
from gateway.core.identity import SETTLES_S, Known, Pair, State, merges_of
from gateway.core.reasons import Reason, Refusal
from gateway.edge.context import Context


async def who_signs_in(context: Context, issuer: str, sub: str) -> Known | Refusal:
    """Whose identity somebody signs in by; refused where it is over, or was given to somebody just now."""
    known = await context.doors.identities.of(issuer, sub)
    if known.state is State.GONE:
        return Refusal(Reason.IDENTITY_GONE)
    return Refusal(Reason.BUSY, retry_s=SETTLES_S) if known.settling(context.doors.clock.now()) else known


def confirmation(caller: Caller) -> dict[str, object]:
    """What the ledger has of it that a factor has confirmed who ``caller`` is."""
    return {"kind": "identity", "event": "confirmed", "identity": caller.unconfirmed, "user": caller.user}


async def confirm(context: Context, caller: Caller) -> None:
    """Let ``caller``, whom a factor of their own has confirmed, take the place of who they were.

    Where another session has confirmed it first, that one goes on, and this one ends.
    """
    doors, known = context.doors, await context.doors.identities.known(caller.unconfirmed)
    pair = Pair(known.before, known.identity, caller.user)
    await doors.identities.merge(merges_of(doors.policy(), pair, caller.partner, caller.shares, doors.clock.now()))
    goes_on = await doors.identities.confirm(known.identity, family=caller.credential_id)
    await doors.access.end_others(caller.user, but=goes_on)
    await doors.sessions.settle(caller.credential_id)
    doors.callers.forget(caller.user)
