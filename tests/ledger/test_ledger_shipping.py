"""Closed files are handed on once, compressed and whole; what is still written stays, and so does what is not taken."""

import gzip
import sys
from pathlib import Path

import pytest

from gateway.ledger import Ledger
from gateway.ledger.reading import verify
from gateway.ledger.shipping import Shipped, ship, waiting

KEY, NOW = b"k" * 32, 1_800_000_000.0
COPY = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"
REFUSE = "import sys; sys.exit('no room')"


async def written(directory: Path, starts: int = 3) -> None:
    """A slot with a file of each start, the last of them still its newest."""
    for start in range(starts):
        ledger = await Ledger.open(directory, "n1", KEY, "k1", now=NOW + start, reserve_bytes=0)
        await ledger.append({"kind": "answer", "start": start}, now=NOW + start)
        await ledger.aclose()


@pytest.fixture
async def ledger(tmp_path: Path) -> Path:
    await written(tmp_path / "ledger")
    return tmp_path / "ledger"


def copying(folder: Path) -> list[str]:
    folder.mkdir(exist_ok=True)
    return [sys.executable, "-c", COPY, "{file}", str(folder)]


def test_all_but_the_newest_of_a_slot_is_closed(ledger: Path) -> None:
    names = sorted(path.name for path in ledger.glob("*.jsonl"))
    assert [path.name for path in waiting(ledger)] == names[:-1]


def test_what_is_handed_on_is_the_file_whole(ledger: Path, tmp_path: Path) -> None:
    closed = waiting(ledger)
    assert list(ship(ledger, copying(tmp_path / "away"))) == [Shipped(path.name) for path in closed]
    for path in closed:
        assert gzip.decompress((tmp_path / "away" / f"{path.name}.gz").read_bytes()) == path.read_bytes()


def test_each_is_handed_on_once(ledger: Path, tmp_path: Path) -> None:
    assert len(list(ship(ledger, copying(tmp_path / "away")))) == 2
    assert (list(ship(ledger, copying(tmp_path / "away"))), waiting(ledger)) == ([], [])


def test_what_is_not_taken_waits_and_says_why(ledger: Path) -> None:
    closed = waiting(ledger)
    told = list(ship(ledger, [sys.executable, "-c", REFUSE, "{file}"]))
    assert [one.fault for one in told] == [f"{sys.executable} ended with 1: no room"] * 2
    assert waiting(ledger) == closed


def test_a_command_that_is_not_there_is_a_fault_that_marks_nothing(ledger: Path) -> None:
    closed = waiting(ledger)
    with pytest.raises(OSError, match="no-such-command"):
        list(ship(ledger, ["/no-such-command", "{file}"]))
    assert waiting(ledger) == closed
    assert list(ledger.glob("*.gz")) == []


def test_the_ledger_is_whole_afterwards(ledger: Path, tmp_path: Path) -> None:
    list(ship(ledger, copying(tmp_path / "away")))
    assert verify(ledger, {"k1": KEY}).intact
