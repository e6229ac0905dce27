"""Why somebody needs the file of a person of another agency: asked in place of the file, kept for that one request.

Rules of this file:

1. Only our own page asks, and only the session that was asked answers.
2. What a question is about stays with us: a page names it by a key that is good once.
"""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.responses import Response

from gateway.core.reasons import Reason, Refusal
from gateway.edge import answers
from gateway.edge.asking import REASON_FLOW, reason_values
from gateway.edge.context import ACCOUNT, Context, is_path
from gateway.edge.step_up import refused_on_record
from gateway.reading.why import why_of

LONGEST_TYPED = 2_000


async def reason(context: Context) -> Response:
    """``POST reason``: a reason for one request, and on to it."""
    identified = await context.caller()
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    caller = identified.caller
    if identified.cookie is None or not context.same_origin():
        return await refused_on_record(context, caller, Refusal(Reason.BAD_ORIGIN))
    body = await context.body()
    fields = body if isinstance(body, Refusal) else _fields(body)
    if isinstance(fields, Refusal):
        return await context.refuse(fields)
    flow, typed = fields["flow"], fields["why"]
    why = why_of(typed)
    if why is None:
        values = reason_values(flow, typed=typed[:LONGEST_TYPED], error=True)
        return context.page("reason", values, status=answers.STATUS[Reason.REASON_REQUIRED])
    about = await context.doors.flows.take(REASON_FLOW, flow)
    if about is None or about["host"] != context.asked.host or about["credential"] != caller.credential_id:
        return await refused_on_record(context, caller, Refusal(Reason.CEREMONY_OVER))
    await context.doors.outsiders.keep(caller.credential_id, str(about["request"]), why)
    target = str(about["target"])
    return context.go(target if is_path(target) else ACCOUNT)


def _fields(body: bytes) -> Mapping[str, str] | Refusal:
    """The form's two fields, once each."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=4)
    except ValueError:
        return Refusal(Reason.MALFORMED_REQUEST)
    fields = dict(pairs)
    if len(fields) != len(pairs) or not {"flow", "why"} <= fields.keys():
        return Refusal(Reason.MALFORMED_REQUEST)
    return fields
