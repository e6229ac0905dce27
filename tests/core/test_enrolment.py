"""Who may act for others: by role, by partner, never on themselves."""

from dataclasses import replace

import pytest

from gateway.core.assurance import Caller
from gateway.core.enrolment import LOCAL, MAY, Act, Role, may, role_for, roles_of
from gateway.core.extraction import Class
from gateway.core.policy import Policy, RoleRule

POLICY = Policy("d", {}, Class.SENSITIVE, Class.PERSONAL, {}, (), (), {}, ())
ALICE = Caller("u_alice", "agency", "iss", "sub-alice", "Alice", "person", "session", "s")


def named(*roles: Role) -> Policy:
    return replace(POLICY, roles=tuple(RoleRule(role, "agency", "sub-alice", ("agency",)) for role in roles))


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("act", Act)
def test_the_table_says_what_each_role_may_do_and_to_whom(role: Role, act: Act) -> None:
    policy, has = named(role), role in MAY[act]
    assert may(policy, ALICE, act) is has
    assert role_for(policy, ALICE, act, user="u_bob", partner="agency") == (str(role) if has else None)
    elsewhere = role_for(policy, ALICE, act, user="u_bob", partner="mission")
    assert elsewhere == (str(role) if has and role not in LOCAL else None)


@pytest.mark.parametrize("act", Act)
def test_nobody_acts_on_themselves_a_machine_never_and_a_namesake_of_another_partner_neither(act: Act) -> None:
    policy = named(*Role)
    assert role_for(policy, ALICE, act, user="u_alice", partner="agency") is None
    for other in (replace(ALICE, kind="machine"), replace(ALICE, partner="mission"), replace(ALICE, sub="sub-bob")):
        assert role_for(policy, other, act, user="u_bob", partner="agency") is None
        assert not may(policy, other, act) and roles_of(policy, other) == ()


def test_the_help_desk_alone_lets_nobody_bind_anything() -> None:
    assert role_for(named(Role.HELP_DESK), ALICE, Act.INVITE, user="u_bob", partner="agency") is None


def test_who_audits_and_who_runs_the_machine_change_nothing() -> None:
    for role in (Role.DPO, Role.AUDITOR, Role.OPERATOR):
        assert not [act for act in Act if act is not Act.SEE and role in MAY[act]]
