"""What is kept between two requests of one flow (states, challenges, tickets), each taken at most once."""

import math
import secrets
from collections.abc import Mapping
from typing import Any

import orjson

from gateway.keyring import KeyRing
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Store

LONGEST_KEY = 200


class Flows:
    """The flows in the store; a key is known to its holder alone."""

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock

    async def keep(self, kind: str, value: Mapping[str, object], ttl_s: int) -> str:
        """Keep ``value`` (JSON) for ``ttl_s``; returns a random key of 256 bits."""
        key = secrets.token_urlsafe(32)
        text = orjson.dumps({"until": self._clock.now() + ttl_s, "value": dict(value)})
        await self._store.call("SET", self._name(kind, key), text, "EX", math.ceil(ttl_s))
        return key

    async def take(self, kind: str, key: str) -> Mapping[str, Any] | None:
        """Take what was kept, atomically and once; ``None`` where it is over, was taken, or never was."""
        if len(key) > LONGEST_KEY:
            return None
        text = await self._store.call("GETDEL", self._name(kind, key))
        if text is None:
            return None
        kept = orjson.loads(text)
        value: Mapping[str, Any] = kept["value"]
        return value if self._clock.now() < kept["until"] else None

    def _name(self, kind: str, key: str) -> bytes:
        return keys.flow(kind, self._keyring.token_hash(key))
