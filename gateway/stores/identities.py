"""Whose identity one is, as the store knows it: only those that took another's place, or gave it up, stand in it.

Rules of this file:

1. Whoever opens something for an identity asks before, and for a session once more after: between the two it may have
   been given to somebody, or be over.
2. Each step may be done again: what was broken off is finished by doing it all once more.
"""

from collections.abc import Iterable, Sequence
from itertools import chain

from gateway.core.identity import Known, Merge, Pair, State
from gateway.keyring import KeyRing
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Argument, Script, Store

PERSONS_PER_CALL = 1_000
_CARRY, _CONFIRM = Script("identity_carry"), Script("identity_confirm")
_SAID = ("user", "state", "at", "before", "after")


class Identities:
    """The identities in the store."""

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock

    async def of(self, issuer: str, sub: str) -> Known:
        """Whose this identity is."""
        return await self.known(self._keyring.user_id(issuer, sub))

    async def known(self, identity: str) -> Known:
        """Whose the identity of this id is; of a user's id that user."""
        (known,) = await self.all_of([identity])
        return known

    async def all_of(self, identities: Sequence[str]) -> tuple[Known, ...]:
        """The same of many, in order."""
        asked = [("HMGET", keys.identity(one), *_SAID) for one in identities]
        return tuple(map(_known, identities, await self._store.calls(*asked) if asked else ()))

    async def carry(self, pair: Pair, *, partners: tuple[str, str]) -> str:
        """Let ``pair.new`` be ``pair.user``, unconfirmed.

        ``carried``, ``already``, or why not: one of them is in another pair (``taken``), the old one is over (``gone``)
        or not confirmed itself (``waiting``). ``partners``: the old one's and the new one's id.
        """
        old, new, user = pair.old, pair.new, pair.user
        names = [keys.identity(new), keys.identity(old), keys.closed(user), keys.closed(new)]
        names += [keys.changed(user), keys.changed(new), *map(keys.seats, partners)]
        names += [keys.frozen("user", user), keys.frozen("user", new), keys.FROZEN]
        said = (old, new, user, repr(self._clock.now()), keys.CHANGED_LIFETIME_S, *partners)
        done: bytes = await self._store.run(_CARRY, names, said)
        return done.decode()

    async def share(self, partner: str, other: str) -> str:
        """Count the limits of ``partner`` with those of ``other``; the partner that both are counted with now."""
        into = await self.shares(other) or other
        if into != partner:
            await self._store.call("SET", keys.shared_by(partner), into)
        return into

    async def shares(self, partner: str) -> str:
        """The partner whose limits are counted for this one's people; empty: its own."""
        said = await self._store.call("GET", keys.shared_by(partner))
        return said.decode() if said else ""

    async def merge(self, merges: Iterable[Merge]) -> None:
        """Count in one limit of each whom the other has counted, from the later of both times; the other one stays.

        Whoever is in a window of either stays counted for as long as there: never is one person less than was taken.
        """
        now_ms = int(self._clock.now() * 1000)
        for one in merges:
            taking, giving = map(self._store.place_of, one.owners)
            # Whoever has left the other's window is not brought back into this one.
            name, edge = keys.budget(one.into), now_ms - one.window_s * 1000
            reading = ("ZRANGEBYSCORE", keys.budget(one.other), f"({edge}", "+inf", "WITHSCORES")
            (others,) = await self._store.calls(reading, place=giving)
            people = list(zip(others[1::2], others[::2], strict=True))
            for start in range(0, len(people), PERSONS_PER_CALL):
                scored = chain.from_iterable(people[start : start + PERSONS_PER_CALL])
                await self._store.calls(
                    ("ZREMRANGEBYSCORE", name, "-inf", edge),
                    ("ZADD", name, "GT", *scored),
                    ("PEXPIRE", name, (one.window_s + keys.BUDGET_SLACK_S) * 1000),
                    *(_in_use(one, people[-1][0]) if one.among else ()),
                    atomic=True,
                    place=taking,
                )

    async def confirm(self, identity: str, *, family: str = "") -> str:
        """A factor of its user's has confirmed it: the old one is over, and what its partner says is its user's.

        Of several sessions that confirm it at once one goes on: the ``family`` of that, empty where none was ever told.
        """
        name = keys.identity(identity)
        user, before, old, new = (
            said.decode() for said in await self._store.call("HMGET", name, "user", "before", "from", "to")
        )
        names = [name, keys.identity(before), keys.changed(user), keys.changed(identity)]
        names += [keys.seats(old)] if old != new else []
        first: bytes = await self._store.run(_CONFIRM, names, [user, keys.CHANGED_LIFETIME_S, family])
        return first.decode()


def _in_use(one: Merge, latest: bytes) -> Iterable[Sequence[Argument]]:
    """What the store is told of a floor in which somebody is counted now, with the time (ms) of the latest of them."""
    among = keys.budget(one.among)
    yield "ZADD", among, "GT", latest, keys.budget(one.into)
    yield "PEXPIRE", among, (one.window_s + keys.BUDGET_SLACK_S) * 1000


def _known(identity: str, said: Sequence[bytes | None]) -> Known:
    user, state, at, before, after = ((part or b"").decode() for part in said)
    return Known(identity, user or identity, State(state or "own"), float(at or 0), before, after)
