"""Who is primary, whether its replicas are there, and whether the clocks agree: looked at each second.

Rules of this file:

1. With one server ``now`` is its time. Where several stand behind the address it is this machine's, one source for
   all: every server's is compared with it, and a primary that is more than 2 s off serves nothing.
2. A server that takes another's place serves nothing before it was looked at.
3. What is refused here was not sent: nothing is spent. It only spares vain charges: what decides is WAIT.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError

from gateway.config.store import Node, StoreAddress
from gateway.ports import StoreUnavailable
from gateway.stores.clock import StoreClock
from gateway.stores.deadline import Deadline
from gateway.stores.servers import Server, sentinel_of

log = logging.getLogger(__name__)

MOST_APART_S: Final = 2.0
MOST_LAG_S: Final = 3
"""A replica that has said nothing for longer is not counted on; they say something each second."""

MOST_STALE_S: Final = 5
"""So long what was seen of several servers is believed."""

SENTINEL_SHARE: Final = 0.5
"""The part of a call's time that a sentinel has to answer in."""


@dataclass(frozen=True, slots=True)
class Replication:
    """What a server says of its replicas. ``here``: those that keep up; ``all``: also those that do not."""

    primary: bool
    here: tuple[Node, ...]
    all: tuple[Node, ...]


def replication_of(info: Mapping[str, Any]) -> Replication:
    """The meaning of INFO replication."""
    told = [info[f"slave{at}"] for at in range(int(info.get("connected_slaves", 0))) if f"slave{at}" in info]
    nodes = [((str(one["ip"]), int(one["port"])), one) for one in told]
    here = [node for node, one in nodes if one["state"] == "online" and int(one.get("lag", 0)) <= MOST_LAG_S]
    return Replication(info.get("role") == "master", tuple(here), tuple(node for node, _ in nodes))


def named(node: Node | None) -> str:
    """A server in words."""
    return "the store" if node is None else f"{node[0]}:{node[1]}"


class Sentinels:
    """The sentinels of one service: all are asked at once, and the newest configuration counts."""

    def __init__(self, address: StoreAddress, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s * SENTINEL_SHARE
        self._clients = [sentinel_of(address, node) for node in address.nodes]
        self._asks: list[Callable[..., Awaitable[Any]]] = [client.execute_command for client in self._clients]

    async def primary(self) -> Node:
        """Where the service's primary is; raises ``StoreUnavailable`` when no sentinel says."""
        answers = await asyncio.gather(*map(self._answer, self._asks))
        told = [answer for answer in answers if not isinstance(answer, str)]
        if not told:
            said = "; ".join(f"{named(node)}: {one}" for node, one in zip(self._address.nodes, answers, strict=True))
            raise StoreUnavailable(f"no sentinel says who is primary of {self._address.service!r} ({said})")
        return max(told)[1]

    async def _answer(self, ask: Callable[..., Awaitable[Any]]) -> tuple[int, Node] | str:
        """The epoch of the sentinel's configuration and its primary, or why there is none."""
        try:
            async with Deadline(self._timeout_s):
                flat = await ask("SENTINEL", "MASTER", self._address.service)
        except TimeoutError:
            return "no answer"
        except (RedisError, OSError) as fault:
            return str(fault) or type(fault).__name__
        said = dict(zip(flat[::2], flat[1::2], strict=True))
        try:
            return int(said[b"config-epoch"]), (said[b"ip"].decode(), int(said[b"port"]))
        except (KeyError, ValueError) as fault:
            return f"an answer without {fault}"

    async def close(self) -> None:
        """Close every connection. A dead sentinel is not waited for."""
        for client in self._clients:
            with contextlib.suppress(TimeoutError):
                async with Deadline(self._timeout_s):
                    await client.aclose()
                    await client.connection_pool.disconnect()


class Topology:
    """The servers behind an address, of which one is primary.

    ``refusal``: why nothing is asked of it. ``scarce``: why nothing is written. ``doubt``: what else is not as it
    should be. All are empty where all is well. ``node``: the primary, where somebody else knows who it is.
    ``admit``: asked each time before that one serves on, with its replicas and whether it did until now; it raises
    ``StoreUnavailable`` where it must not.
    """

    def __init__(
        self,
        address: StoreAddress,
        clock: StoreClock,
        *,
        timeout_s: float,
        wall: Callable[[], float] = time.time,
        node: Node | None = None,
        admit: Callable[[Server, Replication, bool], Awaitable[None]] | None = None,
    ) -> None:
        self.refusal = ""
        self.scarce = ""
        self.doubt = ""
        self._address = address
        self._clock = clock
        self._timeout_s = timeout_s
        self._wall = wall
        self._admit = admit
        self._sentinels = Sentinels(address, timeout_s) if address.topology == "sentinel" else None
        self._primary = None if self._sentinels else Server(address, node, timeout_s=timeout_s)
        self._replicas: dict[Node, Server] = {}
        self._retired: list[tuple[float, Server]] = []

    @property
    def primary(self) -> Server:
        """The server that is asked; raises ``StoreUnavailable`` while none is known."""
        if self._primary is None:
            raise StoreUnavailable(self.refusal or "the primary is not known yet")
        return self._primary

    def at(self, place: str) -> "Topology":
        """What serves a place: all places are here."""
        return self

    def why_not(self, *, writing: bool) -> str:
        """Why nothing is asked now (``writing``: nothing written); empty where it may be."""
        if self._address.several and self._clock.sampled_ago_s > MOST_STALE_S:
            return f"the servers were not looked at for {MOST_STALE_S} s"
        return self.refusal or (self.scarce if writing else "")

    async def look(self) -> None:
        """Look once; raises ``StoreUnavailable`` when nothing can be asked."""
        try:
            await self._look()
        except StoreUnavailable as fault:
            if self._address.several:
                self.refusal = str(fault)
            raise
        self.refusal = ""

    async def _look(self) -> None:
        await self._close_retired()
        server = self._primary
        if self._sentinels is not None:
            node = await self._sentinels.primary()
            if server is None or server.node != node:
                server = Server(self._address, node, timeout_s=self._timeout_s)
        if server is None:
            raise StoreUnavailable("the primary is not known yet")
        try:
            replication = await self._looked_at(server)
        except StoreUnavailable:
            if server is not self._primary:
                await server.close()
            raise
        if server is not self._primary:
            if self._primary is not None:
                log.warning("%s is primary of the store, no more %s", named(server.node), named(self._primary.node))
                self._retired.append((time.monotonic(), self._primary))
            self._primary = server
        if self._admit is not None and replication is not None:
            await self._admit(server, replication, not self.refusal)
        self.scarce = self._scarce(server, replication)
        self.doubt = await self._doubt(replication)

    async def _looked_at(self, server: Server) -> Replication | None:
        """What a server that would be primary says of itself; raises ``StoreUnavailable`` where it must not serve."""
        asks: list[tuple[str, ...]] = [("TIME",)]
        if self._address.several or self._address.replicas:
            asks.append(("INFO", "replication"))
        before = time.monotonic()
        (seconds, micros), *more = await server.calls(asks)
        after = time.monotonic()
        replication = replication_of(more[0]) if more else None
        if replication is not None and not replication.primary:
            raise StoreUnavailable(f"{named(server.node)} is a replica: a failover is under way")
        theirs = int(seconds) + int(micros) / 1e6
        if not self._address.several:
            self._clock.sampled(theirs, before, after)
            return replication
        if apart := self._apart(server, theirs, before, after):
            raise StoreUnavailable(apart)
        moment = time.monotonic()
        self._clock.sampled(self._wall(), moment, moment)
        return replication

    def _apart(self, server: Server, theirs: float, before: float, after: float) -> str:
        """In words, that a server's clock and ours are too far apart; empty where they are not."""
        ahead_s = theirs - (self._wall() - (time.monotonic() - (before + after) / 2))
        if abs(ahead_s) <= MOST_APART_S:
            return ""
        return f"the clock of {named(server.node)} is {ahead_s:+.1f} s from this machine's: set both by the same source"

    def _scarce(self, server: Server, replication: Replication | None) -> str:
        most = self._address.replicas
        if replication is None or not most:
            return ""
        if len(replication.all) > most:
            return (
                f"{named(server.node)} has {len(replication.all)} replicas and store.replicas is {most}: one that"
                " lacks a write could take its place; set store.replicas to as many as there are"
            )
        if len(replication.here) < server.replicas:
            return f"{named(server.node)} has {len(replication.here)} of {server.replicas} replicas: start the others"
        return ""

    async def _doubt(self, replication: Replication | None) -> str:
        """Which replica's clock is too far off, so that it would not serve if it took the primary's place."""
        if replication is None or not self._address.several:
            return ""
        for node in set(self._replicas) - set(replication.here):
            self._retired.append((time.monotonic(), self._replicas.pop(node)))
        for node in set(replication.here) - set(self._replicas):
            self._replicas[node] = Server(self._address, node, timeout_s=self._timeout_s)
        return next(filter(None, await asyncio.gather(*map(self._clock_of, self._replicas.values()))), "")

    async def _clock_of(self, server: Server) -> str:
        before = time.monotonic()
        try:
            seconds, micros = await server.call("TIME")
        except StoreUnavailable as fault:
            return f"the clock of {named(server.node)} cannot be read: {fault}"
        return self._apart(server, int(seconds) + int(micros) / 1e6, before, time.monotonic())

    @property
    def servers(self) -> tuple[Server, ...]:
        """The primary and the replicas that were found."""
        return (self.primary, *self._replicas.values())

    async def counted_anew(self) -> None:
        """Of one primary nothing is held elsewhere."""

    async def _close_retired(self, *, all_of_them: bool = False) -> None:
        """Close servers that were left, once whatever was under way there has had its time."""
        now = time.monotonic()
        over = [one for one in self._retired if all_of_them or now - one[0] > 2 * self._timeout_s]
        self._retired = [one for one in self._retired if one not in over]
        for _, server in over:
            await server.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._close_retired(all_of_them=True)
        for server in (self._primary, *self._replicas.values()):
            if server is not None:
                await server.close()
        if self._sentinels is not None:
            await self._sentinels.close()
