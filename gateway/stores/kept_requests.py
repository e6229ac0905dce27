"""A person's interrupted form, kept for one sending: no work is lost to a question that came in between.

Rules of this file:

1. It is encrypted under a key of which one half is ours and the other in the browser alone (a cookie that no script
   reads): whoever has the store has nothing, nor has another browser.
2. It is the same user's and the same session family's, for ten minutes, once.
"""

import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass

import orjson

from gateway.keyring import KeyRing, Unsealable
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Script, Store

LARGEST_BYTES = 1024 * 1024
MOST_OF_A_FAMILY = 5
LONGEST_ID = 64
_KEEP = Script("kept_keep")


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A request as it came. ``target``: path and query; ``referer``: what the application may check, or empty."""

    method: str
    target: str
    host: str
    content_type: str
    referer: str
    body: bytes


class KeptRequests:
    """The kept requests in the store."""

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock

    async def keep(self, user: str, family: str, request: KeptRequest) -> tuple[str, str] | None:
        """Keep a request; its id and the browser's half of the key, or ``None`` where the family keeps enough."""
        kept_id, half = secrets.token_urlsafe(18), secrets.token_urlsafe(32)
        plain = orjson.dumps(
            {
                "method": request.method,
                "target": request.target,
                "host": request.host,
                "content_type": request.content_type,
                "referer": request.referer,
                "body": b64encode(request.body).decode(),
                "until": self._clock.now() + keys.KEPT_LIFETIME_S,
            }
        )
        digest = self._keyring.token_hash(f"kept:{kept_id}")
        done = await self._store.run(
            _KEEP,
            [keys.kept(digest), keys.kept_of(family)],
            [
                digest,
                self._keyring.seal_with(half, plain, _context(user, family, kept_id)),
                int(self._clock.now() * 1000),
                keys.KEPT_LIFETIME_S,
                MOST_OF_A_FAMILY,
            ],
        )
        return (kept_id, half) if done else None

    async def look(self, user: str, family: str, kept_id: str, half: str) -> KeptRequest | None:
        """What is kept, and stays; ``None`` where it is over, was sent, or is another's."""
        return self._opened(await self._store.call("GET", self._name(kept_id)), user, family, kept_id, half)

    async def take(self, user: str, family: str, kept_id: str, half: str) -> KeptRequest | None:
        """Take what is kept, once; another's hands leave it where it is."""
        if await self.look(user, family, kept_id, half) is None:
            return None
        kept = await self._store.call("GETDEL", self._name(kept_id))
        digest = self._keyring.token_hash(f"kept:{kept_id}")
        await self._store.call("ZREM", keys.kept_of(family), digest)
        return self._opened(kept, user, family, kept_id, half)

    def _opened(self, kept: bytes | None, user: str, family: str, kept_id: str, half: str) -> KeptRequest | None:
        if kept is None:
            return None
        try:
            said = orjson.loads(self._keyring.unseal_with(half, kept, _context(user, family, kept_id)))
        except Unsealable:
            return None
        if self._clock.now() >= said.pop("until"):
            return None
        return KeptRequest(**{**said, "body": b64decode(said["body"])})

    def _name(self, kept_id: str) -> bytes:
        return keys.kept(self._keyring.token_hash(f"kept:{kept_id[:LONGEST_ID]}"))


def _context(user: str, family: str, kept_id: str) -> str:
    return orjson.dumps(["kept", user, family, kept_id]).decode()
