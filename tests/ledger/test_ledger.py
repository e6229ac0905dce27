"""The ledger's writing side: what is acknowledged is on disk, in order, in few syncs."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import threading
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
ANSWER = {"kind": "answer", "app": "emploi", "persons": [{"h": "ab" * 16, "c": "sensitive", "clear": ["nir"]}]}


async def open_ledger(directory: Path, **options: Any) -> Ledger:
    return await Ledger.open(directory, "n1", KEY, "k1", **({"now": NOW, "reserve_bytes": 4096} | options))


def records(directory: Path) -> list[Mapping[str, Any]]:
    files = sorted(directory.glob("*.jsonl"), key=lambda path: int(path.stem.rsplit("-", 1)[1]))
    return [orjson.loads(line) for path in files for line in path.read_bytes().splitlines()]


class CountingDisk(Disk):
    def __init__(self) -> None:
        self.syncs = 0

    def fdatasync(self, fd: int) -> None:
        self.syncs += 1
        super().fdatasync(fd)


class GatedDisk(CountingDisk):
    """Syncs only while the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.at_gate = threading.Event()

    def fdatasync(self, fd: int) -> None:
        self.at_gate.set()
        assert self.gate.wait(10)
        super().fdatasync(fd)


async def test_a_record_stands_in_the_file_as_documented(tmp_path: Path) -> None:
    ledger = await open_ledger(tmp_path)
    assert await ledger.append(ANSWER, now=NOW + 1.5) == 1
    [_, record] = records(tmp_path)
    head = {"v": 1, "seq": 1, "t": "2027-01-15T08:00:01.500000Z", "now": NOW + 1.5, "node": "n1",
            "chain": ledger.chain, "kid": "k1"}  # fmt: skip
    assert list(record) == [*head, *ANSWER, "prev", "mac"]
    assert record == {**record, **head, **ANSWER}
    await ledger.aclose()


async def test_a_thousand_appends_at_once_take_one_sync(tmp_path: Path) -> None:
    disk = CountingDisk()
    ledger = await open_ledger(tmp_path, disk=disk)
    before = disk.syncs
    got = await asyncio.gather(*(ledger.append({**ANSWER, "bytes": n}, now=NOW) for n in range(1000)))
    assert disk.syncs - before == 1
    assert got == list(range(1, 1001))
    assert [record["bytes"] for record in records(tmp_path)[1:]] == list(range(1000))
    await ledger.aclose()


async def test_what_comes_during_a_sync_gathers_for_the_next(tmp_path: Path) -> None:
    disk = GatedDisk()
    ledger = await open_ledger(tmp_path, disk=disk)
    before = disk.syncs
    disk.at_gate.clear()
    disk.gate.clear()
    first = asyncio.create_task(ledger.append(ANSWER, now=NOW))
    assert await asyncio.to_thread(disk.at_gate.wait, 10)
    others = [asyncio.create_task(ledger.append(ANSWER, now=NOW)) for _ in range(50)]
    await asyncio.sleep(0)
    assert not first.done()
    disk.gate.set()
    assert await asyncio.gather(first, *others) == list(range(1, 52))
    assert disk.syncs - before == 2
    await ledger.aclose()


async def test_large_groups_are_divided(tmp_path: Path) -> None:
    disk = CountingDisk()
    ledger = await open_ledger(tmp_path, disk=disk)
    before = disk.syncs
    large = {"kind": "answer", "text": "x" * 400_000}
    assert await asyncio.gather(*(ledger.append(large, now=NOW) for _ in range(4))) == [1, 2, 3, 4]
    assert disk.syncs - before == 2
    await ledger.aclose()
    assert verify(tmp_path, KEYS).intact


async def test_a_cancelled_append_is_written_all_the_same(tmp_path: Path) -> None:
    disk = GatedDisk()
    ledger = await open_ledger(tmp_path, disk=disk)
    disk.at_gate.clear()
    disk.gate.clear()
    task = asyncio.create_task(ledger.append(ANSWER, now=NOW))
    assert await asyncio.to_thread(disk.at_gate.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    disk.gate.set()
    assert await ledger.append(ANSWER, now=NOW) == 2
    await ledger.aclose()
    assert [record["kind"] for record in records(tmp_path)] == ["start", "answer", "answer", "stop"]


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"kind": 1},
        {"kind": "answer", "mac": "x"},
        {"kind": "answer", "seq": 7},
        {"kind": "answer", "x": "y" * 5_000_000},
    ],
)
async def test_what_cannot_be_a_record_is_not_written(tmp_path: Path, record: dict[str, object]) -> None:
    ledger = await open_ledger(tmp_path)
    with pytest.raises(ValueError, match="record"):
        await ledger.append(record, now=NOW)
    assert len(records(tmp_path)) == 1
    await ledger.aclose()


@pytest.mark.parametrize("now", [float("nan"), float("inf"), -1.0, 1e12])
async def test_a_time_that_is_none_is_not_written(tmp_path: Path, now: float) -> None:
    ledger = await open_ledger(tmp_path)
    with pytest.raises(ValueError, match="time"):
        await ledger.append(ANSWER, now=now)
    await ledger.aclose()


async def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    directory = tmp_path / "ledger"
    ledger = await open_ledger(directory)
    await ledger.keep_policy(b"x")
    await ledger.aclose()
    modes = {path.name: path.stat().st_mode & 0o777 for path in [directory, *directory.rglob("*")]}
    assert {name: mode for name, mode in modes.items() if mode not in (0o700, 0o600)} == {}


async def test_two_workers_take_two_slots_and_the_lowest_free_is_taken_again(tmp_path: Path) -> None:
    first, second = await open_ledger(tmp_path), await open_ledger(tmp_path)
    assert [first.chain, second.chain] == ["n1-s0-20270115T080000Z-0", "n1-s1-20270115T080000Z-0"]
    await first.aclose()
    third = await open_ledger(tmp_path)
    assert third.chain == "n1-s0-20270115T080000Z-1"
    await second.aclose()
    await third.aclose()
    assert verify(tmp_path, KEYS).as_json()["problems"] == []


async def test_a_start_names_the_head_of_the_chain_before(tmp_path: Path) -> None:
    first = await open_ledger(tmp_path)
    await first.aclose()
    last = records(tmp_path)[-1]
    second = await open_ledger(tmp_path)
    start = records(tmp_path)[-1]
    assert start["predecessor"] == {"file": f"{first.chain}.jsonl", "mac": last["mac"]}
    assert start["prev"] == last["mac"]
    await second.aclose()


@pytest.mark.parametrize("torn", [b'{"v":1,"seq":3', b"\0" * 5000, b"garbage\n", b'{"v":1}\n{"v":1}\n'])
async def test_a_torn_tail_is_cut_and_said(tmp_path: Path, torn: bytes) -> None:
    first = await open_ledger(tmp_path)
    await first.append(ANSWER, now=NOW)
    await first.aclose()
    path = tmp_path / f"{first.chain}.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    second = await open_ledger(tmp_path)
    assert path.read_bytes() == whole
    assert path.with_name(path.name + ".torn").read_bytes() == torn
    assert records(tmp_path)[-1]["repaired_bytes"] == len(torn)
    await second.aclose()
    found = verify(tmp_path, KEYS)
    assert found.problems == []
    assert [(note.file, str(len(torn)) in note.what) for note in found.notes] == [(f"{second.chain}.jsonl", True)]


async def test_a_file_without_a_whole_record_is_removed_and_said(tmp_path: Path) -> None:
    first = await open_ledger(tmp_path)
    await first.aclose()
    empty = "n1-s0-20270115T080000Z-1.jsonl"
    (tmp_path / empty).write_bytes(b'{"v":1,"se')
    second = await open_ledger(tmp_path)
    start = records(tmp_path)[-1]
    assert start["removed_files"] == [empty]
    assert start["predecessor"]["file"] == f"{first.chain}.jsonl"
    await second.aclose()
    assert verify(tmp_path, KEYS).intact


async def test_counts_become_one_record(tmp_path: Path) -> None:
    ledger = await open_ledger(tmp_path)
    for _ in range(3):
        ledger.count(("emploi", "answer", "public"), now=NOW + 1)
    ledger.count(("emploi", "refusal", "no_caller"), now=NOW + 2)
    await ledger.flush_counts(now=NOW + 60)
    await ledger.flush_counts(now=NOW + 120)
    [record] = [record for record in records(tmp_path) if record["kind"] == "counts"]
    assert record["since"] == NOW + 1
    assert record["counts"] == [
        {"key": ["emploi", "answer", "public"], "count": 3},
        {"key": ["emploi", "refusal", "no_caller"], "count": 1},
    ]
    await ledger.aclose()


async def test_counts_of_ever_new_keys_take_bounded_memory(tmp_path: Path) -> None:
    ledger = await open_ledger(tmp_path)
    for n in range(10_050):
        ledger.count((str(n),), now=NOW)
    await ledger.aclose()
    [record] = [record for record in records(tmp_path) if record["kind"] == "counts"]
    assert len(record["counts"]) == 10_001
    assert record["counts"][-1] == {"key": ["other"], "count": 50}


async def test_a_policy_is_kept_once_by_its_digest(tmp_path: Path) -> None:
    ledger = await open_ledger(tmp_path)
    digest = await ledger.keep_policy(b"[classes]\n")
    assert digest == hashlib.sha256(b"[classes]\n").hexdigest()
    assert await ledger.keep_policy(b"[classes]\n") == digest
    [kept] = (tmp_path / "policies").iterdir()
    assert (kept.name, kept.read_bytes()) == (f"{digest}.toml", b"[classes]\n")
    await ledger.aclose()


async def test_a_closed_ledger_takes_nothing(tmp_path: Path) -> None:
    ledger = await open_ledger(tmp_path)
    await ledger.aclose()
    await ledger.aclose()
    assert not ledger.healthy
    assert not await ledger.probe()
    with pytest.raises(LedgerUnavailable):
        await ledger.append(ANSWER, now=NOW)


async def test_closing_writes_what_waits(tmp_path: Path) -> None:
    ledger = await open_ledger(tmp_path)
    waiting = [asyncio.create_task(ledger.append(ANSWER, now=NOW)) for _ in range(20)]
    await asyncio.sleep(0)
    await ledger.aclose()
    assert await asyncio.gather(*waiting) == list(range(1, 21))
    assert verify(tmp_path, KEYS).records == 22


async def test_a_directory_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerUnavailable):
        await open_ledger(tmp_path / "file")


APPEND_FOREVER = """
import asyncio, sys
from pathlib import Path
from gateway.ledger import Ledger

async def main():
    ledger = await Ledger.open(Path(sys.argv[1]), "n1", b"k" * 32, "k1", now=1.8e9, reserve_bytes=4096)
    async def worker(w):
        n = 0
        while True:
            seq = await ledger.append({"kind": "answer", "worker": w, "n": n}, now=1.8e9)
            sys.stdout.write(f"{seq} {w} {n}\\n")
            sys.stdout.flush()
            n += 1
    await asyncio.gather(*(worker(w) for w in range(8)))

asyncio.run(main())
"""


def test_kill_9_loses_nothing_acknowledged(tmp_path: Path) -> None:
    root = Path(__file__).parent.parent
    child = subprocess.Popen(
        [sys.executable, "-c", APPEND_FOREVER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(2000)]
    child.send_signal(signal.SIGKILL)
    lines += child.stdout.readlines()
    child.wait()
    child.stdout.close()
    acknowledged = {tuple(map(int, line.split())) for line in lines if line.endswith("\n")}

    async def start_again() -> None:
        await (await open_ledger(tmp_path)).aclose()

    asyncio.run(start_again())
    found = {(r["seq"], r["worker"], r["n"]) for r in records(tmp_path) if r["kind"] == "answer"}
    assert len(acknowledged) >= 2000
    assert acknowledged - found == set()
    assert verify(tmp_path, KEYS).problems == []
