"""Whose record is the caller's own agency's, and which have long been of no use."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from gateway.core import decide
from gateway.core.assurance import Caller, Proof
from gateway.core.classify import Classified
from gateway.core.extraction import Class, Found, Identifier, PersonFound, Told
from gateway.core.inside import DORMANT, date_of, is_dormant, judged, months_before
from gateway.core.policy import ClassRule, Dormant, Inside, Policy, Without

NOW = datetime(2024, 6, 30, 23, 59, tzinfo=UTC).timestamp()
AT_HOME = Caller("u", "p", "", "", "", "person", "session", "s", agency=" 75001")
POLICY = Policy(
    digest="d",
    classes={klass: ClassRule(klass) for klass in Class}
    | {Class.RESTRICTED: ClassRule(Class.RESTRICTED, ("totp",), 600, without=Without.MASK)},
    unreadable=Class.RESTRICTED,
    unsafe_default=Class.PERSONAL,
    media={},
    fields=(),
    unique=(),
    routes={},
    budgets=(),
    inside=Inside(("agence",)),
    dormant=Dormant(("dateFin",), 24),
)
NAME, MAIL = Found("name", Class.INTERNAL), Found("mail", Class.PERSONAL)


def person(*agencies: str, ended: str = "", found: tuple[Found, ...] = (NAME, MAIL)) -> PersonFound:
    return PersonFound((Identifier("id", "1"),), found, told=Told(agencies, (ended,) if ended else ()))


def outside(one: PersonFound, caller: Caller = AT_HOME, **known: object) -> bool:
    return judged(POLICY, caller, [one], NOW, **known)[0].outside  # type: ignore[arg-type]


def test_who_is_of_the_caller_s_agency_is_inside() -> None:
    assert not outside(person("75001 "))


@pytest.mark.parametrize("agencies", [("69001",), (), ("75001", "69001"), ("7500",)])
def test_everybody_else_is_outside(agencies: tuple[str, ...]) -> None:
    assert outside(person(*agencies))


@pytest.mark.parametrize("agency", ["", "  "])
def test_a_caller_without_an_agency_is_outside_everywhere(agency: str) -> None:
    assert outside(person("75001"), replace(AT_HOME, agency=agency))
    assert outside(person(agency), replace(AT_HOME, agency=agency))


def test_who_was_seen_inside_stays_so_where_nothing_is_told() -> None:
    assert not outside(person(), known=lambda _: True)
    assert outside(person("69001"), known=lambda _: True)


def test_nobody_in_particular_is_outside() -> None:
    assert outside(PersonFound((), (NAME,), weight=3), known=lambda _: True)


def test_a_policy_without_either_changes_nothing() -> None:
    plain = replace(POLICY, inside=None, dormant=None)
    assert judged(plain, AT_HOME, [person(ended="1990-01-01")], NOW) == (person(ended="1990-01-01"),)


@pytest.mark.parametrize(
    ("said", "asleep"),
    [
        ("2022-06-29", True),
        ("2022-06-30", False),
        ("29/06/2022", True),
        ("1/7/2022", False),
        ("2022-06-29T12:00:00Z", True),
        ("2030-01-01", False),
        ("en cours", False),
        ("2022-13-01", False),
        ("", False),
    ],
)
def test_a_record_is_dormant_more_than_so_many_months_after_its_date(said: str, asleep: bool) -> None:
    assert is_dormant(Dormant(("dateFin",), 24), Told(dormant=(said,)), NOW) is asleep


def test_dates_are_iso_or_french() -> None:
    assert date_of("2022-06-29 à midi") == date_of("29/06/2022") == date(2022, 6, 29)
    assert date_of("06/29/2022") is date_of("2022-06-299") is date_of("20/06/20222") is None


def test_a_month_before_the_31st_is_the_last_of_that_month() -> None:
    assert months_before(date(2024, 3, 31), 1) == date(2024, 2, 29)
    assert months_before(date(2024, 1, 15), 13) == date(2022, 12, 15)


def test_of_a_dormant_record_all_that_is_personal_is_restricted() -> None:
    (asleep,) = judged(POLICY, AT_HOME, [person(ended="1990-01-01")], NOW)
    assert asleep.found == (NAME, replace(MAIL, klass=Class.RESTRICTED), DORMANT)


def test_without_its_proof_a_dormant_record_is_masked_and_costs_what_is_left() -> None:
    persons = judged(POLICY, AT_HOME, [person(ended="1990-01-01")], NOW)
    plan = decide.plan(POLICY, Classified(None, Class.PUBLIC, True, {}), AT_HOME, persons, NOW)
    assert plan.hide == {"mail", "dormant"}
    assert [one.klass for one in plan.persons] == [Class.INTERNAL]


def test_with_its_proof_the_whole_person_costs_restricted() -> None:
    proven = replace(AT_HOME, proofs=(Proof("p", "totp", NOW, "u", "s"),))
    persons = judged(POLICY, proven, [person(ended="1990-01-01")], NOW)
    plan = decide.plan(POLICY, Classified(None, Class.PUBLIC, True, {}), proven, persons, NOW)
    assert [(one.klass, one.clear) for one in plan.persons] == [(Class.RESTRICTED, ("dormant", "mail", "name"))]


def test_a_dormant_record_that_cannot_be_masked_asks_for_its_proof() -> None:
    fixed = replace(MAIL, maskable=False)
    persons = judged(POLICY, AT_HOME, [person(ended="1990-01-01", found=(NAME, fixed))], NOW)
    plan = decide.plan(POLICY, Classified(None, Class.PUBLIC, True, {}), AT_HOME, persons, NOW)
    assert plan.needs is Class.RESTRICTED
    assert plan.hide == frozenset()
