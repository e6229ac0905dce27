"""People as those see and act on them who look after them: how one stands, sessions ended, stopped, let go on."""

from gateway.core.extraction import Class
from gateway.core.standing import BoundFactor, Namesake, Standing
from gateway.keyring import KeyRing
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.closures import Closures
from gateway.stores.connection import Argument, Script, Store
from gateway.stores.encoding import grant_of
from gateway.stores.factors import Factors
from gateway.stores.freezes import Freezes
from gateway.stores.logins import Logins
from gateway.stores.passkeys import Passkeys

_END = Script("end_sessions")


class People:
    """Users in the store. ``told``: the partners that hear of freezes of their people."""

    def __init__(
        self,
        store: Store,
        keyring: KeyRing,
        clock: Clock | None = None,
        *,
        told: frozenset[str] = frozenset(),
    ) -> None:
        self._store = store
        self._clock = clock or store.clock
        self._factors = Factors(store, keyring, self._clock)
        self._passkeys = Passkeys(store, keyring, self._clock)
        self._freezes = Freezes(store, keyring, told)
        self._closures = Closures(store, self._clock)
        self._logins = Logins(store, keyring, self._clock)

    async def by_login(self, partner: str, login: str) -> tuple[Namesake, ...]:
        """Everybody who has signed in with this login at this partner's, the latest first."""
        return await self._logins.of(partner, login)

    async def standing(self, user: str) -> Standing:
        """How ``user`` stands."""
        held = [BoundFactor("totp", one.factor_id, one.bound, one.bound_at) for one in await self._factors.held(user)]
        passkeys = await self._passkeys.of(user)
        held += [BoundFactor("webauthn", one.factor_id, one.bound, one.bound_at) for one in passkeys]
        codes, closed, frozen, invited, letter, grants = await self._store.calls(
            ("SCARD", keys.recovery(user)),
            ("GET", keys.closed(user)),
            ("EXISTS", keys.frozen("user", user)),
            ("HGET", keys.invitation(user), "bound"),
            ("EXISTS", keys.letter(user)),
            ("HVALS", keys.grants(user)),
        )
        return Standing(
            user,
            tuple(held),
            int(codes),
            Class.of(closed.decode()) if closed else None,
            bool(frozen),
            await self._sessions(user),
            invited.decode() if invited else None,
            bool(letter),
            tuple(one for one in map(grant_of, grants) if self._clock.now() < one.until),
        )

    async def _sessions(self, user: str) -> int:
        families = [one.decode() for one in await self._store.call("SMEMBERS", keys.families(user))]
        return int(await self._store.call("EXISTS", *map(keys.family, families))) if families else 0

    async def end_sessions(self, user: str) -> int:
        """End every session of ``user`` at once; how many there were."""
        arguments: list[Argument] = [repr(self._clock.now()), keys.SIGN_IN_LIFETIME_S]
        return int(await self._store.run(_END, [keys.families(user), keys.signed_in_until(user)], arguments))

    async def freeze(self, user: str, *, by: str, reason: str) -> None:
        """Stop everything of ``user``."""
        await self._freezes.freeze("user", user, by=by, reason=reason, now=self._clock.now())

    async def unfreeze(self, user: str) -> bool:
        """Let ``user`` go on; false where they were not stopped."""
        return await self._freezes.unfreeze("user", user, now=self._clock.now())

    async def reopen(self, user: str) -> bool:
        """Open again what ``user`` had closed; false where nothing was."""
        return await self._closures.reopen(user)
