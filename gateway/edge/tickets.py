"""A session for another of our hosts: a ticket, good once and for a minute, in the browser that asked for it.

Rules of this file:

1. Where a person goes is what we sealed, with the host they came from; no address is taken from a request.
2. A ticket serves the host and the browser that it was made for: a link with somebody else's ticket signs nobody in.
3. It gives a cookie of the same family, which sees what was confirmed before: whoever confirms in a window of the
   pages' own host comes back by a ticket, and a stolen cookie of the other host gains nothing.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from urllib.parse import urlencode

from starlette.responses import Response

from gateway.core.reasons import Reason, Refusal
from gateway.edge import answers, cookies
from gateway.edge.context import ACCOUNT, Context, Identified, is_path
from gateway.edge.step_up import recorded

TICKET = "ticket"
TICKET_TTL_S = 60
WINDOW_DONE = "/.gateway/window-done"
_BROWSER = re.compile(r"[A-Za-z0-9_-]{43}")


def browser_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The value that binds a sign-in to this browser: the one it has, or a new one. :raises AmbiguousCookie:"""
    known = cookies.read(headers, cookies.FLOW)
    return known if known is not None and _BROWSER.fullmatch(known) else secrets.token_urlsafe(32)


def hashed(browser: str) -> str:
    """What is kept of such a value."""
    return hashlib.sha256(browser.encode()).hexdigest()


async def to_pages(context: Context, flow: str | None, named: Mapping[str, str]) -> Response:
    """From another host to the pages' own, where people sign in.

    ``flow``: the target that was kept, if any; ``named``: what names their partner.
    """
    kept = context.doors.flows.handed_back(answers.RETURN_FLOW, flow) if flow else None
    wanted = kept.get("target") if kept and kept.get("host") == context.asked.host else None
    browser = browser_of(context.headers)
    value = {"target": wanted or ACCOUNT, "host": context.asked.host, "browser": hashed(browser)}
    onward = context.doors.flows.hand_out(answers.RETURN_FLOW, value, answers.RETURN_FLOW_TTL_S)
    address = f"{context.doors.pages_url}/.gateway/sign-in?{urlencode({'flow': onward} | dict(named))}"
    return context.go(address, [cookies.flow(browser, answers.RETURN_FLOW_TTL_S)])


async def window(context: Context) -> Response:
    """``GET window``: confirm on the pages' own host, in a window that an application's page has opened.

    ``code``: the name of what is confirmed, if any. The way back is kept: another person's session there goes nowhere.
    """
    identified = await context.caller()
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    names = context.request.query_params.getlist("code")
    if identified.cookie is None or len(names) > 1 or any(not cookies.PLAIN.fullmatch(one) for one in names):
        return await context.refuse(Refusal(Reason.MALFORMED_REQUEST))
    browser = browser_of(context.headers)
    value = {
        "target": WINDOW_DONE,
        "host": context.asked.host,
        "browser": hashed(browser),
        "user": identified.caller.user,
    }
    flow = context.doors.flows.hand_out(answers.RETURN_FLOW, value, answers.RETURN_FLOW_TTL_S)
    named = f"&code={names[0]}" if names else ""
    address = f"{context.doors.pages_url}/.gateway/step-up?flow={flow}{named}"
    return context.go(address, [cookies.flow(browser, answers.RETURN_FLOW_TTL_S)])


async def window_done(context: Context) -> Response:
    """``GET window-done``: tells the page that opened the window, which is of this very origin, and closes it."""
    return context.page("window_done", {})


async def onward(context: Context, identified: Identified, flow: str | None) -> str:
    """Where a person who is signed in goes on to: a path here, or with a ticket to the host that they came from."""
    kept = context.doors.flows.handed_back(answers.RETURN_FLOW, flow) if flow else None
    caller, said = identified.caller, kept or {}
    target, host, browser = said.get("target"), said.get("host"), said.get("browser")
    if not isinstance(target, str) or not is_path(target) or said.get("user", caller.user) != caller.user:
        return ACCOUNT
    if host == context.asked.host:
        return target
    if not isinstance(host, str) or host not in context.doors.hosts or not isinstance(browser, str):
        return ACCOUNT
    value = {
        "family": caller.credential_id,
        "sees": caller.sees,
        "user": caller.user,
        "partner": caller.partner,
        "host": host,
        "browser": browser,
        "target": target,
    }
    ticket = await context.doors.flows.keep(TICKET, value, TICKET_TTL_S)
    return f"{context.doors.origin_of(host)}/.gateway/ticket?ticket={ticket}"


async def ticket(context: Context) -> Response:
    """``GET ticket?ticket=…``: a cookie of this host for the session that the ticket was made from."""
    given = context.request.query_params.getlist("ticket")
    if len(given) != 1:
        return await context.refuse(Refusal(Reason.MALFORMED_REQUEST))
    kept = await context.doors.flows.take(TICKET, given[0])
    browser = cookies.read(context.headers, cookies.FLOW)
    if kept is None or browser is None or kept["host"] != context.asked.host:
        return await _refused(context, kept, "no such ticket for this host and browser")
    if not hmac.compare_digest(str(kept["browser"]), hashed(browser)):
        return await _refused(context, kept, "another browser's ticket")
    if not await recorded(context, _record(context, kept) | {"verdict": "accepted"}, reserve=False):
        return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
    before = cookies.read(context.headers, cookies.SESSION)
    cookie = await context.doors.sessions.join(str(kept["family"]), sees=int(str(kept["sees"])), instead_of=before)
    if cookie is None:
        return await _refused(context, kept, "the session has ended meanwhile")
    if before is not None:
        context.doors.callers.forget(before)
    return context.go(str(kept["target"]), [cookies.session(cookie)])


async def _refused(context: Context, kept: Mapping[str, object] | None, why: str) -> Response:
    refusal = Refusal(Reason.SIGN_IN_FAILED, detail=why)
    if kept is not None:
        record = _record(context, kept) | {"verdict": "refusal", "reason": str(refusal.reason), "detail": why}
        await recorded(context, record, reserve=True)  # refused in any case
    return await context.refuse(refusal)


def _record(context: Context, kept: Mapping[str, object]) -> dict[str, object]:
    caller = {"user": kept["user"], "partner": kept["partner"], "credential": kept["family"], "client": context.client}
    return {
        "kind": "sign_in",
        "ref": context.asked.reference,
        "request_id": context.asked.request_id,
        "caller": caller,
        "reason": "ticket",
    }
