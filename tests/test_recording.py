"""What the ledger keeps of a passage: who, whose, how much and why; never a number, a path or a code."""

import orjson
import pytest
from small_application import small_application, small_passage

from gateway.core.assurance import Mandate, Proof
from gateway.core.extraction import Class
from gateway.core.reasons import Reason, Refusal
from gateway.passage import Passage
from gateway.recording import PersonTaken, caller_fields, common, missed, proof_fields, refused, released

NOW = 1_800_000_000.0
PROOF = Proof("p_1", "totp", NOW - 90.7, "u_1", "t_1", "f_1")
SECRETS = ("185057800608412", "185057800608491", "secret-token", "secret-cookie", "?nir=", "/records/")


@pytest.fixture
def passage() -> Passage:
    app = small_application()
    number = b"185057800608491"
    fields = [(b"authorization", b"Bearer gwt_secret-token"), (b"cookie", b"x=secret-cookie")]
    made = small_passage(
        fields, app, route=app.policy.routes["jobs"][0], path="/records/" + number.decode(),
        query_string=b"nir=" + number, client=("192.0.2.1", 5), method="GET",
    )  # fmt: skip
    made.status = 200
    return made


def record_of(passage: Passage, *persons: PersonTaken, **more: object) -> dict[str, object]:
    fields: dict[str, object] = {
        "unnamed": {}, "size_bytes": 512, "proof": PROOF, "verdict": "release", "reason": None, "hash_kid": "1-aa",
        "sequence": 7, "now": NOW,
    }  # fmt: skip
    return released(passage, "answer", persons, **{**fields, **more})  # type: ignore[arg-type]  # fields by name


def test_a_released_piece(passage: Passage) -> None:
    one = PersonTaken(b"\x01" * 16, Class.SENSITIVE, ("nir", "nom"), ("email",), True)
    other = PersonTaken(b"\x02" * 16, Class.INTERNAL, ("nom",), (), False)
    assert record_of(passage, one, other) == {
        "kind": "answer", "app": "jobs", "ref": passage.reference, "request_id": passage.request_id,
        "caller": {"user": "u_1", "partner": "north", "credential": "t_1", "credential_kind": "token",
                   "client": "192.0.2.1"},
        "method": "GET", "route": "record", "request_class": "sensitive", "mode": "enforce",
        "policy": passage.application.policy.digest, "status": 200,
        "persons": [
            {"h": "01" * 16, "c": "sensitive", "clear": ["nir", "nom"], "masked": ["email"], "n": 1},
            {"h": "02" * 16, "c": "internal", "clear": ["nom"], "masked": [], "n": 0},
        ],
        "unnamed": 0, "bytes": 512, "proof": {"kind": "totp", "age_s": 90, "id": "p_1", "credential": "f_1"},
        "verdict": "release", "reason": None, "hash_kid": "1-aa", "charge_seq": 7,
    }  # fmt: skip


def test_no_number_path_code_or_credential_stands_in_any_record(passage: Passage) -> None:
    refusal = Refusal(Reason.BUDGET_EXHAUSTED, klass=Class.SENSITIVE, budget="hour")
    for record in (record_of(passage), refused(passage, refusal), missed(passage, hash_kid="1-aa", sequence=1)):
        text = orjson.dumps(record).decode()
        assert not [secret for secret in SECRETS if secret in text]


def test_persons_who_cannot_be_told_apart_are_counted_by_class(passage: Passage) -> None:
    record = record_of(passage, unnamed={Class.SENSITIVE: 2, Class.PERSONAL: 3, Class.INTERNAL: 0})
    assert record["unnamed"] == 5
    assert record["unnamed_classes"] == {"sensitive": 2, "personal": 3}
    assert "unnamed_classes" not in record_of(passage)


def test_a_mandate_says_what_its_budget_is_named_by(passage: Passage) -> None:
    mandate = Mandate(Class.SENSITIVE, 200, 86_400, NOW + 9, "officer")
    assert record_of(passage, mandate=mandate)["mandate"] == {"class": "sensitive", "window_s": 86_400}
    assert "mandate" not in record_of(passage)


def test_who_was_charged_as_outside_is_marked(passage: Passage) -> None:
    taken = PersonTaken(b"\x01" * 16, Class.SENSITIVE, ("nir",), (), True, outside=True)
    assert record_of(passage, taken)["persons"][0]["out"] == 1
    assert "unnamed_out" not in record_of(passage, unnamed={Class.SENSITIVE: 2})
    passage.application = small_application(policy='[inside]\nanswer = "agence"\ncaller = "agency"\n')
    assert record_of(passage, unnamed={Class.SENSITIVE: 2})["unnamed_out"] == 1


def test_who_has_no_hash_is_no_person_of_the_record(passage: Passage) -> None:
    assert record_of(passage, PersonTaken(None, Class.INTERNAL, ("name",), (), True))["persons"] == []


def test_an_executed_request_is_marked(passage: Passage) -> None:
    assert "executed" not in record_of(passage)
    passage.executed = True
    assert record_of(passage)["executed"] is True
    refusal = refused(passage, Refusal(Reason.CONTENT_WITHHELD))
    assert (refusal["executed"], refusal["status"]) == (True, 200)


def test_a_refusal_says_why_by_which_rule_and_how_many(passage: Passage) -> None:
    refusal = Refusal(
        Reason.BUDGET_EXHAUSTED, klass=Class.SENSITIVE, retry_s=60, asked=3, limit=60, window_s=3600, budget="hour",
        rule="record", detail="words",
    )  # fmt: skip
    record = refused(passage, refusal)
    said = {"kind": "refusal", "verdict": "refusal", "reason": "budget_exhausted", "rule": "hour", "class": "sensitive",
            "detail": "words", "asked": 3, "limit": 60, "window_s": 3600, "retry_s": 60}  # fmt: skip
    assert {name: record[name] for name in said} == said
    bare = refused(passage, Refusal(Reason.DENIED_BY_RULE, rule="record"))
    assert bare["rule"] == "record"
    assert not {"asked", "limit", "window_s", "retry_s", "executed"} & bare.keys()


def test_a_challenge_is_told_from_a_refusal(passage: Passage) -> None:
    record = refused(passage, Refusal(Reason.PROOF_REQUIRED, klass=Class.SENSITIVE))
    assert (record["kind"], record["verdict"]) == ("challenge", "challenge")


def test_a_miss_names_nobody_and_counts_one(passage: Passage) -> None:
    nobody = missed(passage, hash_kid="1-aa", sequence=9)
    assert (nobody["kind"], nobody["persons"], nobody["unnamed"], nobody["charge_seq"]) == ("miss", [], 1, 9)


def test_what_is_not_known_yet_is_said_to_be_nothing(passage: Passage) -> None:
    passage.caller = passage.application = passage.classified = None
    record = common(passage, "refusal")
    assert record["caller"] == {"client": "192.0.2.1"}
    assert [record[name] for name in ("app", "route", "request_class", "policy")] == [None] * 4
    assert record["mode"] == "enforce"


def test_nobody_is_known_by_the_address_alone() -> None:
    assert caller_fields(None, "::1") == {"client": "::1"}


def test_a_proof_of_the_future_has_no_age_below_nothing() -> None:
    assert proof_fields(None, NOW) is None
    assert proof_fields(PROOF, NOW - 500)["age_s"] == 0


def test_who_stands_in_a_floor_is_marked_with_its_limit(passage: Passage) -> None:
    kept = PersonTaken(b"\x01" * 16, Class.SENSITIVE, ("nir",), (), True, floors=("sensitive:3600",))
    (said,) = record_of(passage, kept)["persons"]
    assert said["f"] == ["sensitive:3600"]
    record = record_of(passage, unnamed={Class.SENSITIVE: 2}, unnamed_floors={"sensitive:3600": 1})
    assert record["unnamed_floors"] == {"sensitive:3600": 1}
