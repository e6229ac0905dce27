"""Who may let somebody bind a first factor: never themselves, and only where the policy gives them a role."""

from gateway.core.assurance import Caller
from gateway.core.policy import Policy

REFERENT, OFFICER = "referent", "officer"


def inviting_role(policy: Policy, caller: Caller, user: str, partner: str) -> str | None:
    """The role in which ``caller`` may invite ``user`` of ``partner``; ``None``: in none.

    A referent invites people of the partners that the policy names for them, an officer anybody's; nobody themselves.
    """
    if caller.is_machine or caller.user == user:
        return None
    for rule in policy.roles:
        if (rule.partner, rule.sub) != (caller.partner, caller.sub):
            continue
        if rule.role == OFFICER or (rule.role == REFERENT and partner in rule.serves):
            return rule.role
    return None


def has_role(policy: Policy, caller: Caller) -> bool:
    """Whether ``caller`` invites anybody at all."""
    return any((rule.partner, rule.sub) == (caller.partner, caller.sub) for rule in policy.roles)
