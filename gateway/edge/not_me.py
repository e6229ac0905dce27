"""«This was not me»: one button ends everything of a person's but the session they press it in.

Rules of this file:

1. It acts first and is recorded then: no full disk keeps a thief's session alive.
2. What it closes, only a person in charge opens: whoever holds the session cannot.
"""

from starlette.responses import Response

from gateway.core.reasons import Reason, Refusal
from gateway.edge import cookies
from gateway.edge.context import Context
from gateway.edge.notices import NOT_ME, tell
from gateway.edge.passkeys import person
from gateway.edge.step_up import record_of, recorded


async def not_me(context: Context) -> Response:
    """``POST not-me``: end all other sessions and tokens, drop all proofs, close what is sensitive, raise an alarm."""
    identified = await person(context)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    caller = identified.caller
    if identified.cookie is None:
        return await context.refuse(Refusal(Reason.BAD_ORIGIN))
    sessions, tokens = await context.doors.closures.not_me(caller.user, but=caller.credential_id)
    # a copy of this very cookie, or one of its family on another host, ends too
    renewed = await context.doors.sessions.refound(identified.cookie, caller.user)
    context.doors.callers.forget(caller.user)
    alarm = {"kind": "alarm", "reason": "not_me", "sessions_ended": sessions, "tokens_revoked": tokens}
    await recorded(context, record_of(context, caller) | alarm, reserve=True)
    await tell(context, caller, NOT_ME)
    headers = [cookies.session(renewed)] if renewed else []
    return context.page("not_me", {"sessions": sessions, "tokens": tokens}, headers)
