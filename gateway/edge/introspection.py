"""Asking a partner about an opaque token (RFC 7662).

Rules of this file:

1. An answer is kept for ``KEPT_S`` at most, a "no" as well; what was stopped at the partner is stopped here then.
2. One call for a token at a time, and ``MOST_CALLS`` to a partner; of tokens that it has not called good lately so
   many a second, by ``Tries``: whoever invents tokens cannot make us hammer it, nor stop those that are good.
3. Where the partner does not answer, nothing is known of a token, and nothing is kept.
"""

import asyncio
import hashlib
import re
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote_plus

import httpx2
import orjson

from gateway.edge.jwks import NotFetched
from gateway.edge.partner import Api, Endpoints
from gateway.edge.partner_http import client_options
from gateway.edge.provider import Provider
from gateway.edge.tries import Tries

KEPT_S = 5.0
MOST_CALLS = 8
MOST_KEPT = 10_000
NEW_AT_ONCE, NEW_PER_S = 40, 10.0
"""Questions to one partner, by one worker, about tokens that it has not called good lately."""
CALL_TIMEOUT_S = 3.0
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,4096}=*")
"""RFC 6750, 2.1; no longer than anybody's."""
_NO: Mapping[str, Any] = {"active": False}


class Introspection:
    """Asks one partner, as the client of its ``api`` table."""

    def __init__(self, api: Api, endpoints: Callable[[float], Awaitable[Endpoints]], *, in_form: bool = False) -> None:
        self._api = api
        self._endpoints = endpoints
        self._in_form = in_form
        self._good: OrderedDict[bytes, tuple[float, Mapping[str, Any]]] = OrderedDict()
        self._bad: OrderedDict[bytes, tuple[float, Mapping[str, Any]]] = OrderedDict()
        self._new = Tries(NEW_AT_ONCE, NEW_PER_S)
        self._asked: dict[bytes, asyncio.Task[Mapping[str, Any]]] = {}

    async def about(self, token: str, now: float) -> Mapping[str, Any]:
        """What the partner said of ``token`` less than ``KEPT_S`` ago, or says now. :raises NotFetched:"""
        if not _TOKEN.fullmatch(token):
            return _NO
        name = hashlib.sha256(token.encode()).digest()
        kept = self._good.get(name) or self._bad.get(name)
        if kept is not None and 0 <= now - kept[0] < KEPT_S:
            return kept[1]
        asked = self._asked.get(name)
        if asked is None:
            if len(self._asked) >= MOST_CALLS:
                raise NotFetched("too many questions about tokens at once")
            if name not in self._good and self._new.take("", now):
                raise NotFetched("too many questions about new tokens")
            asked = self._asked[name] = asyncio.create_task(self._ask(name, token, now))
            asked.add_done_callback(lambda task: self._done(name, task))
        return await asyncio.shield(asked)

    def _done(self, name: bytes, task: asyncio.Task[Mapping[str, Any]]) -> None:
        self._asked.pop(name, None)
        if not task.cancelled():
            task.exception()  # whoever waited has it; where nobody did, it is nobody's

    async def _ask(self, name: bytes, token: str, now: float) -> Mapping[str, Any]:
        address = (await self._endpoints(now)).introspection
        if address is None:
            raise NotFetched("the metadata name no usable introspection_endpoint")
        form, headers = {"token": token, "token_type_hint": "access_token"}, {"accept": "application/json"}
        if self._in_form:
            form |= {"client_id": self._api.client_id, "client_secret": self._api.client_secret}
        else:
            # RFC 6749, 2.3.1 wants both form-encoded before they are joined
            pair = f"{quote_plus(self._api.client_id)}:{quote_plus(self._api.client_secret)}"
            headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S), httpx2.AsyncClient(**client_options()) as client:
                answer = await client.post(address, data=form, headers=headers)
        except (httpx2.HTTPError, TimeoutError) as fault:
            raise NotFetched(f"{address}: {type(fault).__name__}") from fault
        said = _object(answer.content) if answer.status_code == 200 else None
        if said is None:
            raise NotFetched(f"{address}: status {answer.status_code}, or no JSON object")
        kept, other = (self._good, self._bad) if said.get("active") is True else (self._bad, self._good)
        other.pop(name, None)
        kept[name] = now, said
        kept.move_to_end(name)
        if len(kept) > MOST_KEPT:
            kept.popitem(last=False)
        return said


def introspection_of(api: Api, provider: Provider) -> Introspection:
    """How a partner is asked: at its own endpoint, in the way that its table says."""
    return Introspection(api, provider.endpoints, in_form=provider.partner.client_auth == "post")


def _object(body: bytes) -> Mapping[str, Any] | None:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return content if isinstance(content, dict) else None
