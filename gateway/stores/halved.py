"""What waits a few minutes for one person: encrypted, and half of the key is with them.

Rules of this file:

1. It is encrypted under a key of which one half is ours and the other its owner's alone: whoever has the store has
   nothing, nor has another browser or program.
2. It is one user's and one lineage's (a session family, a token), for ten minutes. Of several that take it one does.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.keyring import KeyRing, Unsealable
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Script, Store

LARGEST_BYTES = 1024 * 1024
MOST_OF_A_LINEAGE = 5
ID_BYTES = 18
ID_LENGTH = ID_BYTES * 4 // 3
LONGEST_ID = 64
_KEEP = Script("kept_keep")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose it is. ``lineage``: a session family or a token's id; empty: whatever session the user has then."""

    user: str
    lineage: str


class Halved:
    """Values of one ``kind`` in the store."""

    def __init__(self, kind: str, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._kind = kind
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock

    async def keep(self, owner: Owner, value: Mapping[str, object], half: str) -> str | None:
        """Keep a value; its id, or ``None`` where its owner keeps enough already."""
        kept_id = secrets.token_urlsafe(ID_BYTES)
        plain = orjson.dumps({**value, "until": self._clock.now() + keys.KEPT_LIFETIME_S})
        digest = self._digest(kept_id)
        done = await self._store.run(
            _KEEP,
            [keys.kept(digest), self._of(owner)],
            [
                digest,
                self._keyring.seal_with(half, plain, self._context(owner, kept_id)),
                int(self._clock.now() * 1000),
                keys.KEPT_LIFETIME_S,
                MOST_OF_A_LINEAGE,
            ],
        )
        return kept_id if done else None

    async def look(self, owner: Owner, kept_id: str, half: str) -> dict[str, Any] | None:
        """What is kept, and stays; ``None`` where it is over, was taken, or is another's."""
        kept = await self._store.call("GET", keys.kept(self._digest(kept_id)))
        if kept is None:
            return None
        try:
            said: dict[str, Any] = orjson.loads(self._keyring.unseal_with(half, kept, self._context(owner, kept_id)))
        except Unsealable:
            return None
        return None if self._clock.now() >= said.pop("until") else said

    async def drop(self, owner: Owner, kept_id: str) -> bool:
        """End the keeping of what was looked at; true for the one caller who did."""
        digest = self._digest(kept_id)
        dropped, _ = await self._store.calls(("DEL", keys.kept(digest)), ("ZREM", self._of(owner), digest), atomic=True)
        return bool(dropped)

    def _digest(self, kept_id: str) -> bytes:
        return self._keyring.token_hash(f"{self._kind}:{kept_id[:LONGEST_ID]}")

    def _of(self, owner: Owner) -> str:
        return keys.kept_of(self._kind, owner.lineage or owner.user)

    def _context(self, owner: Owner, kept_id: str) -> str:
        return orjson.dumps([self._kind, owner.user, owner.lineage, kept_id]).decode()
