"""Who asks, also where a token is a partner's: judged first, then known in the store like any token of ours.

Its id in the store is made of issuer, subject, client and the token's own id: freezing, ending, proofs and records go
by that; budgets by its user, its partner, and all that this client asks for this user, whichever token it shows.

Whose token is not known to the store yet takes a seat first, as whoever signs in by a browser does.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import replace
from functools import partial
from typing import Protocol

from gateway.core.assurance import Caller
from gateway.core.identity import Known, State
from gateway.core.policy import Policy
from gateway.core.reasons import Reason, Refusal
from gateway.edge.access_tokens import AccessToken, AccessTokens, Source
from gateway.edge.admission import kept_out_by
from gateway.edge.credentials import is_own
from gateway.edge.doors import Documents
from gateway.edge.introspection import introspection_of
from gateway.edge.jwks import NotFetched
from gateway.edge.partner import Allowed, Partner
from gateway.edge.partner_http import fetched_once
from gateway.edge.provider import Provider
from gateway.edge.seats import Seating
from gateway.ports import Clock, NoCaller

log = logging.getLogger(__name__)
_NOBODY = {State.WAITING: str(Reason.IDENTITY_UNCONFIRMED), State.GONE: str(Reason.IDENTITY_GONE)}
"""Whose tokens name nobody: a new identity before its person has confirmed it in a browser, an old one after that."""


class Stored(Protocol):
    """Callers as the store knows them."""

    def lately(self, kind: str, value: str) -> Caller | NoCaller | None: ...

    async def by_token(self, token: str, *, anew: bool = False) -> Caller | NoCaller: ...

    async def by_session(self, cookie: str, *, anew: bool = False) -> Caller | NoCaller: ...

    async def by_family(self, let_in: Caller, *, anew: bool = False) -> Caller | NoCaller: ...

    async def by_access(self, name: str, *, anew: bool = False) -> Caller | NoCaller: ...

    def forget(self, credential: str) -> None: ...


class Registry(Protocol):
    """Makes a partner's token known to the store, under a name that is a hash of it."""

    async def known(self, access: AccessToken) -> Known: ...

    async def ended(self, access: AccessToken, user: str) -> bool: ...

    async def register(self, name: str, access: AccessToken, user: str | None = None) -> None: ...


class PartnerCallers:
    """Callers by session, by a token of ours, or by a partner's.

    ``partners`` by id: whoever is of none of them, came by another issuer, or is no longer on the house's lists, ends.
    """

    def __init__(
        self,
        stored: Stored,
        registry: Registry,
        tokens: AccessTokens,
        seating: Seating,
        clock: Clock,
        policy: Callable[[], Policy],
        partners: Mapping[str, Partner],
    ) -> None:
        self._partners = partners
        self._lists = {
            (partner.id, credential): lists
            for partner in partners.values()
            # a token of ours says no more of its owner than their subject
            for credential, lists in (("session", partner.allow), ("token", Allowed(subjects=partner.allow.subjects)))
            if lists != Allowed()
        }
        self._stored = stored
        self._registry = registry
        self._tokens = tokens
        self._seating = seating
        self._clock = clock
        self._policy = policy

    def lately(self, kind: str, value: str) -> Caller | NoCaller | None:
        """The caller of a session or of a token of ours, where that is kept: a partner's token is judged each time."""
        found = self._stored.lately(kind, value) if kind == "session" or is_own(value) else None
        return None if found is None else self._trusted(found)

    async def by_session(self, cookie: str, *, anew: bool = False) -> Caller | NoCaller:
        """The caller of a session's cookie."""
        return self._trusted(await self._stored.by_session(cookie, anew=anew))

    async def by_family(self, let_in: Caller, *, anew: bool = False) -> Caller | NoCaller:
        """Who was let in by a session's cookie, whatever became of that."""
        return self._trusted(await self._stored.by_family(let_in, anew=anew))

    def _trusted(self, found: Caller | NoCaller) -> Caller | NoCaller:
        """Nobody, where the configuration that is in force now would not let in who was found."""
        if isinstance(found, NoCaller):
            return found
        partner = self._partners.get(found.partner)
        if partner is None or partner.issuer != found.issuer:
            return NoCaller("revoked")
        lists = self._lists.get((found.partner, found.credential))
        return found if lists is None or kept_out_by(lists, found) is None else NoCaller("revoked")

    def forget(self, credential: str) -> None:
        """Ask the store anew about a token, a cookie, a credential's id or a user."""
        self._stored.forget(credential)

    async def by_token(self, token: str, *, anew: bool = False) -> Caller | NoCaller:
        """The caller of a token; ``partner_unreachable`` where nothing is known of it since its partner is silent."""
        if is_own(token):
            return self._trusted(await self._stored.by_token(token, anew=anew))
        try:
            access = await self._tokens.judged(token, self._clock.now())
        except NotFetched as fault:
            log.info("a partner's token cannot be judged: %s", fault)
            return NoCaller("partner_unreachable")
        if isinstance(access, Refusal):
            log.debug("a token is not believed: %s", access.detail)
            return NoCaller(str(access.reason))
        name = hashlib.sha256(f"{access.partner}\0{token}".encode()).hexdigest()
        found = await self._stored.by_access(name, anew=anew)
        if isinstance(found, NoCaller) and found.reason == "unknown":
            known = await self._registry.known(access)
            if known.state in _NOBODY:
                return NoCaller(_NOBODY[known.state])
            if (refused := await self._seated(access, known.user)) is not None:
                return NoCaller(str(refused.reason))
            agency = await self._seating.agency(known.user, access.person.agency, _record(access, known.user))
            access = replace(access, person=replace(access.person, agency=agency))
            await self._registry.register(name, access, known.user)
            found = await self._stored.by_access(name, anew=True)
        if isinstance(found, NoCaller):
            return found
        caller, asserted = _with(found, access), self._policy().of(access.partner).asserted
        if asserted is None or access.word is None:
            return caller
        return caller.with_word(asserted, access.word, self._clock.now())

    async def _seated(self, access: AccessToken, user: str) -> Refusal | None:
        if await self._registry.ended(access, user):
            return None  # it takes no seat, and is refused as what it is
        return await self._seating.seated(access.partner, user, _record(access, user))


def _record(access: AccessToken, user: str) -> dict[str, object]:
    who = {"user": user, "partner": access.partner, "credential_kind": "token"}
    return {"kind": "partner_token", "caller": who}


def _with(caller: Caller, access: AccessToken) -> Caller:
    """What this very token says goes before what another of the same id said."""
    client = hashlib.sha256(access.client_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return replace(
        caller,
        kind=access.kind,
        key=access.key,
        lineage=f"{caller.user}.{client}",
        expires_at=access.expires_at,
        organisation=access.person.organisation,
        # of an agency that was not believed when it was seen first it is not at all
        agency=access.person.agency if access.person.agency == caller.agency else "",
        roles=access.person.roles,
    )


def access_tokens_of(
    partners: Iterable[Partner], documents: Documents, faults: MutableMapping[str, str] | None = None
) -> AccessTokens:
    """The access tokens of all partners whose table says that programs may bring them."""
    sources = []
    for partner in partners:
        if partner.api is not None:
            provider = Provider(partner, "", partial(fetched_once, documents), faults)
            sources.append(Source(partner, partner.api, provider, introspection_of(partner.api, provider)))
    return AccessTokens(sources)
