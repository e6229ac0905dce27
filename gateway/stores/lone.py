"""Primaries of a cluster that work with fewer replicas than they should have, and the shards that are witnesses of it.

A replica that the cluster had given up may come back just as its primary dies, and be promoted: what the primary was
told meanwhile is missing then, and nothing in the promoted server shows it.

Rules of this file:

1. What is written to such a primary is counted there, in the same pipeline, and the count is told to another shard,
   which has all its replicas, before the write is believed.
2. A primary that is new here, or new again after a fault, is compared with what was told before it serves anything.
   One that counts fewer lacks something: its epochs are taken away, and no worker of any gateway charges there until
   the budgets have been counted anew from the ledger.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.config.store import Node
from gateway.ports import StoreUnavailable
from gateway.stores import keys
from gateway.stores.places import tag
from gateway.stores.servers import Server

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """A primary, and the places that it serves."""

    server: Server
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OtherShard:
    """The witness of a lone primary: a shard with so many ``replicas``.

    ``place``: the one that the primary counts in; ``held_in``: the one that is told.
    """

    place: str
    server: Server
    held_in: str
    replicas: int

    @property
    def counter(self) -> str:
        """The key that the primary counts with."""
        return _counter(self.place)

    async def told(self, count: int) -> None:
        """Hold a count; raises ``StoreUnavailable``, also where the shard has become a lone one too."""
        if self.server.replicas < self.replicas:
            raise StoreUnavailable("the other shard lacks replicas too")
        await self.server.call("ZADD", _held(self.held_in), "GT", count, self.place)


class Lone:
    """Admits primaries. ``replicas``: how many each should have; ``parts``: the shards as they are now."""

    def __init__(self, replicas: int, parts: Callable[[], Sequence[Part]]) -> None:
        self._replicas = replicas
        self._parts = parts

    async def admit(self, server: Server, here: Sequence[Node], promotable: int, *, known: bool) -> None:
        """Let a primary serve, with as many replicas as could take its place. ``here``: those that keep up.

        ``known``: it has served here without a fault until now. Raises ``StoreUnavailable`` where a primary that is
        not known cannot be compared.
        """
        parts = self._parts()
        mine = next((one for one in parts if one.server is server), None)
        if mine is None or not self._replicas:
            return
        lacking = not known and await _lacking(mine, parts)
        expected = min(self._replicas, max(promotable, len(here)))
        if expected == self._replicas:
            server.expect(expected)
        elif witness := self._witness_of(mine, parts):
            server.expect(expected, witness)
        if lacking:
            log.error(
                "%s:%s lacks what the primary before it was told while replicas were missing: nothing is charged until"
                " the budgets have been counted anew (gateway budget rebuild)",
                *(server.node or ()),
            )
            await server.calls([("DEL", f"{tag(place)}{keys.EPOCH}") for place in mine.places])

    def _witness_of(self, mine: Part, parts: Sequence[Part]) -> OtherShard | None:
        """A shard with all its replicas. Where there is none nothing is written until some are back."""
        whole = (one for one in parts if one is not mine and one.server.replicas == self._replicas)
        return next((OtherShard(mine.places[0], one.server, one.places[0], self._replicas) for one in whole), None)

    async def counted_anew(self) -> None:
        """All budgets have been counted anew: nothing is lacking any more. Raises ``StoreUnavailable``."""
        parts = self._parts()
        held = await _all_held(parts)
        for one in parts:
            if raised := [("SET", _counter(place), held[place]) for place in one.places if place in held]:
                await one.server.calls(raised)


async def _lacking(mine: Part, parts: Sequence[Part]) -> bool:
    held = await _all_held(parts)
    counted = await mine.server.calls([("GET", _counter(place)) for place in mine.places])
    return any(int(count or 0) < held.get(place, 0) for place, count in zip(mine.places, counted, strict=True))


async def _all_held(parts: Sequence[Part]) -> dict[str, int]:
    """By place what its primaries were told to have counted; raises ``StoreUnavailable`` where a part does not say."""
    asked = (one.server.calls([("ZRANGE", _held(place), 0, -1, "WITHSCORES") for place in one.places]) for one in parts)
    held: dict[str, int] = {}
    for said in await asyncio.gather(*asked):
        for flat in said:
            for place, count in zip(flat[::2], flat[1::2], strict=True):
                held[place.decode()] = max(held.get(place.decode(), 0), int(count))
    return held


def _counter(place: str) -> str:
    return f"{tag(place)}{keys.LONE}"


def _held(place: str) -> str:
    return f"{tag(place)}{keys.LONE_ELSEWHERE}"
