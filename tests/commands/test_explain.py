"""explain: what the policy makes of a request and of a sample answer, and the story of a refusal."""

from pathlib import Path

import orjson
import pytest
from commands.conftest import Gateway, write_records

from gateway.commands.explain_reference import MAY
from gateway.core.reasons import Reason

NIR = "295109912611193"


def explained(gateway: Gateway, config: Path, *arguments: object) -> dict:
    return gateway("explain", *arguments, "--config", config, "--json").json


@pytest.mark.parametrize(
    ("method", "url", "rule", "verdict"),
    [
        ("GET", "http://localhost:8080/", "unmatched", "forward"),
        ("GET", "/static/style.css", "static", "forward"),
        ("GET", "/api/demandeurs?page=1", "list", "forward"),
        ("GET", "/api/demandeurs/7", "record", "proof_required"),
        ("GET", "/api/demandeurs/7.xml", "record-xml", "proof_required"),
        ("HEAD", "/api/demandeurs/7", "record", "proof_required"),
        ("DELETE", "/api/demandeurs/7", "record", "method_not_listed"),
        ("GET", "/dossiers/7", "record-page", "forward"),
        ("GET", "/dossiers/7/cv.pdf", "cv", "proof_required"),
        ("GET", "/donnees-rqth/v1/rqth", "disability", "proof_required"),
        ("GET", "/exports/demandeurs.csv", "export-csv", "proof_required"),
        ("PUT", "/depots/x", "upload", "forward"),
        ("POST", "/administration/sql", "administration", "denied_by_rule"),
        ("GET", "/api//demandeurs/7", None, "ambiguous_target"),
        ("GET", "http://elsewhere/", None, "unknown_host"),
    ],
)
def test_every_kind_of_request_of_the_demo(
    gateway: Gateway, config: Path, method: str, url: str, rule: str | None, verdict: str
) -> None:
    found = explained(gateway, config, method, url)
    assert (found.get("rule"), found["verdict"]) == (rule, verdict)


def test_a_fresh_proof_forwards_and_a_machine_needs_a_mandate(gateway: Gateway, config: Path) -> None:
    assert explained(gateway, config, "GET", "/api/demandeurs/7", "--proved")["verdict"] == "forward"
    assert explained(gateway, config, "GET", "/api/demandeurs/7", "--machine")["verdict"] == "mandate_required"


def test_the_person_is_named_by_a_path_or_a_body_exactly_once(gateway: Gateway, config: Path, tmp_path: Path) -> None:
    search = "/rechercher-usager/v2/usagers/par-datenaissance-et-nir"
    sent = tmp_path / "search.json"
    sent.write_bytes(orjson.dumps({"nir": NIR, "dateNaissance": "1995-10-01"}))
    found = explained(gateway, config, "POST", search, "--send", sent)
    assert (found["person"]["found"], found["reads"], found["lookup"]) == ("one", True, True)
    assert "misses-hour" in [one["name"] for one in found["budgets"]]
    assert explained(gateway, config, "POST", search)["person"]["found"] == "unclear"
    assert explained(gateway, config, "GET", "/api/demandeurs/7?id=8")["person"]["found"] == "unclear"


def test_a_sample_answer_shows_persons_fields_and_masks(gateway: Gateway, config: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.json"
    family = {"id": 7, "nir": NIR, "nom": "MARTIN", "email": "m@example.org", "conjoint": {"nir": "253072B07300470"}}
    page.write_bytes(orjson.dumps(family))
    plain = explained(gateway, config, "GET", "/dossiers/7", "--body", page)["answer"]
    assert (plain["persons"], plain["masked"], plain["needs"]) == (2, ["nir"], "personal")
    proved = explained(gateway, config, "GET", "/dossiers/7", "--body", page, "--proved")["answer"]
    assert (proved["masked"], proved["persons_by_class"]) == ([], {"sensitive": 2})


def test_a_sample_answer_says_how_many_are_outside_and_dormant(gateway: Gateway, config: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    rows.write_bytes(
        orjson.dumps([{"id": 1, "agence": "75001"}, {"id": 2, "agence": "69001", "dateFin": "1990-01-01"}, {"id": 3}])
    )
    policy = config / "policy.toml"
    policy.write_text(
        policy.read_text()
        + '\n[inside]\nanswer = "agence"\ncaller = "agency"\n[dormant]\nanswer = "dateFin"\nmonths = 24\n'
    )
    found = explained(gateway, config, "GET", "/x", "--body", rows, "--agency", "75001")["answer"]
    assert (found["outside"], found["dormant"]) == (2, 1)
    assert explained(gateway, config, "GET", "/x", "--body", rows)["answer"]["outside"] == 3
    assert "outside" in gateway("explain", "GET", "/x", "--body", rows, "--config", config).out


def test_a_csv_sample_is_read_row_by_row(gateway: Gateway, config: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("id;nom;prenom\n" + "".join(f"{number};N{number};P\n" for number in range(1, 31)))
    found = explained(gateway, config, "GET", "/anything", "--body", rows, "--content-type", "text/csv")["answer"]
    assert found["persons_by_class"] == {"internal": 30}


def test_what_cannot_be_read_is_the_persons_asked_about(gateway: Gateway, config: Path, tmp_path: Path) -> None:
    cv = tmp_path / "cv.pdf"
    cv.write_bytes(b"%PDF-1.4" + b"x" * 200_000)
    arguments = ("--body", cv, "--content-type", "application/pdf", "--proved")
    assert explained(gateway, config, "GET", "/dossiers/7/cv.pdf", *arguments)["answer"]["persons"] == 1
    assert explained(gateway, config, "GET", "/other.pdf", *arguments)["answer"]["persons"] > 250


def test_no_number_of_a_sample_is_ever_printed(gateway: Gateway, config: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.json"
    page.write_bytes(orjson.dumps({"nir": NIR}))
    for form in ((), ("--json",)):
        assert NIR[:13] not in gateway("explain", "GET", "/x", "--body", page, "--config", config, *form).out


def test_a_refusal_is_told_in_sentences_by_its_reference(gateway: Gateway, config: Path) -> None:
    caller = {"user": "u_abc", "partner": "relais-emploi", "credential": "t_1", "credential_kind": "token"}
    write_records(
        config,
        {
            "kind": "refusal", "app": "emploi", "ref": "K7Q-4M2", "caller": caller, "method": "GET", "route": "record",
            "request_class": "sensitive", "reason": "budget_exhausted", "rule": "sensitive-hour", "class": "sensitive",
            "limit": 60, "asked": 1, "window_s": 3600, "retry_s": 1200,
        },
    )  # fmt: skip
    told = gateway("explain", "--ref", "k7q-4m2", "--config", config)
    assert told.status == 0
    for words in (
        "u_abc of relais-emploi",
        "sensitive-hour",
        "60 persons in 1 hour",
        "20 minutes",
        "budget grant u_abc",
    ):
        assert words in told.out
    assert gateway("explain", "--ref", "AAA-AAA", "--config", config).status == 1


def test_what_waits_and_its_picking_up_are_told_together(gateway: Gateway, config: Path) -> None:
    given = {"app": "emploi", "caller": {"user": "u_abc"}, "method": "POST", "route": "save"}
    withheld = {**given, "kind": "refusal", "ref": "K7Q-4M2", "reason": "content_withheld", "sealed": True}
    refused = {**given, "kind": "challenge", "ref": "A2B-3C4", "reason": "proof_required", "picked_up": "K7Q-4M2"}
    write_records(config, withheld, refused)
    assert "It waited ten minutes" in gateway("explain", "--ref", "K7Q-4M2", "--config", config).out
    assert "picking up of what K7Q-4M2" in gateway("explain", "--ref", "A2B-3C4", "--config", config).out


def test_what_may_be_done_never_names_an_unknown_placeholder() -> None:
    values = {"user": "U", "credential": "T", "class": "C", "rule": "R"}
    for reason, sentences in MAY.items():
        assert reason in Reason
        assert all(sentence.format_map(values) for sentence in sentences)
