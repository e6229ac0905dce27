"""What a partner's provider is asked before its people come: one step after another, each told in words.

Nobody is signed in: the authorisation request is looked at and thrown away, and the code that is tried is none.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import httpx2
import orjson
from joserfc.jwk import KeySet

from gateway.core.events import verification
from gateway.core.policy import AssertedRule
from gateway.edge.client_auth import UnusableKey, method_of, signing_key
from gateway.edge.introspection import introspection_of
from gateway.edge.jwks import NotFetched, key_set_of
from gateway.edge.partner import Api, Endpoints, Partner
from gateway.edge.partner_http import client_options, fetch
from gateway.edge.provider import CALL_TIMEOUT_S, DISCOVERY, Provider, endpoints_of
from gateway.edge.sso import request_of, with_query
from gateway.edge.transmitter import Transmitter

Verdict = Literal["right", "note", "wrong"]
_WORD = re.compile(r"[a-z_]{1,40}")
_KEYS = {"ES256": ("EC", "P-256"), "ES384": ("EC", "P-384"), "EdDSA": ("OKP", "Ed25519")}
"""What a key of an algorithm is; the others are RSA."""


_ASK = "ask who runs the endpoint"
_MENDED = {
    "invalid_key": "let it fetch the keys at jwks_uri",
    "invalid_issuer": "let it know signals_issuer",
    "invalid_audience": "correct events.audience",
    "authentication_failed": "correct the token of events.token_file",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at, and what was found."""

    what: str
    verdict: Verdict
    words: str


async def walk(
    partner: Partner,
    redirect_uri: str,
    now: float,
    transmitter: Transmitter | None = None,
    asserted: AssertedRule | None = None,
) -> tuple[Step, ...]:
    """Every step, as far as one leads to the next. ``transmitter``: also whether it takes events of ours.

    ``asserted``: when the policy takes its word for a proof: also whether it says what is asked for then.
    """
    told = [] if transmitter is None else [await _events(transmitter, now)]
    return (*[step async for step in _steps(partner, redirect_uri, now, asserted)], *told)


async def _steps(partner: Partner, redirect_uri: str, now: float, asserted: AssertedRule | None) -> AsyncIterator[Step]:
    if partner.client_auth == "private_key_jwt":
        yield _our_key(partner)
    published: Mapping[str, Any] = {}
    endpoints = partner.endpoints
    if endpoints is not None:
        yield Step("metadata", "note", "not asked for: the endpoints of partners.toml are used")
    else:
        address = f"{partner.issuer.rstrip('/')}{DISCOVERY}"
        try:
            document = await fetch(address)
            endpoints = endpoints_of(document, partner.issuer)
        except NotFetched as fault:
            yield Step("metadata", "wrong", _at(address, fault))
            return
        yield Step("metadata", "right", f"{address} is this issuer's")
        published = orjson.loads(document)
        for step in (*_advertised(partner, endpoints, published), *_word(partner, asserted, published)):
            yield step
    yield await _keys(partner, endpoints)
    provider = Provider(partner, redirect_uri)
    yield await _token(provider, now)
    if partner.userinfo != "none":
        yield await _userinfo(partner, endpoints)
    if partner.api is not None and partner.api.introspects:
        yield await _introspection(partner.api, provider, now)
    yield await _authorisation(provider, endpoints, now, asserted)


def _at(address: str, fault: NotFetched) -> str:
    words = str(fault)
    return words if words.startswith(address) else f"{address}: {words}"


def _our_key(partner: Partner) -> Step:
    try:
        _, algorithm = signing_key(partner.client_key or b"")
    except UnusableKey as fault:
        return Step("our key", "wrong", f"client_key_file: {fault}")
    return Step("our key", "right", f"signs with {algorithm}; register its public half at the partner's")


def _advertised(partner: Partner, endpoints: Endpoints, published: Mapping[str, Any]) -> Iterator[Step]:
    """Where our table and what the provider says of itself differ."""
    method = method_of(partner, endpoints)
    needed: tuple[tuple[str, tuple[str, ...], Verdict, str], ...] = (
        ("response_types_supported", ("code",), "wrong", "does not give codes"),
        ("code_challenge_methods_supported", ("S256",), "wrong", "does not take PKCE with S256"),
        ("id_token_signing_alg_values_supported", partner.algorithms, "wrong", "signs with none of algorithms"),
        ("token_endpoint_auth_methods_supported", (method,), "wrong", f"does not take {method}: change client_auth"),
        ("acr_values_supported", partner.acr, "wrong", "knows none of acr"),
        *(
            ("scopes_supported", (scope,), "note", f"does not list the scope {scope}")
            for scope in partner.scope.split()
        ),
    )
    for member, ours, verdict, words in needed:
        theirs = published.get(member)
        if ours and isinstance(theirs, list) and not set(ours) & {one for one in theirs if isinstance(one, str)}:
            yield Step(member, verdict, f"the provider {words}")
    if partner.par and endpoints.par is None:
        yield Step("par", "wrong", "the provider takes no requests beforehand: write par = false")
    if not partner.par and published.get("require_pushed_authorization_requests") is True:
        yield Step("par", "wrong", "the provider takes requests only beforehand: write par = true")
    if partner.userinfo != "none" and endpoints.userinfo is None:
        yield Step("userinfo", "wrong", "the provider has no userinfo endpoint")
    if partner.acr and published.get("claims_parameter_supported") is not True:
        yield Step("acr", "note", "the provider does not say that it minds a claims parameter")
    if not endpoints.names_itself:
        yield Step("iss", "note", "the provider's answers do not name it (RFC 9207); its callback is its own anyhow")


def _word(partner: Partner, asserted: AssertedRule | None, published: Mapping[str, Any]) -> Iterator[Step]:
    """Where what the policy takes for a proof is not what the provider says that it says."""
    if asserted is None:
        return
    levels = published.get("acr_values_supported")
    if asserted.acr and isinstance(levels, list) and not set(asserted.acr) & {x for x in levels if isinstance(x, str)}:
        yield Step("word", "note", "the provider knows none of the levels that policy.toml takes for a proof")
    if "claims" in partner.asks and published.get("claims_parameter_supported") is not True:
        yield Step("word", "note", "the provider does not say that it minds a claims parameter: ask by acr_values")
    if "max_age" not in partner.asks:
        yield Step("word", "note", "max_age is not asked for: who signed in there long ago has no proof by it")


async def _keys(partner: Partner, endpoints: Endpoints) -> Step:
    try:
        keys = key_set_of(await fetch(endpoints.jwks))
    except NotFetched as fault:
        return Step("keys", "wrong", _at(endpoints.jwks, fault))
    unfit = [name for name in partner.algorithms if not _fits(name, keys)]
    if len(unfit) == len(partner.algorithms):
        return Step("keys", "wrong", f"none of {len(keys.keys)} keys is for {', '.join(unfit)}: correct algorithms")
    if len(keys.keys) > 1 and any(key.kid is None for key in keys):
        return Step("keys", "wrong", "several keys, and some have no kid: tokens of these cannot be told apart")
    return Step("keys", "right", f"{len(keys.keys)} at {endpoints.jwks}")


def _fits(algorithm: str, keys: KeySet) -> bool:
    kind, curve = _KEYS.get(algorithm, ("RSA", None))
    held = [key.as_dict(private=False) for key in keys]
    return any(one.get("kty") == kind and one.get("crv") == curve for one in held)


async def _token(provider: Provider, now: float) -> Step:
    try:
        error = await provider.try_code(now)
    except NotFetched as fault:
        return Step("token", "wrong", str(fault))
    if error == "invalid_grant":
        return Step("token", "right", "it knows us, and refuses a code that is none")
    if error in ("invalid_client", "unauthorized_client"):
        return Step("token", "wrong", f"{error}: correct client_id, client_auth, or the secret or key")
    return Step(
        "token", "note", f"answers {error if _WORD.fullmatch(error) else 'something else'} to a code that is none"
    )


async def _userinfo(partner: Partner, endpoints: Endpoints) -> Step:
    if endpoints.userinfo is None:
        return Step("userinfo", "wrong", "there is no such endpoint")
    answer = await _asked(endpoints.userinfo, {"authorization": "Bearer none"})
    if isinstance(answer, str):
        return Step("userinfo", "wrong", f"{endpoints.userinfo}: {answer}")
    right = answer.status_code in (400, 401, 403)
    words = "refuses a token that is none" if right else f"answers {answer.status_code} to a token that is none"
    return Step("userinfo", "right" if right else "wrong", f"{endpoints.userinfo} {words}")


async def _introspection(api: Api, provider: Provider, now: float) -> Step:
    try:
        said = await introspection_of(api, provider).about(secrets.token_urlsafe(32), now)
    except NotFetched as fault:
        return Step("introspection", "wrong", f"{fault}: correct api.client_id or its secret, or what it may ask")
    right = said.get("active") is False
    words = (
        "it knows us, and no token that is none" if right else "it does not say that a token that is none is not active"
    )
    return Step("introspection", "right" if right else "wrong", words)


async def _authorisation(provider: Provider, endpoints: Endpoints, now: float, asserted: AssertedRule | None) -> Step:
    partner = provider.partner
    state, nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    bound = {"state": state, "nonce": nonce, "verifier": verifier}
    query = request_of(partner, provider.redirect_uri, **bound, asserted=asserted)
    try:
        if partner.par:
            query = {"client_id": partner.client_id, "request_uri": await provider.push(query, now)}
    except NotFetched as fault:
        return Step("authorisation", "wrong", str(fault))
    answer = await _asked(with_query(endpoints.authorization, query), {"accept": "text/html"})
    if isinstance(answer, str):
        return Step("authorisation", "wrong", f"{endpoints.authorization}: {answer}")
    location = answer.headers.get("location", "")
    if location.startswith(provider.redirect_uri):
        error = parse_qs(urlsplit(location).query).get("error", [""])[0]
        if error:
            said = error if _WORD.fullmatch(error) else "an error"
            return Step("authorisation", "wrong", f"the provider answers {said} to our request")
    if answer.status_code >= 400 and answer.status_code != 401:
        words = f"refused with {answer.status_code}: are client_id and {provider.redirect_uri} registered there?"
        return Step("authorisation", "wrong", words)
    return Step("authorisation", "right", f"people are asked to sign in at {endpoints.authorization}")


async def _events(transmitter: Transmitter, now: float) -> Step:
    """Push a verification event (OpenID Shared Signals Framework 1.0, 8.1.4): it is about nobody."""
    failed = await transmitter.push(verification("gateway", now, secrets.token_hex(16)))
    if failed is None:
        return Step("events", "right", "it takes a verification event, signed by us")
    if not failed.refused:
        return Step("events", "wrong", f"events.endpoint: nobody takes a verification event there: {failed.why}")
    return Step("events", "wrong", f"it refuses a verification event: {failed.why}: {_MENDED.get(failed.why, _ASK)}")


async def _asked(address: str, headers: Mapping[str, str]) -> httpx2.Response | str:
    try:
        async with asyncio.timeout(CALL_TIMEOUT_S), httpx2.AsyncClient(**client_options()) as client:
            return await client.get(address, headers=dict(headers))
    except (httpx2.HTTPError, TimeoutError) as fault:
        return f"nobody answers ({type(fault).__name__})"
