"""The ledger on a full or failing disk: nothing half written is acknowledged, and it comes back by itself."""

import asyncio
import errno
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.ledger import Ledger, LedgerUnavailable
from gateway.ledger.files import Disk
from gateway.ledger.reading import verify

KEY = b"k" * 32
KEYS = {"k1": KEY}
NOW = 1_800_000_000.0
ANSWER = {"kind": "answer", "text": "x" * 400}
REFUSAL = {"kind": "refusal", "text": "x" * 400}
RESERVE_BYTES = 64 * 1024


class SmallDisk(Disk):
    """A directory that holds so many bytes and no more; what fits of a write is written."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.capacity_bytes = 10_000_000

    def free_bytes(self) -> int:
        return self.capacity_bytes - sum(path.stat().st_size for path in self.directory.iterdir())

    def fill(self, *, leaving_bytes: int) -> None:
        self.capacity_bytes -= self.free_bytes() - leaving_bytes

    def write(self, fd: int, data: bytes | memoryview) -> int:
        room = self.free_bytes()
        if room <= 0:
            raise OSError(errno.ENOSPC, "no space left")
        return super().write(fd, data[:room])

    def allocate(self, fd: int, size_bytes: int) -> None:
        if size_bytes - os.fstat(fd).st_size > self.free_bytes():
            raise OSError(errno.ENOSPC, "no space left")
        super().allocate(fd, size_bytes)


class FailingDisk(Disk):
    """Fails in the calls named, with EIO."""

    def __init__(self) -> None:
        self.failing: set[str] = set()

    def _fail(self, call: str) -> None:
        if call in self.failing:
            raise OSError(errno.EIO, call)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        if "write" in self.failing:
            super().write(fd, data[:10])
        self._fail("write")
        return super().write(fd, data)

    def fdatasync(self, fd: int) -> None:
        self._fail("fdatasync")
        super().fdatasync(fd)

    def truncate(self, fd: int, size_bytes: int) -> None:
        self._fail("truncate")
        super().truncate(fd, size_bytes)


class StutteringDisk(Disk):
    def write(self, fd: int, data: bytes | memoryview) -> int:
        return super().write(fd, data[:7])


async def open_ledger(directory: Path, disk: Disk, **options: Any) -> Ledger:
    options = {"now": NOW, "reserve_bytes": RESERVE_BYTES} | options
    return await Ledger.open(directory, "n1", KEY, "k1", disk=disk, **options)


def records(directory: Path) -> list[Mapping[str, Any]]:
    files = sorted(directory.glob("*.jsonl"), key=lambda path: int(path.stem.rsplit("-", 1)[1]))
    return [orjson.loads(line) for path in files for line in path.read_bytes().splitlines()]


def kinds(directory: Path) -> list[str]:
    return [record["kind"] for record in records(directory)]


async def refused(ledger: Ledger, record: Mapping[str, object], *, reserve: bool = False) -> bool:
    try:
        await ledger.append(record, now=NOW, reserve=reserve)
    except LedgerUnavailable:
        return True
    return False


async def test_short_writes_are_continued(tmp_path: Path) -> None:
    ledger = await open_ledger(tmp_path, StutteringDisk())
    await asyncio.gather(*(ledger.append(ANSWER, now=NOW) for _ in range(5)))
    await ledger.aclose()
    assert verify(tmp_path, KEYS).problems == []
    assert kinds(tmp_path) == ["start", *["answer"] * 5, "stop"]


async def test_on_a_full_disk_every_waiting_append_is_refused_and_nothing_stays(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path)
    ledger = await open_ledger(tmp_path, disk)
    path = tmp_path / f"{ledger.chain}.jsonl"
    before = path.read_bytes()
    disk.fill(leaving_bytes=1000)
    assert list(await asyncio.gather(*(refused(ledger, ANSWER) for _ in range(10)))) == [True] * 10
    assert path.read_bytes() == before
    assert not ledger.healthy
    assert not await ledger.probe()
    await ledger.aclose()


async def test_when_there_is_room_again_the_same_chain_goes_on(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path)
    ledger = await open_ledger(tmp_path, disk)
    await ledger.append(ANSWER, now=NOW)
    disk.fill(leaving_bytes=100)
    assert await refused(ledger, ANSWER)
    disk.capacity_bytes += 1_000_000
    assert await ledger.probe(now=NOW + 3)
    assert ledger.healthy
    assert await ledger.append(ANSWER, now=NOW + 3) == 3
    await ledger.aclose()
    assert kinds(tmp_path) == ["start", "answer", "alarm", "answer", "stop"]
    alarm = records(tmp_path)[2]
    assert (alarm["reason"], alarm["records_refused"]) == ("ledger_recovered", 1)
    assert verify(tmp_path, KEYS).problems == []


async def test_a_later_append_finds_the_room_without_a_probe(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path)
    ledger = await open_ledger(tmp_path, disk)
    disk.fill(leaving_bytes=100)
    assert await refused(ledger, ANSWER)
    disk.capacity_bytes += 1_000_000
    assert not await refused(ledger, ANSWER)
    assert ledger.healthy
    await ledger.aclose()


async def test_a_probe_sees_a_full_disk_before_any_record(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path)
    ledger = await open_ledger(tmp_path, disk)
    assert await ledger.probe()
    disk.fill(leaving_bytes=100)
    assert not await ledger.probe()
    assert not ledger.healthy
    await ledger.aclose()


async def test_refusals_use_the_reserve_and_answers_do_not(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path)
    ledger = await open_ledger(tmp_path, disk)
    reserve = tmp_path / "n1-s0.reserve"
    assert reserve.stat().st_size == RESERVE_BYTES
    disk.fill(leaving_bytes=100)
    got = await asyncio.gather(refused(ledger, ANSWER), refused(ledger, REFUSAL, reserve=True), refused(ledger, ANSWER))
    assert list(got) == [True, False, True]
    assert not reserve.exists()
    assert await refused(ledger, ANSWER), "what the reserve freed is not for answers"
    assert not await refused(ledger, REFUSAL, reserve=True)
    assert not ledger.healthy
    assert not await ledger.probe()
    await ledger.aclose()
    assert kinds(tmp_path) == ["start", "refusal", "refusal", "stop"]


async def test_a_used_up_reserve_refuses_refusals_too(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path)
    ledger = await open_ledger(tmp_path, disk)
    disk.fill(leaving_bytes=100)
    got = [await refused(ledger, REFUSAL, reserve=True) for _ in range(120)]
    assert got == sorted(got)
    assert (got[0], got[-1]) == (False, True)
    await ledger.aclose()
    assert [p for p in verify(tmp_path, KEYS).problems if "mark" not in p.what] == []


async def test_the_reserve_is_made_again_before_answers_go_on(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path)
    ledger = await open_ledger(tmp_path, disk)
    disk.fill(leaving_bytes=100)
    assert not await refused(ledger, REFUSAL, reserve=True)
    disk.capacity_bytes += 10_000_000
    assert await refused(ledger, ANSWER)
    assert await ledger.probe()
    assert (tmp_path / "n1-s0.reserve").stat().st_size == RESERVE_BYTES
    assert not await refused(ledger, ANSWER)
    await ledger.aclose()
    assert verify(tmp_path, KEYS).problems == []


async def test_counts_that_could_not_be_written_are_kept(tmp_path: Path) -> None:
    disk = FailingDisk()
    ledger = await open_ledger(tmp_path, disk)
    ledger.count(("a",), now=NOW)
    disk.failing = {"write"}
    flushing = asyncio.create_task(ledger.flush_counts(now=NOW + 60))
    await asyncio.sleep(0)
    ledger.count(("a",), now=NOW + 61)
    with pytest.raises(LedgerUnavailable):
        await flushing
    disk.failing = set()
    await ledger.flush_counts(now=NOW + 120)
    [counts] = [record for record in records(tmp_path) if record["kind"] == "counts"]
    assert (counts["since"], counts["counts"]) == (NOW, [{"key": ["a"], "count": 2}])
    await ledger.aclose()


@pytest.mark.parametrize("call", ["write", "fdatasync"])
async def test_after_an_input_output_error_a_new_file_goes_on_from_the_last_acknowledged_record(
    tmp_path: Path, call: str
) -> None:
    disk = FailingDisk()
    ledger = await open_ledger(tmp_path, disk)
    await ledger.append({"kind": "answer", "n": 1}, now=NOW)
    first = ledger.chain
    disk.failing = {call}
    assert await refused(ledger, {"kind": "answer", "n": 2})
    assert not ledger.healthy
    assert not await ledger.probe()
    disk.failing = set()
    assert await ledger.probe(now=NOW + 2)
    await ledger.append({"kind": "answer", "n": 3}, now=NOW + 2)
    assert ledger.chain != first
    await ledger.aclose()
    assert [record["n"] for record in records(tmp_path) if record["kind"] == "answer"] == [1, 3]
    [start] = [record for record in records(tmp_path) if record.get("predecessor")]
    assert start["predecessor"]["file"] == f"{first}.jsonl"
    found = verify(tmp_path, KEYS)
    assert (found.chains, found.problems) == (2, [])


async def test_while_the_end_of_the_file_cannot_be_cut_nothing_is_acknowledged(tmp_path: Path) -> None:
    disk = FailingDisk()
    ledger = await open_ledger(tmp_path, disk)
    disk.failing = {"write", "truncate"}
    assert await refused(ledger, ANSWER)
    disk.failing = {"truncate"}
    assert await refused(ledger, ANSWER)
    assert not await ledger.probe()
    disk.failing = set()
    assert not await refused(ledger, ANSWER)
    await ledger.aclose()
    assert verify(tmp_path, KEYS).problems == []


async def test_a_file_deleted_under_the_writer_is_left_and_missed(tmp_path: Path) -> None:
    ledger = await open_ledger(tmp_path, Disk())
    first = f"{ledger.chain}.jsonl"
    (tmp_path / first).unlink()
    assert await ledger.probe()
    await ledger.append(ANSWER, now=NOW)
    await ledger.aclose()
    assert f"the predecessor {first} is missing" in [p.what for p in verify(tmp_path, KEYS).problems]


async def test_a_file_that_has_grown_large_is_followed_by_another(tmp_path: Path) -> None:
    ledger = await open_ledger(tmp_path, Disk(), rotate_bytes=2000)
    for _ in range(12):
        await ledger.append(ANSWER, now=NOW)
    await ledger.aclose()
    found = verify(tmp_path, KEYS)
    assert found.problems == []
    assert found.chains >= 4
    assert kinds(tmp_path).count("answer") == 12


LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from gateway.ledger import Ledger, LedgerUnavailable

async def main():
    ledger = await Ledger.open(Path(sys.argv[1]), "n1", b"k" * 32, "k1", now=1.8e9, reserve_bytes=4096)
    size = (Path(sys.argv[1]) / f"{ledger.chain}.jsonl").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 3000, hard))
    written = 0
    try:
        while True:
            await ledger.append({"kind": "answer", "text": "x" * 400}, now=1.8e9)
            written += 1
    except LedgerUnavailable:
        print(written > 0, ledger.healthy, await ledger.probe())
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    print(await ledger.probe(), ledger.healthy, await ledger.append({"kind": "answer"}, now=1.8e9) == written + 2)
    await ledger.aclose()

asyncio.run(main())
"""


def test_the_kernel_s_own_refusal_to_write_is_survived(tmp_path: Path) -> None:
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert (done.stdout, done.stderr) == ("True False False\nTrue True True\n", "")
    assert verify(tmp_path, KEYS).problems == []
