"""ledger verify and the reports: exact numbers, no person's number as an argument, damage told."""

import io
from pathlib import Path

import pytest
from commands.conftest import Gateway, write_records

from gateway.core.extraction import Identifier
from gateway.keyring import KeyRing

NIR = "295109912611193"


def answer(user: str, *hashes: str, **more: object) -> dict[str, object]:
    persons = [{"h": one, "c": "sensitive", "clear": ["nir"], "masked": [], "n": 1} for one in hashes]
    caller = {"user": user, "partner": "relais-emploi", "credential": "t_1"}
    return {"kind": "answer", "app": "emploi", "mode": "enforce", "caller": caller, "persons": persons, **more}


def test_a_caller_took_so_many_different_persons(gateway: Gateway, live: Path) -> None:
    write_records(live, answer("u_a", "01" * 16, "02" * 16), answer("u_a", "02" * 16), answer("u_b", "03" * 16))
    assert gateway("report", "caller", "u_a", "--config", live, "--json").json["persons"] == 2
    assert gateway("report", "caller", "--partner", "relais-emploi", "--config", live, "--json").json["persons"] == 3
    assert "persons" in gateway("report", "caller", "--token", "t_1", "--config", live).out
    assert gateway("report", "caller", "--config", live).status == 2


def test_a_breach_is_counted_within_its_period(gateway: Gateway, live: Path) -> None:
    write_records(live, answer("u_a", "01" * 16), answer("u_a", "02" * 16))
    found = gateway("report", "breach", "--since", "2027-01-15", "--until", "2027-01-16", "--config", live, "--json")
    assert found.json["persons"] == 2
    later = gateway("report", "breach", "--since", "2027-01-16", "--until", "2027-01-17", "--config", live, "--json")
    assert later.json["persons"] == 0


def test_who_saw_a_person_is_asked_by_standard_input(
    gateway: Gateway, live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = KeyRing.load(live / "keys").person_hash(Identifier("nir", NIR[:13])).hex()
    write_records(live, answer("u_a", known, ref="AAA-AAA"), answer("u_b", "03" * 16))
    monkeypatch.setattr("sys.stdin", io.StringIO("2 95 10 99 126 111 93\n"))
    found = gateway("report", "person", "--config", live, "--json").json
    assert (found["callers"], [one["user"] for one in found["sightings"]]) == (1, ["u_a"])
    monkeypatch.setattr("sys.stdin", io.StringIO("12\n"))
    assert gateway("report", "person", "--config", live).status == 1
    assert gateway("report", "person", NIR, "--config", live).status == 2


def test_verify_says_intact_and_finds_a_changed_byte(gateway: Gateway, live: Path) -> None:
    write_records(live, answer("u_a", "01" * 16), answer("u_a", "02" * 16))
    assert gateway("ledger", "verify", "--config", live).status == 0
    (chain,) = (live / "ledger").glob("*.jsonl")
    chain.write_bytes(chain.read_bytes().replace(b'"u_a"', b'"u_x"', 1))
    found = gateway("ledger", "verify", "--config", live, "--json")
    assert found.status == 1
    assert not found.json["intact"]
    assert "not intact" in gateway("report", "caller", "u_a", "--config", live).out
