"""Migrations that one officer has started and another has not signed for yet: nobody is carried by them.

They are known by what they say: started once more, it is the same one, and its first starter stays.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from gateway.core.identity import Pair
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Store


@dataclass(frozen=True, slots=True)
class Migration:
    """People of one partner who become others'. ``by``: the user who started it, at a time in Unix seconds."""

    id: str
    old: str
    new: str
    people: int
    by: str
    at: float

    @property
    def fingerprint(self) -> str:
        """By what two officers see that they speak of the same file."""
        return fingerprint_of(self.id)


def id_of(old: str, new: str, pairs: Sequence[Pair]) -> str:
    """What a migration between these two partners is known by."""
    said = [old, new, *sorted(f"{pair.old} {pair.new}" for pair in pairs)]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


def fingerprint_of(migration: str) -> str:
    """The first 48 bits of an id, in groups of four."""
    return " ".join(migration[start : start + 4] for start in range(0, 12, 4))


class Migrations:
    """The migrations in the store."""

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or store.clock

    async def start(self, old: str, new: str, pairs: Sequence[Pair], *, by: str) -> Migration:
        """Keep one for a signature, for a week."""
        name = id_of(old, new, pairs)
        said = {"old": old, "new": new, "people": len(pairs), "by": by, "at": self._clock.now()}
        listed = orjson.dumps([(pair.old, pair.new, pair.user) for pair in pairs])
        await self.waiting()  # one whose week is over is started anew
        await self._store.calls(
            ("HSETNX", keys.MIGRATIONS, name, orjson.dumps(said)),
            ("SET", keys.migration(name), listed, "EX", keys.MIGRATION_LIFETIME_S),
            atomic=True,
        )
        return next(one for one in await self.waiting() if one.id == name)

    async def waiting(self) -> tuple[Migration, ...]:
        """Those that wait for a signature, the oldest first."""
        found = await self._store.call("HGETALL", keys.MIGRATIONS)
        all_of_them = [Migration(name.decode(), **orjson.loads(said)) for name, said in found.items()]
        over = [one.id for one in all_of_them if self._clock.now() - one.at >= keys.MIGRATION_LIFETIME_S]
        if over:
            await self._store.call("HDEL", keys.MIGRATIONS, *over)
        return tuple(sorted((one for one in all_of_them if one.id not in over), key=lambda one: one.at))

    async def pairs(self, migration: str) -> tuple[Pair, ...]:
        """The people of one; none where it is over."""
        said = await self._store.call("GET", keys.migration(migration))
        return tuple(Pair(*one) for one in orjson.loads(said or "[]"))

    async def end(self, migration: str) -> None:
        """Nobody needs to sign for it any more."""
        await self._store.calls(("HDEL", keys.MIGRATIONS, migration), ("DEL", keys.migration(migration)), atomic=True)
