"""Budgets in ``policy.toml``: of the house (``[[budgets]]``) and of one partner (``[[partners.ID.budgets]]``)."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from gateway.config.tables import ClassWord, Duration, Problem, Table
from gateway.core.extraction import Class
from gateway.core.policy import BudgetRule, Scope, Then


class BudgetTable(Table):
    """At most so many distinct persons per window and scope."""

    name: str
    scope: Literal["token", "user", "partner", "everyone"]
    klass: ClassWord = Field("internal", alias="class")
    persons: int = Field(ge=0)
    per: Duration
    then: Literal["prove", "mask", "refuse", "alarm"] | None = None
    misses: bool = False
    outside: bool = False


def budget_rule(table: BudgetTable) -> BudgetRule:
    """The budget that a table says."""
    return BudgetRule(
        table.name,
        Scope(table.scope),
        Class.of(table.klass),
        table.persons,
        int(table.per),
        Then(table.then or ("alarm" if table.scope == "everyone" else "refuse")),
        table.misses,
        table.outside,
    )


def budget_problems(table: BudgetTable, path: tuple[str, ...], names: set[str], *, inside: bool) -> Iterable[Problem]:
    """What is wrong with a budget, whose name is added to the ``names`` of those before it.

    ``inside``: the policy says who is inside.
    """
    rule = ".".join((*path[:-1], table.name))
    if table.name in names:
        yield (*path, "name"), rule, "another budget has this name"
    names.add(table.name)
    if table.then == "prove":
        words = "a new proof opens only what is counted per proof: write max_persons under [classes.CLASS]"
        yield (*path, "then"), rule, words
    if table.outside and (table.misses or not inside):
        words = "a miss is nobody's" if table.misses else "write inside = {…}, which says who is outside"
        yield (*path, "outside"), rule, words
    if table.per < 1:
        yield (*path, "per"), rule, "a window is at least one second"
    if table.per > 31 * 86_400:
        yield (*path, "per"), rule, "a window is at most 31 days: links between identifiers live that long"
