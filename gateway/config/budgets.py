"""Budgets in ``policy.toml``: of the house (``[[budgets]]``) and of one partner (``[[partners.ID.budgets]]``)."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from gateway.config.tables import ClassWord, Duration, Problem, Table
from gateway.core.extraction import Class
from gateway.core.policy import BudgetRule, Scope, Then


class BudgetTable(Table):
    """At most so many distinct persons per window and scope.

    ``per_seat``: of a partner with seats no more than so many for each of them; ``floor``: of these, so many for each
    seat are its user's own.
    """

    name: str
    scope: Literal["token", "user", "partner", "everyone"]
    klass: ClassWord = Field("internal", alias="class")
    persons: int = Field(ge=0)
    per: Duration
    then: Literal["prove", "mask", "refuse", "alarm"] | None = None
    misses: bool = False
    outside: bool = False
    per_seat: int | None = Field(None, ge=0)
    floor: int = Field(0, ge=0)

    @property
    def consequence(self) -> Then:
        """What happens beyond it."""
        return Then(self.then or ("alarm" if self.scope == "everyone" else "refuse"))


def budget_rule(table: BudgetTable, seats: int | None = None) -> BudgetRule:
    """The budget that a table says, for a partner with so many ``seats``."""
    sized = table.persons if table.per_seat is None or seats is None else min(table.persons, table.per_seat * seats)
    return BudgetRule(
        table.name,
        Scope(table.scope),
        Class.of(table.klass),
        sized,
        int(table.per),
        table.consequence,
        table.misses,
        table.outside,
        0 if seats is None else table.floor,
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
    for setting in ("per_seat", "floor"):
        if getattr(table, setting) and table.scope != "partner":
            yield (*path, setting), rule, f"{setting} is of a budget with the scope partner"
    if table.floor and (table.misses or table.outside or table.consequence is Then.ALARM):
        yield (*path, "floor"), rule, "a floor is of a budget of everybody's records that refuses or masks"
    if table.per < 1:
        yield (*path, "per"), rule, "a window is at least one second"
    if table.per > 31 * 86_400:
        yield (*path, "per"), rule, "a window is at most 31 days: links between identifiers live that long"
