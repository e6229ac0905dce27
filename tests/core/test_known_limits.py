"""What `KnownLimits` remembers is what `limits_of` says, whatever of a caller changes."""

from dataclasses import replace

from gateway.core.assurance import Caller, Grant, Mandate, Proof
from gateway.core.charging import KnownLimits, limits_of
from gateway.core.extraction import Class
from gateway.core.policy import BudgetRule, ClassRule, PartnerRule, Policy, Scope

NOW = 1_800_000_000.0
RULES = tuple(
    BudgetRule(f"{scope}-day", scope, Class.SENSITIVE, 60, 86_400)
    for scope in (Scope.TOKEN, Scope.USER, Scope.PARTNER, Scope.EVERYONE)
)
CLASSES = {klass: ClassRule(klass) for klass in Class}
CLASSES[Class.SENSITIVE] = ClassRule(Class.SENSITIVE, ("totp", "webauthn"), 14_400, 40)
FLOORED = PartnerRule((*RULES, BudgetRule("hour", Scope.PARTNER, Class.SENSITIVE, 60, 3600, floor=2)), seats=3)
PARTNERS = {"cap": FLOORED}
POLICY = Policy("d", CLASSES, Class.RESTRICTED, Class.PERSONAL, {}, (), (), {}, RULES, partners=PARTNERS)
CALLER = Caller("u_1", "relais", "iss", "sub", "Zoé", "person", "token", "t_1")
PROOF = Proof("p_1", "totp", NOW, "u_1", "t_1")
MANDATE = Mandate(Class.SENSITIVE, 200, 86_400, NOW + 60, "officer")
GRANT = Grant(Class.SENSITIVE, 20, NOW + 60)
CALLERS = (
    CALLER,
    replace(CALLER, user="u_2"),
    replace(CALLER, partner="cap"),
    replace(CALLER, partner="cap", proofs=(replace(PROOF, kind="webauthn"),)),
    replace(CALLER, credential_id="t_2"),
    replace(CALLER, max_persons=7),
    replace(CALLER, grants=(GRANT,)),
    replace(CALLER, grants=(GRANT, replace(GRANT, persons=5))),
)
PROOFS = (None, PROOF, replace(PROOF, id="p_2"), replace(PROOF, kind="webauthn"))


def test_says_what_limits_of_says_for_every_caller_proof_and_mandate_in_turn() -> None:
    for observe in (False, True):
        known = KnownLimits(POLICY, observe=observe)
        for _ in range(2):
            for caller in CALLERS:
                for proof in PROOFS:
                    for mandate in (None, MANDATE, replace(MANDATE, persons=9)):
                        fresh = limits_of(POLICY, caller, NOW, proof=proof, mandate=mandate, observe=observe)
                        assert known.of(caller, NOW, proof, mandate) == fresh


def test_a_grant_raises_no_limit_after_its_end() -> None:
    known = KnownLimits(POLICY)
    granted = replace(CALLER, grants=(GRANT,))
    raised, plain = known.of(granted, NOW), known.of(granted, NOW + 60)
    assert [limit.limit for limit in raised if limit.scope is Scope.USER] == [80]
    assert [limit.limit for limit in plain if limit.scope is Scope.USER] == [60]


def test_gives_the_same_tuple_again() -> None:
    known = KnownLimits(POLICY)
    assert known.of(CALLER, NOW, PROOF) is known.of(CALLER, NOW + 1, PROOF)
