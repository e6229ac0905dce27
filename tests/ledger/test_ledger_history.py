"""What was lately refused to one user."""

from pathlib import Path

from gateway.ledger import Ledger
from gateway.ledger.history import MOST, TAIL_BYTES, History, PastRefusal

KEY, NOW = b"k" * 32, 1_800_000_000.0


def refusal(user: str, number: int, verdict: str = "refusal") -> dict[str, object]:
    said = {"kind": "refusal", "verdict": verdict, "reason": "frozen", "ref": f"AAA-{number:03}"}
    return said | {"caller": {"user": user}}


async def write(directory: Path, *records: dict[str, object], at: float = 0.0) -> None:
    ledger = await Ledger.open(directory, "n1", KEY, "k1", now=NOW, reserve_bytes=0)
    for number, record in enumerate(records):
        await ledger.append(record, now=NOW + at + number)
    await ledger.aclose()


async def test_the_last_ten_of_one_user_the_newest_first_over_all_chains(tmp_path: Path) -> None:
    await write(tmp_path, *(refusal("u_lea", number) for number in range(8)), refusal("u_max", 99))
    later = [refusal("u_lea", 10, "challenge"), refusal("u_lea", 11, "accepted"), refusal("u_lea", 12)]
    await write(tmp_path, *later, {"kind": "policy", "detail": "u_lea"}, at=100)
    found = await History(tmp_path).refusals("u_lea")
    assert found[0] == PastRefusal(NOW + 102, "AAA-012", "frozen")
    assert [one.reference[-2:] for one in found] == ["12", "10", "07", "06", "05", "04", "03", "02", "01", "00"]
    assert len(found) == MOST


async def test_what_is_further_back_is_not_read(tmp_path: Path) -> None:
    long = {"kind": "policy", "detail": "x" * 50_000}
    await write(tmp_path, refusal("u_lea", 1), *[long] * (TAIL_BYTES // 50_000 + 1), refusal("u_lea", 2))
    assert [one.reference for one in await History(tmp_path).refusals("u_lea")] == ["AAA-002"]
