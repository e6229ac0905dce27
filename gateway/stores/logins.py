"""Who signs in with which login: a partner's person says it, and nothing keeps two from saying the same."""

import contextlib

import orjson

from gateway.core.standing import Namesake
from gateway.keyring import KeyRing, Unsealable
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Argument, Script, Store

MOST_NAMESAKES = 20
"""Of so many users it is known that they said one login; who said it longest ago is forgotten first."""

_SAID = Script("login_said")


class Logins:
    """The logins in the store, each as a keyed hash."""

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock

    async def said(self, partner: str, login: str, user: str, *, sub: str, name: str) -> None:
        """Remember that ``user`` signs in with ``login`` at ``partner``, by this subject and name."""
        who = self._keyring.seal(orjson.dumps([sub, name]), _context(user))
        now, most, lasts_s = repr(self._clock.now()), MOST_NAMESAKES, keys.LOGIN_LIFETIME_S
        arguments: list[Argument] = [user, now, who, most, lasts_s]
        await self._store.run(_SAID, self._names(partner, login), arguments)

    async def of(self, partner: str, login: str) -> tuple[Namesake, ...]:
        """Who has signed in with ``login`` at ``partner``, the latest first; nobody: none."""
        last, said = self._names(partner, login)
        oldest = f"({self._clock.now() - keys.LOGIN_LIFETIME_S!r}"
        asked = ("ZRANGEBYSCORE", last, oldest, "+inf", "WITHSCORES"), ("HGETALL", said)
        users, fields = await self._store.calls(*asked, atomic=True)
        pairs = zip(users[::2], users[1::2], strict=True)
        found = [self._namesake(user.decode(), partner, fields, float(at)) for user, at in pairs]
        return tuple(reversed(found))

    def _namesake(self, user: str, partner: str, fields: dict[bytes, bytes], last: float) -> Namesake:
        sub, name, sealed = "", "", fields[f"who:{user}".encode()]
        with contextlib.suppress(Unsealable):  # its key is gone: its id alone is left
            sub, name = orjson.loads(self._keyring.unseal(sealed, _context(user)))
        return Namesake(user, partner, sub, name, float(fields[f"since:{user}".encode()]), last)

    def _names(self, partner: str, login: str) -> tuple[bytes, bytes]:
        login_hash = self._keyring.login_hash(partner, login)
        return keys.login_last(login_hash), keys.login_said(login_hash)


def _context(user: str) -> str:
    return f"login:{user}"
