"""What is decided once for a second, and what never is."""

from dataclasses import replace

from gateway.core.assurance import Caller, Proof
from gateway.core.decide import Standing
from gateway.core.extraction import Class
from gateway.core.policy import ClassRule, Policy
from gateway.core.reasons import Reason, Refusal
from gateway.core.standings import KnownStandings

NOW = 1_000_000.0
SENSITIVE = ClassRule(Class.SENSITIVE, ("totp",), 3600, 40)
RESTRICTED = ClassRule(Class.RESTRICTED, ("totp",), 0, 40)
CLASSES = {klass: ClassRule(klass) for klass in Class} | {Class.SENSITIVE: SENSITIVE, Class.RESTRICTED: RESTRICTED}
POLICY = Policy("d", CLASSES, Class.SENSITIVE, Class.PERSONAL, {}, (), (), {}, ())
PROOF = Proof("p1", "totp", NOW - 3600, "u", "t")
CALLER = Caller("u", "partner", "iss", "sub", "name", "person", "token", "t")
PROVEN = replace(CALLER, proofs=(PROOF,))


def test_a_second_is_decided_once_and_the_next_anew() -> None:
    known = KnownStandings(POLICY)
    first = known.of(PROVEN, Class.SENSITIVE, NOW)
    assert isinstance(first, Standing)
    assert known.of(PROVEN, Class.SENSITIVE, NOW + 0.9) is first
    refusal = known.of(PROVEN, Class.SENSITIVE, NOW + 1)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.PROOF_REQUIRED


def test_each_class_is_decided_by_itself() -> None:
    known = KnownStandings(POLICY)
    assert isinstance(known.of(CALLER, Class.PUBLIC, NOW), Standing)
    assert isinstance(known.of(CALLER, Class.SENSITIVE, NOW), Refusal)


def test_another_look_at_the_caller_is_decided_anew() -> None:
    known = KnownStandings(POLICY)
    assert isinstance(known.of(PROVEN, Class.SENSITIVE, NOW), Standing)
    closed = replace(PROVEN, closed_from=Class.SENSITIVE)
    assert isinstance(known.of(closed, Class.SENSITIVE, NOW), Refusal)


def test_a_proof_for_one_answer_is_never_remembered() -> None:
    known = KnownStandings(POLICY)
    caller = replace(PROVEN, proofs=(replace(PROOF, verified_at=NOW),))
    standing = known.of(caller, Class.RESTRICTED, NOW)
    assert isinstance(standing, Standing)
    assert standing.claim
    assert known.of(caller, Class.RESTRICTED, NOW) is not standing
