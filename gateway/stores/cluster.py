"""The nodes of a Redis Cluster: which primary serves which place, each looked at as a lone primary is.

Rules of this file:

1. The map is that of the node that has seen the newest configuration. It is looked at each second, and sooner after
   any fault: a command that went to the wrong node (MOVED, ASK) did nothing, is refused, and is not sent after it.
2. Every shard stands and falls alone. A primary waits for as many replicas as the cluster says could take its place:
   one that its majority has given up cannot, and a promoted one works on without. What that may cost: ``lone``.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from redis.crc import key_slot

from gateway.config.store import Node, StoreAddress
from gateway.ports import StoreUnavailable
from gateway.stores import places
from gateway.stores.clock import StoreClock
from gateway.stores.faults import StoreRefused
from gateway.stores.lone import Lone, Part
from gateway.stores.servers import Server
from gateway.stores.topology import Replication, Topology, named

MAP_SHARE: Final = 0.5
"""The part of a call's time that a node has to tell the map in."""

SLOTS: Final = {place: key_slot(places.tag(place).encode()) for place in places.PLACES}


@dataclass(frozen=True, slots=True)
class Shard:
    """Slots from ``first`` to ``last``, who serves them, and who could take over."""

    first: int
    last: int
    primary: Node
    replicas: tuple[Node, ...]


class Cluster:
    """The shards of a cluster. ``refusal``: why nothing is asked of any; ``doubt``: what is wrong with some."""

    def __init__(
        self, address: StoreAddress, clock: StoreClock, *, timeout_s: float, wall: Callable[[], float] = time.time
    ) -> None:
        self.refusal = "the cluster was not looked at yet"
        self._address = address
        self._clock = clock
        self._timeout_s = timeout_s
        self._wall = wall
        self._told_by: dict[Node, Server] = {}
        self._shards: dict[Node, Topology] = {}
        self._place: dict[str, Topology] = {}
        self._promotable: dict[Node | None, int] = {}
        self._lone = Lone(address.replicas, self._parts)
        self._retired: list[tuple[float, Server | Topology]] = []

    def at(self, place: str) -> Topology:
        """The shard that serves a place; raises ``StoreUnavailable`` where none is known."""
        if self.refusal:
            raise StoreRefused(self.refusal)
        shard = self._place.get(place)
        if shard is None:
            raise StoreRefused(f"no node of the cluster serves slot {SLOTS[place]}: see CLUSTER INFO")
        return shard

    @property
    def scarce(self) -> str:
        """Why something is not written."""
        return next((shard.scarce for shard in self._shards.values() if shard.scarce), "")

    @property
    def doubt(self) -> str:
        """What is wrong with some shard, or with a replica."""
        missing = [str(SLOTS[place]) for place in places.PLACES if place not in self._place]
        if missing:
            return f"no node of the cluster serves slot {', '.join(missing)}: see CLUSTER INFO"
        return next(
            (shard.refusal or shard.doubt for shard in self._shards.values() if shard.refusal or shard.doubt), ""
        )

    @property
    def servers(self) -> tuple[Server, ...]:
        """The primaries, and the replicas that were found."""
        return tuple(server for shard in self._shards.values() for server in shard.servers)

    async def look(self) -> None:
        """Take in the map and look at each primary; raises ``StoreUnavailable`` where no map or no home is had."""
        await self._close_retired()
        try:
            shards = await self._map()
        except StoreUnavailable as fault:
            self.refusal = str(fault)
            raise
        self._take_in(shards)
        looks = (shard.look() for shard in self._shards.values())
        await asyncio.gather(*looks, return_exceptions=True)  # each keeps what is wrong with it
        self.refusal = ""
        home = self.at(places.HOME)
        if home.refusal:
            raise StoreUnavailable(home.refusal)

    def _take_in(self, shards: Iterable[Shard]) -> None:
        known, self._shards, self._place, self._promotable = self._shards, {}, {}, {}
        for shard in shards:
            topology = self._shards.get(shard.primary) or known.pop(shard.primary, None) or self._new(shard.primary)
            self._promotable[shard.primary] = len(shard.replicas)
            self._shards[shard.primary] = topology
            for place, slot in SLOTS.items():
                if shard.first <= slot <= shard.last:
                    self._place[place] = topology
        self._retired += [(time.monotonic(), one) for one in known.values()]

    def _new(self, node: Node) -> Topology:
        topology = Topology(
            self._address, self._clock, timeout_s=self._timeout_s, wall=self._wall, node=node, admit=self._admit
        )
        topology.refusal = f"{named(node)} was not looked at yet"
        return topology

    async def _admit(self, server: Server, replication: Replication, known: bool) -> None:
        await self._lone.admit(server, replication.here, self._promotable.get(server.node, 0), known=known)

    def _parts(self) -> list[Part]:
        served = {
            shard: tuple(place for place, one in self._place.items() if one is shard) for shard in self._shards.values()
        }
        return [Part(shard.primary, served_places) for shard, served_places in served.items() if served_places]

    async def counted_anew(self) -> None:
        """Let what servers lacked be: all budgets have been counted anew. Raises ``StoreUnavailable``."""
        await self._lone.counted_anew()

    async def _map(self) -> tuple[Shard, ...]:
        """The newest map that a node tells; raises ``StoreUnavailable`` when none does."""
        for node in self._address.nodes:
            self._told_by.setdefault(node, self._asked(node))
        answers = await asyncio.gather(*map(self._told, self._told_by.values()))
        told = [answer for answer in answers if not isinstance(answer, str)]
        if not told:
            said = "; ".join(f"{named(node)}: {one}" for node, one in zip(self._told_by, answers, strict=True))
            raise StoreUnavailable(f"no node of the cluster answers ({said})")
        shards = max(told, key=lambda one: one[0])[1]
        wanted = {*self._address.nodes, *(node for one in shards for node in (one.primary, *one.replicas))}
        for node in set(self._told_by) - wanted:
            self._retired.append((time.monotonic(), self._told_by.pop(node)))
        for node in wanted - set(self._told_by):
            self._told_by[node] = self._asked(node)
        return shards

    def _asked(self, node: Node) -> Server:
        return Server(self._address, node, timeout_s=self._timeout_s * MAP_SHARE)

    async def _told(self, server: Server) -> tuple[tuple[bool, int, int], tuple[Shard, ...]] | str:
        """How much a node's map is worth, and the map; or why there is none."""
        try:
            info, slots = await server.calls([("CLUSTER", "INFO"), ("CLUSTER", "SLOTS")])
        except StoreUnavailable as fault:
            return str(fault)
        said = dict(line.split(":", 1) for line in bytes(info).decode().splitlines() if ":" in line)
        worth = said["cluster_state"] == "ok", int(said["cluster_current_epoch"]), int(said["cluster_my_epoch"])
        return worth, tuple(_shard(one, server.node) for one in slots)

    async def _close_retired(self, *, all_of_them: bool = False) -> None:
        now = time.monotonic()
        over = [one for one in self._retired if all_of_them or now - one[0] > 2 * self._timeout_s]
        self._retired = [one for one in self._retired if one not in over]
        for _, one in over:
            await one.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._close_retired(all_of_them=True)
        everything: list[Server | Topology] = [*self._shards.values(), *self._told_by.values()]
        for one in everything:
            await one.close()


def _shard(said: Any, asked: Node | None) -> Shard:
    """One range of CLUSTER SLOTS; a node that does not know its own name goes by the one it was asked under."""
    first, last, *nodes = said
    named_nodes = [((bytes(one[0]).decode() if one[0] else asked[0] if asked else ""), int(one[1])) for one in nodes]
    return Shard(int(first), int(last), named_nodes[0], tuple(named_nodes[1:]))
