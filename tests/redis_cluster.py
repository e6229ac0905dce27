"""A Redis Cluster for tests that hurt it: real servers on loopback ports, primaries with their replicas."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from redis_servers import RedisServer, running, wait_for
from stack import free_ports

SLOTS = 16_384
NODE_TIMEOUT_S = 4.0
"""After so long without an answer a node is given up by the others: long enough for a busy machine."""


@dataclass(frozen=True)
class Shards:
    """The servers: ``primaries`` at the beginning, and their ``replicas`` in the same order."""

    primaries: tuple[RedisServer, ...]
    replicas: tuple[RedisServer, ...]

    @property
    def servers(self) -> tuple[RedisServer, ...]:
        return (*self.primaries, *self.replicas)

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{one.port}" for one in self.servers)

    def primary_of(self, slot: int) -> RedisServer:
        """Who serves a slot now, as the first living server says."""
        asked = next(one for one in self.servers if one.answers())
        for first, last, primary, *_ in asked.ask("CLUSTER", "SLOTS"):
            if int(first) <= slot <= int(last):
                return next(one for one in self.servers if one.port == int(primary[1]))
        raise AssertionError(f"nobody serves slot {slot}")


@contextlib.contextmanager
def clustered(
    directory: Path, primaries: int = 3, *, replicas: int = 0, node_timeout_s: float = NODE_TIMEOUT_S
) -> Iterator[Shards]:
    """A cluster of so many primaries, each with ``replicas`` replicas, all in step, while the block runs."""
    settings = {
        "cluster-enabled": "yes",
        "cluster-node-timeout": str(int(node_timeout_s * 1000)),
        "cluster-replica-validity-factor": "0",
        "maxmemory-policy": "noeviction",
    }
    with contextlib.ExitStack() as ends:
        buses = free_ports(primaries * (1 + replicas))  # the usual one, 10,000 above, is no port here
        made = [
            ends.enter_context(running(directory / str(at), {**settings, "cluster-port": str(bus)}))
            for at, bus in enumerate(buses)
        ]
        shards = Shards(tuple(made[:primaries]), tuple(made[primaries:]))
        for at, one in enumerate(made):
            one.ask("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
            if at:
                one.ask("CLUSTER", "MEET", "127.0.0.1", made[0].port, buses[0])
        for at, one in enumerate(shards.primaries):
            first, after = SLOTS * at // primaries, SLOTS * (at + 1) // primaries
            one.ask("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
        wait_for(lambda: all(_knows(one, len(made)) for one in made), "the cluster")
        for at, one in enumerate(shards.replicas):
            one.ask("CLUSTER", "REPLICATE", shards.primaries[at % primaries].ask("CLUSTER", "MYID"))
        wait_for(lambda: all(_state(one).get("cluster_state") == "ok" for one in made), "the cluster's state")
        if replicas:
            wait_for(lambda: in_step(shards), "the replicas")
        yield shards


def in_step(shards: Shards) -> bool:
    """Whether the cluster is whole: every primary has as many replicas as at the beginning, which all know of."""
    replicas = len(shards.replicas) // len(shards.primaries)
    for asked in shards.servers:
        if not asked.answers() or _state(asked).get("cluster_state") != "ok":
            return False
        if any(len(one) - 3 != replicas for one in asked.ask("CLUSTER", "SLOTS")):
            return False
    ports = {int(one[2][1]) for one in shards.primaries[0].ask("CLUSTER", "SLOTS")}
    return all(_online(one, replicas) for one in shards.servers if one.port in ports)


def _state(server: RedisServer) -> dict[str, str]:
    said = server.ask("CLUSTER", "INFO")
    return said if isinstance(said, dict) else dict(line.split(":", 1) for line in said.splitlines() if ":" in line)


def _knows(server: RedisServer, servers: int) -> bool:
    return _state(server).get("cluster_known_nodes") == str(servers)


def _online(primary: RedisServer, replicas: int) -> bool:
    info = primary.ask("INFO", "replication")
    return [info.get(f"slave{at}", {}).get("state") for at in range(replicas)] == ["online"] * replicas
