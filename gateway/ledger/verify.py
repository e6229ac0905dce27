"""Is the ledger what was written? Every seal, link and sequence, file by file, in the memory of one record.

What cannot be seen from the files alone: that records at the end of a slot's newest file were cut off after the
slot's last mark (made each minute and at an orderly end), and that a whole slot with its mark was removed. The
store's charge sequence (`gateway.ledger.reading.last_charge_seq`) tells those.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from gateway.ledger.files import ChainName, chain_names, is_locked
from gateway.ledger.format import FORMAT_VERSION, MAX_RECORD_BYTES, NO_PREDECESSOR, Opened, open_line

BACKWARDS_S: Final = 2.0
"""Records that waited for the same group may be this much out of order: a process further off is not ready."""
PROBLEMS_KEPT: Final = 1_000

Progress = Callable[[int, int], None]
"""Called with the bytes read so far and the bytes in all."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where. ``line`` counts from 1; 0 is the file as a whole."""

    file: str
    line: int
    what: str


@dataclass(slots=True)
class Verification:
    """What was read, what is wrong with it, and what is worth knowing without being wrong."""

    chains: int = 0
    records: int = 0
    problems: list[Problem] = field(default_factory=list)
    problems_in_all: int = 0
    notes: list[Problem] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        return self.problems_in_all == 0

    def problem(self, file: str, line: int, what: str) -> None:
        self.problems_in_all += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(Problem(file, line, what))

    def note(self, file: str, line: int, what: str) -> None:
        if len(self.notes) < PROBLEMS_KEPT:
            self.notes.append(Problem(file, line, what))

    def as_json(self) -> dict[str, Any]:
        return {
            "intact": self.intact,
            "chains": self.chains,
            "records": self.records,
            "problems_in_all": self.problems_in_all,
            "problems": [{"file": p.file, "line": p.line, "what": p.what} for p in self.problems],
            "notes": [{"file": p.file, "line": p.line, "what": p.what} for p in self.notes],
        }


@dataclass(slots=True)
class _Mark:
    file: str
    reached: int
    mac: str


@dataclass(slots=True)
class _Position:
    """How far a chain has been followed. None: not known, after a line that is no record."""

    seq: int | None
    head: str | None
    now: float


def verify(directory: Path, keys: Mapping[str, bytes], progress: Progress | None = None) -> Verification:
    """Read the whole ledger. ``keys`` by their ids. Raises OSError when it cannot be read."""
    found = Verification()
    for _ in walk(directory, keys, found, progress):
        pass
    return found


def walk(
    directory: Path, keys: Mapping[str, bytes], found: Verification, progress: Progress | None = None
) -> Iterator[dict[str, Any]]:
    """Every record whose seal is right, slot by slot in the order of writing; ``found`` is filled on the way.

    Raises OSError when the ledger cannot be read.
    """
    marks = _read_marks(directory, keys, found)  # before the chains: a live chain may then only be further
    names = chain_names(directory)
    slots: dict[str, list[ChainName]] = {}
    for name in names:
        slots.setdefault(name.slot_name, []).append(name)
    total_bytes = sum((directory / name.file).stat().st_size for name in names)
    read_bytes = 0
    for slot_name in sorted(slots.keys() | marks.keys()):
        mark = marks.get(slot_name)
        chains = slots.get(slot_name, [])
        if mark is None:
            found.problem(f"{slot_name}.mark", 0, "the slot's mark is missing")
        elif mark.file not in {name.file for name in chains}:
            found.problem(mark.file, 0, "the file is missing: the slot's mark names it")
        before: tuple[ChainName, str | None] | None = None
        for name in chains:
            reader = _ChainReader(directory, name, before, keys, found)
            reader.mark = mark if mark is not None and mark.file == name.file else None
            reader.live = name == chains[-1] and is_locked(directory, slot_name)
            for record in reader.records():
                yield record
                if progress is not None and found.records % 4096 == 0:
                    progress(read_bytes + reader.read_bytes, total_bytes)
            read_bytes += reader.read_bytes
            before = (name, reader.at.head)
    if progress is not None:
        progress(total_bytes, total_bytes)


def _read_marks(directory: Path, keys: Mapping[str, bytes], found: Verification) -> dict[str, _Mark | None]:
    marks: dict[str, _Mark | None] = {}
    for path in sorted(directory.glob("*.mark")):
        with path.open("rb") as file:
            opened = open_line(file.read(MAX_RECORD_BYTES).removesuffix(b"\n"))
        key = keys.get(opened.record["kid"]) if opened else None
        if opened is None or key is None or not opened.sealed_by(key):
            found.problem(path.name, 0, "the mark's seal is wrong, or its key is not among those given")
            continue
        record = opened.record
        marks[path.stem] = _Mark(record["file"], record["reached"], record["prev"])
    return marks


class _ChainReader:
    """One file, from its first record to its last."""

    def __init__(self, directory: Path, name: ChainName, before: tuple[ChainName, str | None] | None,
                 keys: Mapping[str, bytes], found: Verification) -> None:  # fmt: skip
        self._path = directory / name.file
        self._name = name
        self._before = before
        self._keys = keys
        self._found = found
        self.mark: _Mark | None = None
        self.live = False
        self.read_bytes = 0
        self.at = _Position(seq=-1, head=None, now=0.0)

    def records(self) -> Iterator[dict[str, Any]]:
        self._found.chains += 1
        self._check_number()
        line_number = 0
        with self._path.open("rb") as file:
            for line_number, line in enumerate(_lines(file), 1):
                self.read_bytes += len(line)
                record = self._check(line_number, line)
                if record is not None:
                    self._found.records += 1
                    yield record
        if line_number == 0 and not self.live:
            self._problem(0, "the file is empty")
        if self.mark is not None:
            self._problem(line_number, f"the file ends before record {self.mark.reached}, "
                                       "which the slot's mark says was written")  # fmt: skip

    def _problem(self, line_number: int, what: str) -> None:
        self._found.problem(self._name.file, line_number, what)

    def _check_number(self) -> None:
        number = self._before[0].number + 1 if self._before else 0
        if self._name.number > number:
            missing = self._name.number - number
            self._problem(0, f"{missing} file(s) of this slot before this one are missing: it is number "
                             f"{self._name.number}, not {number}")  # fmt: skip
        elif self._name.number < number:
            self._problem(0, f"two files of this slot have the number {self._name.number}")

    def _check(self, line_number: int, line: bytes) -> dict[str, Any] | None:
        """The record on a line if its seal is right. Everything wrong with it is noted, the first thing first."""
        if not line.endswith(b"\n"):
            if not self.live:
                self._problem(line_number, f"torn: {len(line)} bytes without an end")
            return None
        opened = open_line(line[:-1])
        if opened is None:
            self._problem(line_number, "not a record")
            self.at.seq, self.at.head = None, None
            return None
        wrong_seal = self._wrong_seal(opened)
        what = wrong_seal or self._wrong_place(opened, line_number) or self._wrong_time(opened)
        if what:
            self._problem(line_number, what)
        record = opened.record
        if line_number == 1 and not wrong_seal:
            self._check_start(record)
        self._check_mark(line_number, opened)
        self.at = _Position(record["seq"], opened.mac, record["now"])
        return None if wrong_seal else record

    def _wrong_seal(self, opened: Opened) -> str:
        kid = opened.record["kid"]
        key = self._keys.get(kid)
        if key is None:
            return f"sealed with the key {kid!r}, which is not among those given"
        return "" if opened.sealed_by(key) else "changed: the seal does not fit the content"

    def _wrong_place(self, opened: Opened, line_number: int) -> str:
        record = opened.record
        if record.get("v") != FORMAT_VERSION:
            return f"format version {record.get('v')!r} is not known"
        if record["chain"] != self._name.stem:
            return f"belongs to the chain {record['chain']}"
        if self.at.seq is not None and record["seq"] != self.at.seq + 1:
            return f"record {record['seq']} stands where {self.at.seq + 1} should: removed, added or moved"
        if line_number > 1 and self.at.head is not None and record["prev"] != self.at.head:
            return "does not follow the line before: the link is wrong"
        return ""

    def _wrong_time(self, opened: Opened) -> str:
        back_s = self.at.now - opened.record["now"]
        return f"time runs backwards by {back_s:.3f} s" if back_s > BACKWARDS_S else ""

    def _check_start(self, record: Mapping[str, Any]) -> None:
        if record.get("kind") != "start":
            self._problem(1, "the first record is no start record")
            return
        before = record.get("predecessor")
        expected = before["mac"] if before else NO_PREDECESSOR
        if record["prev"] != expected:
            self._problem(1, "the link is not the predecessor's head")
        if before is None:
            if self._before is not None:
                self._problem(1, f"names no predecessor, but {self._before[0].file} stands before it")
        elif self._before is None or before["file"] != self._before[0].file:
            self._problem(1, f"the predecessor {before['file']} is missing")
        elif self._before[1] is not None and self._before[1] != before["mac"]:
            self._found.problem(before["file"], 0, "ends otherwise than its successor says: "
                                "records at its end were removed, added or changed")  # fmt: skip
        if lost := record.get("lost"):
            self._problem(1, f"at this start record {lost['reached']} of {lost['file']}, once acknowledged, was gone")
        if record.get("repaired_bytes") or record.get("removed_files"):
            self._found.note(self._name.file, 1, f"a crash before this start left {record['repaired_bytes']} "
                             "bytes that are no whole records; they were cut and kept")  # fmt: skip

    def _check_mark(self, line_number: int, opened: Opened) -> None:
        if self.mark is None or opened.record["seq"] != self.mark.reached:
            return
        if opened.mac != self.mark.mac:
            self._problem(line_number, "is not the record that the slot's mark names")
        self.mark = None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines of at most MAX_RECORD_BYTES each: a longer one comes in pieces, which are no records."""
    while line := file.readline(MAX_RECORD_BYTES):
        yield line
