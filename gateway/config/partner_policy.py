"""``[partners.ID]`` of ``policy.toml``: what one partner's people may have, beside what the house lets everybody have.

``partners.toml`` says how a partner signs in, and belongs to who signs contracts; this belongs to the officer.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from pydantic import Field

from gateway.config.budgets import BudgetTable, budget_problems, budget_rule
from gateway.config.tables import ClassWord, Duration, Problem, Table
from gateway.core.extraction import Class
from gateway.core.policy import (
    ABSOLUTE_S,
    IDLE_S,
    AssertedRule,
    BudgetRule,
    PartnerRule,
    stricter,
    taken_in_a_day,
)

LEAST_IDLE_S = 120
"""The last use of a session is written once a minute."""


UNBOUNDED = 2**32 - 1
MOST_FLOORS = 8


class OwnBudgetTable(BudgetTable):
    """A budget of one partner, which its seats may size."""

    persons: int = Field(UNBOUNDED, ge=0)


Said = Annotated[str, Field(pattern=r"^[!-~]+$")]
"""A value of acr or amr: they are sent with spaces between them."""


class AcrTable(Table):
    """When the partner's word that its person confirmed is a proof."""

    values: list[Said] = []
    amr: list[Said] = []
    max_age: Duration = Field(ge=1)
    serves: ClassWord = "personal"
    i_accept: int | None = None


class PartnerPolicyTable(Table):
    """What the officer says of one partner."""

    classes: ClassWord = "restricted"
    budgets: list[OwnBudgetTable] = []
    idle: Duration = IDLE_S
    absolute: Duration = ABSOLUTE_S
    seats: int | None = Field(None, ge=1)
    acr: AcrTable | None = None


def partner_rules(
    tables: Mapping[str, PartnerPolicyTable], house: Sequence[BudgetTable], problems: list[Problem], *, inside: bool
) -> dict[str, PartnerRule]:
    """The rule of each partner of whom the file says something. ``inside``: it says who is inside."""
    rules = {}
    for name, table in tables.items():
        problems += _budget_problems(name, table, house, inside=inside)
        problems += _session_problems(name, table)
        rules[name] = _rule(table, house)
        problems += _floor_problems(name, rules[name])
        problems += _acr_problems(name, table.acr, rules[name])
    return rules


def _budget_problems(
    name: str, table: PartnerPolicyTable, house: Sequence[BudgetTable], *, inside: bool
) -> Iterable[Problem]:
    names = {rule.name for rule in house}
    for index, budget in enumerate(table.budgets):
        path = ("partners", name, "budgets", str(index))
        yield from budget_problems(budget, path, names, inside=inside)
        rule = ".".join((*path[:-1], budget.name))
        if budget.scope == "everyone":
            yield (*path, "scope"), rule, "everyone's budgets are the house's: [[budgets]]"
        if table.seats is None and (budget.per_seat is not None or budget.floor):
            yield (*path, "floor" if budget.floor else "per_seat"), rule, f"how many? write seats in [partners.{name}]"
        if budget.persons == UNBOUNDED and budget.per_seat is None:
            yield path, rule, "at most how many? write persons, or per_seat"


def _floor_problems(name: str, rule: PartnerRule) -> Iterable[Problem]:
    """What is kept for each must be there, and counted once: a second budget would count it as shared."""
    path, floors = ("partners", name), [one for one in rule.budgets if one.floor]
    if len(floors) > MOST_FLOORS:
        yield path, ".".join(path), f"has {len(floors)} budgets with floors; {MOST_FLOORS} can be told apart"
    for one in floors:
        kept = one.floor * (rule.seats or 0)
        if kept > one.limit:
            words = f"{rule.seats} seats keep {one.floor} each: more than the {one.limit} of {one.name}"
            yield path, ".".join(path), words
        others = [other.name for other in rule.budgets if other.counts == one.counts and other is not one]
        if others:
            yield path, ".".join(path), f"{one.name} has a floor: it alone may count what {others[0]} counts too"


def _session_problems(name: str, table: PartnerPolicyTable) -> Iterable[Problem]:
    for setting, given, most, words in (
        ("idle", table.idle, IDLE_S, f"{IDLE_S // 60}m"),
        ("absolute", table.absolute, ABSOLUTE_S, f"{ABSOLUTE_S // 3600}h"),
    ):
        if not LEAST_IDLE_S <= given <= most:
            path = ("partners", name, setting)
            yield path, ".".join(path), f"write 2m to {words}: the house's sessions live no longer"


def _acr_problems(name: str, acr: AcrTable | None, rule: PartnerRule) -> Iterable[Problem]:
    """Beyond ``personal`` the officer says how many persons it costs if somebody takes the partner's administration."""
    if acr is None:
        return
    path = ("partners", name, "acr")
    where = ".".join(path)
    if not acr.values and not acr.amr:
        yield path, where, "which of its words count? write values, or amr"
    if Class.of(acr.serves) <= Class.PERSONAL:
        if acr.i_accept is not None:
            yield path, where, "i_accept is for serves = sensitive and above: remove it"
        return
    most = taken_in_a_day(rule, Class.of(acr.serves))
    if most is None:
        yield (
            path,
            where,
            f"nothing bounds what a hijacked administrator of {name} could take: write seats, or a budget",
        )
    elif acr.i_accept is None or acr.i_accept < most:
        words = f"a hijacked administrator of {name} could take {most} persons of this class in a day"
        yield path, where, f'{words}: write i_accept = {most}, or serves = "personal"'


def _rule(table: PartnerPolicyTable, house: Sequence[BudgetTable]) -> PartnerRule:
    def sized(tables: Sequence[BudgetTable]) -> tuple[BudgetRule, ...]:
        return tuple(budget_rule(one, table.seats) for one in tables)

    return PartnerRule(
        budgets=stricter(sized(house), sized(table.budgets)),
        highest=Class.of(table.classes),
        idle_s=int(table.idle),
        absolute_s=int(table.absolute),
        seats=table.seats,
        asserted=_asserted(table.acr),
    )


def _asserted(acr: AcrTable | None) -> AssertedRule | None:
    if acr is None:
        return None
    return AssertedRule(tuple(acr.values), tuple(acr.amr), int(acr.max_age), Class.of(acr.serves))
