"""What a person is signed in with, ended by themselves on their account page.

Rules of this file:

1. To end something asks for nothing: only the person's own session, on our own page, and only what is theirs.
2. It acts first and is recorded then: no full disk keeps a thief's session alive.
"""

from urllib.parse import parse_qsl

from starlette.responses import Response

from gateway.core.assurance import Caller
from gateway.core.reasons import Reason, Refusal
from gateway.edge import cookies
from gateway.edge.activity import place
from gateway.edge.answers import Headers
from gateway.edge.context import Context
from gateway.edge.passkeys import person
from gateway.edge.step_up import record_of, recorded, refused_on_record

OTHERS = "others"


async def access_of(context: Context, caller: Caller) -> dict[str, object]:
    """The sessions and tokens of ``caller`` as the account page lists them."""
    now = context.doors.clock.now()
    sessions, tokens = await context.doors.access.of(caller.user)
    return {
        "sessions": [
            {
                "id": one.id,
                "place": place(one.browser, one.network, context.asked.language),
                "since_s": now - one.since,
                "seen_s": now - one.seen,
                "here": one.id == caller.credential_id,
            }
            for one in sessions
        ],
        "tokens": [{"id": one.id, "name": one.name, "left_s": one.expires_at - now} for one in tokens],
    }


async def end_access(context: Context) -> Response:
    """``POST account/end`` (a form with ``which``: the id of a session or token, or ``others``)."""
    identified = await person(context)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    caller = identified.caller
    if identified.cookie is None:
        return await refused_on_record(context, caller, Refusal(Reason.BAD_ORIGIN))
    body = await context.body()
    if isinstance(body, Refusal):
        return await context.refuse(body)
    try:
        which = dict(parse_qsl(body.decode("ascii"), strict_parsing=True, max_num_fields=2)).get("which", "")
    except ValueError:
        return await context.refuse(Refusal(Reason.MALFORMED_REQUEST))
    headers: Headers = []
    if which == OTHERS:
        sessions, tokens = await context.doors.access.end_others(caller.user, but=caller.credential_id)
        # a copy of this very cookie, or one of its family on another host, ends too
        renewed = await context.doors.sessions.refound(identified.cookie, caller.user)
        headers += [cookies.session(renewed)] if renewed else []
    else:
        sessions, tokens = await context.doors.access.end(caller.user, which)
    context.doors.callers.forget(caller.user)
    if not sessions and not tokens:
        return context.go("/.gateway/account", headers)
    record = record_of(context, caller) | {"kind": "session", "verdict": "accepted", "reason": "access_ended"}
    told = {"ended": which, "sessions_ended": sessions, "tokens_revoked": tokens}
    await recorded(context, record | told, reserve=True)
    return context.go("/.gateway/account?ended", headers)
