"""Who may have what: proofs, masks, budgets and the refusals that say what would open it."""

from dataclasses import replace

import pytest

from gateway.core import decide
from gateway.core.assurance import Act, Caller, Grant, Mandate, Proof, changing, fresh, mandated
from gateway.core.charging import Limit, Usage, Violation, limit_of_answer, limits_of
from gateway.core.classify import Classified
from gateway.core.extraction import Class, Found, Identifier, PersonFound
from gateway.core.policy import (
    BudgetRule,
    ClassRule,
    PartnerRule,
    Policy,
    Route,
    Scope,
    Then,
    Without,
    stricter,
)
from gateway.core.reasons import Reason, Refusal

NOW = 1_000_000.0
SENSITIVE = ClassRule(Class.SENSITIVE, ("totp",), 3600, 40, Without.MASK)
CLASSES = {klass: ClassRule(klass) for klass in Class} | {Class.SENSITIVE: SENSITIVE}
BUDGETS = (
    BudgetRule("hour", Scope.USER, Class.SENSITIVE, 60, 3600),
    BudgetRule("all", Scope.EVERYONE, Class.INTERNAL, 9, 3600, Then.ALARM),
    BudgetRule("misses", Scope.USER, Class.INTERNAL, 20, 3600, misses=True),
)
POLICY = Policy("d", CLASSES, Class.SENSITIVE, Class.PERSONAL, {}, (), (), {}, BUDGETS)
PROOF = Proof("p1", "totp", NOW - 100, "u", "t")
CALLER = Caller("u", "partner", "iss", "sub", "name", "person", "token", "t")
PROVEN = replace(CALLER, proofs=(PROOF,))
MACHINE = replace(CALLER, kind="machine")
NAME, EMAIL, NIR = Found("name", Class.INTERNAL), Found("email", Class.PERSONAL), Found("nir", Class.SENSITIVE)
ONE = PersonFound((Identifier("id", "1"),), (NAME, EMAIL, NIR))
OPEN = Classified(None, Class.PUBLIC, True, {})


def limit(name: str, then: Then = Then.REFUSE, most: int = 60, klass: Class = Class.SENSITIVE) -> Limit:
    return Limit(name, name, Scope.USER, klass, most, 3600, then)


def reason(value: object) -> Reason:
    assert isinstance(value, Refusal)
    return value.reason


def test_a_proof_is_fresh_up_to_its_age_and_not_a_second_longer() -> None:
    assert fresh(SENSITIVE, PROVEN, PROOF.verified_at + 3600) is PROOF
    assert fresh(SENSITIVE, PROVEN, PROOF.verified_at + 3600.1) is None


def test_a_proof_from_the_future_is_not_fresh() -> None:
    assert fresh(SENSITIVE, PROVEN, PROOF.verified_at - 60) is None


def test_a_proof_of_another_kind_is_none() -> None:
    assert fresh(replace(SENSITIVE, kinds=("webauthn",)), PROVEN, NOW) is None


BOUND = replace(SENSITIVE, bind=True)
ACT = replace(PROOF, id="p2", act=Act("r", Class.SENSITIVE, 5))


@pytest.mark.parametrize(
    ("rule", "proof", "opens"),
    [
        (BOUND, PROOF, False),
        (BOUND, ACT, False),
        (BOUND, replace(ACT, held=True), True),
        (SENSITIVE, ACT, False),
        (SENSITIVE, replace(ACT, held=True), True),
        (replace(BOUND, klass=Class.RESTRICTED), replace(ACT, held=True), False),
        (replace(BOUND, kinds=("webauthn",)), replace(ACT, held=True), False),
        (replace(SENSITIVE, max_age_s=0), PROOF, True),
        (replace(SENSITIVE, max_age_s=0), replace(PROOF, verified_at=NOW - 121), False),
        (replace(SENSITIVE, max_age_s=0), replace(PROOF, verified_at=NOW - 121, held=True), True),
        (replace(SENSITIVE, max_age_s=0), ACT, False),
    ],
    ids=str,
)
def test_a_proof_for_one_answer_opens_it_alone(rule: ClassRule, proof: Proof, opens: bool) -> None:
    assert (fresh(rule, replace(CALLER, proofs=(proof,)), NOW) is not None) is opens


def test_a_proof_that_serves_one_answer_is_to_be_claimed_first() -> None:
    once = replace(POLICY, classes=CLASSES | {Class.SENSITIVE: replace(SENSITIVE, max_age_s=0)})
    for proof, claim in ((PROOF, True), (replace(PROOF, held=True), False)):
        standing = decide.standing(once, replace(CALLER, proofs=(proof,)), Class.SENSITIVE, NOW)
        assert isinstance(standing, decide.Standing)
        assert standing.claim is claim


def test_a_proof_for_one_answer_changes_no_factors() -> None:
    assert changing(PROVEN, NOW, 300, removing=True) is PROOF
    assert changing(replace(CALLER, proofs=(replace(ACT, held=True),)), NOW, 300, removing=True) is None


def test_one_answer_takes_the_least_of_what_is_left_of_its_class_and_of_its_route() -> None:
    usages = [Usage(limit("hour"), 50, 9), Usage(limit("alarm", Then.ALARM), 59, 9)]
    route = Route("r", frozenset({b"GET"}), "/r", Class.SENSITIVE, at_most=30)
    at = replace(OPEN, route=route)
    assert decide.most_of_act(POLICY, at, CALLER, Class.SENSITIVE, usages) == 10
    assert decide.most_of_act(POLICY, at, CALLER, Class.SENSITIVE, ()) == 30
    assert decide.most_of_act(POLICY, OPEN, CALLER, Class.SENSITIVE, ()) == 40
    assert decide.most_of_act(POLICY, OPEN, CALLER, Class.RESTRICTED, ()) is None


def test_what_one_answer_may_take_opens_by_no_waiting() -> None:
    over = Violation(limit_of_answer("id", 5), 5, 1, 100)
    refusal = decide.over_budget([over])
    assert (refusal.reason, refusal.retry_s, refusal.limit) == (Reason.ANSWER_EXCEEDS_PROOF, None, 5)


def test_a_class_that_asks_for_a_proof_is_challenged_without_one() -> None:
    refusal = decide.standing(POLICY, CALLER, Class.SENSITIVE, NOW)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.kinds, refusal.max_age_s) == (Reason.PROOF_REQUIRED, ("totp",), 3600)


def test_a_machine_needs_a_mandate_and_no_proof_helps_it() -> None:
    assert (
        reason(decide.standing(POLICY, replace(MACHINE, proofs=(PROOF,)), Class.SENSITIVE, NOW))
        is Reason.MANDATE_REQUIRED
    )


@pytest.mark.parametrize(
    ("klass", "until", "given"), [(Class.SENSITIVE, 1, True), (Class.PERSONAL, 1, False), (Class.SENSITIVE, 0, False)]
)
def test_a_mandate_reaches_its_class_until_its_end(klass: Class, until: float, given: bool) -> None:
    caller = replace(MACHINE, mandate=Mandate(klass, 200, 86_400, NOW + until, "officer"))
    assert (mandated(caller, Class.SENSITIVE, NOW) is not None) is given


def test_a_persons_token_has_no_use_of_a_mandate() -> None:
    assert mandated(replace(CALLER, mandate=Mandate(Class.RESTRICTED, 1, 1, NOW + 9, "o")), Class.PERSONAL, NOW) is None


def test_only_permit_makes_a_permit() -> None:
    with pytest.raises(TypeError):
        decide.Permit(b"GET", b"/", object())


def test_a_refusal_gives_no_permit() -> None:
    with pytest.raises(TypeError):
        decide.permit(b"GET", b"/", Refusal(Reason.NO_CALLER))


def test_without_a_proof_the_field_is_masked_and_the_rest_costs_its_own_class() -> None:
    plan = decide.plan(POLICY, OPEN, CALLER, [ONE], NOW)
    assert plan.hide == {"nir"}
    assert (plan.needs, plan.persons[0].clear, plan.persons[0].masked) == (Class.PERSONAL, ("email", "name"), ("nir",))


def test_with_a_proof_nothing_is_masked() -> None:
    plan = decide.plan(POLICY, OPEN, PROVEN, [ONE], NOW)
    assert (plan.hide, plan.needs) == (frozenset(), Class.SENSITIVE)


def test_a_field_that_cannot_be_masked_is_challenged() -> None:
    control = PersonFound((), (Found("nir", Class.SENSITIVE, maskable=False),))
    plan = decide.plan(POLICY, OPEN, CALLER, [control], NOW)
    assert reason(plan.standing) is Reason.PROOF_REQUIRED


def test_one_unmaskable_place_keeps_its_whole_class_in_clear_and_asks() -> None:
    control = PersonFound((), (Found("nir", Class.SENSITIVE, maskable=False),))
    plan = decide.plan(POLICY, OPEN, CALLER, [ONE, control], NOW)
    assert plan.hide == frozenset()
    assert plan.needs is Class.SENSITIVE


def test_a_routes_masks_hide_always_and_cost_nothing() -> None:
    route = Route("list", frozenset({b"GET"}), "/", Class.INTERNAL, mask=frozenset({"email", "nir"}))
    plan = decide.plan(POLICY, Classified(route, Class.INTERNAL, True, {}), PROVEN, [ONE], NOW)
    assert (plan.persons[0].klass, plan.persons[0].masked) == (Class.INTERNAL, ("email", "nir"))


def test_a_masked_person_never_costs_less_than_the_routes_class() -> None:
    plan = decide.plan(POLICY, OPEN, CALLER, [replace(ONE, floor=Class.SENSITIVE)], NOW)
    assert plan.needs is Class.SENSITIVE
    assert reason(plan.standing) is Reason.PROOF_REQUIRED


def test_what_cannot_be_masked_at_all_hides_nothing() -> None:
    assert decide.plan(POLICY, OPEN, CALLER, [ONE], NOW, masks=False).hide == frozenset()


def test_a_public_person_counts_for_nobody() -> None:
    assert decide.plan(POLICY, OPEN, CALLER, [PersonFound((Identifier("id", "1"),), ())], NOW).count == 0


def test_waiting_is_offered_only_where_it_opens() -> None:
    over = Violation(limit("hour"), used=60, asked=1, retry_s=30)
    plan = decide.plan(POLICY, OPEN, PROVEN, [ONE], NOW)
    refusal = decide.refused(POLICY, [over], plan, PROVEN)
    assert refusal is not None
    assert (refusal.reason, refusal.retry_s) == (Reason.BUDGET_EXHAUSTED, 30)
    never = decide.refused(POLICY, [replace(over, asked=61, retry_s=None)], plan, PROVEN)
    assert never is not None
    assert (never.reason, never.asked, never.limit) == (Reason.TOO_MANY_PERSONS, 61, 60)


def test_a_budget_that_refuses_speaks_before_the_proof_that_is_missing() -> None:
    plan = decide.plan(POLICY, OPEN, CALLER, [replace(ONE, floor=Class.SENSITIVE)], NOW)
    over = Violation(limit("hour"), used=60, asked=1, retry_s=30)
    assert reason(decide.refused(POLICY, [over], plan, CALLER)) is Reason.BUDGET_EXHAUSTED


def test_an_answer_that_no_fresh_proof_would_open_is_not_challenged() -> None:
    many = [replace(ONE, identifiers=(Identifier("id", str(n)),), floor=Class.SENSITIVE) for n in range(41)]
    plan = decide.plan(POLICY, OPEN, CALLER, many, NOW)
    refusal = decide.refused(POLICY, [], plan, CALLER)
    assert refusal is not None
    assert (refusal.reason, refusal.asked, refusal.limit) == (Reason.ANSWER_EXCEEDS_PROOF, 41, 40)


def test_a_proof_that_is_used_up_is_challenged_anew() -> None:
    plan = decide.plan(POLICY, OPEN, PROVEN, [ONE], NOW)
    used_up = Violation(limit("proof", Then.PROVE, 40), used=40, asked=1, retry_s=9)
    assert reason(decide.refused(POLICY, [used_up], plan, PROVEN)) is Reason.PROOF_REQUIRED


def test_a_used_up_proof_masks_where_its_class_may_be_masked() -> None:
    used_up = Violation(limit("proof", Then.PROVE, 40), used=40, asked=1, retry_s=9)
    assert decide.masking_for(POLICY, OPEN, [used_up], [ONE]) == {"nir"}


def test_an_exhausted_budget_that_masks_hides_its_class_and_above() -> None:
    masks = Violation(limit("m", Then.MASK, klass=Class.PERSONAL), used=60, asked=1, retry_s=9)
    assert decide.masking_for(POLICY, OPEN, [masks], [ONE]) == {"email", "nir"}


def test_an_unsafe_request_is_refused_when_its_budget_is_used_up() -> None:
    assert reason(decide.exhausted([Usage(limit("hour"), 60, 30)], Class.SENSITIVE)) is Reason.BUDGET_EXHAUSTED
    assert decide.exhausted([Usage(limit("hour"), 59, 30)], Class.SENSITIVE) is None
    assert decide.exhausted([Usage(limit("hour"), 60, 30)], Class.PERSONAL) is None


def test_one_slice_carries_at_most_a_thousand_persons() -> None:
    assert decide.too_many(1_000, Class.PERSONAL) is None
    assert reason(decide.too_many(1_001, Class.PERSONAL)) is Reason.TOO_MANY_PERSONS


def names(**given: object) -> set[str]:
    return {one.name for one in limits_of(POLICY, given.pop("caller", CALLER), NOW, **given)}  # type: ignore[arg-type]


def test_every_budget_applies_and_the_proofs_own() -> None:
    assert names(proof=PROOF) == {"hour", "all", "proof-sensitive"}
    assert names(misses=True) == {"misses"}


def test_a_mandate_replaces_the_users_budgets_of_its_classes() -> None:
    mandate = Mandate(Class.SENSITIVE, 200, 86_400, NOW + 9, "officer")
    assert names(mandate=mandate) == {"all", "mandate"}


def test_a_grant_raises_the_users_limit_until_its_end() -> None:
    caller = replace(CALLER, grants=(Grant(Class.SENSITIVE, 20, NOW + 1), Grant(Class.SENSITIVE, 40, NOW)))
    assert [one.limit for one in limits_of(POLICY, caller, NOW) if one.name == "hour"] == [80]


def test_observing_counts_under_keys_of_its_own_and_only_alarms() -> None:
    limits = limits_of(POLICY, CALLER, NOW, observe=True)
    assert all(one.key.startswith("o:") and one.then is Then.ALARM for one in limits)


def test_no_limit_stands_in_a_key() -> None:
    raised = replace(POLICY, budgets=tuple(replace(one, limit=one.limit * 7) for one in BUDGETS))
    keys = [[one.key for one in limits_of(policy, CALLER, NOW, proof=PROOF)] for policy in (POLICY, raised)]
    assert keys[0] == keys[1]


def test_a_tokens_own_max_persons_is_the_limit_of_its_proofs() -> None:
    limits = limits_of(POLICY, replace(CALLER, max_persons=60), NOW, proof=PROOF)
    assert [one.limit for one in limits if one.scope is Scope.PROOF] == [60]


def test_what_a_person_closed_is_closed_even_with_a_proof() -> None:
    closed = replace(PROVEN, closed_from=Class.SENSITIVE)
    assert reason(decide.standing(POLICY, closed, Class.SENSITIVE, NOW)) is Reason.CLOSED_BY_PERSON
    assert reason(decide.standing(POLICY, closed, Class.RESTRICTED, NOW)) is Reason.CLOSED_BY_PERSON
    assert isinstance(decide.standing(POLICY, closed, Class.PERSONAL, NOW), decide.Standing)


def test_what_a_person_closed_is_masked_where_its_class_says_so() -> None:
    closed = replace(PROVEN, closed_from=Class.SENSITIVE)
    plan = decide.plan(POLICY, OPEN, closed, [ONE], NOW)
    assert (plan.hide, plan.needs) == (frozenset({"nir"}), Class.PERSONAL)


def test_an_exhausted_budget_of_outside_persons_refuses_nobody_beforehand() -> None:
    full = Usage(replace(limit("outside-hour"), outside=True), 60, 30)
    assert decide.exhausted([full], Class.SENSITIVE) is None
    assert decide.most_of_act(POLICY, OPEN, CALLER, Class.SENSITIVE, [full]) == 40


def test_a_grant_does_not_raise_what_counts_outside_persons() -> None:
    rules = replace(POLICY, budgets=(replace(BUDGETS[0], outside=True),))
    granted = replace(CALLER, grants=(Grant(Class.SENSITIVE, 20, NOW + 60),))
    (one,) = limits_of(rules, granted, NOW)
    assert (one.limit, one.key) == (60, "user:u:sensitive:out:3600")


UP_TO_PERSONAL = replace(POLICY, partners={"partner": PartnerRule(BUDGETS, Class.PERSONAL)})


def test_what_a_partner_is_not_trusted_with_is_closed_even_with_a_proof_or_a_mandate() -> None:
    mandated_machine = replace(MACHINE, mandate=Mandate(Class.RESTRICTED, 9, 9, NOW + 9, "officer"))
    for caller in (PROVEN, mandated_machine):
        for klass in (Class.SENSITIVE, Class.RESTRICTED):
            assert reason(decide.standing(UP_TO_PERSONAL, caller, klass, NOW)) is Reason.PARTNER_NOT_TRUSTED
        assert isinstance(decide.standing(UP_TO_PERSONAL, caller, Class.PERSONAL, NOW), decide.Standing)
    other = replace(PROVEN, partner="other")
    assert isinstance(decide.standing(UP_TO_PERSONAL, other, Class.SENSITIVE, NOW), decide.Standing)


def test_what_a_partner_is_not_trusted_with_is_masked_where_its_class_says_so_else_refused() -> None:
    plan = decide.plan(UP_TO_PERSONAL, OPEN, PROVEN, [ONE], NOW)
    assert (plan.hide, plan.needs) == (frozenset({"nir"}), Class.PERSONAL)
    control = PersonFound((), (Found("nir", Class.SENSITIVE, maskable=False),))
    assert reason(decide.plan(UP_TO_PERSONAL, OPEN, PROVEN, [control], NOW).standing) is Reason.PARTNER_NOT_TRUSTED


def test_of_the_house_s_limit_and_a_partner_s_own_the_stricter_holds() -> None:
    hour, every, misses = BUDGETS
    less = replace(hour, name="less", limit=20)
    assert stricter(BUDGETS, (less,)) == (every, misses, less)
    assert stricter(BUDGETS, (replace(less, limit=61),)) == BUDGETS
    told = replace(less, then=Then.ALARM)
    assert stricter(BUDGETS, (told,)) == (*BUDGETS, told)  # neither stops all that the other does
    assert stricter(BUDGETS, (replace(less, window_s=60),)) == (*BUDGETS, replace(less, window_s=60))


def test_a_partner_s_own_limit_counts_under_the_same_key() -> None:
    own = replace(POLICY, partners={"partner": PartnerRule(stricter(BUDGETS, (replace(BUDGETS[0], limit=20),)))})
    before, after = ({one.key: one.limit for one in limits_of(policy, CALLER, NOW)} for policy in (POLICY, own))
    assert after == before | {"user:u:sensitive:3600": 20}
    assert limits_of(own, replace(CALLER, partner="other"), NOW) == limits_of(POLICY, CALLER, NOW)


FLOORED = BudgetRule("partner-hour", Scope.PARTNER, Class.SENSITIVE, 240, 3600, floor=5)
SEATED = replace(
    POLICY,
    classes=CLASSES | {Class.SENSITIVE: replace(SENSITIVE, kinds=("totp", "webauthn"))},
    partners={"partner": PartnerRule((FLOORED,), seats=24)},
)
PASSKEY = replace(PROOF, id="p3", kind="webauthn")


def floor_of(caller: Caller, now: float = NOW, *, observe: bool = False) -> tuple[int, str, int] | None:
    (one,) = [one for one in limits_of(SEATED, caller, now, observe=observe) if one.name == "partner-hour"]
    return (one.limit, one.floor.key, one.floor.persons) if one.floor else None


def test_a_floor_is_open_to_who_has_just_shown_a_passkey_and_to_nobody_else() -> None:
    key = "floor:partner:u:sensitive:3600"
    shown = replace(CALLER, proofs=(PROOF, PASSKEY))
    assert floor_of(shown) == (120, key, 5)
    assert floor_of(PROVEN) == floor_of(CALLER) == (120, key, 0)
    assert floor_of(shown, NOW + 3600) == (120, key, 0)  # no longer fresh
    assert floor_of(replace(CALLER, proofs=(replace(PASSKEY, act=ACT.act),))) == (120, key, 0)  # another answer's
    assert floor_of(shown, observe=True) is None


def test_where_a_floor_has_room_its_limit_is_not_used_up() -> None:
    (limit,) = [one for one in limits_of(SEATED, replace(CALLER, proofs=(PASSKEY,)), NOW) if one.floor]
    assert decide.exhausted([Usage(limit, 120, 9, 4)], Class.SENSITIVE) is None
    assert reason(decide.exhausted([Usage(limit, 121, 9, 5)], Class.SENSITIVE)) is Reason.BUDGET_EXHAUSTED
    assert decide.most_of_act(SEATED, OPEN, CALLER, Class.SENSITIVE, [Usage(limit, 121, 9, 2)]) == 3


def test_of_limits_that_count_the_same_the_greater_floor_holds() -> None:
    house = replace(FLOORED, name="house", limit=900, floor=7)
    assert stricter((house,), (FLOORED,)) == (replace(FLOORED, floor=7),)
    told = replace(house, then=Then.ALARM, limit=9, floor=0)
    assert [one.floor for one in stricter((house, told), ())] == [7, 0]
