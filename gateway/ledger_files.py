"""The files of a ledger's directory: who may write which, what a crash left, what is kept in reserve.

    NODE-sSLOT-STARTUTC-N.jsonl   a chain; N counts the slot's files from 0 without a gap
    NODE-sSLOT.lock               locked (flock) as long as a process writes in this slot
    NODE-sSLOT.mark               one sealed line: the file and sequence that the slot had surely reached
    NODE-sSLOT.reserve            disk space that is given up so that refusals can still be recorded
    policies/SHA256.toml          every policy that was ever in force, by its digest

A worker process takes the lowest free slot of its node; the lock dies with the process, however it dies.
Everything here blocks.
"""

import contextlib
import fcntl
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from gateway.ledger_format import open_line

SLOTS: Final = 4096
TAIL_BYTES: Final = 16 * 1024 * 1024
"""How far back a crash can have torn a file: more than the largest group written at once."""

_NODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CHAIN: Final = re.compile(r"(?P<node>.+)-s(?P<slot>\d+)-(?P<start>\d{8}T\d{6}Z)-(?P<n>\d+)\.jsonl")


class Disk:
    """The system calls on which the ledger's promise rests, in one place."""

    def write(self, fd: int, data: bytes | memoryview) -> int:
        return os.write(fd, data)

    def fdatasync(self, fd: int) -> None:
        os.fdatasync(fd)

    def truncate(self, fd: int, size_bytes: int) -> None:
        os.ftruncate(fd, size_bytes)

    def allocate(self, fd: int, size_bytes: int) -> None:
        os.posix_fallocate(fd, 0, size_bytes)


class ChainName(NamedTuple):
    """What a chain's file name says. Sorts by slot, then in the order of writing."""

    node: str
    slot: int
    number: int
    start: str

    @classmethod
    def parse(cls, name: str) -> "ChainName | None":
        match = _CHAIN.fullmatch(name)
        if match is None:
            return None
        return cls(match["node"], int(match["slot"]), int(match["n"]), match["start"])

    @property
    def stem(self) -> str:
        return f"{self.node}-s{self.slot}-{self.start}-{self.number}"

    @property
    def file(self) -> str:
        return f"{self.stem}.jsonl"

    @property
    def slot_name(self) -> str:
        return f"{self.node}-s{self.slot}"


def chain_names(directory: Path) -> list[ChainName]:
    """Every chain of a directory, slot by slot in the order of writing."""
    return sorted(name for entry in directory.iterdir() if (name := ChainName.parse(entry.name)))


@dataclass(frozen=True, slots=True)
class Slot:
    """The right to write one sequence of chains; held until `release` or the end of the process."""

    directory: Path
    node: str
    number: int
    lock_fd: int

    @classmethod
    def take(cls, directory: Path, node: str) -> "Slot":
        """The lowest free slot. Makes the directory (0700). Raises OSError, ValueError for a bad node name."""
        if not _NODE.fullmatch(node):
            raise ValueError(f"a node's name has letters, digits, '.', '_' and '-': {node!r}")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        for number in range(SLOTS):
            fd = os.open(directory / f"{node}-s{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                continue
            except OSError:
                os.close(fd)
                raise
            return cls(directory, node, number, fd)
        raise OSError(f"all {SLOTS} slots of node {node} are taken")

    def path(self, ending: str) -> Path:
        return self.directory / f"{self.node}-s{self.number}.{ending}"

    def chains(self) -> list[ChainName]:
        return [c for c in chain_names(self.directory) if (c.node, c.slot) == (self.node, self.number)]

    def next_chain(self, now: float) -> ChainName:
        """The name of the slot's next file; ``now`` in Unix seconds names its start."""
        chains = self.chains()
        start = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        return ChainName(self.node, self.number, chains[-1].number + 1 if chains else 0, start)

    def release(self) -> None:
        os.close(self.lock_fd)


def is_locked(directory: Path, slot_name: str) -> bool:
    """Whether a process is writing in a slot now."""
    try:
        fd = os.open(directory / f"{slot_name}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def sync_directory(directory: Path) -> None:
    """Make names just created or removed in a directory survive a power failure."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_whole(path: Path, data: bytes) -> None:
    """Write a small file so that at any moment either the old or the new one is there, whole."""
    fresh = path.with_name(path.name + ".new")
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):  # the first error is the one to report
            fresh.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


@dataclass(frozen=True, slots=True)
class Predecessor:
    """How a slot's last file ended, after repair. ``mac`` is None where nothing was ever written."""

    file: str | None = None
    mac: str | None = None
    cut_bytes: int = 0
    removed: tuple[str, ...] = ()


def repair_tail(slot: Slot) -> Predecessor:
    """Find the slot's newest file and cut what a crash tore off its end. Raises OSError.

    Cut is what follows the last whole record: such bytes were never acknowledged. A file without any whole
    record goes altogether; nothing was acknowledged from it either.
    """
    removed: list[str] = []
    cut_bytes = 0
    for chain in reversed(slot.chains()):
        path = slot.directory / chain.file
        size_bytes = path.stat().st_size
        keep_bytes, mac = _whole_records(path, size_bytes)
        cut_bytes += size_bytes - keep_bytes
        if mac is None:
            path.unlink()
            removed.append(chain.file)
            continue
        if keep_bytes < size_bytes:
            with path.open("r+b") as file:
                file.truncate(keep_bytes)
                os.fsync(file.fileno())
        sync_directory(slot.directory)
        return Predecessor(chain.file, mac, cut_bytes, tuple(removed))
    sync_directory(slot.directory)
    return Predecessor(cut_bytes=cut_bytes, removed=tuple(removed))


def _whole_records(path: Path, size_bytes: int) -> tuple[int, str | None]:
    """Up to which byte a file is whole, and the mac of the record that ends there.

    Only the form and the links are looked at. A seal that is wrong is no crash's doing and stays, for
    `gateway.ledger_verify` to name.
    """
    start = max(0, size_bytes - TAIL_BYTES)
    with path.open("rb") as file:
        file.seek(start)
        tail = file.read()
    at = 0 if start == 0 else tail.find(b"\n") + 1
    head: str | None = None
    while (end := tail.find(b"\n", at)) >= 0:
        opened = open_line(tail[at:end])
        if opened is None or (head is not None and opened.record["prev"] != head):
            break
        head = opened.mac
        at = end + 1
    if head is None and start > 0:
        raise OSError(f"{path.name}: no whole record in its last {TAIL_BYTES} bytes")
    return start + at, head


class Reserve:
    """Disk space kept back for records of refusals."""

    def __init__(self, path: Path, size_bytes: int, disk: Disk) -> None:
        self._path = path
        self._size_bytes = size_bytes
        self._disk = disk
        self.held = size_bytes == 0

    def make(self) -> None:
        """Take the space, wholly or not at all. Raises OSError (ENOSPC and the like)."""
        if self.held:
            return
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._disk.allocate(fd, self._size_bytes)
        except OSError:
            self._path.unlink()
            raise
        finally:
            os.close(fd)
        self.held = True

    def give_up(self) -> bool:
        """Free the space; False when there was none left to free. Raises OSError."""
        if not self.held or self._size_bytes == 0:
            return False
        self._path.unlink(missing_ok=True)
        self.held = False
        return True
