"""Who may act for others: never on themselves, and only where the policy gives them a role.

One table says what each role may do today; a role that is in no row of it is a name that pages and reports show.
"""

from collections.abc import Mapping
from enum import StrEnum

from gateway.core.assurance import Caller
from gateway.core.policy import Policy, RoleRule


class Role(StrEnum):
    """What somebody is for others."""

    OPERATOR = "operator"
    OFFICER = "officer"
    REFERENT = "referent"
    HELP_DESK = "help_desk"
    DPO = "dpo"
    AUDITOR = "auditor"


class Act(StrEnum):
    """What is done for, or to, somebody else."""

    INVITE = "invite"
    START = "start"
    SEE = "see"
    END_SESSIONS = "end_sessions"
    HALT = "halt"
    MIGRATE = "migrate"


MAY: Mapping[Act, frozenset[Role]] = {
    Act.INVITE: frozenset({Role.REFERENT, Role.OFFICER}),
    Act.START: frozenset({Role.HELP_DESK}),
    Act.SEE: frozenset({Role.HELP_DESK, Role.OFFICER, Role.DPO, Role.AUDITOR}),
    Act.END_SESSIONS: frozenset({Role.HELP_DESK, Role.OFFICER}),
    Act.HALT: frozenset({Role.OFFICER}),
    Act.MIGRATE: frozenset({Role.OFFICER}),
}
"""``START``: an invitation that a referent or officer must sign. ``HALT``: freeze, unfreeze, reopen.
``MIGRATE``: let people be who they were by another name; one starts it, another signs."""

LOCAL = frozenset({Role.REFERENT, Role.HELP_DESK})
"""Roles that reach only people of the partners that the policy names for them; the others reach anybody."""


def roles_of(policy: Policy, caller: Caller) -> tuple[RoleRule, ...]:
    """The roles of ``caller``, in the policy's order; a machine has none."""
    if caller.is_machine:
        return ()
    return tuple(rule for rule in policy.roles if (rule.partner, rule.sub) == (caller.partner, caller.sub))


def role_for(policy: Policy, caller: Caller, act: Act, *, user: str, partner: str) -> str | None:
    """The role in which ``caller`` may do ``act`` to ``user`` of ``partner``; ``None``: in none. Never to oneself."""
    if caller.user == user:
        return None
    for rule in roles_of(policy, caller):
        if rule.role in MAY[act] and (rule.role not in LOCAL or partner in rule.serves):
            return rule.role
    return None


def may(policy: Policy, caller: Caller, act: Act) -> bool:
    """Whether ``caller`` may do ``act`` to anybody at all."""
    return any(rule.role in MAY[act] for rule in roles_of(policy, caller))
