"""Seats: how many living subjects a partner has, and who of them was seen for the first time just now.

A hijacked partner administrator creates accounts: none beyond the seats is let in, and each is new for a day.
"""

from dataclasses import dataclass

from gateway.core.cooling import COOLING, Binding
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Script, Store

_TAKE = Script("seat_take")


@dataclass(frozen=True, slots=True)
class Seat:
    """A user's seat. ``seen``: when they last signed in or came with a new token, Unix seconds."""

    user: str
    seen: float


class Seats:
    """The seats of all partners."""

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or store.clock

    async def take(self, partner: str, user: str, *, most: int | None = None, ripe: bool = False) -> str:
        """Take or keep a seat: ``known``, ``first`` (seen for the first time), ``full``, or ``frozen``: none was taken.

        ``most``: how many there are, ``None`` where nothing bounds them; ``ripe``: a first sight makes nobody new.
        """
        new_s = 0 if ripe else COOLING[Binding.VOUCHED].lasts_s
        seats = (keys.seats(partner), keys.first_sight(user))
        frozen = (keys.frozen("partner", partner), keys.frozen("user", user))
        said = (repr(self._clock.now()), user, "" if most is None else most, keys.SEAT_IDLE_S, new_s)
        taken = await self._store.run(_TAKE, [*seats, *frozen], said)
        return str(taken.decode())

    async def agency_today(self, user: str, said: str) -> str:
        """Of which agency ``user`` is, of whom their partner says that it is ``said``: the first of a day stays."""
        first = await self._store.call("SET", keys.agency(user), said, "NX", "EX", keys.DAY_S)
        if first:
            return said
        held = await self._store.call("GET", keys.agency(user))
        return held.decode() if held else said

    async def leave(self, partner: str, user: str) -> bool:
        """Free a seat; false where ``user`` has none. They are new when they come back."""
        return bool(await self._store.call("ZREM", keys.seats(partner), user))

    async def rows(self, partner: str) -> list[Seat]:
        """Who has a seat at ``partner``, the longest idle first."""
        edge = f"({int((self._clock.now() - keys.SEAT_IDLE_S) * 1000)}"
        found = await self._store.call("ZRANGEBYSCORE", keys.seats(partner), edge, "+inf", "WITHSCORES")
        return [Seat(user.decode(), float(ms) / 1000) for user, ms in zip(found[::2], found[1::2], strict=True)]
