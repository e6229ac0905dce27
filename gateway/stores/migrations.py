"""Migrations that two officers have not signed yet: nobody is carried by them.

They are known by what they say: started once more, it is the same one, and its first starter stays.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

from gateway.core.identity import Pair
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Argument, Store


@dataclass(frozen=True, slots=True)
class Migration:
    """People of one partner who become others'.

    ``by``: the user who started it, by the word of whoever has the command line, at a time in Unix seconds; ``signed``:
    the users who have signed it.
    """

    id: str
    old: str
    new: str
    people: int
    by: str
    at: float
    signed: tuple[str, ...] = ()

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
        """Keep one for two signatures, for a week."""
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
        """Those that wait for signatures, the oldest first."""
        found = await self._store.call("HGETALL", keys.MIGRATIONS)
        all_of_them = [Migration(name.decode(), **orjson.loads(said)) for name, said in found.items()]
        over = [one.id for one in all_of_them if self._clock.now() - one.at >= keys.MIGRATION_LIFETIME_S]
        if over:
            await self._store.call("HDEL", keys.MIGRATIONS, *over)
        living = sorted((one for one in all_of_them if one.id not in over), key=lambda one: one.at)
        signed = await self._store.calls(*(("SMEMBERS", keys.signatures(one.id)) for one in living))
        return tuple(
            replace(one, signed=tuple(sorted(user.decode() for user in users)))
            for one, users in zip(living, signed, strict=True)
        )

    async def sign(self, migration: str, user: str) -> int:
        """Add the signature of ``user``; how many different users have signed now."""
        name = keys.signatures(migration)
        _, _, signed = await self._store.calls(
            ("SADD", name, user), ("EXPIRE", name, keys.MIGRATION_LIFETIME_S), ("SCARD", name), atomic=True
        )
        return int(signed)

    async def pairs(self, migration: str) -> tuple[Pair, ...]:
        """The people of one; none where it is over."""
        said = await self._store.call("GET", keys.migration(migration))
        return tuple(Pair(*one) for one in orjson.loads(said or "[]"))

    async def end(self, migration: str) -> None:
        """Nobody needs to sign it any more."""
        names = keys.migration(migration), keys.signatures(migration)
        ended: list[Sequence[Argument]] = [("HDEL", keys.MIGRATIONS, migration), *(("DEL", name) for name in names)]
        await self._store.calls(*ended, atomic=True)
