"""What holds between two requests of one flow: kept here and taken at most once, or handed out to whoever asked.

What anybody may cause, before they have shown who they are, is handed out: sealed, so that nobody reads or changes it,
and so that no flood of such requests fills the store (as draft-bradley-oauth-jwt-encoded-state does for ``state``).
"""

import base64
import binascii
import math
import secrets
from collections.abc import Mapping
from typing import Any

import orjson

from gateway.keyring import KeyRing, Unsealable
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Store

LONGEST_KEY = 200
LONGEST_HANDED_OUT = 4_000
"""What a query can carry through partners' servers (Keycloak takes parameters of 4,000 characters)."""


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

    def hand_out(self, kind: str, value: Mapping[str, object], ttl_s: int) -> str:
        """``value`` (JSON), sealed, for ``ttl_s``: base64url and a dot, 4/3 of its length and about 110 characters.

        Each under a key of its own: nobody can ask for so many that one key has sealed too much.
        """
        half = secrets.token_urlsafe(16)
        until = math.ceil(self._clock.now() + ttl_s)  # whole, so that values of one length are answers of one length
        text = orjson.dumps({"until": until, "value": dict(value)})
        sealed = self._keyring.seal_with(half, text, f"flow:{kind}")
        return f"{half}.{base64.urlsafe_b64encode(sealed).rstrip(b'=').decode()}"

    def handed_back(self, kind: str, key: str) -> Mapping[str, Any] | None:
        """What was handed out as ``key``, as often as it comes; ``None`` where it is over, or never was."""
        if len(key) > LONGEST_HANDED_OUT:
            return None
        half, _, rest = key.partition(".")
        try:
            sealed = base64.b64decode(rest + "=" * (-len(rest) % 4), altchars=b"-_", validate=True)
            text = self._keyring.unseal_with(half, sealed, f"flow:{kind}")
        except (binascii.Error, ValueError, Unsealable):
            return None
        handed_out = orjson.loads(text)
        value: Mapping[str, Any] = handed_out["value"]
        return value if self._clock.now() < handed_out["until"] else None

    async def spend(self, kind: str, name: str, ttl_s: int) -> bool:
        """Whether ``name``, which stands in what was handed out for ``ttl_s``, is spent for the first time."""
        spent = await self._store.call("SET", self._name(f"{kind}-spent", name), b"1", "NX", "EX", math.ceil(ttl_s))
        return spent is not None

    def _name(self, kind: str, key: str) -> bytes:
        return keys.flow(kind, self._keyring.token_hash(key))
