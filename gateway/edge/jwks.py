"""What is kept of a partner's published documents: key sets and metadata.

Rules of this file:

1. Nothing is kept for longer than ``TTL_S``: a key that its partner removed dies then, also when the partner is silent.
2. One fetch at a time, and ``SPACING_S`` between two: unknown key ids cannot make us hammer a partner.
3. A fetch that fails leaves what is kept and not too old; one goes on when whoever asked for it has gone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet, OctKey

TTL_S = 870
"""With what another worker fetched half a minute before, a quarter of an hour at most."""
SPACING_S = 30
MAX_BYTES = 512 * 1024

T = TypeVar("T")


class NotFetched(Exception):
    """A partner's document cannot be had, or is not what it should be."""


class NotThere(NotFetched):
    """The document is there and does not hold what was looked for."""


class Kept(Generic[T]):
    """One document of one partner, fetched when needed. ``fetch`` raises ``NotFetched``."""

    def __init__(self, fetch: Callable[[], Awaitable[T]]) -> None:
        self._fetch = fetch
        self._value: T | None = None
        self._fetched_at = 0.0
        self._tried_at: float | None = None
        self._fault = ""
        self._renewing: asyncio.Task[None] | None = None

    async def get(self, now: float, enough: Callable[[T], bool] = lambda _: True) -> T:
        """The document; fetched again when too old or not ``enough`` (a new key's id). :raises NotFetched:

        It is ``NotThere`` where the partner has said what it has, and that is not enough.
        """
        kept = self._young(now)
        if kept is None or not enough(kept):
            if self._renewing is None and self._may_try(now):
                self._tried_at = now
                self._renewing = asyncio.create_task(self._renew(now))
            if self._renewing is not None:
                await asyncio.shield(self._renewing)
            kept = self._young(now)
        if kept is None:
            raise NotFetched(self._fault or "the partner was asked too lately to be asked again")
        if not enough(kept):
            raise NotFetched(self._fault) if self._fault else NotThere("not known to the partner")
        return kept

    async def _renew(self, now: float) -> None:
        self._fault = ""
        try:
            self._value, self._fetched_at = await self._fetch(), now
        except NotFetched as fault:
            self._fault = str(fault)
        finally:
            self._renewing = None

    def _young(self, now: float) -> T | None:
        return self._value if self._value is not None and 0 <= now - self._fetched_at < TTL_S else None

    def _may_try(self, now: float) -> bool:
        return self._tried_at is None or now - self._tried_at >= SPACING_S


def key_set_of(document: bytes) -> KeySet:
    """The public signing keys of a JWK set (RFC 7517, 5). :raises NotFetched: when there is none.

    Keys of kinds that we do not know are passed over, as that section asks: a partner may be ahead of us.
    """
    try:
        listed = orjson.loads(document)["keys"]
        signing = [one for one in listed if isinstance(one, dict) and one.get("use", "sig") == "sig"]
    except (KeyError, TypeError, ValueError) as fault:
        raise NotFetched(f"the key set cannot be read: {type(fault).__name__}") from fault
    keys = [key for one in signing for key in _understood(one)]
    if not keys:
        raise NotFetched("the key set holds no public key")
    return KeySet(keys)


def _understood(listed: dict[str, Any]) -> list[Key]:
    try:
        return [key for key in KeySet.import_key_set({"keys": [listed]}) if not isinstance(key, OctKey)]
    except (JoseError, KeyError, TypeError, ValueError):
        return []


def has_key(kid: str | None) -> Callable[[KeySet], bool]:
    """Whether a set can verify a token that names ``kid`` (or none, where the set has one key alone)."""

    def holds(keys: KeySet) -> bool:
        return len(keys.keys) == 1 if kid is None else any(key.kid == kid for key in keys)

    return holds
