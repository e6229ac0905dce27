"""Freezes: a token, a user or a partner stopped at once."""

from dataclasses import dataclass

from gateway.stores import keys
from gateway.stores.connection import Store
from gateway.stores.encoding import texts

KINDS = ("token", "user", "partner")


@dataclass(frozen=True, slots=True)
class Freeze:
    """What is frozen, since when (Unix seconds), by whom and why."""

    kind: str
    name: str
    by: str
    reason: str
    at: float


class Freezes:
    """The freezes in the store; every worker sees one within a second."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def freeze(self, kind: str, name: str, *, by: str, reason: str, now: float) -> None:
        """Stop ``token`` (also a session family), ``user`` or ``partner`` called ``name``."""
        if kind not in KINDS:
            raise ValueError("a token, a user or a partner can be frozen")
        await self._store.calls(
            ("HSET", keys.frozen(kind, name), "by", by, "reason", reason, "at", repr(now)),
            ("SADD", keys.FROZEN, f"{kind}:{name}"),
            atomic=True,
        )

    async def unfreeze(self, kind: str, name: str) -> bool:
        """Let it go on; false where it was not frozen."""
        removed, _ = await self._store.calls(
            ("DEL", keys.frozen(kind, name)), ("SREM", keys.FROZEN, f"{kind}:{name}"), atomic=True
        )
        return bool(removed)

    async def rows(self) -> list[Freeze]:
        """Everything that is frozen now."""
        named = sorted(one.decode().split(":", 1) for one in await self._store.call("SMEMBERS", keys.FROZEN))
        answers = await self._store.calls(*(("HGETALL", keys.frozen(*one)) for one in named)) if named else []
        said = [(one, texts(answer)) for one, answer in zip(named, answers, strict=True) if answer]
        return [Freeze(kind, name, of["by"], of["reason"], float(of["at"])) for (kind, name), of in said]
