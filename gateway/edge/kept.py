"""What a person is about to send, which was kept while they confirmed. The path itself takes and sends it."""

from urllib.parse import urlsplit

from starlette.responses import Response

from gateway.core.reasons import Reason, Refusal
from gateway.edge import cookies
from gateway.edge.context import Context

KEPT_FIELD = "gateway-kept"
"""The one field of the form that sends what is kept."""


async def kept_page(context: Context) -> Response:
    """``GET kept?id=…``: to which application, which page and how much; one button sends it."""
    identified = await context.caller()
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    asked = context.request.query_params.getlist("id")
    if len(asked) != 1 or not cookies.PLAIN.fullmatch(asked[0]):
        return await context.refuse(Refusal(Reason.MALFORMED_REQUEST))
    half = cookies.read(context.headers, cookies.kept_name(asked[0]))
    caller = identified.caller
    kept = await context.doors.kept.look(caller.user, caller.credential_id, asked[0], half) if half else None
    if kept is None or kept.host != context.asked.host:
        return await context.refuse(Refusal(Reason.KEPT_GONE))
    values = {
        "id": asked[0],
        "field": KEPT_FIELD,
        "host": kept.host,
        "target": kept.target,
        "path": urlsplit(kept.target).path,
        "bytes": len(kept.body),
    }
    return context.page("kept", values)
