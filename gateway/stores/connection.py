"""The connection to Redis or Valkey: one way in, one kind of fault out, and the proof that it is the store we knew.

Rules of this file:

1. Every fault is ``StoreUnavailable``, raised within ``timeout_s`` and never retried here.
2. A store that was emptied, swapped or rolled back is ``StoreLost`` until it has been rebuilt.
"""

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gateway.config.store import StoreAddress, address_of
from gateway.ports import StoreUnavailable
from gateway.stores import keys
from gateway.stores.clock import StoreClock
from gateway.stores.faults import StoreLost, StoreRefused
from gateway.stores.scripts import Argument as Argument
from gateway.stores.scripts import Run, writes
from gateway.stores.scripts import Script as Script
from gateway.stores.servers import Server
from gateway.stores.topology import Topology, named

SAMPLE_EVERY_S = 1.0
AGAIN_S = 0.1
EPOCH_FILE = "store-epoch"


class Store:
    """The server or servers behind an address, their clock, and their epoch."""

    def __init__(
        self, where: str | StoreAddress, *, timeout_s: float = 0.8, wall: Callable[[], float] = time.time
    ) -> None:
        self.clock = StoreClock()
        self.epoch = b""
        self.highest_sequence = 0
        self._address = address_of(where) if isinstance(where, str) else where
        if self._address.topology == "cluster":
            raise StoreUnavailable("a store behind a cluster is not served yet")
        self._topology = Topology(self._address, self.clock, timeout_s=timeout_s, wall=wall)
        self._sampler: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    @classmethod
    async def connect(
        cls, where: str | StoreAddress, *, timeout_s: float = 0.8, wall: Callable[[], float] = time.time
    ) -> "Store":
        """Connect to a URL or an address; raises ``StoreUnavailable`` when nobody answers.

        ``wall``: this machine's clock, which is ``now`` where several servers stand behind the address.
        """
        store = cls(where, timeout_s=timeout_s, wall=wall)
        try:
            await store.sample()
        except StoreUnavailable:
            await store.close()
            raise
        store._sampler = asyncio.create_task(store._keep_sampling(), name="store-clock")
        return store

    async def close(self) -> None:
        """Stop sampling and close every connection."""
        if (sampler := self._sampler) is not None:
            self._sampler = None  # an order to end that comes in the middle of a command may be lost there
            sampler.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sampler
        await self._topology.close()

    @property
    def doubt(self) -> str:
        """What is not as it should be with the servers behind the address; empty where all is well."""
        return self._topology.refusal or self._topology.scarce or self._topology.doubt

    @contextlib.contextmanager
    def _asking(self, *, writing: bool) -> Iterator[Server]:
        """The server that is asked. Refuses at once what could only fail; after a fault it looks who is primary."""
        if why := self._topology.why_not(writing=writing):
            raise StoreRefused(why)
        try:
            yield self._topology.primary
        except StoreUnavailable:
            self._hurry.set()
            raise

    async def call(self, *command: Argument) -> Any:
        """Run one command."""
        with self._asking(writing=writes([command])) as server:
            return await server.call(*command)

    async def calls(self, *commands: Sequence[Argument], atomic: bool = False) -> list[Any]:
        """Run several commands in one round trip; ``atomic``: as one transaction."""
        if not commands:
            return []
        with self._asking(writing=writes(commands)) as server:
            return await server.calls(commands, atomic=atomic)

    async def run(self, script: Script, names: Sequence[bytes | str], arguments: Sequence[Argument]) -> Any:
        """Run a script; the store is taught it when it does not know it (after its restart)."""
        with self._asking(writing=script.waits) as server:
            return await server.run(Run(script, names, arguments))

    async def sample(self) -> None:
        """Look once who is primary and what time it is there; raises ``StoreUnavailable``."""
        await self._topology.look()

    async def _keep_sampling(self) -> None:
        """Each second; sooner after a fault, where another server may have taken over meanwhile."""
        while self._sampler is not None:
            if self._address.several:
                every_s = AGAIN_S if self._topology.refusal else SAMPLE_EVERY_S
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(every_s - AGAIN_S):
                        await self._hurry.wait()
                self._hurry.clear()
                await asyncio.sleep(AGAIN_S)
            else:
                await asyncio.sleep(SAMPLE_EVERY_S)
            with contextlib.suppress(StoreUnavailable):  # seen by every request; here it only shows as an old sample
                await self.sample()

    async def complaints(self) -> tuple[str, ...]:
        """What is wrong with the servers' configuration, in words: none may evict or forget, nor lack its replicas."""
        found = [self.doubt] if self.doubt else []
        for server in self._topology.servers:
            memory, persistence = await server.calls([("INFO", "memory"), ("INFO", "persistence")])
            place = f"{named(server.node)}: " if self._address.several else ""
            policy = memory.get("maxmemory_policy", "unknown")
            if str(memory.get("maxmemory", 0)) != "0" and policy != "noeviction":
                found.append(f"{place}maxmemory-policy is {policy}: budgets could be evicted; set it to noeviction")
            if str(persistence.get("aof_enabled")) != "1":
                found.append(f"{place}appendonly is off: budgets would be forgotten at a restart; set appendonly yes")
        return tuple(found)

    async def ensure_epoch(self, directory: Path, minimum_sequence: int | None = None) -> bytes:
        """Compare the store's epoch with the file beside the ledger; made when both have none.

        From here on every charge checks it. Raises ``StoreLost`` when the store has none or another, or has counted
        fewer charges than ``minimum_sequence``.
        """
        file = directory / EPOCH_FILE
        known = file.read_bytes().strip() if file.exists() else b""
        if not known:
            await self.call("SET", keys.EPOCH, secrets.token_hex(16), "NX")
        epoch, sequence, *_ = await self.calls(("GET", keys.EPOCH), ("GET", keys.SEQUENCE), *self._last_write())
        if not epoch:
            raise StoreLost(f"the store has no epoch, {file} has one: it was emptied; rebuild it from the ledger")
        if known and known != epoch:
            raise StoreLost(f"the store's epoch is not that of {file}: it is another store")
        if minimum_sequence is not None and int(sequence or 0) < minimum_sequence:
            raise StoreLost(
                f"the store counts {int(sequence or 0)} charges, the ledger {minimum_sequence}: rolled back"
            )
        if not known:
            _write_synced(file, bytes(epoch))
        known_since = self.highest_sequence if bytes(epoch) == self.epoch else 0
        self.epoch = bytes(epoch)
        self.highest_sequence = max(int(sequence or 0), minimum_sequence or 0, known_since)
        return self.epoch

    def _last_write(self) -> Sequence[Sequence[Argument]]:
        """A write behind what is read: once it is acknowledged, so is all that was read.

        Without it a number could be believed that whoever takes the primary's place has never heard of.
        """
        return (("SET", keys.PROBE, "1", "EX", keys.MINUTE_S),) if self._address.replicas else ()

    async def check_epoch(self, directory: Path) -> None:
        """Compare again, as a running worker does each second: takes up where the store has been rebuilt meanwhile.

        Raises ``StoreLost`` as long as it has not, ``StoreUnavailable``.
        """
        file = directory / EPOCH_FILE
        renewed = file.exists() and file.read_bytes().strip() != self.epoch
        # After a rebuilding the ledger's number counts: charges that were never released are not in it.
        await self.ensure_epoch(directory, None if renewed else self.highest_sequence)

    async def forget_epoch(self) -> None:
        """Take the epoch away: whoever knew it charges nothing until ``renew_epoch``."""
        await self.call("DEL", keys.EPOCH)

    async def renew_epoch(self, directory: Path, sequence: int) -> None:
        """Declare this store whole again, once it has been rebuilt from the ledger up to ``sequence``."""
        epoch = secrets.token_hex(16)
        await self.calls(("SET", keys.EPOCH, epoch), ("SET", keys.SEQUENCE, sequence), atomic=True)
        _write_synced(directory / EPOCH_FILE, epoch.encode())
        await self.ensure_epoch(directory, sequence)


def _write_synced(file: Path, content: bytes) -> None:
    temporary = file.with_name(f"{file.name}.{os.getpid()}.new")
    with temporary.open("wb") as stream:
        stream.write(content + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
