"""Facts about the synthetic population."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from gateway.demo.population import NirSeries, build, nir_key

_NIR = re.compile(r"[123478]\d\d(0[1-9]|1[0-2]|[23]\d|4[0-2]|[5-9]\d)(0[1-9]|[1-8]\d|9[0-9]|2[AB])\d{6}\d\d", re.ASCII)


def _all_nirs(rows: sqlite3.Connection) -> list[str]:
    query = "SELECT nir FROM demandeur UNION ALL SELECT nir FROM conjoint UNION ALL SELECT nir FROM enfant"
    return [row["nir"] for row in rows.execute(query)]


@pytest.mark.parametrize(
    "nir",
    [
        "295109912611193",
        "253072A07300443",
        "253072B07300470",
        "141068078200557",
        "341068078200554",
        "141208078200587",
        "269054958815780",
    ],
)
def test_the_key_is_that_of_known_numbers(nir: str) -> None:
    assert f"{nir_key(nir[:13]):02d}" == nir[13:]


def test_the_key_reads_lower_case_corsica_as_upper_case() -> None:
    assert nir_key("253072a073004") == nir_key("253072A073004") == 43


def test_every_nir_has_its_form_and_its_key(rows: sqlite3.Connection) -> None:
    for nir in _all_nirs(rows):
        assert _NIR.fullmatch(nir), nir
        assert int(nir[13:]) == nir_key(nir[:13])


def test_every_nir_and_number_is_unique(tmp_path: Path) -> None:
    build(tmp_path / "p.db", 4_000)
    connection = sqlite3.connect(tmp_path / "p.db")
    try:
        nirs = [row[0] for row in connection.execute("SELECT nir FROM demandeur UNION ALL SELECT nir FROM conjoint "
                                                     "UNION ALL SELECT nir FROM enfant")]  # fmt: skip
        numbers = connection.execute("SELECT numero_francetravail, id_national_de FROM demandeur").fetchall()
    finally:
        connection.close()
    assert len(set(nirs)) == len(nirs) > 4_000
    assert len({number for number, _ in numbers}) == len({national for _, national in numbers}) == 4_000


def test_a_prefix_gives_each_number_once_until_none_is_left() -> None:
    series = NirSeries()
    assert len({series.issue("19510974") for _ in range(99 * 999)}) == 99 * 999
    with pytest.raises(ValueError, match="no number left"):
        series.issue("19510974")


def test_every_shape_occurs(rows: sqlite3.Connection) -> None:
    nirs = [row["nir"] for row in rows.execute("SELECT nir FROM demandeur")]
    assert {nir[0] for nir in nirs} == set("123478")
    assert {"2A", "2B", "96", "97", "98", "99"} <= {nir[5:7] for nir in nirs}
    assert any(20 <= int(nir[3:5]) <= 42 for nir in nirs)
    assert any(50 <= int(nir[3:5]) <= 99 for nir in nirs)


def test_a_nir_agrees_with_sex_and_birth(rows: sqlite3.Connection) -> None:
    for row in rows.execute("SELECT nir, sexe, date_naissance FROM demandeur"):
        assert ("M" if row["nir"][0] in "137" else "F") == row["sexe"]
        assert row["nir"][1:3] == row["date_naissance"][2:4]
        assert int(row["nir"][3:5]) > 12 or row["nir"][3:5] == row["date_naissance"][5:7]


def test_registration_numbers_have_their_new_and_old_form(rows: sqlite3.Connection) -> None:
    numbers = [row[0] for row in rows.execute("SELECT numero_francetravail FROM demandeur")]
    new = [number for number in numbers if re.fullmatch(r"\d{11}", number)]
    old = [number for number in numbers if re.fullmatch(r"\d{7}[0-9A-Z]", number)]
    assert len(new) + len(old) == len(numbers)
    assert new
    assert any(number[-1].isdigit() for number in old)
    assert any(number[-1].isalpha() for number in old)


def test_a_fifth_of_the_persons_have_a_family(rows: sqlite3.Connection) -> None:
    query = "SELECT count(*) FROM (SELECT id_demandeur FROM conjoint UNION SELECT id_demandeur FROM enfant)"
    assert 0.12 < rows.execute(query).fetchone()[0] / 300 < 0.28
    assert rows.execute("SELECT max(n) FROM (SELECT count(*) n FROM enfant GROUP BY id_demandeur)").fetchone()[0] == 3


def test_histories_span_twenty_years_with_three_events_each(rows: sqlite3.Connection) -> None:
    first, last, events = rows.execute("SELECT min(date), max(date), count(*) FROM historique").fetchone()
    assert first < "2006"
    assert last > "2023"
    assert 2.5 < events / 300 < 3.5


def test_some_notes_carry_the_persons_own_phone_and_spelled_out_nir(rows: sqlite3.Connection) -> None:
    notes = rows.execute("SELECT nir, telephone, note FROM demandeur").fetchall()
    assert any(row["telephone"] in row["note"] for row in notes)
    for separator in " .":
        nir = [(row["nir"][:1], row["nir"][1:3], row["nir"][3:5], row["nir"][5:7], row["nir"][7:10]) for row in notes]
        assert any(separator.join(parts) in row["note"] for parts, row in zip(nir, notes, strict=True))


def test_the_same_seed_gives_the_same_persons_and_another_seed_others(tmp_path: Path) -> None:
    dumps = []
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        build(tmp_path / name, 50, seed)
        connection = sqlite3.connect(tmp_path / name)
        dumps.append("\n".join(connection.iterdump()))
        connection.close()
    assert dumps[0] == dumps[1] != dumps[2]


def test_building_replaces_the_old_file_and_what_lay_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    build(path, 3)
    (tmp_path / "p.db-wal").write_bytes(b"of the old one")
    build(path, 4)
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.db"]


def test_progress_ends_at_the_number_of_persons(tmp_path: Path) -> None:
    seen: list[int] = []
    build(tmp_path / "p.db", 12_000, progress=seen.append)
    assert seen == [10_000, 12_000]


@pytest.mark.parametrize("persons", [0, 2_000_001])
def test_a_number_of_persons_out_of_range_is_refused(tmp_path: Path, persons: int) -> None:
    with pytest.raises(ValueError, match="between 1 and"):
        build(tmp_path / "p.db", persons)
    assert not list(tmp_path.iterdir())
