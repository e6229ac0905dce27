"""One worker's chains, written by one thread: groups of records, what goes wrong with disks, recovery.

1. A record counts as written when fdatasync has returned, never before.
2. After any error the file ends where the last acknowledged record ends, or is written no more.
3. After a failed sync the kernel may have dropped pages it reports as clean: such a file is never continued;
   a new one names it and the last head that was acknowledged.
4. When space is short, ordinary records are refused; those marked ``reserve`` may use the reserve up, and
   ordinary ones wait until it is whole again.

Everything here blocks and belongs to one thread, except the attribute `ChainWriter.healthy`.
"""

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from gateway.ledger.files import Disk, Predecessor, Reserve, Slot, repair_tail, sync_directory, write_whole
from gateway.ledger.format import NO_PREDECESSOR, Sealer

NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
TRIAL_BYTES: Final = 64 * 1024


class Entry(NamedTuple):
    """A record on its way: its time, its fields as a JSON object, whether it may use the reserve."""

    now: float
    fields: bytes
    reserve: bool


class SpaceExhausted(Exception):
    """Nothing was written for want of space; the file is as it was."""


@contextlib.contextmanager
def _space_exhausted_told_apart() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise SpaceExhausted(str(error)) from error
        raise


class ChainFile:
    """One open chain. Broken once the end of its file is in doubt (rules 2 and 3)."""

    def __init__(self, path: Path, sealer: Sealer, head: str, disk: Disk) -> None:
        """Raises OSError, FileExistsError too."""
        self.path = path
        self.head = head
        self.seq = 0
        self.size_bytes = 0
        self.last_now = 0.0
        self.broken = False
        self._sealer = sealer
        self._disk = disk
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)

    def append(self, entries: Sequence[Entry]) -> int:
        """Write all entries or none; the first one's sequence. Raises SpaceExhausted, OSError (then broken)."""
        head, seq, lines = self.head, self.seq, []
        for entry in entries:
            line, head = self._sealer.seal(seq, head, entry.now, entry.fields)
            lines.append(line)
            seq += 1
        data = b"".join(lines)
        self.broken = True  # until the opposite is known, whatever may be raised below
        try:
            self._write(data)
        except OSError as error:
            self.cut()
            if error.errno in NO_SPACE:
                self.broken = False
                raise SpaceExhausted(str(error)) from error
            raise
        self._disk.fdatasync(self._fd)
        self.broken = False
        first, self.head, self.seq = self.seq, head, seq
        self.size_bytes += len(data)
        self.last_now = max(self.last_now, entries[-1].now)
        return first

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._disk.write(self._fd, rest) :]

    def cut(self) -> None:
        """Take away whatever stands behind the last acknowledged record. Raises OSError."""
        self._disk.truncate(self._fd, self.size_bytes)

    def cut_for_good(self) -> None:
        """Like `cut`, and on disk."""
        self.cut()
        self._disk.fdatasync(self._fd)

    def is_linked(self) -> bool:
        """Whether the file still has its name (nobody deleted it under us)."""
        return os.fstat(self._fd).st_nlink > 0

    def close(self) -> None:
        os.close(self._fd)


class ChainWriter:
    """Everything a worker writes to the ledger, file after file. Not for two threads at once."""

    def __init__(self, directory: Path, node: str, key: bytes, key_id: str, *, now: float,
                 reserve_bytes: int, rotate_bytes: int, disk: Disk) -> None:  # fmt: skip
        """Take a slot, repair what a crash left, start a chain. Raises OSError."""
        self._directory, self._node, self._key, self._key_id = directory, node, key, key_id
        self._rotate_bytes = rotate_bytes
        self._disk = disk
        self._refused = 0
        self.cause = ""
        self._slot = Slot.take(directory, node)
        try:
            self._reserve = Reserve(self._slot.path("reserve"), reserve_bytes, disk)
            self._chain = self._start(repair_tail(self._slot), now)
        except SpaceExhausted as error:
            self._slot.release()
            raise OSError(errno.ENOSPC, str(error)) from error
        except OSError:
            self._slot.release()
            raise
        try:
            self._reserve.make()
        except OSError as error:
            self.cause = str(error)
        self.healthy = self._reserve.held

    @property
    def name(self) -> str:
        """The stem of the file being written."""
        return self._chain.path.stem

    @property
    def last_now(self) -> float:
        return self._chain.last_now

    def commit(self, entries: Sequence[Entry]) -> list[int | None]:
        """The sequence of each entry, all on disk; None for each that is not in the ledger."""
        ordinary_too = self._reserve.held
        admitted = [e for e in entries if ordinary_too or e.reserve]
        try:
            first = self._append(admitted) if admitted else 0
            self.healthy = self._reserve.held
        except SpaceExhausted as error:
            self._fail(error)
            ordinary_too = False
            admitted = [e for e in admitted if e.reserve]
            first = self._append_with_reserve(admitted)
        except OSError as error:
            self._fail(error)
            admitted = []
            first = -1
        if first < 0 or not admitted:
            self._refused += len(entries)
            return [None] * len(entries)
        sequences = iter(range(first, first + len(admitted)))
        outcome = [next(sequences) if ordinary_too or e.reserve else None for e in entries]
        self._refused += outcome.count(None)
        return outcome

    def _append_with_reserve(self, entries: Sequence[Entry]) -> int:
        """The first sequence, or -1 when even the reserve does not help."""
        if not entries:
            return -1
        while True:
            try:
                return self._append(entries)
            except SpaceExhausted as error:
                self._fail(error)
                try:
                    if not self._reserve.give_up():
                        return -1
                except OSError as second:
                    self._fail(second)
                    return -1
            except OSError as error:
                self._fail(error)
                return -1

    def _append(self, entries: Sequence[Entry]) -> int:
        if self._chain.broken or self._chain.size_bytes >= self._rotate_bytes:
            self._renew(entries[0].now)
        return self._chain.append(entries)

    def _fail(self, error: Exception) -> None:
        self.healthy = False
        self.cause = str(error)

    def _renew(self, now: float) -> None:
        """Go on in a new file that names the old one's last acknowledged head. Raises as `_start`."""
        old = self._chain
        if old.broken:
            old.cut_for_good()
        self._chain = self._start(Predecessor(old.path.name, old.head, self._next_number), max(now, old.last_now))
        old.close()

    def _start(self, predecessor: Predecessor, now: float) -> ChainFile:
        """A new file with its first record on disk. Raises OSError, SpaceExhausted, leaving no file then."""
        name = self._slot.chain(predecessor.next_number, now)
        sealer = Sealer(key=self._key, key_id=self._key_id, node=self._node, chain=name.stem)
        head = predecessor.mac or NO_PREDECESSOR
        with _space_exhausted_told_apart():
            chain = ChainFile(self._directory / name.file, sealer, head, self._disk)
        before = {"file": predecessor.file, "mac": predecessor.mac} if predecessor.file else None
        start = {
            "kind": "start",
            "predecessor": before,
            "repaired_bytes": predecessor.cut_bytes,
            "removed_files": predecessor.removed,
            "lost": predecessor.lost or None,
            "pid": os.getpid(),
        }
        try:
            with _space_exhausted_told_apart():
                chain.append([Entry(now, orjson.dumps(start), True)])
                sync_directory(self._directory)
                self._write_mark(chain)
        except (OSError, SpaceExhausted):
            chain.close()
            with contextlib.suppress(OSError):  # then the next start finds it and removes it
                chain.path.unlink()
            raise
        self._next_number = name.number + 1
        return chain

    def mark(self) -> None:
        """Note outside the chain how far it has come, so that a tail cut off afterwards is missed.

        An older mark stays true: want of space is no error here.
        """
        with contextlib.suppress(OSError):
            self._write_mark(self._chain)

    def _write_mark(self, chain: ChainFile) -> None:
        mark = orjson.dumps({"kind": "mark", "file": chain.path.name, "reached": chain.seq - 1})
        sealer = Sealer(key=self._key, key_id=self._key_id, node=self._node, chain=chain.path.stem)
        line, _ = sealer.seal(0, chain.head, chain.last_now, mark)
        write_whole(self._slot.path("mark"), line)

    def probe(self, now: float | None) -> bool:
        """Whether every record could be written now; repairs what can be repaired, and records that it did."""
        try:
            if not self._chain.is_linked():
                self._chain.broken = True
            self._try_space()
            if self.healthy and not self._chain.broken and not self._refused:
                return True
            time = max(now or 0.0, self._chain.last_now)
            if self._chain.broken:
                self._renew(time)
            self._reserve.make()
            recovered = {"kind": "alarm", "reason": "ledger_recovered", "cause": self.cause,
                         "records_refused": self._refused}  # fmt: skip
            self._append([Entry(time, orjson.dumps(recovered), True)])
        except (OSError, SpaceExhausted) as error:
            self._fail(error)
            return False
        self._refused = 0
        self.healthy = True
        return True

    def _try_space(self) -> None:
        """Raises OSError unless some space can be had: the end of a block alone would be no recovery."""
        path = self._slot.path("trial")
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._disk.allocate(fd, TRIAL_BYTES)
        finally:
            os.close(fd)
            path.unlink()

    def keep_policy(self, text: bytes) -> str:
        """Store a policy's text once, under its SHA-256. Raises OSError."""
        digest = hashlib.sha256(text).hexdigest()
        path = self._directory / "policies" / f"{digest}.toml"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            write_whole(path, text)
            sync_directory(self._directory)
        return digest

    def close(self) -> None:
        """End the chain with a record and give the slot back. What cannot be written any more is left out."""
        with contextlib.suppress(OSError, SpaceExhausted):  # a chain may end without a last word
            self._append([Entry(self._chain.last_now, b'{"kind":"stop"}', True)])
        self.mark()
        self.healthy = False
        self._chain.close()
        self._slot.release()
