"""A young factor opens little; a ripe one beside it is not slowed."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.core import decide
from gateway.core.assurance import Caller, Proof, fresh
from gateway.core.charging import KnownLimits, limits_of
from gateway.core.cooling import COOLING, DAY_S, HOUR_S, Binding
from gateway.core.extraction import Class
from gateway.core.policy import RECOVERY, ClassRule, Policy, Then
from gateway.core.reasons import Reason, Refusal

NOW = 1_000_000.0
RULES = {
    Class.SENSITIVE: ClassRule(Class.SENSITIVE, ("webauthn", "totp"), 4 * HOUR_S, 40),
    Class.RESTRICTED: ClassRule(Class.RESTRICTED, ("webauthn", "totp"), 4 * HOUR_S),
}
POLICY = Policy(
    "d", {klass: ClassRule(klass) for klass in Class} | RULES, Class.SENSITIVE, Class.PERSONAL, {}, (), (), {}, ()
)
RIPE = Proof("ripe", "totp", NOW - 100, "u", "s")
REMOTE = Proof("remote", "totp", NOW - 10, "u", "s", bound="remote", bound_at=NOW - 10)
VOUCHED = replace(REMOTE, id="vouched", bound="vouched")
NOBODY = Caller("u", "partner", "iss", "sub", "name", "person", "session", "s")


def with_proofs(*proofs: Proof) -> Caller:
    return replace(NOBODY, proofs=proofs)


def counts(proof: Proof, now: float = NOW) -> list[tuple[int, int]]:
    found = limits_of(POLICY, with_proofs(proof), now, proof=proof)
    return [(one.limit, one.window_s) for one in found if one.name.startswith("cooling")]


def test_a_factor_bound_from_afar_opens_ten_persons_in_two_days() -> None:
    assert counts(REMOTE) == [(10, 2 * DAY_S)]


def test_a_factor_vouched_for_opens_twenty_an_hour_and_eighty_a_day() -> None:
    assert counts(VOUCHED) == [(20, HOUR_S), (80, DAY_S)]


def test_a_ripe_factor_has_no_limit_of_its_own() -> None:
    assert counts(RIPE) == []


@given(st.sampled_from([Binding.VOUCHED, Binding.REMOTE]), st.floats(0, 3 * DAY_S))
def test_cooling_ends_when_it_should_and_not_a_second_before(bound: Binding, age_s: float) -> None:
    proof = replace(REMOTE, bound=str(bound), bound_at=NOW - age_s)
    assert (proof.cooling(NOW) is None) is (proof.bound_at + COOLING[bound].lasts_s <= NOW)


def test_a_clock_set_back_makes_no_factor_ripe() -> None:
    assert replace(REMOTE, bound_at=NOW + DAY_S).cooling(NOW) is not None


def test_the_limits_of_cooling_count_what_the_proof_opens_and_mask() -> None:
    (one,) = [one for one in limits_of(POLICY, with_proofs(REMOTE), NOW, proof=REMOTE) if "cooling" in one.name]
    assert (one.klass, one.then, one.key) == (Class.SENSITIVE, Then.MASK, f"cooling:u:remote:sensitive:{2 * DAY_S}")


def test_another_session_of_the_same_person_draws_on_the_same_cooling() -> None:
    other = replace(REMOTE, id="p9", credential_id="s9")
    keys = [{one.key for one in limits_of(POLICY, with_proofs(p), NOW, proof=p) if "cooling" in one.name}
            for p in (REMOTE, other)]  # fmt: skip
    assert keys[0] == keys[1]


def test_limits_that_are_remembered_end_with_the_cooling() -> None:
    known, caller = KnownLimits(POLICY), with_proofs(REMOTE)
    young = known.of(caller, NOW, REMOTE)
    ripe = known.of(caller, NOW + 2 * DAY_S, REMOTE)
    assert [one.name for one in young if one not in ripe] == ["cooling-remote"]


def test_restricted_is_closed_to_a_young_factor() -> None:
    for proof in (REMOTE, VOUCHED):
        refusal = decide.standing(POLICY, with_proofs(proof), Class.RESTRICTED, NOW)
        assert isinstance(refusal, Refusal) and refusal.reason is Reason.FACTOR_COOLING
        assert decide.standing(POLICY, with_proofs(proof), Class.SENSITIVE, NOW) == decide.Standing(proof)


def test_a_ripe_proof_is_used_before_a_newer_one_of_a_young_factor() -> None:
    for proofs in ((REMOTE, RIPE), (RIPE, REMOTE)):
        assert fresh(RULES[Class.SENSITIVE], with_proofs(*proofs), NOW) is RIPE
        assert decide.standing(POLICY, with_proofs(*proofs), Class.RESTRICTED, NOW) == decide.Standing(RIPE)
        assert decide.standing(POLICY, with_proofs(*proofs), Class.PUBLIC, NOW) == decide.Standing(RIPE)


def test_a_recovery_code_stands_in_for_a_totp_code_alone() -> None:
    assert ClassRule(Class.SENSITIVE, ("totp",)).accepts(RECOVERY)
    assert not ClassRule(Class.SENSITIVE, ("webauthn",)).accepts(RECOVERY)
    assert not ClassRule(Class.PUBLIC).accepts(RECOVERY)


def test_a_recovery_proof_keeps_to_the_persons_of_one_proof() -> None:
    proof = replace(REMOTE, kind=RECOVERY)
    assert [one.limit for one in limits_of(POLICY, with_proofs(proof), NOW, proof=proof) if one.then is Then.PROVE] == [
        40
    ]
