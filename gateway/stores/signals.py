"""What partners signal, as it takes effect: once, in one step, and at every worker within a second."""

import math

from gateway.core.signals import Take
from gateway.keyring import KeyRing
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Argument, Script, Store

_SIGNALLED = Script("signalled")
_DOING, _DONE = b"doing", b"done"
DOING_S = 30
"""Longer than any effect takes: should a worker or the store go meanwhile, the partner's next try takes effect."""


class Signals:
    """The effects of signals in the store."""

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock

    async def take(self, partner: str, jti: str) -> Take:
        """Take a signal of ``partner``, of several that do so at once one, until it is ``done``."""
        name = self._signal(partner, jti)
        if await self._store.call("SET", name, _DOING, "NX", "EX", DOING_S):
            return Take.FIRST
        return Take.DONE if await self._store.call("GET", name) == _DONE else Take.DOING

    async def done(self, partner: str, jti: str, until: float) -> None:
        """Know that a signal has taken effect, until then (Unix seconds)."""
        lasts_s = max(1, math.ceil(until - self._clock.now()))
        await self._store.call("SET", self._signal(partner, jti), _DONE, "EX", lasts_s)

    async def signed_out(self, partner: str, sid: str) -> None:
        """Know that a session at the partner's has ended, for sign-ins that were begun by it and are not over."""
        await self._store.call("SET", self._signed_out(partner, sid), 1, "EX", keys.SIGN_IN_LIFETIME_S)

    async def ended_since(self, user: str, partner: str, sid: str, begun_at: float) -> bool:
        """Whether what a sign-in rests on has ended since ``begun_at`` (Unix seconds): all of ``user``, or ``sid``."""
        signed_out, *ended = await self._store.calls(
            ("GET", self._signed_out(partner, sid)),
            ("GET", keys.not_before(user)),
            ("GET", keys.signed_in_until(user)),
        )
        return bool(sid and signed_out) or any(at is not None and float(at) > begun_at for at in ended)

    async def user_of(self, partner: str, sid: str) -> str | None:
        """Whose session at the partner's this is; ``None``: nobody here came by it."""
        user = await self._store.call("GET", keys.partner_session(self._sid(partner, sid)))
        return user.decode() if user else None

    async def end(self, user: str, sid: str | None, *, all_unless_known: bool = False) -> int:
        """End the sessions of ``user`` that came by ``sid``, or all with their partner's tokens; how many sessions.

        With all of them goes what tokens of ours confirmed. A session of which nobody knows by which of the partner's
        it came ends in any case; ``all_unless_known``: all are meant where none is known to have come by ``sid``.
        """
        names = [keys.families(user), keys.tokens_of(user), keys.not_before(user)]
        arguments: list[Argument] = [
            sid or "",
            repr(self._clock.now()),
            keys.NOT_BEFORE_LIFETIME_S,
            keys.FROM_PARTNER,
            "1" if all_unless_known else "",
        ]
        return int(await self._store.run(_SIGNALLED, names, arguments))

    async def changed(self, user: str) -> None:
        """Let everything that ``user`` confirms cool, since a credential of theirs was changed at the partner's."""
        await self._store.call("SET", keys.changed(user), repr(self._clock.now()), "EX", keys.CHANGED_LIFETIME_S)

    def _signal(self, partner: str, jti: str) -> bytes:
        return keys.signal(self._keyring.token_hash(f"signal:{partner}:{jti}"))

    def _signed_out(self, partner: str, sid: str) -> bytes:
        return keys.signal(self._keyring.token_hash(f"signed-out:{partner}:{sid}"))

    def _sid(self, partner: str, sid: str) -> bytes:
        return self._keyring.token_hash(f"sid:{partner}:{sid}")
