"""Who asks: a credential's caller with everything that decides, in one round trip, kept for less than a second.

Rules of this file:

1. What is told or kept was true less than 0.8 s ago, counted from when the store was asked.
2. Nothing is kept of a credential that names nobody.
3. All that are asked about in one turn of the loop share one round trip.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from gateway.core.assurance import Caller
from gateway.core.extraction import Class
from gateway.core.policy import IDLE_S
from gateway.keyring import KeyRing
from gateway.ports import Clock, NoCaller, StoreUnavailable
from gateway.stores import keys
from gateway.stores.connection import Argument, Script, Store
from gateway.stores.encoding import grant_of, mandate_of, proof_of, texts
from gateway.stores.places import HOME
from gateway.stores.scripts import Placed
from gateway.stores.together import Together
from gateway.stores.tokens import well_formed

KEPT_S = 0.8
TRIES = 3
MOST_KEPT = 10_000
LONGEST_COOKIE = 200
_CALLER = Script("caller", waits=False)
_Name = tuple[str, str]


class StoredCallers:
    """Callers by token or session cookie."""

    def __init__(
        self,
        store: Store,
        keyring: KeyRing,
        clock: Clock | None = None,
        *,
        idle_s: int = IDLE_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock
        self._idle_s = idle_s
        self._monotonic = monotonic
        self._kept: OrderedDict[_Name, tuple[float, Caller]] = OrderedDict()
        self._asked: dict[_Name, asyncio.Task[Caller | NoCaller]] = {}
        self._together = Together(store)

    def lately(self, kind: str, value: str) -> Caller | NoCaller | None:
        """The caller of a credential, where that is kept."""
        name = (kind, value)
        kept = self._kept.get(name)
        if kept is None or self._monotonic() >= kept[0]:
            return None
        self._kept.move_to_end(name)
        return self._still(kept[1])

    async def by_token(self, token: str, *, anew: bool = False) -> Caller | NoCaller:
        """The caller of a token; ``StoreUnavailable`` where the store does not say. ``anew``: nothing kept will do."""
        plausible = ("token", token) in self._kept or well_formed(token)
        return await self._caller("token", token, anew) if plausible else NoCaller("unknown")

    async def by_access(self, name: str, *, anew: bool = False) -> Caller | NoCaller:
        """The caller of a partner's token, believed and registered under ``name``; as ``by_token``."""
        return await self._caller("access", name, anew)

    async def by_session(self, cookie: str, *, anew: bool = False) -> Caller | NoCaller:
        """The caller of a session's cookie, as ``by_token``."""
        return await self._caller("session", cookie, anew) if len(cookie) <= LONGEST_COOKIE else NoCaller("unknown")

    async def by_family(self, let_in: Caller, *, anew: bool = False) -> Caller | NoCaller:
        """Who was let in by a session's cookie, with what that saw, whatever became of it; as ``by_token``."""
        return await self._caller("family", f"{let_in.sees}:{let_in.credential_id}", anew)

    def forget(self, credential: str) -> None:
        """Ask the store anew about a token, a cookie, a credential's id, a user or an identity not confirmed yet."""
        for name, (_, caller) in list(self._kept.items()):
            if credential in (name[1], caller.credential_id, caller.user, caller.unconfirmed):
                del self._kept[name]
        # An answer under way may be older than the change, and of whom it will be is not known yet.
        self._asked.clear()

    async def _caller(self, kind: str, value: str, anew: bool) -> Caller | NoCaller:
        name = (kind, value)
        if anew:
            self._kept.pop(name, None)
            self._asked.pop(name, None)
        elif (kept := self.lately(kind, value)) is not None:
            return kept
        asked = self._asked.get(name)
        if asked is None:
            asked = asyncio.create_task(self._ask(name))
            self._asked[name] = asked
        found = await asyncio.shield(asked)
        return self._still(found) if isinstance(found, Caller) else found

    def _still(self, caller: Caller) -> Caller | NoCaller:
        over = caller.expires_at is not None and self._clock.now() >= caller.expires_at
        return _over(caller.credential, caller.user) if over else caller

    async def _ask(self, name: _Name) -> Caller | NoCaller:
        this = asyncio.current_task()
        try:
            found, deadline = await self._found_in_time(*name)
            if self._asked.get(name) is this and isinstance(found, Caller):
                self._kept[name] = (deadline, found)
                self._kept.move_to_end(name)
                if len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
            return found
        finally:
            if self._asked.get(name) is this:
                del self._asked[name]

    async def _found_in_time(self, kind: str, value: str) -> tuple[Caller | NoCaller, float]:
        """What the store says, and until when that may be kept. A held-up worker asks again: what it reads is old."""
        for _ in range(TRIES):
            deadline = self._monotonic() + KEPT_S
            found = await self._look_up(kind, value)
            if self._monotonic() < deadline:
                return found, deadline
        raise StoreUnavailable(f"{TRIES} answers were too old when they were read: this worker is held up")

    def _place(self, kind: str, value: str) -> tuple[str, bytes | str, list[Argument]]:
        """What a caller is in the store, under which key, and of a family what of it is seen."""
        if kind == "family":
            sees, _, family = value.partition(":")
            return "session", keys.family(family), [family, sees]
        digest = self._keyring.token_hash(value)
        return ("session", keys.session(digest), []) if kind == "session" else ("token", keys.token_by_hash(digest), [])

    async def _look_up(self, kind: str, value: str) -> Caller | NoCaller:
        kind, key, sees = self._place(kind, value)
        now = self._clock.now()
        asked = [kind, now, self._idle_s, keys.SEEN_EVERY_S, *sees]
        answer = await self._together.run(Placed(HOME, _CALLER, [key], asked))
        if not answer:
            return NoCaller("unknown")
        credential_id, flat, proofs, grants, frozen, over, closed, places, changed, sees, first_seen, *more = answer
        ended_at, shares = more
        said = texts(flat)
        if "revoked_at" in said:
            return NoCaller("revoked")
        if frozen:
            return NoCaller("frozen")
        if over or now >= float(said["expires_at"]):
            return _over(kind, said["user"])
        caller = _caller_of(kind, credential_id.decode(), said, proofs, grants, now)
        if changed or first_seen:
            since = max(float(changed or 0), float(first_seen or 0))
            young = tuple(proof.cooled(since, now) for proof in caller.proofs)
            caller = replace(caller, proofs=young, young_since=since)
        if ended_at:
            caller = replace(caller, ended_at=float(ended_at))
        if closed:
            caller = replace(caller, closed_from=Class.of(closed.decode()))
        if sees:
            caller = replace(caller, sees=int(sees))
        if shares:
            caller = replace(caller, shares=shares.decode())
        return replace(caller, places=frozenset(place.decode() for place in places)) if places else caller


def _over(kind: str, user: str) -> NoCaller:
    return NoCaller("expired", user if kind == "session" else "")


def _caller_of(kind: str, credential_id: str, said: dict[str, str], proofs: Any, grants: Any, now: float) -> Caller:
    held = (proof_of(text) for text in proofs)
    raised = (grant_of(text) for text in grants)
    most = said.get("max_persons", "")
    return Caller(
        user=said["user"],
        partner=said["partner"],
        issuer=said["issuer"],
        sub=said["sub"],
        name=said["name"],
        kind=said["kind"],
        credential=kind,
        credential_id=credential_id,
        proofs=tuple(
            sorted(
                (one for one in held if now - one.verified_at < keys.PROOF_LIFETIME_S),
                key=lambda one: -one.verified_at,
            )
        ),
        max_persons=int(most) if most else None,
        mandate=mandate_of(said.get("mandate", "").encode()),
        grants=tuple(one for one in raised if now < one.until),
        expires_at=float(said["expires_at"]),
        organisation=said.get("organisation", ""),
        agency=said.get("agency", ""),
        roles=tuple(orjson.loads(said.get("roles") or "[]")),
        unconfirmed=said.get("unconfirmed", ""),
    )
