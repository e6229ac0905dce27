"""The connection to Redis or Valkey: one way in, one kind of fault out, and the proof that it is the store we knew.

Rules of this file:

1. Every fault is ``StoreUnavailable``, raised within ``timeout_s`` and never retried here.
2. A store that was emptied, swapped or rolled back is ``StoreLost`` until it has been rebuilt.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gateway.config.store import StoreAddress, address_of
from gateway.ports import StoreUnavailable
from gateway.stores import keys, places
from gateway.stores.clock import StoreClock
from gateway.stores.cluster import Cluster
from gateway.stores.faults import StoreLost, StoreRefused
from gateway.stores.scripts import Argument as Argument
from gateway.stores.scripts import Placed, Run, tagged, tagged_names, writes
from gateway.stores.scripts import Script as Script
from gateway.stores.servers import Server
from gateway.stores.topology import Topology, named

log = logging.getLogger(__name__)

SAMPLE_EVERY_S = 1.0
AGAIN_S = 0.1
EPOCH_FILE = "store-epoch"


class Store:
    """The server or servers behind an address, their clock, and their epoch.

    ``place``: where the keys of a command are (``places.PLACES``); it matters only where the store has slots. ``took``
    is told how many seconds each call of a script was on its way.
    """

    def __init__(
        self, where: str | StoreAddress, *, timeout_s: float = 0.8, wall: Callable[[], float] = time.time
    ) -> None:
        self.clock = StoreClock()
        self.epoch = b""
        self.took: Callable[[float], None] = lambda seconds: None
        self._address = address_of(where) if isinstance(where, str) else where
        self.spread = self._address.topology == "cluster"
        self.places = places.PLACES if self.spread else (places.HOME,)
        self._lowest: dict[str, int] = {}
        kind = Cluster if self.spread else Topology
        self._topology: Cluster | Topology = kind(self._address, self.clock, timeout_s=timeout_s, wall=wall)
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
    def _asking(self, place: str, *, writing: bool) -> Iterator[Server]:
        """The server that is asked. Refuses at once what could only fail; after a fault it looks who is primary."""
        topology = self._topology.at(place)
        if why := topology.why_not(writing=writing):
            raise StoreRefused(why)
        try:
            yield topology.primary
        except StoreUnavailable:
            self._hurry.set()
            raise

    def _tag(self, place: str) -> str:
        return places.tag(place) if self.spread else ""

    async def call(self, *command: Argument, place: str = places.HOME) -> Any:
        """Run one command."""
        with self._asking(place, writing=writes([command])) as server:
            return await server.call(*tagged(self._tag(place), command))

    async def calls(self, *commands: Sequence[Argument], atomic: bool = False, place: str = places.HOME) -> list[Any]:
        """Run several commands in one round trip; ``atomic``: as one transaction."""
        if not commands:
            return []
        with self._asking(place, writing=writes(commands)) as server:
            return await server.calls([tagged(self._tag(place), one) for one in commands], atomic=atomic)

    async def run(
        self,
        script: Script,
        names: Sequence[bytes | str],
        arguments: Sequence[Argument],
        *,
        place: str = places.HOME,
    ) -> Any:
        """Run a script; the store is taught it when it does not know it (after its restart)."""
        with self._timed(), self._asking(place, writing=script.waits) as server:
            return await server.run(Run(script, tagged_names(self._tag(place), names), arguments))

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self.took(time.monotonic() - started)

    async def run_all(self, placed: Sequence[Placed]) -> list[Any]:
        """Run scripts in many places, one round trip for each server: each one's answer or ``StoreUnavailable``."""
        answers: list[Any] = [None] * len(placed)
        groups: dict[int, list[int]] = {}
        for at, one in enumerate(placed):
            try:
                topology = self._topology.at(one.place)
            except StoreUnavailable as fault:
                self._hurry.set()
                answers[at] = fault
            else:
                groups.setdefault(id(topology), []).append(at)
        with self._timed():
            runs = [self._run_group(placed, group, answers) for group in groups.values()]
            await (runs[0] if len(runs) == 1 else asyncio.gather(*runs))
        return answers

    async def _run_group(self, placed: Sequence[Placed], group: list[int], answers: list[Any]) -> None:
        runs = [
            Run(placed[at].script, tagged_names(self._tag(placed[at].place), placed[at].names), placed[at].arguments)
            for at in group
        ]
        try:
            with self._asking(placed[group[0]].place, writing=any(run.script.waits for run in runs)) as server:
                found = await server.runs(runs)
        except StoreUnavailable as fault:
            found = [fault] * len(group)
        for at, answer in zip(group, found, strict=True):
            if isinstance(answer, StoreUnavailable):
                self._hurry.set()
            answers[at] = answer

    async def each_place(
        self, *commands: Sequence[Argument], last: Sequence[Sequence[Argument]] = ()
    ) -> dict[str, list[Any]]:
        """Run the same commands in every place, and ``last`` behind them in one: one round trip for each server."""
        groups: dict[int, list[str]] = {}
        for place in self.places:
            groups.setdefault(id(self._topology.at(place)), []).append(place)
        found: dict[str, list[Any]] = {}
        for group in groups.values():
            size = len(commands)
            sent = [tagged(self._tag(place), one) for place in group for one in commands]
            sent += [tagged(self._tag(group[0]), one) for one in last]
            with self._asking(group[0], writing=writes(sent)) as server:
                said = await server.calls(sent)
            found.update({place: said[at * size : (at + 1) * size] for at, place in enumerate(group)})
        return {place: found[place] for place in self.places}

    def place_of(self, owner: str) -> str:
        """Where everything is counted that is counted for ``owner``."""
        return places.place_of(owner) if self.spread else places.HOME

    def lowest(self, place: str) -> int:
        """How many charges a place has acknowledged: with fewer it was rolled back."""
        return self._lowest.get(place, 0)

    def acknowledged(self, place: str, sequence: int) -> None:
        """A place has acknowledged so many charges."""
        self._lowest[place] = max(self.lowest(place), sequence)

    @property
    def highest_sequence(self) -> int:
        """The highest number of a charge that any place has acknowledged."""
        return max(self._lowest.values(), default=0)

    @highest_sequence.setter
    def highest_sequence(self, sequence: int) -> None:
        self._lowest[places.HOME] = sequence

    async def sample(self) -> None:
        """Look once who is primary and what time it is there; raises ``StoreUnavailable``."""
        await self._topology.look()

    async def _look(self) -> None:
        with contextlib.suppress(StoreUnavailable):  # seen by every request; here it only shows as an old sample
            await self.sample()

    async def _keep_sampling(self) -> None:
        """Each second; sooner after a fault, where another server may have taken over meanwhile."""
        was_well = True
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
            looking = asyncio.create_task(self._look())
            try:
                await asyncio.wait({looking})  # awaited itself, it might swallow an order to end that comes meanwhile
            finally:
                looking.cancel()
            well = not self.doubt
            if well != was_well:
                log.warning("the store's servers: %s", self.doubt or "all is well again")
            was_well = well

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
        """Compare the store's epoch with the file beside the ledger; made when both have none and nothing is charged.

        From here on every charge checks it. Raises ``StoreLost`` when the store has none or another, or has counted
        fewer charges than ``minimum_sequence``.
        """
        file = directory / EPOCH_FILE
        known = file.read_bytes().strip() if file.exists() else b""
        if not known and not await self._counted():
            await self.call("SET", keys.EPOCH, secrets.token_hex(16), "NX")
            made = await self.call("GET", keys.EPOCH)
            await self.each_place(("SET", keys.EPOCH, made, "NX"))
        before = dict(self._lowest) if known == self.epoch else {}
        said = await self.each_place(("GET", keys.EPOCH), ("GET", keys.SEQUENCE), last=self._last_write())
        epoch = known or bytes(said[places.HOME][0] or b"")
        for place, (theirs, _) in said.items():
            self._check_same(place, theirs, epoch, file)
        counted = {place: int(sequence or 0) for place, (_, sequence) in said.items()}
        for place, number in before.items():
            if counted[place] < number:
                raise StoreLost(f"{self._where(place)} counts {counted[place]} of {number} charges: rolled back")
        highest = max(counted.values())
        if minimum_sequence is not None and highest < minimum_sequence:
            raise StoreLost(f"the store counts {highest} charges, the ledger {minimum_sequence}: rolled back")
        if not known:
            write_synced(file, epoch)
        if epoch != self.epoch:
            self.epoch, self._lowest = epoch, {}
        for place, number in counted.items():
            self.acknowledged(place, number)
        return self.epoch

    async def _counted(self) -> bool:
        """Whether anything was ever charged: then a place without an epoch has lost it, and gets none by itself."""
        said = await self.each_place(("GET", keys.SEQUENCE))
        return any(int(sequence or 0) for (sequence,) in said.values())

    def _where(self, place: str) -> str:
        return f"the store's part {place!r}" if self.spread else "the store"

    def _check_same(self, place: str, theirs: bytes | None, epoch: bytes, file: Path) -> None:
        where = self._where(place)
        if not theirs:
            raise StoreLost(f"{where} has no epoch, {file} has one: it was emptied; rebuild it from the ledger")
        if theirs != epoch:
            raise StoreLost(f"{where} has an epoch that is not that of {file}: it is another store")

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

    async def adopt_epoch(self, directory: Path) -> None:
        """Believe from the next look on in the store as it is; raises ``StoreLost`` where it is not whole."""
        epoch = await self.call("GET", keys.EPOCH)
        if not epoch:
            raise StoreLost("the store has no epoch: its budgets are not counted yet")
        write_synced(directory / EPOCH_FILE, bytes(epoch))

    async def forget_epoch(self) -> None:
        """Take the epoch away: whoever knew it charges nothing until ``renew_epoch``."""
        await self.each_place(("DEL", keys.EPOCH))

    async def renew_epoch(self, directory: Path, sequence: int) -> None:
        """Declare this store whole again, once it has been rebuilt from the ledger up to ``sequence``."""
        epoch = secrets.token_hex(16)
        await self._topology.counted_anew()  # before: whoever is compared meanwhile would take the epoch away again
        await self.each_place(("SET", keys.SEQUENCE, sequence), ("SET", keys.EPOCH, epoch))
        write_synced(directory / EPOCH_FILE, epoch.encode())
        await self.ensure_epoch(directory, sequence)


def write_synced(file: Path, content: bytes) -> None:
    """A file of one line, whole and on disk, or as it was; raises ``OSError``."""
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
