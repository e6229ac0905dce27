"""Signing in at a partner: OpenID Connect, code flow with PKCE (RFC 7636, S256).

Rules of this file:

1. Nonce and verifier are sealed in the state, which serves once and the browser that began: anybody may begin, and
   nothing is kept of it.
2. One callback path per partner; ``iss`` (RFC 9207) is checked before the code is sent anywhere.
3. A parameter given twice is refused. Nothing a partner sends is repeated to people or logs.
4. Nobody comes in without a validated ID token; userinfo adds to it, of the same person, and never stands for it.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc.jwk import KeySet

from gateway.core.assurance import NO_WORD, Word
from gateway.core.policy import AssertedRule
from gateway.core.reasons import Reason, Refusal
from gateway.edge.admission import Person, admitted
from gateway.edge.doors import Documents, Flows
from gateway.edge.id_token import Claims, header_of, verify_id_token, verify_userinfo, word_of
from gateway.edge.jwks import NotFetched, NotThere
from gateway.edge.partner import Partner
from gateway.edge.partner_http import fetched_once
from gateway.edge.provider import Provider, Tokens, UserInfo

OIDC_FLOW = "oidc"
FLOW_TTL_S = 600
LONGEST_HINT = 4_096
"""A longer ID token makes an address that not every server takes; who it is about is then only hinted at."""
_MEDIA_TYPES = {"json": "application/json", "jwt": "application/jwt"}


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who came back, and the key of the target that they wanted (``None``: nothing kept).

    ``word``: what the partner has signed of how they signed in, for the policy to take as a proof or not;
    ``sign_out_by``: what the partner needs to end its own session; ``again``: they were asked to sign in anew;
    ``begun_at``: when they were sent there (Unix seconds).
    """

    person: Person
    return_flow: str | None
    begun_at: float
    word: Word = NO_WORD
    sign_out_by: str = field(default="", repr=False)
    again: bool = False


class PartnerSso:
    """One partner, as seen by the pages."""

    def __init__(
        self,
        partner: Partner,
        flows: Flows,
        documents: Documents,
        redirect_uri: str,
        faults: MutableMapping[str, str] | None = None,
    ) -> None:
        self.partner = partner
        self.provider = Provider(partner, redirect_uri, partial(fetched_once, documents), faults)
        self._flows = flows

    async def begin(
        self,
        browser: str,
        return_flow: str | None,
        now: float,
        asserted: AssertedRule | None = None,
        *,
        again: bool = False,
    ) -> str:
        """The address at the partner to send a browser to. :raises NotFetched:

        ``asserted``: when its word is a proof: that is then asked for, as far as it can be asked;
        ``again``: also of who is signed in there.
        """
        endpoints = await self.provider.endpoints(now)
        nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
        begun: dict[str, object] = {
            "partner": self.partner.id,
            "nonce": nonce,
            "verifier": verifier,
            "browser": _hashed(browser),
            "return": return_flow,
            "again": again,
            "at": now,
        }
        state = self._flows.hand_out(OIDC_FLOW, begun, FLOW_TTL_S)
        bound = {"state": state, "nonce": nonce, "verifier": verifier}
        query = request_of(self.partner, self.provider.redirect_uri, **bound, asserted=asserted)
        if again:
            query["prompt"] = "login"
        if self.partner.par:
            query = {"client_id": self.partner.client_id, "request_uri": await self.provider.push(query, now)}
        return with_query(endpoints.authorization, query)

    def began(self, query: Sequence[tuple[str, str]], browser: str | None) -> Mapping[str, object] | Refusal:
        """What this browser began, and comes back with; else why it did not."""
        parameters = dict(query)
        if len(parameters) != len(query):
            return _no("a parameter stands twice")
        begun = self._flows.handed_back(OIDC_FLOW, parameters.get("state", ""))
        if begun is None:
            return _no("the state is not known or too old")
        if browser is None or not hmac.compare_digest(str(begun["browser"]), _hashed(browser)):
            return _no("another browser began this")
        return begun

    async def complete(
        self, begun: Mapping[str, object], query: Sequence[tuple[str, str]], now: float
    ) -> SignedIn | Refusal:
        """Who signed in here, else why nobody did; ``begun``: as ``began`` says. :raises NotFetched:"""
        parameters = dict(query)
        if not await self._flows.spend(OIDC_FLOW, str(begun["nonce"]), FLOW_TTL_S):
            return _no("the state is used")
        if begun["partner"] != self.partner.id:
            return _no("the state belongs to another partner")  # and is good for nothing from now on
        endpoints = await self.provider.endpoints(now)
        names_itself = "iss" in parameters or endpoints.names_itself or self.partner.names_itself
        if names_itself and parameters.get("iss") != self.partner.issuer:
            return _no("the answer is another issuer's")
        if "error" in parameters:
            return _no("the partner did not sign the person in")
        if not parameters.get("code"):
            return _no("the answer brings no code")
        tokens = await self.provider.exchange(parameters["code"], str(begun["verifier"]), now)
        if tokens is None:
            return _no("the partner gave no token for the code")
        believed = await self._believed(tokens, str(begun["nonce"]), now)
        if isinstance(believed, Refusal):
            return believed
        person, word = believed
        wanted = begun["return"]
        flow, hint = wanted if isinstance(wanted, str) else None, hint_of(tokens.id_token, person)
        return SignedIn(person, flow, float(str(begun["at"])), word, hint, again=begun["again"] is True)

    async def _believed(self, tokens: Tokens, nonce: str, now: float) -> tuple[Person, Word] | Refusal:
        claims = await self._claims(tokens.id_token, nonce, now)
        if isinstance(claims, str):
            return _no(claims)
        more: Mapping[str, Any] | str = {}
        if self.partner.userinfo != "none":
            more = await self._more(tokens.access, claims.sub, now)
        person = _no(f"userinfo: {more}") if isinstance(more, str) else admitted(claims, more, self.partner)
        if isinstance(person, Refusal):
            return person
        signed = more if self.partner.userinfo == "jwt" and isinstance(more, Mapping) else {}
        return person, word_of(claims.said, signed)

    async def _claims(self, token: str, nonce: str, now: float) -> Claims | str:
        keys = await self._keys_for(token, now)
        if isinstance(keys, str):
            return keys
        return verify_id_token(token, partner=self.partner, keys=keys, nonce=nonce, now=now)

    async def _keys_for(self, token: str, now: float) -> KeySet | str:
        header = header_of(token)
        if isinstance(header, str):
            return header
        try:
            return await self.provider.keys(header.get("kid"), now)
        except NotThere:
            return "no key of the partner verifies the token"

    async def _more(self, access: str | None, sub: str, now: float) -> Mapping[str, Any] | str:
        """What userinfo says of the person of the ID token, else why it is not believed."""
        if access is None:
            return "there is no access token to ask with"
        answer = await self.provider.userinfo(access, now)
        if answer.media_type != _MEDIA_TYPES[self.partner.userinfo]:
            return f"the answer is no {_MEDIA_TYPES[self.partner.userinfo]}"
        said = await self._signed(answer, now) if self.partner.userinfo == "jwt" else _json(answer)
        if isinstance(said, str):
            return said
        return said if said.get("sub") == sub else "it is another person's"

    async def _signed(self, answer: UserInfo, now: float) -> dict[str, Any] | str:
        token = answer.body.decode("latin-1").strip()
        keys = await self._keys_for(token, now)
        return keys if isinstance(keys, str) else verify_userinfo(token, partner=self.partner, keys=keys, now=now)

    async def signed(self, token: str, typ: str, now: float) -> dict[str, Any] | str:
        """What a token of this type, signed by the partner, says; else why it is not believed. :raises NotFetched:"""
        return await self.provider.signed(token, typ, now)

    async def end_address(self, back_to: str, state: str, sign_out_by: str, now: float) -> str | None:
        """Where the partner ends its own session (OpenID Connect RP-Initiated Logout 1.0); ``None``: nowhere.

        ``sign_out_by``: as ``hint_of`` said when the person signed in.
        """
        try:
            address = (await self.provider.endpoints(now)).end_session
        except NotFetched:
            return None
        query = {"client_id": self.partner.client_id, "post_logout_redirect_uri": back_to, "state": state}
        return None if address is None else with_query(address, query | dict(parse_qsl(sign_out_by)))


def hint_of(id_token: str, person: Person) -> str:
    """The parameter that tells a partner which session ends: the ID token, or where that is too long, whose it is."""
    short = len(id_token) <= LONGEST_HINT
    return urlencode({"id_token_hint": id_token} if short else {"logout_hint": person.login})


def request_of(
    partner: Partner,
    redirect_uri: str,
    *,
    state: str,
    nonce: str,
    verifier: str,
    asserted: AssertedRule | None = None,
) -> dict[str, str]:
    """What an authorisation request says."""
    query = {
        "response_type": "code",
        "client_id": partner.client_id,
        "redirect_uri": redirect_uri,
        "scope": partner.scope,
        "state": state,
        "nonce": nonce,
        "code_challenge": create_s256_code_challenge(verifier),
        "code_challenge_method": "S256",
    }
    claims: dict[str, object] = {}
    if asserted is not None:
        if "max_age" in partner.asks:
            query["max_age"] = str(asserted.max_age_s)
        if "acr_values" in partner.asks and asserted.acr and not partner.acr:
            query["acr_values"] = " ".join(asserted.acr)
        if "claims" in partner.asks:
            claims = {"acr": {"values": list(asserted.acr)} if asserted.acr else None, "amr": None, "auth_time": None}
    if partner.acr:
        # acr_values would only be a wish (OpenID Connect Core, 5.5.1.1); what is also a proof is wished for first
        levels = sorted(partner.acr, key=lambda one: asserted is None or one not in asserted.acr)
        claims["acr"] = {"essential": True, "values": levels}
    if claims:
        query["claims"] = orjson.dumps({"id_token": claims}).decode()
    return query


def with_query(address: str, query: Mapping[str, str]) -> str:
    """An address with more parameters, those it has kept."""
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"


def _json(answer: UserInfo) -> dict[str, Any] | str:
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return "it is not JSON"
    return said if isinstance(said, dict) else "it is no object"


def _no(why: str) -> Refusal:
    return Refusal(Reason.SIGN_IN_FAILED, detail=why)


def _hashed(browser: str) -> str:
    return hashlib.sha256(browser.encode()).hexdigest()
