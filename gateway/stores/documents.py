"""Documents that partners publish, fetched by one worker for all: many workers ask a partner no oftener than one."""

import hashlib

from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Script, Store

_CLAIM = Script("document_claim")


class Documents:
    """What was lately fetched, by its address. Public, so kept in the clear; believed as the store is."""

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or store.clock

    async def claim(self, address: str) -> bool:
        """Whether this worker is the one to fetch it; for ``DOCUMENT_SPACING_S`` no other is."""
        arguments = [self._clock.now(), keys.DOCUMENT_SPACING_S, 2 * keys.DOCUMENT_SPACING_S]
        return bool(await self._store.run(_CLAIM, [keys.document_claim(_name(address))], arguments))

    async def keep(self, address: str, content: bytes) -> None:
        """Keep what was fetched; empty: it was tried in vain."""
        name = keys.document(_name(address))
        await self._store.calls(
            ("HSET", name, "at", repr(self._clock.now()), "content", content),
            ("EXPIRE", name, 2 * keys.DOCUMENT_SPACING_S),
            atomic=True,
        )

    async def young(self, address: str) -> bytes | None:
        """What was fetched less than ``DOCUMENT_SPACING_S`` ago; ``None``: nothing; empty: it was tried in vain."""
        at, content = await self._store.call("HMGET", keys.document(_name(address)), "at", "content")
        young = at is not None and self._clock.now() - float(at) < keys.DOCUMENT_SPACING_S
        return bytes(content) if young else None


def _name(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()
