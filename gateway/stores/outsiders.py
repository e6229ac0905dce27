"""Whom a user was seen to have inside, of whom outside they have said why, and what they have said for one request.

Each is forgotten after a day, a reason for one request after ten minutes. Lost, it is asked again: nothing opens.
"""

from collections.abc import Iterable, Sequence

from gateway.keyring import KeyRing, Unsealable
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Store

PER_CALL = 1_000


class Outsiders:
    """Persons by their keyed hashes (16 bytes), for one user."""

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock

    async def inside(self, user: str, agency: str, hashes: Sequence[bytes]) -> frozenset[bytes]:
        """Those whose record named this agency, when the user last saw it."""
        return await self._known(keys.seen_inside(user, agency), hashes)

    async def explained(self, user: str, hashes: Sequence[bytes]) -> frozenset[bytes]:
        """Those of whom the user has said why they need them."""
        return await self._known(keys.explained(user), hashes)

    async def see(self, user: str, agency: str, *, inside: Iterable[bytes], outside: Iterable[bytes]) -> None:
        """Know who is of this agency, and who is of another."""
        gone = list(outside)
        await self._know(keys.seen_inside(user, agency), [one for one in inside if one not in set(gone)])
        for start in range(0, len(gone), PER_CALL):
            await self._store.call("ZREM", keys.seen_inside(user, agency), *gone[start : start + PER_CALL])

    async def explain(self, user: str, hashes: Iterable[bytes]) -> None:
        """Know of whom the user has said why."""
        await self._know(keys.explained(user), list(hashes))

    async def keep(self, credential_id: str, request: str, why: str) -> None:
        """Keep what was said for one request (its keyed hash); it may hold personal data, and is sealed."""
        name = keys.why(credential_id, request)
        await self._store.call("SET", name, self._keyring.seal(why.encode(), name), "EX", keys.WHY_LIFETIME_S)

    async def take(self, credential_id: str, request: str) -> str | None:
        """What was said for this request, once."""
        name = keys.why(credential_id, request)
        sealed = await self._store.call("GETDEL", name)
        try:
            return self._keyring.unseal(sealed, name).decode() if sealed is not None else None
        except Unsealable:
            return None

    async def _known(self, name: str, hashes: Sequence[bytes]) -> frozenset[bytes]:
        edge = (self._clock.now() - keys.KNOWN_OUTSIDER_S) * 1000
        found: set[bytes] = set()
        for start in range(0, len(hashes), PER_CALL):
            part = hashes[start : start + PER_CALL]
            scores = await self._store.call("ZMSCORE", name, *part)
            found.update(one for one, at in zip(part, scores, strict=True) if at is not None and float(at) > edge)
        return frozenset(found)

    async def _know(self, name: str, hashes: Sequence[bytes]) -> None:
        now_ms = int(self._clock.now() * 1000)
        for start in range(0, len(hashes), PER_CALL):
            scored = [part for one in hashes[start : start + PER_CALL] for part in (now_ms, one)]
            await self._store.calls(
                ("ZADD", name, *scored),
                ("ZREMRANGEBYSCORE", name, "-inf", now_ms - keys.KNOWN_OUTSIDER_S * 1000),
                ("EXPIRE", name, keys.KNOWN_OUTSIDER_S),
                atomic=True,
            )
