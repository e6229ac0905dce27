"""What a partner tells us of its people: back-channel logout, and shared signals pushed to us (RFC 8935).

Rules of this file:

1. Nothing is believed that the partner's own keys have not signed, of the type that this address expects, once.
2. It acts first, is known to have come then, and is recorded last: neither a store that goes nor a full disk keeps a
   session alive that its partner has ended, and of several that come at once one acts.
3. Whoever holds no partner's key is told the same of every id: the list of partners does not leak.
"""

import logging
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

import orjson
from starlette.responses import Response

from gateway.core.identity import State
from gateway.core.reasons import Reason, Refusal
from gateway.core.signals import EVENT_TYP, LOGOUT_TYP, Disbelieved, Signal, Take, event_of, logout_of
from gateway.edge import answers
from gateway.edge.context import Context, sent
from gateway.edge.id_token import header_of
from gateway.edge.jwks import NotFetched
from gateway.edge.sso import PartnerSso
from gateway.edge.step_up import recorded

log = logging.getLogger(__name__)
MAX_BYTES = 32_768
EVENT_TYPE = "application/secevent+jwt"
_OF_KEYS = ("no key", "the signature", "the algorithm")
"""How what is wrong with keys begins in words."""
_NO_KEY = Disbelieved("invalid_key", "no key of the partner verifies the token")
Reader = Callable[[Mapping[str, object], str, str, float], Signal | Disbelieved]


class PartnerSignals:
    """The addresses that partners call."""

    def __init__(self, partners: Mapping[str, PartnerSso]) -> None:
        self._partners = partners

    async def back_channel_logout(self, context: Context) -> Response:
        """``POST back-channel-logout/{partner}`` (a form with ``logout_token``): 200, or 400 with why not."""
        body = await context.body(MAX_BYTES)
        if isinstance(body, Refusal):
            return await context.refuse(body)
        try:
            pairs = parse_qsl(body.decode("ascii"), max_num_fields=8)
        except ValueError:
            return await context.refuse(Refusal(Reason.MALFORMED_REQUEST))
        given = [value for name, value in pairs if name == "logout_token"]
        return await self._signalled(context, given[0] if len(given) == 1 else "", LOGOUT_TYP, logout_of, 200)

    async def events(self, context: Context) -> Response:
        """``POST events/{partner}`` (a security event token): 202, or 400 with ``{"err", "description"}``."""
        if (context.one_header(b"content-type") or "").partition(";")[0].strip().lower() != EVENT_TYPE:
            return _told(context, 400, {"err": "invalid_request", "description": f"send {EVENT_TYPE}"})
        body = await context.body(MAX_BYTES)
        if isinstance(body, Refusal):
            return await context.refuse(body)
        return await self._signalled(context, body.decode("latin-1"), EVENT_TYP, event_of, 202)

    async def _signalled(self, context: Context, token: str, typ: str, read: Reader, status: int) -> Response:
        sso = self._partners.get(context.request.path_params["partner"])
        now = context.doors.clock.now()
        try:
            signal: Signal | Disbelieved = await _read(sso, token, typ, read, now)
        except NotFetched:
            return _told(context, 503, {"err": "unavailable", "description": "your keys cannot be had; send it again"})
        if sso is not None and isinstance(signal, Signal):
            partner = sso.partner
            take = await context.doors.signals.take(partner.id, signal.jti)
            if take is Take.FIRST:
                await self._act(context, sso, signal)
            if take is Take.DOING:
                return _told(context, 503, {"err": "unavailable", "description": "it is being taken; send it again"})
            if take is Take.FIRST or typ == EVENT_TYP:  # whoever has not heard our answer sends it again
                return _told(context, status, {})
            signal = Disbelieved("invalid_request", "it came before")
        # anybody can send one: a count, and not a record each
        name = sso.partner.id if sso is not None else "-"
        context.doors.records.count(("refusal", name, "signal_refused"), now=now)
        why = signal if isinstance(signal, Disbelieved) else _NO_KEY
        said = {"err": why.error, "error": why.error, "description": why.why}
        return _told(context, 400, said)

    async def _act(self, context: Context, sso: PartnerSso, signal: Signal) -> None:
        doors, partner = context.doors, sso.partner
        user = await _told_of(context, partner.issuer, signal.sub) if signal.sub else None
        if not signal.sub and signal.sid:
            user = await doors.signals.user_of(partner.id, signal.sid)
        if signal.ends and signal.sid:
            await doors.signals.signed_out(partner.id, signal.sid)  # first: a sign-in may be about to open a session
        ended = 0
        if user is not None and signal.ends:
            sid = None if signal.changed else signal.sid
            ended = await doors.signals.end(user, sid, all_unless_known=signal.all_unless_known)
            if signal.changed:
                await doors.signals.changed(user)
            doors.callers.forget(user)
        await doors.signals.done(partner.id, signal.jti, signal.until)
        record = _record(context, sso) | {"verdict": "accepted", "sessions_ended": ended}
        record["reason"] = (
            "credential_changed" if signal.changed else "session_ended" if signal.ends else "signal_noted"
        )
        record["caller"] = {"partner": partner.id, "client": context.client} | ({"user": user} if user else {})
        await recorded(context, record, reserve=True)


async def _read(sso: PartnerSso | None, token: str, typ: str, read: Reader, now: float) -> Signal | Disbelieved:
    """What a partner tells, else why it is not believed. :raises NotFetched: where its keys cannot be had"""
    header = header_of(token, typ)
    if isinstance(header, str):
        return Disbelieved("invalid_request", header)
    if sso is None:
        return _NO_KEY
    claims = await sso.signed(token, typ, now)
    if isinstance(claims, str):
        log.debug("a signal of %s is not believed: %s", sso.partner.id, claims)
        return _NO_KEY if claims.startswith(_OF_KEYS) else Disbelieved("invalid_request", claims)
    return read(claims, sso.partner.issuer, sso.partner.client_id, now)


async def _told_of(context: Context, issuer: str, sub: str) -> str | None:
    """Whom a partner speaks of; nobody, where it is not theirs any more.

    What is not confirmed yet stands for itself alone: the partner's word ends what was opened by it, and reaches
    nothing of its user's.
    """
    known = await context.doors.identities.of(issuer, sub)
    return None if known.state is State.GONE else known.unconfirmed or known.user


def _told(context: Context, status: int, said: Mapping[str, str]) -> Response:
    headers = [(b"content-type", b"application/json"), *answers.always(context.asked, context.site)]
    body = orjson.dumps(said) if said else b""
    return sent(answers.Rendered(status, [*headers, (b"content-length", str(len(body)).encode())], body))


def _record(context: Context, sso: PartnerSso) -> dict[str, object]:
    return {
        "kind": "signal",
        "ref": context.asked.reference,
        "request_id": context.asked.request_id,
        "caller": {"partner": sso.partner.id, "client": context.client},
    }
