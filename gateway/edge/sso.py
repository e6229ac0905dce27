"""Signing in at a partner: OpenID Connect, code flow with PKCE (RFC 7636, S256). The only file that uses Authlib.

Rules of this file:

1. State, nonce and verifier live in our store, are taken once, and are bound to the browser that began.
2. One callback path per partner; ``iss`` (RFC 9207) is checked before the code is sent anywhere.
3. A parameter given twice is refused. Nothing a partner sends is repeated to people or logs.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx2
import orjson
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc.jwk import KeySet

from gateway.edge.doors import Flows
from gateway.edge.id_token import Claims, header_of, signed_claims, verify_id_token
from gateway.edge.jwks import Kept, NotFetched, has_key, key_set_of
from gateway.edge.partner import Partner
from gateway.edge.partner_http import client_options, fetch, is_safe

OIDC_FLOW = "oidc"
FLOW_TTL_S = 600
CALL_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider publishes about itself (OpenID Connect Discovery 1.0, 3), as far as we use it."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str | None
    names_itself: bool
    takes_secret_in_form: bool


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who came back, and the key of the target that they wanted (``None``: nothing kept)."""

    claims: Claims
    return_flow: str | None


def metadata_of(document: bytes, issuer: str) -> Metadata:
    """The metadata of exactly this issuer. :raises NotFetched: when it is another's or incomplete."""
    try:
        content = orjson.loads(document)
    except orjson.JSONDecodeError as fault:
        raise NotFetched("the metadata are not JSON") from fault
    if not isinstance(content, dict) or content.get("issuer") != issuer:
        raise NotFetched("the metadata are another issuer's")
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    if not all(is_safe(content.get(name)) for name in names):
        raise NotFetched("the metadata name no usable addresses")
    ends_at = content.get("end_session_endpoint")
    methods = content.get("token_endpoint_auth_methods_supported")
    return Metadata(
        authorization_endpoint=content["authorization_endpoint"],
        token_endpoint=content["token_endpoint"],
        jwks_uri=content["jwks_uri"],
        end_session_endpoint=ends_at if is_safe(ends_at) else None,
        names_itself=content.get("authorization_response_iss_parameter_supported") is True,
        takes_secret_in_form=isinstance(methods, list) and "client_secret_post" in methods,
    )


class PartnerSso:
    """One partner, as seen by the pages."""

    def __init__(self, partner: Partner, flows: Flows, redirect_uri: str) -> None:
        self.partner = partner
        self._flows = flows
        self._redirect_uri = redirect_uri
        self._metadata: Kept[Metadata] = Kept(self._fetch_metadata)
        self._keys: Kept[KeySet] = Kept(self._fetch_keys)
        self._jwks_uri = ""

    async def _fetch_metadata(self) -> Metadata:
        issuer = self.partner.issuer
        if not is_safe(issuer):
            raise NotFetched("the issuer is neither https: nor on this machine")
        return metadata_of(await fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration"), issuer)

    async def _fetch_keys(self) -> KeySet:
        return key_set_of(await fetch(self._jwks_uri))

    def _client(self, metadata: Metadata) -> AsyncOAuth2Client:
        client_id, secret, method = self.partner.client_id, self.partner.client_secret, "none"
        if secret is not None and metadata.takes_secret_in_form:
            method = "client_secret_post"
        elif secret is not None:
            # RFC 6749, 2.3.1 wants both form-encoded before they are joined; Authlib does not do it
            client_id, secret, method = quote_plus(client_id), quote_plus(secret), "client_secret_basic"
        return AsyncOAuth2Client(
            client_id=client_id,
            client_secret=secret,
            token_endpoint_auth_method=method,
            redirect_uri=self._redirect_uri,
            **client_options(),
        )

    async def begin(self, browser: str, return_flow: str | None, now: float) -> str:
        """The address at the partner to send a browser to. :raises NotFetched:"""
        metadata = await self._metadata.get(now)
        nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
        kept: dict[str, object] = {
            "partner": self.partner.id,
            "nonce": nonce,
            "verifier": verifier,
            "browser": _hashed(browser),
            "return": return_flow,
        }
        state = await self._flows.keep(OIDC_FLOW, kept, FLOW_TTL_S)
        query = {
            "response_type": "code",
            "client_id": self.partner.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": self.partner.scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        return with_query(metadata.authorization_endpoint, query)

    async def complete(self, query: Sequence[tuple[str, str]], browser: str | None, now: float) -> SignedIn | str:
        """Who signed in, else why nobody did (for the operator). :raises NotFetched: partner out of reach."""
        parameters = dict(query)
        if len(parameters) != len(query):
            return "a parameter stands twice"
        kept = await self._flows.take(OIDC_FLOW, parameters.get("state", "")) if parameters.get("state") else None
        if kept is None:
            return "the state is not known, too old or used"
        if kept.get("partner") != self.partner.id:
            return "the state belongs to another partner"
        if browser is None or not hmac.compare_digest(str(kept.get("browser")), _hashed(browser)):
            return "another browser began this"
        metadata = await self._metadata.get(now)
        if ("iss" in parameters or metadata.names_itself) and parameters.get("iss") != self.partner.issuer:
            return "the answer is another issuer's"
        if "error" in parameters:
            return "the partner did not sign the person in"
        if not parameters.get("code"):
            return "the answer brings no code"
        token = await self._id_token(metadata, parameters["code"], str(kept["verifier"]))
        if token is None:
            return "the partner gave no token for the code"
        claims = await self._believed(token, metadata, str(kept["nonce"]), now)
        if isinstance(claims, str):
            return claims
        wanted = kept.get("return")
        return SignedIn(claims, wanted if isinstance(wanted, str) else None)

    async def _id_token(self, metadata: Metadata, code: str, verifier: str) -> str | None:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S), self._client(metadata) as client:
                answer: Mapping[str, object] = await client.fetch_token(
                    metadata.token_endpoint, grant_type="authorization_code", code=code, code_verifier=verifier
                )
        except OAuthError:
            return None
        except (httpx2.HTTPError, TimeoutError, ValueError) as fault:
            raise NotFetched(f"the token endpoint did not answer: {type(fault).__name__}") from fault
        token = answer.get("id_token")
        return token if isinstance(token, str) else None

    async def _believed(self, token: str, metadata: Metadata, nonce: str, now: float) -> Claims | str:
        header = header_of(token)
        if isinstance(header, str):
            return header
        self._jwks_uri = metadata.jwks_uri
        try:
            keys = await self._keys.get(now, has_key(header.get("kid")))
        except NotFetched:
            return "no key of the partner verifies the token"
        return verify_id_token(token, partner=self.partner, keys=keys, nonce=nonce, now=now)

    async def signed(self, token: str, typ: str, now: float) -> dict[str, Any] | str:
        """What a token of this type, signed by the partner, says; else why it is not believed. :raises NotFetched:"""
        header = header_of(token, typ)
        if isinstance(header, str):
            return header
        self._jwks_uri = (await self._metadata.get(now)).jwks_uri
        keys = await self._keys.get(now, has_key(header.get("kid")))
        return signed_claims(token, partner=self.partner, keys=keys, typ=typ)

    async def end_address(self, back_to: str, now: float) -> str | None:
        """Where the partner ends its own session (OpenID Connect RP-Initiated Logout 1.0); ``None``: nowhere."""
        try:
            metadata = await self._metadata.get(now)
        except NotFetched:
            return None
        if metadata.end_session_endpoint is None:
            return None
        query = {"client_id": self.partner.client_id, "post_logout_redirect_uri": back_to}
        return with_query(metadata.end_session_endpoint, query)


def with_query(address: str, query: Mapping[str, str]) -> str:
    """An address with more parameters, those it has kept."""
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"


def _hashed(browser: str) -> str:
    return hashlib.sha256(browser.encode()).hexdigest()
