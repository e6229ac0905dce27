"""From claims to who comes in: what a partner's table names must be there, and the house has lists of its own."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.reasons import Reason, Refusal
from gateway.edge.admission import LONGEST, MOST_ROLES, Person, admitted
from gateway.edge.id_token import Claims
from gateway.edge.partner import Allowed, ClaimNames, Partner

NAMES = ClaimNames(user=("login",), organisation=("org", "id"), roles=("https://a.example/roles",))
PARTNER = Partner("agency", "Agency", "https://sso.example", "gateway", claims=NAMES)
SAID: dict[str, Any] = {"login": "alice", "org": {"id": "o1"}, "https://a.example/roles": ["adviser", "clerk"]}
ALICE = Person("https://sso.example", "42", "Alice", "alice", "o1", "", ("adviser", "clerk"))


def admit(said: Mapping[str, Any], more: Mapping[str, Any] | None = None, partner: Partner = PARTNER) -> object:
    return admitted(Claims("https://sso.example", "42", "Alice", "known", said=said), more or {}, partner)


def test_what_is_named_is_found_in_either_source() -> None:
    assert admit(SAID) == ALICE
    assert admit({}, SAID) == ALICE


def test_the_id_token_goes_before_userinfo() -> None:
    assert admit(SAID, SAID | {"login": "mallory", "org": {"id": "o2"}}) == ALICE


def test_where_nothing_is_named_the_usual_claims_say_it() -> None:
    usual = replace(PARTNER, claims=ClaimNames())
    assert admit({}, partner=usual) == Person("https://sso.example", "42", "Alice", "known")


def test_one_role_may_stand_without_a_list() -> None:
    found = admit(SAID | {"https://a.example/roles": "adviser"})
    assert isinstance(found, Person) and found.roles == ("adviser",)


@pytest.mark.parametrize(
    "value", [None, "", "  ", 7, True, ["o1"], {"id": {}}, "a\nb", "a\x00", "a\u2028b", "x" * (LONGEST + 1)], ids=repr
)
def test_a_claim_that_is_missing_or_no_text_lets_nobody_in(value: object) -> None:
    refusal = admit(SAID | {"login": value})
    assert isinstance(refusal, Refusal) and refusal.reason is Reason.CLAIM_MISSING
    assert refusal.detail.startswith("the claim login (user) is missing")


@pytest.mark.parametrize(
    "value", [None, 7, {}, [7], ["a", ""], ["a", None], ["a\n"], ["a"] * (MOST_ROLES + 1)], ids=str
)
def test_roles_that_are_not_all_texts_let_nobody_in(value: object) -> None:
    refusal = admit(SAID | {"https://a.example/roles": value})
    assert isinstance(refusal, Refusal) and refusal.reason is Reason.CLAIM_MISSING


@pytest.mark.parametrize("value", ["o1", None, ["id"], 7])
def test_a_path_through_what_is_no_object_leads_nowhere(value: object) -> None:
    assert isinstance(admit(SAID | {"org": value}), Refusal)


@pytest.mark.parametrize(
    ("allow", "let_in"),
    [
        (Allowed(), True),
        (Allowed(organisations=frozenset({"o1", "o2"})), True),
        (Allowed(organisations=frozenset({"O1"})), False),
        (Allowed(roles=frozenset({"clerk"})), True),
        (Allowed(roles=frozenset({"officer"})), False),
        (Allowed(subjects=frozenset({"42"})), True),
        (Allowed(subjects=frozenset({"alice"})), False),
        (Allowed(frozenset({"o1"}), frozenset({"officer"}), frozenset({"42"})), False),
        (Allowed(frozenset(), None, None), False),
    ],
)
def test_who_is_let_in_is_in_every_list_of_the_house(allow: Allowed, let_in: bool) -> None:
    found = admit(SAID, partner=replace(PARTNER, allow=allow))
    assert found == ALICE if let_in else isinstance(found, Refusal) and found.reason is Reason.NOT_ADMITTED


def test_nobody_without_an_organisation_is_of_a_listed_one() -> None:
    unnamed = replace(PARTNER, claims=ClaimNames(), allow=Allowed(organisations=frozenset({"o1"})))
    assert isinstance(admit(SAID, partner=unnamed), Refusal)
