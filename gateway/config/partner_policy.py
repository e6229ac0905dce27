"""``[partners.ID]`` of ``policy.toml``: what one partner's people may have, beside what the house lets everybody have.

``partners.toml`` says how a partner signs in, and belongs to who signs contracts; this belongs to the officer.
"""

from collections.abc import Iterable, Mapping

from pydantic import Field

from gateway.config.budgets import BudgetTable, budget_problems, budget_rule
from gateway.config.tables import ClassWord, Duration, Problem, Table
from gateway.core.extraction import Class
from gateway.core.policy import ABSOLUTE_S, IDLE_S, BudgetRule, PartnerRule, stricter

LEAST_IDLE_S = 120
"""The last use of a session is written once a minute."""


class PartnerPolicyTable(Table):
    """What the officer says of one partner."""

    classes: ClassWord = "restricted"
    budgets: list[BudgetTable] = []
    idle: Duration = IDLE_S
    absolute: Duration = ABSOLUTE_S
    seats: int | None = Field(None, ge=1)


def partner_rules(
    tables: Mapping[str, PartnerPolicyTable], house: tuple[BudgetRule, ...], problems: list[Problem], *, inside: bool
) -> dict[str, PartnerRule]:
    """The rule of each partner of whom the file says something. ``inside``: it says who is inside."""
    for name, table in tables.items():
        problems += _budget_problems(name, table, house, inside=inside)
        problems += _session_problems(name, table)
    return {name: _rule(table, house) for name, table in tables.items()}


def _budget_problems(
    name: str, table: PartnerPolicyTable, house: tuple[BudgetRule, ...], *, inside: bool
) -> Iterable[Problem]:
    names = {rule.name for rule in house}
    for index, budget in enumerate(table.budgets):
        path = ("partners", name, "budgets", str(index))
        yield from budget_problems(budget, path, names, inside=inside)
        if budget.scope == "everyone":
            rule = ".".join((*path[:-1], budget.name))
            yield (*path, "scope"), rule, "everyone's budgets are the house's: [[budgets]]"


def _session_problems(name: str, table: PartnerPolicyTable) -> Iterable[Problem]:
    for setting, given, most, words in (
        ("idle", table.idle, IDLE_S, f"{IDLE_S // 60}m"),
        ("absolute", table.absolute, ABSOLUTE_S, f"{ABSOLUTE_S // 3600}h"),
    ):
        if not LEAST_IDLE_S <= given <= most:
            path = ("partners", name, setting)
            yield path, ".".join(path), f"write 2m to {words}: the house's sessions live no longer"


def _rule(table: PartnerPolicyTable, house: tuple[BudgetRule, ...]) -> PartnerRule:
    return PartnerRule(
        budgets=stricter(house, tuple(map(budget_rule, table.budgets))),
        highest=Class.of(table.classes),
        idle_s=int(table.idle),
        absolute_s=int(table.absolute),
        seats=table.seats,
    )
