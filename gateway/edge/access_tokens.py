"""Access tokens of partners that programs bring: which are recognised, and what is believed of them.

Rules of this file:

1. A JWT (RFC 9068) is believed by its issuer's keys and algorithms alone, of its type, for our audience, for now.
2. An opaque token is asked about at one partner (RFC 7662), by its prefix or where one alone is asked; no JWT of
   somebody else is ever shown to a partner.
3. A token that is bound to a key is good with that key alone; one that is bound in another way is not good at all.
4. What a JWT says by ``acr``, ``amr`` and ``auth_time`` is a proof where the policy says so (``edge.partner_callers``);
   what is introspected is not signed, and never one.
5. Whom the house lets in by a session, it lets in by a token, and nobody else (``edge.admission``).
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson
from joserfc.jwk import KeySet

from gateway.core.assurance import Word
from gateway.core.reasons import Reason, Refusal
from gateway.edge.admission import Person, admitted
from gateway.edge.id_token import (
    LEEWAY_S,
    Claims,
    decoded_header,
    header_of,
    signed_claims,
    strict_base64,
    word_of,
)
from gateway.edge.jwks import NotThere
from gateway.edge.partner import Api, Partner

TYPES = ("at+jwt", "application/at+jwt")
LONGEST_S = 86_400
"""A token that lasts longer from when it was issued is not taken, on its last day neither.

What was stopped is remembered for as long as a token would be good that was issued before.
"""
LONGEST_WORD = 255
MOST_KEPT = 10_000

_UNKNOWN = Reason.TOKEN_UNKNOWN
_PERSONAL = frozenset({"sub", "username", "preferred_username", "name", "email", "acr", "amr", "auth_time"})


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token that is believed. ``jti``: its id, alone under its issuer; ``expires_at``: Unix seconds.

    ``kind``: ``machine`` where the client came in its own name; ``key``: the thumbprint of the key it is bound to;
    ``word``: what is signed of how its person signed in; ``None``: it is not signed.
    """

    partner: str
    person: Person
    kind: str
    client_id: str
    jti: str
    issued_at: float
    expires_at: float
    key: str = ""
    word: Word | None = None


class Keys(Protocol):
    """A partner's published keys. :raises NotFetched: where they cannot be had."""

    async def keys(self, kid: str | None, now: float) -> KeySet: ...


class Introspects(Protocol):
    """Asks a partner about a token; what it said, in its words. :raises NotFetched: where it does not answer."""

    async def about(self, token: str, now: float) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Source:
    """One partner whose tokens are taken."""

    partner: Partner
    api: Api
    keys: Keys
    introspection: Introspects


@dataclass(frozen=True, slots=True)
class _Verified:
    """A JWT that was verified by a set of keys, and is good for as long as that is the partner's."""

    source: Source
    kid: str | None
    keys: KeySet
    access: AccessToken


class AccessTokens:
    """The tokens of all partners that may bring some."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._of_issuer: dict[str, list[Source]] = {}
        self._of_prefix: dict[str, Source] = {}
        for source in sources:
            self._of_issuer.setdefault(source.partner.issuer, []).append(source)
            if source.api.introspects:
                self._of_prefix[source.api.prefix] = source
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()

    def recognises(self, token: str) -> bool:
        """Whether a token says of itself that it is of a partner whose tokens are taken; nothing is verified."""
        if _hashed(token) in self._verified:
            return True
        issuer = issuer_of(token) if self._of_issuer else None
        if issuer is not None:
            return issuer in self._of_issuer
        return any(prefix and token.startswith(prefix) for prefix in self._of_prefix)

    async def judged(self, token: str, now: float) -> AccessToken | Refusal:
        """What is believed of a token, else why nothing. :raises NotFetched: where a partner does not answer."""
        if (known := await self._known(token, now)) is not None:
            return known
        issuer = issuer_of(token)
        sources = self._of_issuer.get(issuer, []) if issuer is not None else self._opaque(token)
        answer: AccessToken | Refusal = Refusal(_UNKNOWN, detail="of no partner")
        for source in sources:
            answer = await (self._introspected if source.api.introspects else self._signed)(source, token, now)
            if isinstance(answer, AccessToken):
                return answer
        return answer

    async def _known(self, token: str, now: float) -> AccessToken | None:
        """What was verified before, and would be again."""
        name = _hashed(token)
        kept = self._verified.get(name)
        if kept is None or now >= kept.access.expires_at:
            return None
        try:
            keys = await kept.source.keys.keys(kept.kid, now)
        except NotThere:
            return None
        if keys is not kept.keys or name not in self._verified:
            return None
        self._verified.move_to_end(name)
        return kept.access

    def _opaque(self, token: str) -> list[Source]:
        prefixes = [prefix for prefix in self._of_prefix if token.startswith(prefix)]
        return [self._of_prefix[max(prefixes, key=len)]] if prefixes else []

    async def _signed(self, source: Source, token: str, now: float) -> AccessToken | Refusal:
        decoded = decoded_header(token)
        typ = decoded.get("typ") if isinstance(decoded, Mapping) else None
        header = header_of(token, typ) if isinstance(typ, str) and typ in TYPES else "the type is not at+jwt"
        if isinstance(header, str):
            return Refusal(_UNKNOWN, detail=header)
        try:
            keys = await source.keys.keys(header.get("kid"), now)
        except NotThere:
            return Refusal(_UNKNOWN, detail="no key of the partner verifies the token")
        claims = signed_claims(token, partner=source.partner, keys=keys, typ=str(header["typ"]))
        judged = Refusal(_UNKNOWN, detail=claims) if isinstance(claims, str) else judge(claims, source.partner, now)
        if isinstance(judged, AccessToken) and isinstance(claims, dict):
            judged = replace(judged, word=word_of(claims))
            self._verified[_hashed(token)] = _Verified(source, header.get("kid"), keys, judged)
            if len(self._verified) > MOST_KEPT:
                self._verified.popitem(last=False)
        return judged

    async def _introspected(self, source: Source, token: str, now: float) -> AccessToken | Refusal:
        said = await source.introspection.about(token, now)
        if said.get("active") is not True:
            return Refusal(_UNKNOWN, detail="the partner does not know it, or no longer")
        if (wrong := _wrong_type(said)) is not None:
            return Refusal(_UNKNOWN, detail=wrong)
        # what is not asked of it is known: it is this partner who answers, about this token; and where it does not say
        # when that was issued, that it is good now, which it is asked again every few seconds
        known = {"iss": source.partner.issuer, "client_id": "", "iat": now, "jti": _hashed(token).hex()}
        return judge({**known, **_of_itself(said)}, source.partner, now, by_client=False)


def _wrong_type(said: Mapping[str, Any]) -> str | None:
    """Why what a partner says of a token's type (RFC 7662, 2.2; optional) makes it none that is taken."""
    if "token_type" not in said:
        return None
    typ = said["token_type"].lower() if isinstance(said["token_type"], str) else None
    if typ not in ("bearer", "dpop"):
        return "it is no access token"
    return "it is bound to a key that is not named" if typ == "dpop" and "cnf" not in said else None


def _of_itself(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is said of a token, with its client as its subject where it is nobody else's (RFC 7662, 2.2).

    One that tells of a person, and not which, stays without a subject.
    """
    if _PERSONAL & said.keys() or not _is_word(said.get("client_id")):
        return said
    return {**said, "sub": said["client_id"]}


def issuer_of(token: str) -> str | None:
    """Who a JWT says has made it, unverified; ``None`` for what is no JWT."""
    header = decoded_header(token)
    if isinstance(header, str) or "alg" not in header:
        return None
    try:
        said = orjson.loads(strict_base64(token.split(".")[1]) or b"")
    except orjson.JSONDecodeError:
        return ""
    issuer = said.get("iss") if isinstance(said, dict) else None
    return issuer if isinstance(issuer, str) else ""


def judge(claims: Mapping[str, Any], partner: Partner, now: float, *, by_client: bool = True) -> AccessToken | Refusal:
    """What is believed of a token of which a partner says this. ``by_client``: it must say which client has it."""
    api = partner.api
    if api is None:
        return Refusal(_UNKNOWN, detail="the partner's tokens are not taken")
    if wrong := _wrong(claims, partner, api, now, by_client):
        return wrong
    key = _key_of(claims, api)
    if isinstance(key, Refusal):
        return key
    name, sub, client_id = claims.get("name"), claims["sub"], claims["client_id"]
    login = claims.get("preferred_username", claims.get("username"))
    login = login[:200] if isinstance(login, str) and login else sub
    named = name[:200] if isinstance(name, str) and name else login
    # a program's token need not say what its person is called
    least = replace(partner, claims=replace(partner.claims, user=None, name=None))
    person = admitted(Claims(partner.issuer, sub, named, login, said=claims), {}, least)
    if isinstance(person, Refusal):
        return person
    return AccessToken(
        partner=partner.id,
        person=person,
        kind="machine" if sub == client_id else "person",
        client_id=client_id,
        jti=claims["jti"],
        issued_at=float(claims["iat"]),
        expires_at=float(claims["exp"]),
        key=key,
    )


def _wrong(claims: Mapping[str, Any], partner: Partner, api: Api, now: float, by_client: bool) -> Refusal | None:
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    expires, issued, begins = (_time(claims, name) for name in ("exp", "iat", "nbf"))
    if claims.get("iss") != partner.issuer:
        return Refusal(_UNKNOWN, detail="the issuer is not the partner")
    if api.audience not in audiences:
        return Refusal(_UNKNOWN, detail="the audience is not us")
    if expires is None or issued is None or issued > now + LEEWAY_S:
        return Refusal(_UNKNOWN, detail="it does not say for when it is")
    if expires <= now:
        return Refusal(Reason.TOKEN_EXPIRED, detail="it has expired")
    if expires - issued > LONGEST_S:
        return Refusal(_UNKNOWN, detail="it lasts for more than a day")
    if "nbf" in claims and (begins is None or begins > now + LEEWAY_S):
        return Refusal(_UNKNOWN, detail="it is not good yet")
    if not _is_word(claims.get("sub")) or not _is_word(claims.get("jti")):
        return Refusal(_UNKNOWN, detail="it has no subject or no id")
    client_id = claims.get("client_id")
    if not _is_word(client_id) and (by_client or client_id != ""):
        return Refusal(_UNKNOWN, detail="it does not say which client has it")
    return None


def _key_of(claims: Mapping[str, Any], api: Api) -> str | Refusal:
    """The thumbprint of the key that a token is bound to, empty for none; refused where the partner's table says so."""
    bound = claims.get("cnf")
    key = bound.get("jkt") if isinstance(bound, Mapping) else None
    if bound is not None and (not isinstance(bound, Mapping) or bound.keys() != {"jkt"} or not _is_word(key)):
        return Refusal(_UNKNOWN, detail="it is bound to something else than a key")
    if key is None and api.dpop == "required":
        return Refusal(Reason.INVALID_DPOP_BINDING, detail="the partner's tokens must be bound to a key")
    if key is not None and api.dpop == "no":
        return Refusal(_UNKNOWN, detail="it is bound to a key, and the partner's table does not allow DPoP")
    return str(key) if key is not None else ""


def _is_word(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_WORD


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
