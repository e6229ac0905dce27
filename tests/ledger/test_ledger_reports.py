"""Reports: exactly whose records were taken, by whom and when."""

from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from gateway.ledger import Ledger
from gateway.ledger.reports import Selector, report_breach, report_caller, report_person
from gateway.ledger.tally import Hour

KEY = b"k" * 32
KEYS = {"k1": KEY}
NOW = 1_800_000_000.0  # a whole hour
MARIE = {"user": "cap|marie", "partner": "cap", "credential": "t1", "credential_kind": "token", "client": "10.0.0.1"}
MARIE_2 = {**MARIE, "credential": "t2"}
JEAN = {"user": "ml|jean", "partner": "ml", "credential": "t9", "credential_kind": "token", "client": "10.0.0.2"}


def person(
    h: str, c: str = "personal", clear: Sequence[str] = ("email",), masked: Sequence[str] = ()
) -> dict[str, object]:
    return {"h": h, "c": c, "clear": list(clear), "masked": list(masked), "n": 1}


def answer(caller: dict[str, str], *persons: dict[str, object], **fields: object) -> dict[str, object]:
    base = {"kind": "answer", "app": "emploi", "ref": "K7Q-4M2", "caller": caller, "method": "GET", "route": "person",
            "persons": list(persons), "unnamed": 0, "mode": "enforce", "reason": "", "hash_kid": "h1"}  # fmt: skip
    return base | fields


async def write(directory: Path, *records: tuple[float, dict[str, object]]) -> Path:
    ledger = await Ledger.open(directory, "n1", KEY, "k1", now=NOW, reserve_bytes=0)
    for after_s, record in records:
        await ledger.append(record, now=NOW + after_s)
    await ledger.aclose()
    return directory / f"{ledger.chain}.jsonl"


async def test_persons_are_counted_once_over_answers_and_chains(tmp_path: Path) -> None:
    await write(tmp_path, (0, answer(MARIE, person("aa"), person("bb"))), (1, answer(MARIE, person("aa"))))
    await write(tmp_path, (2, answer(MARIE, person("bb"), person("cc"))), (3, answer(JEAN, person("dd"))))
    report = report_caller(tmp_path, KEYS, Selector(user="cap|marie"))
    assert (report.persons, report.answers) == (3, 3)
    assert report.person_hashes == {"aa", "bb", "cc"}
    assert (report.first, report.last) == (NOW, NOW + 2)


async def test_a_caller_is_chosen_by_user_partner_or_credential(tmp_path: Path) -> None:
    await write(tmp_path, (0, answer(MARIE, person("aa"))), (1, answer(MARIE_2, person("bb"))),
                (2, answer(JEAN, person("cc"))))  # fmt: skip
    chosen = [Selector(user="cap|marie"), Selector(partner="ml"), Selector(credential="t2"), Selector(),
              Selector(user="cap|marie", credential="t9")]  # fmt: skip
    assert [report_caller(tmp_path, KEYS, selector).persons for selector in chosen] == [2, 1, 1, 3, 0]


async def test_a_person_counts_in_their_highest_class_and_in_every_category(tmp_path: Path) -> None:
    await write(
        tmp_path,
        (0, answer(MARIE, person("aa", "internal", ["name"]), person("bb", "internal", ["name"]))),
        (1, answer(MARIE, person("aa", "sensitive", ["name", "nir"], ["email"]))),
    )
    report = report_caller(tmp_path, KEYS, Selector(user="cap|marie"))
    assert {name: n for name, n in report.persons_by_class.items() if n} == {"internal": 1, "sensitive": 1}
    assert report.categories == {"name": 2, "nir": 1}


async def test_who_was_wholly_masked_or_withheld_was_not_released(tmp_path: Path) -> None:
    await write(
        tmp_path,
        (0, answer(MARIE, person("aa", clear=[], masked=["nir"]), person("bb", clear=["name"], masked=["nir"]))),
        (1, answer(MARIE, person("cc", clear=[], masked=[]))),
        (2, answer(MARIE, person("dd"), reason="content_withheld")),
    )
    report = report_caller(tmp_path, KEYS, Selector(user="cap|marie"))
    assert report.person_hashes == {"bb", "cc"}
    assert (report.persons_masked_only, report.answers, report.withheld) == (1, 2, 1)


async def test_refusals_and_challenges_take_nobody(tmp_path: Path) -> None:
    await write(tmp_path, (0, answer(MARIE, person("aa"), kind="refusal")), (1, answer(MARIE, kind="challenge")),
                (2, answer(MARIE, kind="challenge")))  # fmt: skip
    report = report_caller(tmp_path, KEYS, Selector(user="cap|marie"))
    assert (report.persons, report.refused, report.challenged, report.first) == (0, 1, 2, None)


async def test_observed_persons_are_stated_apart(tmp_path: Path) -> None:
    await write(tmp_path, (0, answer(MARIE, person("aa"), person("bb"))),
                (1, answer(MARIE, person("bb"), person("cc"), mode="observe")))  # fmt: skip
    report = report_caller(tmp_path, KEYS, Selector(user="cap|marie"))
    assert (report.persons, report.persons_enforced, report.persons_observed) == (3, 2, 2)


async def test_the_window_begins_with_since_and_ends_before_until(tmp_path: Path) -> None:
    await write(tmp_path, *((n, answer(MARIE, person(f"{n:02}"))) for n in range(5)))
    report = report_caller(tmp_path, KEYS, Selector(user="cap|marie"), since=NOW + 1, until=NOW + 3)
    assert report.person_hashes == {"01", "02"}


async def test_the_timeline_counts_new_persons_by_hour_of_their_first_answer(tmp_path: Path) -> None:
    await write(tmp_path, (0, answer(JEAN, person("zz"))), (3600, answer(MARIE, person("aa"))),
                (3700, answer(MARIE, person("bb"))), (7300, answer(MARIE, person("aa"))),
                (7400, answer(MARIE, kind="refusal")))  # fmt: skip
    await write(tmp_path, (50, answer(MARIE, person("bb"))))
    report = report_caller(tmp_path, KEYS, Selector(user="cap|marie"))
    assert report.timeline == (
        Hour(int(NOW), answers=1, new_persons=1, refused=0, challenged=0),
        Hour(int(NOW) + 3600, answers=2, new_persons=1, refused=0, challenged=0),
        Hour(int(NOW) + 7200, answers=1, new_persons=0, refused=1, challenged=0),
    )


async def test_the_json_says_persons_and_names_them_on_request_only(tmp_path: Path) -> None:
    await write(tmp_path, (0, answer(MARIE, person("aa"), unnamed=4)))
    report = report_caller(tmp_path, KEYS, Selector(user="cap|marie"))
    plain = orjson.loads(orjson.dumps(report.as_json()))
    assert (plain["persons"], plain["unnamed"], plain["selector"]) == (1, 4, {"user": "cap|marie"})
    assert plain["callers"] == [{"user": "cap|marie", "partner": "cap", "persons": 1, "answers": 1}]
    assert plain["verification"]["intact"] is True
    assert "person_hashes" not in plain
    assert report.as_json(hashes=True)["person_hashes"] == ["aa"]


async def test_a_changed_record_is_not_counted_and_said(tmp_path: Path) -> None:
    path = await write(tmp_path, (0, answer(MARIE, person("aa"))), (1, answer(MARIE, person("bb"))))
    path.write_bytes(path.read_bytes().replace(b'"h":"bb"', b'"h":"zz"'))
    report = report_caller(tmp_path, KEYS, Selector(user="cap|marie"))
    assert report.person_hashes == {"aa"}
    assert report.as_json()["verification"]["problems_in_all"] == 1


async def test_a_person_learns_who_saw_what_and_when(tmp_path: Path) -> None:
    await write(tmp_path, (9, answer(JEAN, person("aa", "internal", ["name"], ["nir"]))))
    await write(tmp_path, (2, answer(MARIE, person("bb"), person("a2", "sensitive", ["nir"]))), (3, answer(MARIE)),
                (4, answer(MARIE, person("aa"), kind="refusal")))  # fmt: skip
    report = report_person(tmp_path, KEYS, {"aa", "a2"})
    assert [(s.now, s.user, s.class_name, s.clear, s.masked) for s in report.sightings] == [
        (NOW + 2, "cap|marie", "sensitive", ("nir",), ()),
        (NOW + 9, "ml|jean", "internal", ("name",), ("nir",)),
    ]
    plain = orjson.loads(orjson.dumps(report.as_json()))
    assert (plain["callers"], plain["sightings"][0]["clear"]) == (2, ["nir"])


async def test_a_person_learns_why_they_were_looked_at_from_outside_and_not_why_others_were(tmp_path: Path) -> None:
    outside = person("aa") | {"out": 1}
    await write(tmp_path, (1, answer(MARIE, outside, person("bb"), why="replaces Jean")))
    for known, why in (("aa", "replaces Jean"), ("bb", None)):
        assert [one.why for one in report_person(tmp_path, KEYS, {known}).sightings] == [why]


async def test_a_breach_adds_up_over_its_callers(tmp_path: Path) -> None:
    await write(
        tmp_path,
        (0, answer(MARIE, person("early"))),
        (10, answer(MARIE, person("aa", "sensitive", ["nir"]), person("bb"))),
        (11, answer(JEAN, person("bb"), person("cc"), unnamed=1, app="salaires")),
        (12, answer({**JEAN, "user": "ml|luc"}, person("dd"))),
        (99, answer(MARIE, person("late"))),
    )
    chosen = [Selector(credential="t1"), Selector(user="ml|jean")]
    report = report_breach(tmp_path, KEYS, NOW + 5, NOW + 50, chosen)
    assert (report.persons, report.unnamed, report.applications) == (3, 1, ("emploi", "salaires"))
    assert {name: n for name, n in report.persons_by_class.items() if n} == {"personal": 2, "sensitive": 1}
    assert [(share.user, share.persons) for share in report.callers] == [("cap|marie", 2), ("ml|jean", 2)]
    assert (report.first, report.last) == (NOW + 10, NOW + 11)
    assert report_breach(tmp_path, KEYS, NOW + 5, NOW + 50).persons == 4
    assert orjson.loads(orjson.dumps(report.as_json()))["categories"] == {"email": 2, "nir": 1}


def carried(*pairs: Sequence[str]) -> dict[str, object]:
    return {"kind": "identity", "event": "carried", "from": "cap", "to": "neo", "pairs": [list(one) for one in pairs]}


NEW = {**MARIE, "user": "neo|marie", "partner": "neo"}


@pytest.mark.parametrize("user", ["cap|marie", "neo|marie"])
async def test_what_a_new_identity_took_before_it_was_carried_is_its_users(tmp_path: Path, user: str) -> None:
    await write(tmp_path, (9, carried(("cap|marie", "neo|marie", "cap|marie"))))
    await write(tmp_path, (0, answer(MARIE, person("aa"))), (1, answer(NEW, person("aa"), person("bb"))),
                (2, answer(JEAN, person("cc"))), (10, answer({**NEW, "user": "cap|marie"}, person("dd"))))  # fmt: skip
    report = report_caller(tmp_path, KEYS, Selector(user=user))
    assert (report.persons, report.person_hashes, report.selector.user) == (3, {"aa", "bb", "dd"}, "cap|marie")
    assert [(one.partner, one.persons) for one in report.callers] == [("neo", 3), ("cap", 1)]
    assert report_breach(tmp_path, KEYS, NOW, NOW + 20, [Selector(user=user)]).persons == 3
    seen = report_person(tmp_path, KEYS, {"aa"})
    assert ([one.user for one in seen.sightings], seen.callers) == (["cap|marie"] * 2, 1)


async def test_whom_the_store_left_out_of_a_migration_stays_who_they_were(tmp_path: Path) -> None:
    first, second = ("cap|marie", "neo|marie", "cap|marie"), ("ml|jean", "neo|marie", "ml|jean")
    early = ("neo|marie", "zeta|marie", "cap|marie")  # not confirmed yet
    await write(tmp_path, (0, answer(NEW, person("aa"))), (1, answer({**NEW, "user": "zeta|marie"}, person("bb"))),
                (2, carried(first)), (3, carried(second, early)))  # fmt: skip
    users = ("cap|marie", "ml|jean", "zeta|marie")
    assert [report_caller(tmp_path, KEYS, Selector(user=one)).persons for one in users] == [1, 0, 1]
    confirmed = {"kind": "identity", "event": "confirmed", "identity": "neo|marie", "user": "cap|marie"}
    await write(tmp_path, (4, confirmed), (5, carried(early)))
    assert [report_caller(tmp_path, KEYS, Selector(user=one)).persons for one in users] == [2, 0, 2]
