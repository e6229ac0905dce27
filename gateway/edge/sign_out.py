"""Signing out: here at once, then at the partner (OpenID Connect RP-Initiated Logout 1.0), and back."""

import hmac
from collections.abc import Mapping

from starlette.responses import Response

from gateway.core.assurance import Caller
from gateway.core.reasons import Reason, Refusal
from gateway.edge import cookies
from gateway.edge.context import Context, Identified
from gateway.edge.sso import PartnerSso
from gateway.edge.tickets import browser_of, hashed

LEAVING_FLOW = "sign-out"
LEAVING_TTL_S = 600


class SignOut:
    """The pages of signing out, for all partners of one site."""

    def __init__(self, partners: Mapping[str, PartnerSso]) -> None:
        self._partners = partners

    async def sign_out(self, context: Context) -> Response:
        """``POST sign-out``: the session ends here, then at the partner."""
        if not context.same_origin():
            return await context.refuse(Refusal(Reason.BAD_ORIGIN))
        cookie, headers, address = cookies.read(context.headers, cookies.SESSION), [cookies.end_session()], None
        if cookie is not None:
            identified = await context.caller()  # whoever has the cookie elsewhere is told nothing of its person
            caller = identified.caller if isinstance(identified, Identified) else None
            said = await context.doors.sessions.sign_out_by(caller.credential_id, caller.user) if caller else ""
            await context.doors.sessions.end(cookie)
            if caller is not None:
                context.doors.callers.forget(caller.credential_id)
                browser = browser_of(context.headers)
                address = await self._ends_at(context, caller, said, browser)
                headers.append(cookies.flow(browser, LEAVING_TTL_S))
        if address is not None:
            # a redirect would be stopped by form-action, which holds for what follows a form
            headers.append((b"refresh", f"0; url={address}".encode()))
        return context.page("signed_out", {"partner_address": address, "left": None}, headers)

    async def _ends_at(self, context: Context, caller: Caller, said: str, browser: str) -> str | None:
        sso = self._partners.get(caller.partner)
        if sso is None:
            return None
        kept = {"partner": caller.partner, "browser": hashed(browser)}
        state = await context.doors.flows.keep(LEAVING_FLOW, kept, LEAVING_TTL_S)
        back_to = f"{context.doors.pages_url}/.gateway/signed-out"
        return await sso.end_address(back_to, state, said, context.doors.clock.now())

    async def signed_out(self, context: Context) -> Response:
        """``GET signed-out``: where the partner sends people back; with our ``state`` it has ended its session too."""
        states = context.request.query_params.getlist("state")
        kept = await context.doors.flows.take(LEAVING_FLOW, states[0]) if len(states) == 1 else None
        browser, left = cookies.read(context.headers, cookies.FLOW), None
        if kept is not None and browser is not None and hmac.compare_digest(str(kept["browser"]), hashed(browser)):
            left = self._partners.get(str(kept["partner"]))
        return context.page("signed_out", {"partner_address": None, "left": left and left.partner.name})
