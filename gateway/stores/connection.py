"""The connection to Redis or Valkey: one way in, one kind of fault out, and the proof that it is the store we knew.

Rules of this file:

1. Every fault is ``StoreUnavailable``, raised within ``timeout_s`` and never retried here.
2. A store that was emptied, swapped or rolled back is ``StoreLost`` until it has been rebuilt.
"""

import asyncio
import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from gateway.config.store import StoreAddress, address_of
from gateway.ports import StoreUnavailable
from gateway.stores import keys
from gateway.stores.clock import StoreClock
from gateway.stores.faults import NO_ANSWER, StoreLost, translated
from gateway.stores.servers import pool_of

SAMPLE_EVERY_S = 1.0
EPOCH_FILE = "store-epoch"

Argument = bytes | str | int | float


class Script:
    """One script of ``stores/lua``, called by its digest; its files one after the other, behind ``tag.lua``."""

    def __init__(self, *names: str) -> None:
        self.names = names

    @cached_property
    def source(self) -> bytes:
        """The text that is sent when the store does not know the digest."""
        folder = resources.files("gateway.stores") / "lua"
        return b"\n".join((folder / f"{name}.lua").read_bytes() for name in ("tag", *self.names))

    @cached_property
    def digest(self) -> str:
        """SHA-1 of the source, as EVALSHA asks for."""
        return hashlib.sha1(self.source, usedforsecurity=False).hexdigest()


class Store:
    """A pool of connections to one server, its clock, and its epoch."""

    def __init__(self, where: str | StoreAddress, *, timeout_s: float = 0.8) -> None:
        self.clock = StoreClock()
        self.epoch = b""
        self.highest_sequence = 0
        self._timeout_s = timeout_s
        self._address = address_of(where) if isinstance(where, str) else where
        if self._address.several:
            raise StoreUnavailable(f"a store behind a {self._address.topology} is not served yet")
        self._pool = pool_of(self._address, None, timeout_s)
        self._redis = Redis(connection_pool=self._pool)
        self._execute: Callable[..., Awaitable[Any]] = self._redis.execute_command
        self._sampler: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, where: str | StoreAddress, *, timeout_s: float = 0.8) -> "Store":
        """Connect to a URL or an address; raises ``StoreUnavailable`` when nobody answers."""
        store = cls(where, timeout_s=timeout_s)
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
        await self._redis.aclose()
        await self._pool.disconnect()

    @contextlib.asynccontextmanager
    async def _faults_translated(self, *, alone: bool = True) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except TimeoutError as fault:
            raise StoreUnavailable(f"no answer within {self._timeout_s} s ({NO_ANSWER.what_to_do})") from fault
        except (RedisError, OSError) as fault:
            raise translated(fault, alone=alone) from fault

    async def call(self, *command: Argument) -> Any:
        """Run one command."""
        async with self._faults_translated():
            return await self._execute(*command)

    async def calls(self, *commands: Sequence[Argument], atomic: bool = False) -> list[Any]:
        """Run several commands in one round trip; ``atomic``: as one transaction."""
        async with self._faults_translated(alone=False), self._redis.pipeline(transaction=atomic) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            answers = list(await pipeline.execute(raise_on_error=False))
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return answers

    async def run(self, script: Script, names: Sequence[bytes | str], arguments: Sequence[Argument]) -> Any:
        """Run a script; the store is taught it when it does not know it (after its restart)."""
        async with self._faults_translated():
            try:
                return await self._execute("EVALSHA", script.digest, len(names), *names, *arguments)
            except NoScriptError:
                return await self._execute("EVAL", script.source, len(names), *names, *arguments)

    async def sample(self) -> None:
        """Read the store's time once."""
        before = time.monotonic()
        seconds, micros = await self.call("TIME")
        self.clock.sampled(int(seconds) + int(micros) / 1e6, before, time.monotonic())

    async def _keep_sampling(self) -> None:
        while self._sampler is not None:
            await asyncio.sleep(SAMPLE_EVERY_S)
            with contextlib.suppress(StoreUnavailable):  # seen by every request; here it only shows as an old sample
                await self.sample()

    async def complaints(self) -> tuple[str, ...]:
        """What is wrong with the server's configuration, in words: it must neither evict nor forget."""
        memory, persistence = (
            _fields(answer) for answer in await self.calls(("INFO", "memory"), ("INFO", "persistence"))
        )
        found: list[str] = []
        policy = memory.get("maxmemory_policy", "unknown")
        if memory.get("maxmemory", "0") != "0" and policy != "noeviction":
            found.append(f"maxmemory-policy is {policy}: budgets could be evicted; set it to noeviction")
        if persistence.get("aof_enabled") != "1":
            found.append("appendonly is off: budgets would be forgotten at a restart; set appendonly yes")
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
        epoch, sequence = await self.calls(("GET", keys.EPOCH), ("GET", keys.SEQUENCE))
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


def _fields(info: Any) -> dict[str, str]:
    if isinstance(info, dict):
        return {str(name): str(value) for name, value in info.items()}
    lines = bytes(info).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


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
