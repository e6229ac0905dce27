"""A partner's word that its person confirmed: when it is a proof, of what, and for whom."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import decide
from gateway.core.assurance import LEAD_S, NO_WORD, Caller, Proof, Word, changing, proof_by_word
from gateway.core.charging import limits_of
from gateway.core.cooling import DAY_S
from gateway.core.extraction import Class
from gateway.core.policy import BY_PARTNER, AssertedRule, ClassRule, PartnerRule, Policy, Scope
from gateway.core.reasons import Reason, Refusal

NOW = 1_800_000_000.0
RULE = AssertedRule(("eidas2", "eidas3"), ("hwk",), 900, Class.PERSONAL)
WORD = Word("eidas2", auth_time=NOW - 60)
CLASSES = {
    Class.PUBLIC: ClassRule(Class.PUBLIC),
    Class.INTERNAL: ClassRule(Class.INTERNAL),
    Class.PERSONAL: ClassRule(Class.PERSONAL, ("totp",), 28_800, 50),
    Class.SENSITIVE: ClassRule(Class.SENSITIVE, ("totp",), 14_400, 40),
    Class.RESTRICTED: ClassRule(Class.RESTRICTED, ("webauthn",), 600, bind=True),
}
PARTNERS = {"north": PartnerRule(asserted=RULE), "south": PartnerRule(asserted=replace(RULE, acr=("gold",)))}
POLICY = Policy("d", CLASSES, Class.SENSITIVE, Class.PERSONAL, {}, (), (), {}, (), partners=PARTNERS)
CALLER = Caller("u", "north", "iss", "sub", "Zoé", "person", "session", "s")
ACR, AMR = st.sampled_from(["", "eidas1", "eidas2", "eidas3", "EIDAS2"]), st.sampled_from(["", "pwd", "hwk", "eidas2"])
TIMES = st.one_of(st.none(), st.floats(NOW - 2_000, NOW + 200), st.floats(allow_nan=False))


def made(word: Word = WORD, rule: AssertedRule = RULE, now: float = NOW) -> Proof:
    proof = proof_by_word(rule, word, "u", "s", now)
    assert isinstance(proof, Proof)
    return proof


def opens(klass: Class, caller: Caller, now: float = NOW, policy: Policy = POLICY) -> bool:
    return isinstance(decide.standing(policy, caller, klass, now), decide.Standing)


def serving(klass: Class, partner: str = "north") -> Policy:
    return replace(POLICY, partners={partner: PartnerRule(asserted=replace(RULE, serves=klass))})


PROVEN = replace(CALLER, proofs=(made(),))


@pytest.mark.parametrize(
    ("word", "name"),
    [
        (WORD, "acr:eidas2"),
        (Word("eidas3", ("pwd",), NOW), "acr:eidas3"),
        (Word("", ("pwd", "hwk"), NOW), "amr:hwk"),
        (Word("eidas1", ("hwk",), NOW - 900), "amr:hwk"),
        (Word("eidas2", ("hwk",), NOW), "acr:eidas2"),
    ],
    ids=str,
)
def test_one_of_what_the_policy_names_said_lately_is_a_proof(word: Word, name: str) -> None:
    proof = made(word)
    assert (proof.kind, proof.factor_id, proof.verified_at) == (BY_PARTNER, name, word.auth_time)


@pytest.mark.parametrize(
    ("word", "why"),
    [
        (NO_WORD, "it has neither an acr nor an amr that the policy names"),
        (Word("eidas1", ("pwd",), NOW), "it has neither an acr nor an amr that the policy names"),
        (Word("hwk", ("eidas2",), NOW), "it has neither an acr nor an amr that the policy names"),
        (Word("eidas2"), "it has no auth_time"),
        (Word("eidas2", auth_time=NOW - 901), "its auth_time is too long ago"),
        (Word("eidas2", auth_time=NOW + LEAD_S + 1), "its auth_time is to come"),
    ],
    ids=str,
)
def test_why_a_word_is_no_proof(word: Word, why: str) -> None:
    assert proof_by_word(RULE, word, "u", "s", NOW) == why


@given(st.builds(Word, ACR, st.lists(AMR, max_size=3).map(tuple), TIMES), st.floats(0, 40_000))
def test_whatever_is_said_a_proof_is_of_a_named_value_and_its_own_time_and_opens_only_what_it_serves(
    word: Word, later: float
) -> None:
    proof = proof_by_word(RULE, word, "u", "s", NOW)
    if isinstance(proof, str):
        return
    assert word.auth_time is not None and NOW - 900 <= word.auth_time <= NOW + LEAD_S
    assert word.acr in RULE.acr or set(word.amr) & set(RULE.amr)
    assert proof.verified_at <= min(word.auth_time, NOW)
    caller, then = replace(CALLER, proofs=(proof,)), NOW + later
    assert opens(Class.PERSONAL, caller, then) is (then - proof.verified_at <= 900)
    assert not opens(Class.SENSITIVE, caller, then) and not opens(Class.RESTRICTED, caller, then)


def test_a_clock_that_goes_before_ours_makes_no_proof_older_than_now() -> None:
    assert made(Word("eidas2", auth_time=NOW + 30)).verified_at == NOW


def test_it_opens_what_it_serves_and_what_it_lacks_is_asked_for() -> None:
    assert opens(Class.PERSONAL, PROVEN)
    refusal = decide.standing(POLICY, PROVEN, Class.SENSITIVE, NOW)
    assert isinstance(refusal, Refusal) and (refusal.reason, refusal.kinds) == (Reason.PROOF_REQUIRED, ("totp",))
    assert opens(Class.SENSITIVE, PROVEN, policy=serving(Class.SENSITIVE))


@pytest.mark.parametrize("changes", [{"bind": True}, {"max_age_s": 0}, {"kinds": ()}], ids=str)
def test_it_opens_no_class_where_a_proof_is_for_one_answer(changes: dict[str, object]) -> None:
    rule = replace(CLASSES[Class.SENSITIVE], **changes)  # type: ignore[arg-type]  # names of its fields
    assert not made().opens(rule, NOW, replace(RULE, serves=Class.RESTRICTED))


@pytest.mark.parametrize(
    ("caller", "klass", "offered"),
    [
        (CALLER, Class.PERSONAL, True),
        (CALLER, Class.SENSITIVE, False),
        (replace(CALLER, partner="nobody"), Class.PERSONAL, False),
        (replace(CALLER, credential="token"), Class.PERSONAL, False),
    ],
    ids=["what it serves", "what it does not", "no rule", "a token"],
)
def test_to_sign_in_anew_is_offered_where_it_would_open(caller: Caller, klass: Class, offered: bool) -> None:
    refusal = decide.standing(POLICY, caller, klass, NOW)
    assert isinstance(refusal, Refusal) and refusal.by_partner is offered


def test_the_younger_of_what_class_and_partner_ask_for_holds() -> None:
    short = replace(POLICY, classes=CLASSES | {Class.PERSONAL: replace(CLASSES[Class.PERSONAL], max_age_s=120)})
    assert opens(Class.PERSONAL, PROVEN, NOW + 840) and not opens(Class.PERSONAL, PROVEN, NOW + 841)
    assert opens(Class.PERSONAL, PROVEN, NOW + 60, short) and not opens(Class.PERSONAL, PROVEN, NOW + 61, short)


@pytest.mark.parametrize(
    "partners",
    [{}, {"north": PartnerRule()}, {"north": PARTNERS["south"]}, {"south": PARTNERS["north"]}],
    ids=["nothing said of it", "not taken", "another level", "another partner's"],
)
def test_it_ends_when_the_policy_takes_it_no_longer(partners: dict[str, PartnerRule]) -> None:
    assert not opens(Class.PERSONAL, PROVEN, policy=replace(POLICY, partners=partners))


def test_it_changes_nothing_of_what_its_person_confirms_with() -> None:
    for removing in (True, False):
        assert changing(PROVEN, NOW + 3 * DAY_S, 4 * DAY_S, removing=removing) is None


def test_one_sign_in_is_one_proof_whose_persons_are_counted_together() -> None:
    one, again = made(), made(Word("eidas3", ("hwk",), WORD.auth_time))
    assert one.id == again.id and made(Word("eidas2", auth_time=NOW)).id != one.id
    assert proof_by_word(RULE, WORD, "another", "s", NOW).id != one.id  # type: ignore[union-attr]  # a proof
    (limit,) = [each for each in limits_of(POLICY, PROVEN, NOW, proof=one) if each.scope is Scope.PROOF]
    assert (limit.klass, limit.limit) == (Class.PERSONAL, 50)


def test_what_a_token_says_is_its_caller_s_proof_and_no_machine_s() -> None:
    with_word = CALLER.with_word(RULE, WORD, NOW)
    assert with_word.proofs == (made(),) and with_word.worded and opens(Class.PERSONAL, with_word)
    machine = replace(CALLER, kind="machine")
    assert machine.with_word(RULE, WORD, NOW) is machine
    assert CALLER.with_word(RULE, NO_WORD, NOW).proofs == ()


@pytest.mark.parametrize(
    ("caller", "klass", "levels", "max_age_s"),
    [
        (replace(CALLER, worded=True), Class.PERSONAL, ("eidas2", "eidas3"), 900),
        (replace(CALLER, worded=True), Class.SENSITIVE, (), 14_400),
        (CALLER, Class.PERSONAL, (), 28_800),
    ],
    ids=["what it serves", "what it does not", "a session"],
)
def test_a_program_is_told_with_which_levels_a_token_would_open(
    caller: Caller, klass: Class, levels: tuple[str, ...], max_age_s: int
) -> None:
    refusal = decide.standing(POLICY, caller, klass, NOW)
    assert isinstance(refusal, Refusal) and (refusal.levels, refusal.max_age_s) == (levels, max_age_s)


def test_what_was_confirmed_before_everything_was_ended_has_ended_with_it() -> None:
    said = proof_by_word(RULE, WORD, "u", "s", NOW, NOW - 60)
    assert said == "its auth_time is before everything of this person was ended"
    assert isinstance(proof_by_word(RULE, WORD, "u", "s", NOW, NOW - 61), Proof)
    assert replace(CALLER, ended_at=NOW).with_word(RULE, WORD, NOW).proofs == ()


def test_whoever_is_new_has_no_ripe_proof_by_a_token() -> None:
    caller = replace(CALLER, young_since=NOW - 3600).with_word(RULE, WORD, NOW)
    (limit, _) = [one for one in limits_of(POLICY, caller, NOW, proof=caller.proofs[0]) if "cooling" in one.name]
    assert (limit.klass, limit.limit) == (Class.PERSONAL, 20)
