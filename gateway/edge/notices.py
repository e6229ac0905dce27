"""Changes of how one's access is protected: told at the next sign-in and on the account page, until they are seen.

Rules of this file:

1. The change is made, or not, whatever becomes of its notice: the ledger has it already.
2. A notice is seen only by a person, on our own page, in another session than the one that it tells of.
"""

import logging
from collections.abc import Sequence
from urllib.parse import parse_qsl

from starlette.responses import Response

from gateway.core.assurance import Caller
from gateway.core.reasons import Reason, Refusal
from gateway.edge import words
from gateway.edge.context import FLOW_KEY, Context, Identified
from gateway.edge.doors import Notice
from gateway.edge.passkeys import person
from gateway.edge.tickets import onward
from gateway.ports import StoreUnavailable

FACTOR_BOUND, FACTOR_REMOVED, RECOVERY_CODES = "factor_bound", "factor_removed", "recovery_codes_made"
INVITED, LETTER_USED, NOT_ME, REOPENED = "invited", "letter_used", "not_me", "reopened"
IDENTITY_CARRIED = "identity_carried"
_log = logging.getLogger("gateway.edge")


async def tell(context: Context, caller: Caller, kind: str, *, user: str | None = None, partner: str = "") -> None:
    """Tell ``user`` (default: ``caller``) that ``caller`` has made a change."""
    whose = (user, partner) if user else (caller.user, caller.partner)
    try:
        await context.doors.notices.add(*whose, kind, reference=context.asked.reference, by=caller.credential_id)
    except StoreUnavailable:
        _log.warning("no notice of %s, reference %s: the store does not answer", kind, context.asked.reference)


async def notices_of(context: Context, caller: Caller) -> dict[str, object]:
    """What ``caller`` has not seen, as a page lists it; ``until``: what "seen" is said of."""
    found = await context.doors.notices.of(caller.user)
    now = context.doors.clock.now()
    listed = [
        {
            "what": words.change(one.kind, context.asked.language),
            "ago_s": max(0.0, now - one.at),
            "reference": one.reference,
            "here": one.by == caller.credential_id,
        }
        for one in found
    ]
    return {"notices": listed, "until": repr(found[0].at) if _to_see(found, caller) else None}


async def notices_page(context: Context) -> Response:
    """``GET notices?flow=…``: what changed, on the way from signing in to what was wanted."""
    identified = await context.caller()
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    flow = context.request.query_params.get("flow")
    if flow is not None and not FLOW_KEY.fullmatch(flow):
        return await context.refuse(Refusal(Reason.MALFORMED_REQUEST))
    values = await notices_of(context, identified.caller)
    if values["until"] is None or identified.cookie is None:
        return context.go(await onward(context, identified, flow))
    return context.page("notices", values | {"flow": flow})


async def seen(context: Context) -> Response:
    """``POST notices`` (a form with ``until`` and perhaps ``flow``): they are seen; on to what was wanted."""
    identified = await person(context)
    if not isinstance(identified, Identified):
        return await context.refuse(identified)
    body = await context.body()
    if isinstance(body, Refusal):
        return await context.refuse(body)
    try:
        said = dict(parse_qsl(body.decode("ascii"), strict_parsing=True, max_num_fields=2))
        until = float(said["until"])
    except (ValueError, KeyError):
        return await context.refuse(Refusal(Reason.MALFORMED_REQUEST))
    if identified.cookie is None:
        return await context.refuse(Refusal(Reason.BAD_ORIGIN))
    caller = identified.caller
    await context.doors.notices.seen(caller.user, until=until, by=caller.credential_id)
    return context.go(await onward(context, identified, said.get("flow")))


async def first_to_see(context: Context, user: str, flow: str | None) -> str | None:
    """Where somebody who has just signed in goes first, if there is something for them to see."""
    if not await context.doors.notices.of(user):
        return None
    return "/.gateway/notices" + (f"?flow={flow}" if flow else "")


def _to_see(found: Sequence[Notice], caller: Caller) -> bool:
    """Whether there is one that this session may call seen."""
    return any(one.by != caller.credential_id for one in found)
