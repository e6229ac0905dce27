"""A partner's provider on the wire: metadata, keys, requests sent beforehand, codes, userinfo; Authlib only here.

Nothing that comes from here is believed yet: ``edge.sso`` judges it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx2
import orjson
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc.jwk import KeySet

from gateway.edge.client_auth import UnusableKey, assertion_of, method_of
from gateway.edge.id_token import header_of, signed_claims
from gateway.edge.jwks import Kept, NotFetched, has_key, key_set_of
from gateway.edge.partner import Endpoints, Partner
from gateway.edge.partner_http import LOCAL, client_options, fetch, is_safe, is_visible

CALL_TIMEOUT_S = 10.0
DISCOVERY = "/.well-known/openid-configuration"
_OPTIONAL = {
    "userinfo": "userinfo_endpoint",
    "par": "pushed_authorization_request_endpoint",
    "end_session": "end_session_endpoint",
    "introspection": "introspection_endpoint",
}
_NEEDED = {"authorization": "authorization_endpoint", "token": "token_endpoint", "jwks": "jwks_uri"}


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a code was worth; ``access`` is only ever sent to the provider's own userinfo."""

    id_token: str
    access: str | None


@dataclass(frozen=True, slots=True)
class UserInfo:
    """An answer of the userinfo endpoint, as it came. ``media_type``: in lower case, without parameters."""

    media_type: str
    body: bytes


def endpoints_of(document: bytes, issuer: str) -> Endpoints:
    """What exactly this issuer publishes about itself (OpenID Connect Discovery 1.0, 3), as far as we use it.

    :raises NotFetched: when it is another's or incomplete.
    """
    try:
        content = orjson.loads(document)
    except orjson.JSONDecodeError as fault:
        raise NotFetched("the metadata are not JSON") from fault
    if not isinstance(content, dict) or content.get("issuer") != issuer:
        raise NotFetched("the metadata are another issuer's")
    usable = {name: value for name, value in content.items() if is_safe(value) and _is_theirs(value, issuer)}
    missing = [name for name in _NEEDED.values() if name not in usable]
    if missing:
        raise NotFetched(f"the metadata name no usable {', '.join(missing)}")
    methods = content.get("token_endpoint_auth_methods_supported")
    return Endpoints(
        **{ours: usable[theirs] for ours, theirs in _NEEDED.items()},
        **{ours: usable[theirs] for ours, theirs in _OPTIONAL.items() if theirs in usable},
        names_itself=content.get("authorization_response_iss_parameter_supported") is True,
        wants_secret_in_form=isinstance(methods, list)
        and "client_secret_post" in methods
        and "client_secret_basic" not in methods,
    )


def _is_theirs(address: str, issuer: str) -> bool:
    """No partner makes us call within our house: another host than its own has a name, and one for the whole world."""
    theirs, named = urlsplit(issuer), urlsplit(address)
    if named.hostname == theirs.hostname or theirs.hostname in LOCAL:
        return True
    name = named.hostname or ""
    last = name.rpartition(".")[2]
    # what ends in a digit is an address in one of its many spellings (WHATWG URL, 3.5), and in a dot a trick
    in_the_world = last.isalpha() or last.startswith("xn--")
    return name.isascii() and "." in name and in_the_world and last not in _HOUSE


_HOUSE = frozenset({"localhost", "localdomain", "local", "internal", "lan", "home", "corp", "intranet", "private"})
"""Ends of names that are nobody's in the world (RFC 6761, RFC 6762, and what houses use)."""


class Provider:
    """One partner's provider; what it publishes is kept for a while (``edge.jwks``)."""

    def __init__(
        self,
        partner: Partner,
        redirect_uri: str,
        fetch_keys: Callable[[str], Awaitable[bytes]] = fetch,
        faults: MutableMapping[str, str] | None = None,
    ) -> None:
        """``faults``: by a partner's id, what was wrong with its last call that came to an end; empty: nothing."""
        self.partner = partner
        self._faults = {} if faults is None else faults
        self._fetch = fetch_keys
        self.redirect_uri = redirect_uri
        self._metadata: Kept[Endpoints] = Kept(self._fetch_metadata)
        self._keys: Kept[KeySet] = Kept(self._fetch_keys)
        self._jwks = ""

    async def endpoints(self, now: float) -> Endpoints:
        """Where it is called: as our configuration says, else as it says itself. :raises NotFetched:"""
        return self.partner.endpoints or await self._metadata.get(now)

    async def _fetch_metadata(self) -> Endpoints:
        issuer = self.partner.issuer
        if not is_safe(issuer):
            raise NotFetched("the issuer is neither https: nor on this machine")
        with self._calling("the metadata"):
            return endpoints_of(await fetch(f"{issuer.rstrip('/')}{DISCOVERY}"), issuer)

    async def _fetch_keys(self) -> KeySet:
        with self._calling("the keys"):
            return key_set_of(await self._fetch(self._jwks))

    async def keys(self, kid: str | None, now: float) -> KeySet:
        """Its keys, ``kid`` among them. :raises NotThere: where it is not; :raises NotFetched: where there are none."""
        self._jwks = (await self.endpoints(now)).jwks
        return await self._keys.get(now, has_key(kid))

    async def signed(self, token: str, typ: str, now: float) -> dict[str, Any] | str:
        """What a token of this type, signed by the partner, says; else why it is not believed. :raises NotFetched:"""
        header = header_of(token, typ)
        if isinstance(header, str):
            return header
        keys = await self.keys(header.get("kid"), now)
        return signed_claims(token, partner=self.partner, keys=keys, typ=typ)

    async def push(self, query: Mapping[str, str], now: float) -> str:
        """Send a request beforehand (RFC 9126); the name under which it waits. :raises NotFetched:"""
        endpoints = await self.endpoints(now)
        if endpoints.par is None:
            raise NotFetched("the metadata name no usable pushed_authorization_request_endpoint")
        with self._calling("the endpoint for requests sent beforehand"):
            form = {**query, **assertion_of(self.partner, endpoints, now)}
            if method_of(self.partner, endpoints) != "client_secret_basic":
                del form["client_id"]  # it is put there by what authenticates us, and must not stand twice
            async with asyncio.timeout(CALL_TIMEOUT_S), self._client(endpoints) as client:
                auth = client.client_auth(client.token_endpoint_auth_method)
                answer = await client.post(endpoints.par, data=form, auth=auth)
            if answer.status_code not in (200, 201):
                raise NotFetched(f"a request sent beforehand was refused: status {answer.status_code}")
            content = _object(answer.content)
            name = content.get("request_uri") if content is not None else None
            if not isinstance(name, str) or not is_visible(name):
                raise NotFetched("a request sent beforehand was given no name")
        return name

    async def exchange(self, code: str, verifier: str, now: float) -> Tokens | None:
        """What a code is worth; ``None``: nothing. :raises NotFetched:"""
        answer = await self._exchanged(code, verifier, now)
        if isinstance(answer, str):
            return None
        token, access = answer.get("id_token"), answer.get("access_token")
        if not isinstance(token, str):
            return None
        return Tokens(token, access if isinstance(access, str) and is_visible(access) else None)

    async def try_code(self, now: float) -> str:
        """The error that a code gets which is none; empty: none at all. :raises NotFetched:"""
        answer = await self._exchanged("none", "none" * 16, now)
        return answer if isinstance(answer, str) else ""

    async def _exchanged(self, code: str, verifier: str, now: float) -> Mapping[str, object] | str:
        endpoints = await self.endpoints(now)
        try:
            with self._calling("the token endpoint"):
                proof = assertion_of(self.partner, endpoints, now)
                async with asyncio.timeout(CALL_TIMEOUT_S), self._client(endpoints) as client:
                    answer: Mapping[str, object] = await client.fetch_token(
                        endpoints.token, grant_type="authorization_code", code=code, code_verifier=verifier, **proof
                    )
                    return answer
        except OAuthError as refused:
            return str(refused.error)

    async def userinfo(self, access: str, now: float) -> UserInfo:
        """What the provider says of whose token this is. :raises NotFetched:"""
        address = (await self.endpoints(now)).userinfo
        if address is None:
            raise NotFetched("the metadata name no usable userinfo_endpoint")
        with self._calling("the userinfo endpoint"):
            async with asyncio.timeout(CALL_TIMEOUT_S), httpx2.AsyncClient(**client_options()) as client:
                answer = await client.get(address, headers={"authorization": f"Bearer {access}"})
            if answer.status_code != 200:
                raise NotFetched(f"the userinfo endpoint answered {answer.status_code}")
        return UserInfo(answer.headers.get("content-type", "").partition(";")[0].strip().lower(), answer.content)

    @contextmanager
    def _calling(self, whom: str) -> Iterator[None]:
        """Translate what is wrong with a call, and remember it."""
        try:
            with _faults_of(whom):
                yield
        except NotFetched as fault:
            self._faults[self.partner.id] = str(fault)
            raise
        except OAuthError:  # it has answered, and was asked for what is nothing
            self._faults[self.partner.id] = ""
            raise
        self._faults[self.partner.id] = ""

    def _client(self, endpoints: Endpoints) -> AsyncOAuth2Client:
        client_id, secret, method = (
            self.partner.client_id,
            self.partner.client_secret,
            method_of(self.partner, endpoints),
        )
        if method == "client_secret_basic" and secret is not None:
            # RFC 6749, 2.3.1 wants both form-encoded before they are joined; Authlib does not do it
            client_id, secret = quote_plus(client_id), quote_plus(secret)
        return AsyncOAuth2Client(
            client_id=client_id,
            client_secret=secret,
            token_endpoint_auth_method="none" if method == "private_key_jwt" else method,
            redirect_uri=self.redirect_uri,
            **client_options(),
        )


@contextmanager
def _faults_of(whom: str) -> Iterator[None]:
    try:
        yield
    except UnusableKey as fault:
        raise NotFetched(f"client_key_file: {fault}") from fault
    except (httpx2.HTTPError, TimeoutError, ValueError) as fault:
        raise NotFetched(f"{whom} did not answer: {type(fault).__name__}") from fault


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return content if isinstance(content, dict) else None
