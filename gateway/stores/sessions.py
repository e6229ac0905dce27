"""Browser sessions: all cookies of one sign-in are one family, and its proofs belong to the family."""

import math
import secrets
from collections.abc import Sequence
from dataclasses import replace

import orjson

from gateway.core.assurance import Proof
from gateway.core.places import MOST_KNOWN
from gateway.core.policy import ABSOLUTE_S, IDLE_S
from gateway.keyring import KeyRing, Unsealable
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Argument, Script, Store
from gateway.stores.encoding import proof_text
from gateway.stores.logins import Logins
from gateway.stores.subjects import Subject, remembering

_REFOUND, _ROTATE = Script("refound"), Script("rotate")


class Sessions:
    """The sessions in the store; ``idle_s`` since the last use (written once a minute), ``absolute_s`` from sign-in."""

    def __init__(
        self,
        store: Store,
        keyring: KeyRing,
        clock: Clock | None = None,
        *,
        idle_s: int = IDLE_S,
        absolute_s: int = ABSOLUTE_S,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock
        self._idle_s = idle_s
        self._absolute_s = absolute_s
        self._logins = Logins(store, keyring, self._clock)

    async def open(
        self,
        *,
        issuer: str,
        sub: str,
        partner: str,
        name: str,
        login: str,
        network: str = "",
        browser: str = "",
        places: frozenset[str] = frozenset(),
        organisation: str = "",
        agency: str = "",
        roles: Sequence[str] = (),
        sid: str = "",
        idle_s: int | None = None,
        absolute_s: int | None = None,
        proof: Proof | None = None,
        sign_out_by: str = "",
        user: str | None = None,
        unconfirmed: str = "",
    ) -> str:
        """Begin a family; returns the cookie's value, which nobody else ever sees.

        ``network``, ``browser``: where it is opened from (``core.places``), for its person to recognise; ``places``:
        from where it is known to be used; ``organisation``, ``roles``: as the partner says; ``agency``: whose persons
        are inside for it, as the partner says; ``sid``: the session at the partner's that it came by; ``idle_s``,
        ``absolute_s``: how long this one lives, if shorter; ``proof``: what it begins with, as its own;
        ``sign_out_by``: what its partner needs to end its own session, kept sealed; ``user``: who it is, where that is
        not the identity's own; ``unconfirmed``: the identity, where it opens nothing before ``settle``.
        """
        idle_s, absolute_s = min(idle_s or self._idle_s, self._idle_s), absolute_s or self._absolute_s
        cookie, family = secrets.token_urlsafe(32), f"s_{secrets.token_hex(8)}"
        now = self._clock.now()
        fields = {
            "user": user or self._keyring.user_id(issuer, sub),
            "issuer": issuer,
            "sub": sub,
            "partner": partner,
            "name": name,
            "login": login,
            "kind": "person",
            "issued_at": repr(now),
            "seen": repr(now),
            "idle_s": str(idle_s),
            "expires_at": repr(now + absolute_s),
            "proofs": "1" if proof else "0",
            "sid": sid,
            "network": network,
            "browser": browser,
            "organisation": organisation,
            "agency": agency,
            "roles": orjson.dumps(list(roles)).decode(),
            **({"unconfirmed": unconfirmed} if unconfirmed else {}),
        }
        await self._logins.said(partner, login, fields["user"], sub=sub, name=name)
        known_s = absolute_s + keys.ENDED_SESSION_S
        flat = [part for pair in fields.items() for part in pair]
        await self._store.calls(
            ("HSET", keys.family(family), *flat),
            ("EXPIRE", keys.family(family), known_s),
            ("HSET", self._key(cookie), "family", family, "sees", fields["proofs"]),
            ("EXPIRE", self._key(cookie), known_s),
            ("SADD", keys.families(fields["user"]), family),
            ("EXPIRE", keys.families(fields["user"]), self._absolute_s + keys.ENDED_SESSION_S),
            *(self._waiting(family, partner, unconfirmed, sid) if unconfirmed else ()),
            *self._known(family, places),
            *self._sign_out_by(family, fields["user"], sign_out_by, known_s),
            *([] if proof is None else _first(family, replace(proof, credential_id=family))),
            *([] if unconfirmed else self._at_the_partner(Subject(partner, issuer, sub), fields["user"], sid)),
            atomic=True,
        )
        return cookie

    def _sign_out_by(self, family: str, user: str, said: str, known_s: int) -> list[Sequence[Argument]]:
        if not said:
            return []
        sealed = self._keyring.seal(said.encode(), f"sign-out:{user}")
        return [("SET", keys.sign_out_by(family), sealed, "EX", known_s)]

    async def ended_at(self, user: str) -> float | None:
        """When everything of ``user`` was last ended (Unix seconds), if that was in the last day."""
        at = await self._store.call("GET", keys.not_before(user))
        return float(at) if at else None

    async def sign_out_by(self, family: str, user: str) -> str:
        """What the partner of ``user`` needs to end the session that a family came by; empty: nothing is known."""
        sealed = await self._store.call("GET", keys.sign_out_by(family))
        try:
            return self._keyring.unseal(sealed, f"sign-out:{user}").decode() if sealed else ""
        except Unsealable:  # the keys were changed since: the partner then asks its person
            return ""

    async def join(self, family: str, *, sees: int, instead_of: str | None = None) -> str | None:
        """One more cookie of a living family, for another host; ``None`` where it has ended.

        It ``sees`` what the cookie saw that it comes from, and nothing that was confirmed since. The cookie that it
        replaces goes on for 10 s where it is of this family; a family of another sign-in ends.
        """
        said = ("seen", "idle_s", "expires_at")
        seen, idle_s, expires_at = await self._store.call("HMGET", keys.family(family), *said)
        now = self._clock.now()
        if expires_at is None or now >= float(expires_at) or now - float(seen) >= int(idle_s or self._idle_s):
            return None
        cookie = secrets.token_urlsafe(32)
        # Should the family end in between, the cookie names nobody.
        await self._store.calls(
            ("HSET", self._key(cookie), "family", family, "sees", sees),
            ("EXPIRE", self._key(cookie), math.ceil(float(expires_at) - now)),
            atomic=True,
        )
        if instead_of is not None:
            await self._replace(instead_of, family)
        return cookie

    async def refound(self, cookie: str, user: str) -> str | None:
        """Move a session to a family of its own, away from every copy and sibling of its cookie; the new cookie."""
        new, family = secrets.token_urlsafe(32), f"s_{secrets.token_hex(8)}"
        names: list[bytes | str] = [self._key(cookie), self._key(new), keys.families(user)]
        return new if await self._store.run(_REFOUND, names, [family]) else None

    async def _replace(self, cookie: str, family: str) -> None:
        before = await self._store.call("HGET", self._key(cookie), "family")
        if before is None:
            return
        if before.decode() != family:
            await self.end(cookie)
            return
        over = self._clock.now() + keys.STALE_COOKIE_S
        await self._store.calls(
            ("HSET", self._key(cookie), "until", repr(over)),
            ("EXPIRE", self._key(cookie), 2 * keys.STALE_COOKIE_S),
            atomic=True,
        )

    def _at_the_partner(self, subject: Subject, user: str, sid: str) -> list[Sequence[Argument]]:
        """As whom a partner speaks of a user, and is told of them; nobody's, before an identity is confirmed."""
        return [remembering(self._keyring, user, subject), *self._came_by(subject.partner, sid, user)]

    def _waiting(self, family: str, partner: str, identity: str, sid: str) -> list[Sequence[Argument]]:
        """How a partner ends what an unconfirmed identity has opened: its word is for that identity's own alone."""
        name, known_s = keys.families(identity), self._absolute_s + keys.ENDED_SESSION_S
        return [("SADD", name, family), ("EXPIRE", name, known_s), *self._came_by(partner, sid, identity)]

    def _came_by(self, partner: str, sid: str, whose: str) -> list[Sequence[Argument]]:
        known_s = self._absolute_s + keys.ENDED_SESSION_S
        return [("SET", self._sid(partner, sid), whose, "EX", known_s)] if sid else []

    async def settle(self, family: str) -> None:
        """Let a session of an identity that is confirmed now be like any other."""
        name, said = keys.family(family), ("partner", "issuer", "sub", "user", "sid")
        fields = await self._store.call("HMGET", name, *said)
        if None in fields:
            return  # it has ended
        partner, issuer, sub, user, sid = (one.decode() for one in fields)
        known = self._at_the_partner(Subject(partner, issuer, sub), user, sid)
        await self._store.calls(("HDEL", name, "unconfirmed"), *known, atomic=True)

    async def know(self, family: str, places: frozenset[str]) -> None:
        """Know a family to be used from ``places``, since somebody confirmed there."""
        known = self._known(family, places)
        if known:
            await self._store.calls(*known, atomic=True)

    def _known(self, family: str, places: frozenset[str]) -> list[Sequence[Argument]]:
        if not places:
            return []
        name, now_ms = keys.places(family), int(self._clock.now() * 1000)
        scored: list[Argument] = [part for place in sorted(places) for part in (now_ms, place)]
        return [
            ("ZADD", name, *scored),
            ("ZREMRANGEBYRANK", name, 0, -MOST_KNOWN - 1),
            ("EXPIRE", name, self._absolute_s),
        ]

    async def rotate(self, cookie: str, proof: Proof | None) -> str | None:
        """A new id for the session, with ``proof``; ``None`` where the id is over or was changed already.

        For 10 s the old id still names the caller, with the proofs it had before. Of two at once one wins.
        """
        new = secrets.token_urlsafe(32)
        arguments: list[Argument] = [
            self._clock.now(),
            keys.STALE_COOKIE_S,
            proof.id if proof else "",
            proof_text(proof) if proof else "",
            keys.PROOF_LIFETIME_S,
            self._idle_s,
        ]
        done = await self._store.run(_ROTATE, [self._key(cookie), self._key(new)], arguments)
        return new if done else None

    async def end(self, cookie: str) -> None:
        """End the whole family of this cookie at once."""
        family = await self._store.call("HGET", self._key(cookie), "family")
        if family:
            await self.end_family(family.decode())
        await self._store.call("DEL", self._key(cookie))

    async def end_family(self, family: str) -> None:
        """End every cookie of a family at once."""
        await self._store.call(
            "DEL", keys.family(family), keys.proofs(family), keys.places(family), keys.sign_out_by(family)
        )

    def _sid(self, partner: str, sid: str) -> bytes:
        return keys.partner_session(self._keyring.token_hash(f"sid:{partner}:{sid}"))

    def _key(self, cookie: str) -> bytes:
        return keys.session(self._keyring.token_hash(cookie))


def _first(family: str, proof: Proof) -> list[Sequence[Argument]]:
    """What keeps the proof that a family begins with (see ``rotate.lua``)."""
    name = keys.proofs(family)
    return [("HSET", name, proof.id, b"1:" + proof_text(proof)), ("EXPIRE", name, keys.PROOF_LIFETIME_S)]
