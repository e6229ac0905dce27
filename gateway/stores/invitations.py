"""Invitations to bind a first factor.

A person without a factor signs in and asks: they get a short code to tell. Whoever has the role sees whose it is and
invites; then that person, signed in as themselves, binds one factor. No secret travels that somebody else could use.

Rules of this file:

1. An invitation serves one user, once; the code to ask with opens nothing.
2. Nobody invites themselves, nor who invited them, nor more than a few a day.
"""

import secrets
from dataclasses import dataclass

import orjson

from gateway.core.assurance import Caller
from gateway.core.cooling import Binding
from gateway.keyring import KeyRing
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Script, Store

ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
"""RFC 8628, section 6.1: twenty consonants, no words, hard to mistake; eight of them are 34 bits."""
CODE_CHARACTERS = 8
MOST_A_DAY = 5
_INVITE = Script("invite")
_TAKE = Script("invitation_take")


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks to be invited; ``identity``: by which of theirs, where nobody has confirmed it (``core.identity``)."""

    user: str
    partner: str
    name: str
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Started(Request):
    """Whom the help desk started an invitation for; ``by``: who did."""

    by: str = ""


class Invitations:
    """The invitations in the store."""

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock

    async def ask(self, caller: Caller) -> str:
        """A code (``XXXX-XXXX``) by which somebody with the role finds this person, for an hour."""
        code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARACTERS))
        said = orjson.dumps(
            {"user": caller.user, "partner": caller.partner, "name": caller.name, "identity": caller.unconfirmed}
        )
        await self._store.call("SET", self._request(code), said, "EX", keys.REQUEST_LIFETIME_S)
        return f"{code[:4]}-{code[4:]}"

    async def asked(self, code: str) -> Request | None:
        """Whose code this is; ``None`` where it is over or never was."""
        plain = "".join(one for one in code.upper() if one in ALPHABET)
        if len(code) > 64 or len(plain) != CODE_CHARACTERS:
            return None
        said = await self._store.call("GET", self._request(plain))
        return Request(**orjson.loads(said)) if said else None

    async def invite(self, user: str, *, by: str, role: str, in_person: bool, identity: str = "") -> str:
        """Let ``user`` bind one factor: ``remote`` or ``vouched``; or ``self``, ``circle``, ``full``: why not.

        ``identity``: only by this one of theirs.
        """
        arguments = [
            user,
            by,
            role,
            "1" if in_person else "",
            int(self._clock.now() * 1000),
            keys.DAY_S * 1000,
            MOST_A_DAY,
            keys.INVITATION_LIFETIME_S,
            keys.INVITED_BY_LIFETIME_S,
        ]
        answer: bytes = await self._store.run(_INVITE, [keys.invitation(identity or user), keys.invites(by)], arguments)
        return answer.decode()

    async def by_letter(self, invited: str) -> None:
        """Let a user, whose letter's code was typed, bind one factor; what waits already is not made less.

        ``invited`` here and below: the user, or the identity that the invitation is for (``Caller.invited_as``).
        """
        key = keys.invitation(invited)
        fields = {"by": "", "role": "letter", "here": "", "bound": str(Binding.REMOTE)}
        said = [("HSETNX", key, name, value) for name, value in fields.items()]
        await self._store.calls(*said, ("EXPIRE", key, keys.INVITATION_LIFETIME_S), atomic=True)

    async def start(self, asked: Request, *, by: str) -> None:
        """Let a referent or officer see for a day that ``asked`` waits; it binds nothing until one of them invites."""
        key = keys.started(asked.partner)
        said = orjson.dumps({"name": asked.name, "by": by, "at": self._clock.now(), "identity": asked.identity})
        await self._store.calls(("HSET", key, asked.user, said), ("EXPIRE", key, keys.STARTED_LIFETIME_S), atomic=True)

    async def started(self, partner: str) -> tuple[Started, ...]:
        """Who of ``partner`` waits for a signature, by name."""
        found = []
        for user, text in (await self._store.call("HGETALL", keys.started(partner))).items():
            said = orjson.loads(text)
            if self._clock.now() - said["at"] < keys.STARTED_LIFETIME_S:
                found.append(Started(user.decode(), partner, said["name"], said.get("identity", ""), said["by"]))
        return tuple(sorted(found, key=lambda one: one.name))

    async def signed(self, user: str, partner: str) -> None:
        """Nobody needs to sign for ``user`` any more."""
        await self._store.call("HDEL", keys.started(partner), user)

    async def waiting(self, invited: str) -> str | None:
        """How a factor would be bound by the invitation that waits, if one does."""
        bound = await self._store.call("HGET", keys.invitation(invited), "bound")
        return bound.decode() if bound else None

    async def take(self, invited: str) -> str | None:
        """Use the invitation, once; how the factor is bound, or ``None``: there is none."""
        bound = await self._store.run(_TAKE, [keys.invitation(invited)], [])
        return bound.decode() or None

    def _request(self, code: str) -> bytes:
        return keys.invitation_request(self._keyring.token_hash(f"invitation:{code}"))
