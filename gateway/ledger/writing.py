"""The ledger's writing side: one append-only, sealed chain of records per worker process and start.

`Ledger.append` returns once the record is on disk, and only then may the answer it tells of be released. All
appends that wait are written and synced together, by a thread of their own; while one group is being synced
the next one gathers. The format is told in `gateway.ledger.format`, the files in `gateway.ledger.files`, what
happens on a bad or full disk in `gateway.ledger.chain`, reading in `gateway.ledger.reading`.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import orjson

from gateway.ledger.chain import ChainWriter, Entry
from gateway.ledger.files import Disk
from gateway.ledger.format import ENVELOPE, MAX_RECORD_BYTES

__all__ = ["Ledger", "LedgerUnavailable"]

MAX_GROUP_BYTES: Final = 1024 * 1024
MAX_COUNTED_KEYS: Final = 10_000
MIB: Final = 1024 * 1024
OTHER: Final = ("other",)
END_OF_TIME: Final = 253402300800.0  # the year 10000: no ISO 8601 time of four digits
T = TypeVar("T")


class LedgerUnavailable(Exception):
    """The record is not on disk: nothing it would tell of may be released (503 ``ledger_unavailable``)."""


class Ledger:
    """One worker's ledger. Every method belongs to the event loop on which it was opened.

    ``took`` is told how many seconds each group of records took to the disk.
    """

    def __init__(self, writer: ChainWriter, thread: ThreadPoolExecutor, now: float) -> None:
        self._writer = writer
        self._thread = thread
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Entry, asyncio.Future[int]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._counts: dict[tuple[str, ...], int] = {}
        self._counted_since = now
        self._closed = False
        self.took: Callable[[float], None] = lambda seconds: None

    @classmethod
    async def open(
        cls,
        directory: Path,
        node: str,
        key: bytes,
        key_id: str,
        *,
        now: float,
        reserve_bytes: int = 16 * MIB,
        rotate_bytes: int = 1024 * MIB,
        disk: Disk | None = None,
    ) -> "Ledger":
        """Take the lowest free slot of ``node`` in ``directory`` and start a chain there.

        ``key`` seals the records and is named ``key_id`` in them. A file of ``rotate_bytes`` is followed by a
        new one. Raises LedgerUnavailable, ValueError for a node's name that cannot stand in a file's.
        """
        thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        start = partial(ChainWriter, directory, node, key, key_id, now=now, reserve_bytes=reserve_bytes,
                        rotate_bytes=rotate_bytes, disk=disk or Disk())  # fmt: skip
        try:
            writer = await asyncio.get_running_loop().run_in_executor(thread, start)
        except OSError as error:
            thread.shutdown(wait=False)
            raise LedgerUnavailable(str(error)) from error
        except ValueError:
            thread.shutdown(wait=False)
            raise
        return cls(writer, thread, now)

    @property
    def healthy(self) -> bool:
        """Whether the last attempt to write succeeded and the reserve is whole."""
        return self._writer.healthy and not self._closed

    @property
    def chain(self) -> str:
        """The name of the chain being written: with a sequence it names a record."""
        return self._writer.name

    async def append(self, record: Mapping[str, object], *, now: float, reserve: bool = False) -> int:
        """Write a record and return its sequence once it is on disk.

        ``record`` has a ``kind`` and none of the envelope's fields. ``reserve`` is for refusals and events: they
        are recorded even on a full disk, while the reserve lasts. A caller cancelled while waiting leaves its
        record to be written. Raises LedgerUnavailable; ValueError or TypeError for what cannot be a record.
        """
        if not isinstance(record.get("kind"), str) or not ENVELOPE.isdisjoint(record):
            raise ValueError("a record has a kind and none of the envelope's fields")
        if not 0 <= now < END_OF_TIME:
            raise ValueError(f"no time in Unix seconds: {now}")
        fields = orjson.dumps(record if type(record) is dict else dict(record))
        if len(fields) > MAX_RECORD_BYTES - 4096:
            raise ValueError(f"a record has at most {MAX_RECORD_BYTES - 4096} bytes, not {len(fields)}")
        if self._closed:
            raise LedgerUnavailable("the ledger is closed")
        future: asyncio.Future[int] = self._loop.create_future()
        self._waiting.append((Entry(now, fields, reserve), future))
        if self._writing is None or self._writing.done():
            self._writing = self._loop.create_task(self._write_groups())
        return await future

    async def _write_groups(self) -> None:
        """Write group after group until nobody waits."""
        while self._waiting:
            await self._write(self._next_group())

    def _next_group(self) -> list[tuple[Entry, "asyncio.Future[int]"]]:
        size_bytes = 0
        for index, (entry, _) in enumerate(self._waiting):
            size_bytes += len(entry.fields)
            if size_bytes > MAX_GROUP_BYTES and index:
                break
        else:
            index = len(self._waiting)
        group, self._waiting = self._waiting[:index], self._waiting[index:]
        return group

    async def _write(self, group: list[tuple[Entry, "asyncio.Future[int]"]]) -> None:
        started = time.monotonic()
        try:
            outcome = await self._in_thread(self._writer.commit, [entry for entry, _ in group])
            self.took(time.monotonic() - started)
        except BaseException as error:
            # A fault of ours, or the loop being torn down: nobody may wait for it or take it for written.
            waiting, self._waiting = self._waiting, []
            for _, future in group + waiting:
                if not future.done():
                    refusal = LedgerUnavailable("the ledger's writer failed")
                    refusal.__cause__ = error
                    future.set_exception(refusal)
            raise
        for (_, future), sequence in zip(group, outcome, strict=True):
            if future.done():
                continue
            if sequence is None:
                future.set_exception(LedgerUnavailable(self._writer.cause))
            else:
                future.set_result(sequence)

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await self._loop.run_in_executor(self._thread, function, *arguments)

    def count(self, key: tuple[str, ...], *, now: float) -> None:
        """Count an event that gets no record of its own (see `flush_counts`)."""
        if not self._counts:
            self._counted_since = now
        if key not in self._counts and len(self._counts) >= MAX_COUNTED_KEYS:
            key = OTHER
        self._counts[key] = self._counts.get(key, 0) + 1

    async def flush_counts(self, *, now: float) -> None:
        """Write what was counted since the last time as one record. Raises LedgerUnavailable: nothing is lost.

        Called once a minute, it also renews the mark by which a tail cut off later is missed.
        """
        if self._counts:
            counts, self._counts = self._counts, {}
            since = self._counted_since
            listed = [{"key": key, "count": n} for key, n in counts.items()]
            try:
                await self.append({"kind": "counts", "since": since, "counts": listed}, now=now, reserve=True)
            except BaseException:
                for key, n in counts.items():
                    self._counts[key] = self._counts.get(key, 0) + n
                self._counted_since = since
                raise
        if not self._closed:
            await self._in_thread(self._writer.mark)

    async def probe(self, *, now: float | None = None) -> bool:
        """Whether any record could be written now; recovers what has become possible again.

        Called every second; it tries to take a little space, so it sees a full disk before a record does.
        """
        return not self._closed and await self._in_thread(self._writer.probe, now)

    async def keep_policy(self, text: bytes) -> str:
        """Keep a policy's text for good and return the digest by which records name it.

        Raises LedgerUnavailable.
        """
        if self._closed:
            raise LedgerUnavailable("the ledger is closed")
        try:
            return await self._in_thread(self._writer.keep_policy, text)
        except OSError as error:
            raise LedgerUnavailable(str(error)) from error

    async def aclose(self) -> None:
        """Write what waits and what was counted, end the chain, give the slot back. Twice is once."""
        if self._closed:
            return
        with contextlib.suppress(LedgerUnavailable):  # counts only, and no disk left to tell
            await self.flush_counts(now=self._writer.last_now)
        self._closed = True
        if self._writing is not None:
            await asyncio.wait([self._writing])
        await self._in_thread(self._writer.close)
        self._thread.shutdown(wait=True)
