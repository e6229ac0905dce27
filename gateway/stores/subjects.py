"""As whom their partners know our users: who signed in lately or has a token. Ids of users alone do not say it."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from gateway.keyring import KeyRing, Unsealable
from gateway.stores import keys
from gateway.stores.connection import Argument, Store


@dataclass(frozen=True, slots=True)
class Subject:
    """A user as their partner knows them."""

    partner: str
    issuer: str
    sub: str


def remembering(keyring: KeyRing, user: str, subject: Subject) -> Sequence[Argument]:
    """The command that remembers it, as long as their login is known."""
    plain = orjson.dumps([subject.partner, subject.issuer, subject.sub])
    return ("SET", keys.subject(user), keyring.seal(plain, _context(user)), "EX", keys.LOGIN_LIFETIME_S)


class Subjects:
    """The subjects in the store."""

    def __init__(self, store: Store, keyring: KeyRing) -> None:
        self._store = store
        self._keyring = keyring

    async def of(self, user: str) -> Subject | None:
        """As whom ``user`` is known; ``None``: they never signed in here, and have no token."""
        sealed, tokens = await self._store.calls(("GET", keys.subject(user)), ("SMEMBERS", keys.tokens_of(user)))
        if sealed is not None:
            with contextlib.suppress(Unsealable):  # its key is gone; a token may still say it
                return Subject(*orjson.loads(self._keyring.unseal(sealed, _context(user))))
        for token in tokens:
            said = await self._store.call("HMGET", keys.token(token.decode()), "partner", "issuer", "sub")
            if None not in said:
                return Subject(*(one.decode() for one in said))
        return None


def _context(user: str) -> str:
    return f"subject:{user}"
