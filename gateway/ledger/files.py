"""The files of a ledger's directory: who may write which, what a crash left, what is kept in reserve.

    NODE-sSLOT-STARTUTC-N.jsonl   a chain; N counts the slot's files from 0 without a gap
    CHAIN.jsonl.torn              what a start cut off its end (see `repair_tail`)
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
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway.ledger.format import Opened, open_line

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

    def chain(self, number: int, now: float) -> ChainName:
        """The name of a new file; ``now`` in Unix seconds names its start."""
        start = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        return ChainName(self.node, self.number, number, start)

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
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
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
    """How a slot's last file ended, after repair; without a file nothing was ever written.

    ``next_number`` is for the file that follows: no number is used twice, not even when files are gone.
    ``lost`` is the mark of a record that is not there, though it was acknowledged.
    """

    file: str | None = None
    mac: str | None = None
    next_number: int = 0
    cut_bytes: int = 0
    removed: tuple[str, ...] = ()
    lost: Mapping[str, object] | None = None


def repair_tail(slot: Slot) -> Predecessor:
    """Find the slot's newest file and cut what a crash tore off its end. Raises OSError.

    Cut is what follows the last whole record: a crash leaves there only what was never acknowledged. A file
    without any whole record goes altogether. What is cut is kept in FILE.torn, should it not have been a crash.
    """
    removed: list[str] = []
    cut_bytes = 0
    mark = _read_mark(slot)
    marked = ChainName.parse(str(mark["file"])) if mark else None
    for chain in reversed(slot.chains()):
        path = slot.directory / chain.file
        size_bytes = path.stat().st_size
        keep_bytes, last = _whole_records(path, size_bytes)
        cut_bytes += size_bytes - keep_bytes
        if keep_bytes < size_bytes:
            _cut(path, keep_bytes)
        if last is None:
            path.unlink()
            removed.append(chain.file)
            continue
        sync_directory(slot.directory)
        number = max(chain.number, marked.number if marked else -1) + 1
        is_lost = marked is not None and (chain.number, last.record["seq"]) < (marked.number, mark["reached"])
        return Predecessor(chain.file, last.mac, number, cut_bytes, tuple(removed), mark if is_lost else None)
    sync_directory(slot.directory)
    number = marked.number + 1 if marked else 0
    return Predecessor(next_number=number, cut_bytes=cut_bytes, removed=tuple(removed), lost=mark)


def _cut(path: Path, keep_bytes: int) -> None:
    fd = os.open(path.with_name(path.name + ".torn"), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with path.open("r+b") as file, os.fdopen(fd, "wb") as torn:
        file.seek(keep_bytes)
        shutil.copyfileobj(file, torn)
        torn.flush()
        os.fsync(fd)
        sync_directory(path.parent)
        file.truncate(keep_bytes)
        os.fsync(file.fileno())


def _read_mark(slot: Slot) -> dict[str, Any]:
    """The file and sequence that the slot had reached; empty where no mark can be read."""
    try:
        opened = open_line(slot.path("mark").read_bytes().removesuffix(b"\n"))
    except FileNotFoundError:
        return {}
    if opened is None or not isinstance(opened.record.get("reached"), int):
        return {}
    return {"file": str(opened.record.get("file")), "reached": opened.record["reached"]}


def _whole_records(path: Path, size_bytes: int) -> tuple[int, Opened | None]:
    """Up to which byte a file is whole, and the record that ends there.

    Only the form and the links are looked at. A seal that is wrong is no crash's doing and stays, for
    `gateway.ledger.verify` to name.
    """
    start = max(0, size_bytes - TAIL_BYTES)
    with path.open("rb") as file:
        file.seek(start)
        tail = file.read()
    at = 0 if start == 0 else tail.find(b"\n") + 1
    last: Opened | None = None
    while (end := tail.find(b"\n", at)) >= 0:
        opened = open_line(tail[at:end])
        if opened is None or (last is not None and opened.record["prev"] != last.mac):
            break
        last = opened
        at = end + 1
    if last is None and start > 0:
        raise OSError(f"{path.name}: no whole record in its last {TAIL_BYTES} bytes")
    return start + at, last


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
