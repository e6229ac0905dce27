"""One request to a page of ours: who asks, in which language, and how an answer leaves."""

import asyncio
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from gateway.core.assurance import Caller
from gateway.core.canonical import fields_of
from gateway.core.places import places_of
from gateway.core.reasons import Reason, Refusal
from gateway.edge import answers, cookies
from gateway.edge.answers import Headers, Rendered, Site
from gateway.edge.asked import Asked, language, navigating
from gateway.edge.credentials import DPOP, Credential, confirm_first, credential_of, refusal_of
from gateway.edge.doors import Doors
from gateway.ports import NoCaller, StoreUnavailable

ASKED = "gateway"
"""The key in ``scope["state"]`` under which the path puts ``Asked``."""
SITE = "gateway_site"
"""The key under which it may put the ``Site`` of the application whose host was asked for."""
ACCOUNT = "/.gateway/account"
FLOW_KEY = re.compile(r"[A-Za-z0-9._-]{16,4000}")
"""What a flow is named by in addresses and forms of ours."""
MAX_BODY_BYTES = 4096
BODY_TIMEOUT_S = 10.0

_log = logging.getLogger("gateway.edge")
_SHOWN = "gateway_key_shown"
"""The key under which a request remembers that the key of its token was shown: a proof counts once."""
_FOUND = "gateway_found_by"
"""The key under which a request remembers the credential by which its caller was found."""


@dataclass(frozen=True, slots=True)
class Identified:
    """A caller with the one credential they showed; ``cookie`` for sessions, ``None`` for tokens."""

    caller: Caller
    cookie: str | None


@dataclass(frozen=True, slots=True)
class Context:
    """What a page needs."""

    request: Request
    doors: Doors
    asked: Asked
    site: Site

    @property
    def headers(self) -> Headers:
        """The request's headers, names in lower case."""
        return list(self.request.headers.raw)

    @property
    def client(self) -> str:
        """The client's address, as the path gives it."""
        return self.request.client.host if self.request.client is not None else ""

    def one_header(self, name: bytes) -> str | None:
        """A header's value; ``None`` when it is missing or stands twice."""
        values = [value for field, value in self.headers if field == name]
        return values[0].decode("latin-1") if len(values) == 1 else None

    def page(
        self, name: str, values: Mapping[str, object], headers: Headers | None = None, *, status: int = 200
    ) -> Response:
        """A page of ours."""
        return sent(answers.page_of(name, self.asked, self.site, headers or (), values, status=status))

    def document(self, value: object, headers: Headers | None = None) -> Response:
        """A JSON document."""
        return sent(answers.document_of(value, self.asked, self.site, headers or ()))

    def go(self, location: str, headers: Headers | None = None) -> Response:
        """On to another page."""
        return sent(answers.see_other(location, self.asked, self.site, headers or ()))

    async def refuse(self, refusal: Refusal) -> Response:
        """The answer to a refusal; the target is kept where the person goes on to it later."""
        flow = None
        if answers.keeps_target(refusal, self.asked):
            kept = answers.kept_target(self.asked)
            flow = self.doors.flows.hand_out(answers.RETURN_FLOW, kept, answers.RETURN_FLOW_TTL_S)
        return sent(answers.render(refusal, request=self.asked, site=self.site, sign_in_flow=flow))

    async def caller(self, *, anywhere: bool = False, unconfirmed: bool = False) -> Identified | Refusal:
        """Who asks, by exactly one credential.

        ``anywhere``: also a session that is used from a place new to it; ``unconfirmed``: also one of an identity that
        nobody has confirmed yet. Nothing was confirmed in either.
        """
        headers = self.headers
        cookie = cookies.read(headers, cookies.SESSION)
        credential = credential_of(headers, fields_of(headers), self.doors.partner_tokens.recognises)
        if isinstance(credential, Refusal):
            return credential
        if credential.kind == "token":
            found = await self._found(credential)
            if isinstance(found, Refusal):
                return found
            return await self._unshown(credential, found) or Identified(found, None)
        if cookie is None:
            return Refusal(Reason.NO_CALLER)
        found = await self._found(Credential("session", cookie))
        if isinstance(found, Refusal):
            return found
        if found.elsewhere(self.places):
            if not anywhere and not (unconfirmed and found.unconfirmed):
                return confirm_first(found)
            found = replace(found, proofs=())  # what was confirmed there does not count here
        return Identified(found, cookie)

    async def _found(self, credential: Credential) -> Caller | Refusal:
        callers = self.doors.callers
        found = await (callers.by_token if credential.kind == "token" else callers.by_session)(credential.value)
        if isinstance(found, NoCaller):
            return refusal_of(found, credential.kind)
        self._state[_FOUND] = credential
        return found

    @property
    def _state(self) -> dict[str, object]:
        state: dict[str, object] = self.request.scope.setdefault("state", {})
        return state

    async def _unshown(self, credential: Credential, caller: Caller) -> Refusal | None:
        state = self._state
        if _SHOWN in state:
            return None
        refusal = await self.doors.possession.shown(credential, caller, self.headers, self.asked)
        if refusal is None:
            state[_SHOWN] = True
        return refusal

    @property
    def places(self) -> frozenset[str]:
        """The network and the browser that this request comes from."""
        return places_of(self.client, self.one_header(b"user-agent") or "", self.doors.house_networks)

    def same_origin(self) -> bool:
        """Whether our own page sent this (Fetch Metadata; without it, the Origin's host and scheme are ours)."""
        site = [value for name, value in self.headers if name == b"sec-fetch-site"]
        if site:
            return site == [b"same-origin"]
        scheme = urlsplit(self.doors.pages_url).scheme
        return self.one_header(b"origin") == f"{scheme}://{self.asked.host}"

    async def form(self, most_fields: int = 8) -> dict[str, str] | Refusal:
        """The fields of a small form; of one given twice the last."""
        body = await self.body()
        if isinstance(body, Refusal):
            return body
        try:
            return dict(parse_qsl(body.decode("latin-1"), max_num_fields=most_fields))
        except ValueError:
            return Refusal(Reason.MALFORMED_REQUEST)

    async def body(self, most_bytes: int = MAX_BODY_BYTES) -> bytes | Refusal:
        """A small body, whole; whoever was found to ask is still somebody when it has come."""
        content = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                async for chunk in self.request.stream():
                    content += chunk
                    if len(content) > most_bytes:
                        return Refusal(Reason.BODY_TOO_LARGE)
        except TimeoutError:
            return Refusal(Reason.BODY_STALLED)
        shown = self._state.get(_FOUND)
        found = await self._found(shown) if isinstance(shown, Credential) else None
        return found if isinstance(found, Refusal) else bytes(content)

    @property
    def on_pages_host(self) -> bool:
        """Whether this is the host where people sign in and passkeys are asked for."""
        return self.asked.host == urlsplit(self.doors.pages_url).netloc

    @property
    def window_flow(self) -> str:
        """The flow of a window that confirms for another page (``flow=…``); empty where none is named."""
        flows = self.request.query_params.getlist("flow")
        return flows[0] if len(flows) == 1 and FLOW_KEY.fullmatch(flows[0]) else ""

    def target_of(self, flow: str | None) -> str:
        """Where a person wanted to go: a path on this host that we sealed, else their own page."""
        kept = self.doors.flows.handed_back(answers.RETURN_FLOW, flow) if flow else None
        target = kept.get("target") if kept and kept.get("host") == self.asked.host else None
        return target if isinstance(target, str) and is_path(target) else ACCOUNT


Handler = Callable[[Context], Awaitable[Response]]


def is_path(target: str) -> bool:
    """Whether a browser stays on this host when it follows ``target``."""
    return target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()


def sent(rendered: Rendered) -> Response:
    """An answer as Starlette sends it, its headers exactly ours."""
    response = Response(rendered.body, rendered.status)
    response.raw_headers = rendered.headers
    return response


def endpoint(doors: Doors, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """A page behind the one place where its faults become answers."""

    async def answer(request: Request) -> Response:
        context = context_of(request, doors)
        try:
            return _with_nonce(context, await handler(context))
        except StoreUnavailable:
            return sent(answers.render(Refusal(Reason.STORE_UNAVAILABLE), request=context.asked, site=context.site))
        except cookies.AmbiguousCookie:
            refusal = Refusal(Reason.AMBIGUOUS_CREDENTIALS)
            return sent(answers.render(refusal, request=context.asked, site=context.site))
        except Exception as fault:  # whatever went wrong, the answer is a refusal that says nothing of it
            _log.error("%s in a page, reference %s", type(fault).__name__, context.asked.reference)
            return sent(answers.render(Refusal(Reason.INTERNAL_FAULT), request=context.asked, site=context.site))

    return answer


def _with_nonce(context: Context, response: Response) -> Response:
    """Tell a client that shows a key what its next proof must name."""
    if context.asked.scheme == DPOP and b"dpop-nonce" not in dict(response.raw_headers):
        response.raw_headers.append((b"dpop-nonce", context.doors.possession.nonce.encode()))
    return response


def context_of(request: Request, doors: Doors) -> Context:
    """What the path has found out already, else what the request itself says."""
    state = request.scope.get("state") or {}
    asked = state.get(ASKED)
    site = state.get(SITE) or Site(
        doors.pages_url, doors.help_desk, product=doors.product, disclose=doors.policy().disclose
    )
    return Context(request, doors, asked if isinstance(asked, Asked) else _asked(request), site)


def _asked(request: Request) -> Asked:
    headers = list(request.headers.raw)
    request_id = secrets.token_hex(16)
    query = request.scope.get("query_string", b"")
    path = request.scope.get("raw_path") or request.scope["path"].encode()
    chosen = dict(part.strip().partition("=")[::2] for part in request.headers.get("cookie", "").split(";"))
    method = request.method.encode()
    return Asked(
        navigating=navigating(headers, method),
        language=language(request.headers.get("accept-language"), chosen.get(cookies.LANGUAGE)),
        method=method,
        target=path + (b"?" + query if query else b""),
        reference=f"{request_id[:3]}-{request_id[3:6]}".upper(),
        request_id=request_id,
        origin=request.headers.get("origin"),
        host=request.headers.get("host", "").lower(),
    )
