"""Charges read back from the ledger, to rebuild budgets or notice that the store forgot."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from gateway.ledger import Ledger
from gateway.ledger.reading import ChargedPerson, LedgerDamaged, Problem, RecordedCharge, charges, last_charge_seq

KEY = b"k" * 32
KEYS = {"k1": KEY}
NOW = 1_800_000_000.0
CALLER = {"user": "sso|marie", "partner": "cap", "credential": "t1", "credential_kind": "token", "client": "::1"}


def answer(*hashes: str, **fields: object) -> dict[str, object]:
    persons = [{"h": h, "c": "personal", "clear": ["email"], "masked": [], "n": 1} for h in hashes]
    return {"kind": "answer", "app": "emploi", "caller": CALLER, "persons": persons, "mode": "enforce"} | fields


async def write(directory: Path, records: Sequence[tuple[float, Mapping[str, object]]]) -> Path:
    ledger = await Ledger.open(directory, "n1", KEY, "k1", now=NOW, reserve_bytes=0)
    for after_s, record in records:
        await ledger.append(record, now=NOW + after_s)
    await ledger.aclose()
    return directory / f"{ledger.chain}.jsonl"


async def test_a_charge_has_all_that_budgets_are_rebuilt_from(tmp_path: Path) -> None:
    proof = {"kind": "totp", "age_s": 9, "id": "f1", "persons": 3}
    record = answer("aa", unnamed=2, charge_seq=7, proof=proof, hash_kid="h1")
    record["persons"] = [*record["persons"], {"h": "bb", "c": "sensitive", "clear": [], "masked": ["nir"]}]  # type: ignore[misc] # a list by construction
    await write(tmp_path, [(1, record)])
    [charge] = charges(tmp_path, KEYS, NOW)
    assert charge == RecordedCharge(
        now=NOW + 1,
        app="emploi",
        mode="enforce",
        caller=CALLER,
        proof=proof,
        persons=(ChargedPerson("aa", "personal", newly=True), ChargedPerson("bb", "sensitive", newly=False)),
        unnamed=2,
        charge_seq=7,
        hash_key_id="h1",
    )


async def test_only_charges_since_the_given_time_are_read(tmp_path: Path) -> None:
    refusal = answer("dd", kind="refusal")
    await write(tmp_path, [(0, answer("aa")), (10, answer("bb")), (20, answer("cc")), (21, refusal), (22, answer())])
    assert [charge.persons[0].hash for charge in charges(tmp_path, KEYS, NOW + 10)] == ["bb", "cc"]


async def test_what_was_charged_by_size_is_a_charge(tmp_path: Path) -> None:
    await write(tmp_path, [(0, answer(unnamed=3))])
    assert [charge.unnamed for charge in charges(tmp_path, KEYS, NOW)] == [3]


async def test_a_damaged_ledger_stops_the_reading_unless_somebody_listens(tmp_path: Path) -> None:
    path = await write(tmp_path, [(0, answer("aa")), (1, answer("bb")), (2, answer("cc"))])
    path.write_bytes(path.read_bytes().replace(b'"h":"bb"', b'"h":"zz"'))
    with pytest.raises(LedgerDamaged, match=r"line 3: changed"):
        list(charges(tmp_path, KEYS, NOW))
    told: list[Problem] = []
    assert [charge.persons[0].hash for charge in charges(tmp_path, KEYS, NOW, told.append)] == ["aa", "cc"]
    assert [problem.line for problem in told] == [3]


async def test_damage_at_the_very_end_stops_the_reading_too(tmp_path: Path) -> None:
    path = await write(tmp_path, [(0, answer("aa"))])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LedgerDamaged):
        list(charges(tmp_path, KEYS, NOW))


async def test_the_newest_charge_of_all_chains_is_found(tmp_path: Path) -> None:
    await write(tmp_path, [(0, answer("aa", charge_seq=41)), (1, answer("bb", charge_seq=40))])
    await write(tmp_path, [(2, answer("cc", charge_seq=39)), (3, {"kind": "token", "note": '"charge_seq":99'})])
    await write(tmp_path, [])
    assert last_charge_seq(tmp_path) == 41


async def test_a_charge_far_from_the_end_of_its_file_is_found(tmp_path: Path) -> None:
    filler = {"kind": "token", "text": "x" * 700_000}
    await write(tmp_path, [(0, answer("aa", charge_seq=7, text="y" * 1_500_000)), *[(1, filler)] * 4])
    assert last_charge_seq(tmp_path) == 7


async def test_without_any_charge_there_is_no_newest(tmp_path: Path) -> None:
    assert last_charge_seq(tmp_path) is None
    await write(tmp_path, [(0, {"kind": "token"})])
    assert last_charge_seq(tmp_path) is None
