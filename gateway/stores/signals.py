"""What partners signal, as it takes effect: once, in one step, and at every worker within a second."""

import math

from gateway.keyring import KeyRing
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Argument, Script, Store

_SIGNALLED = Script("signalled")


class Signals:
    """The effects of signals in the store."""

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock

    async def first(self, partner: str, jti: str, until: float) -> bool:
        """Whether this signal of ``partner`` comes for the first time; it is known until then (Unix seconds)."""
        name = keys.signal(self._keyring.token_hash(f"signal:{partner}:{jti}"))
        lasts_s = max(1, math.ceil(until - self._clock.now()))
        return bool(await self._store.call("SET", name, 1, "NX", "EX", lasts_s))

    async def again(self, partner: str, jti: str) -> None:
        """Let a signal come again: it could not take effect."""
        await self._store.call("DEL", keys.signal(self._keyring.token_hash(f"signal:{partner}:{jti}")))

    async def user_of(self, partner: str, sid: str) -> str | None:
        """Whose session at the partner's this is; ``None``: nobody here came by it."""
        user = await self._store.call("GET", keys.partner_session(self._sid(partner, sid)))
        return user.decode() if user else None

    async def end(self, user: str, sid: str | None) -> int:
        """End the sessions of ``user`` that came by ``sid``, or all with their partner's tokens; how many sessions.

        With all of them goes what tokens of ours confirmed.
        """
        names = [keys.families(user), keys.tokens_of(user), keys.not_before(user)]
        arguments: list[Argument] = [
            sid or "",
            repr(self._clock.now()),
            keys.NOT_BEFORE_LIFETIME_S,
            keys.FROM_PARTNER,
        ]
        return int(await self._store.run(_SIGNALLED, names, arguments))

    async def changed(self, user: str) -> None:
        """Let everything that ``user`` confirms cool, since a credential of theirs was changed at the partner's."""
        await self._store.call("SET", keys.changed(user), repr(self._clock.now()), "EX", keys.CHANGED_LIFETIME_S)

    def _sid(self, partner: str, sid: str) -> bytes:
        return self._keyring.token_hash(f"sid:{partner}:{sid}")
