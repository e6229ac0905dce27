"""``gateway budget``: what is used of a user's limits, and to raise one for a time."""

import asyncio
from typing import Annotated

import typer

from gateway.commands.ledger_access import Desk, desk
from gateway.commands.people import user_named
from gateway.commands.setup import settings_of
from gateway.commands.terminal import (
    DEFAULT_CONFIG,
    NO,
    ConfigOption,
    JsonOption,
    at,
    duration_s,
    emit,
    fail,
    say,
    span,
    table,
)
from gateway.config import Settings
from gateway.core.assurance import Caller, Grant
from gateway.core.charging import Usage, limits_of
from gateway.core.extraction import Class
from gateway.core.policy import Scope
from gateway.stores import keys
from gateway.stores.budgets import Budgets
from gateway.stores.encoding import grant_of
from gateway.stores.grants import OVER_THE_DAY, Grants
from gateway.stores.tokens import Tokens

app = typer.Typer(no_args_is_help=True, help="Limits: what is used, and to raise one for a time.")


async def _grants(at_desk: Desk, user: str) -> tuple[Grant, ...]:
    values = await at_desk.store.call("HVALS", keys.grants(user))
    grants = (grant_of(value) for value in values)
    return tuple(grant for grant in grants if grant.until > at_desk.now)


async def _usage(at_desk: Desk, settings: Settings, user: str, partner: str) -> list[Usage]:
    grants = await _grants(at_desk, user)
    caller = Caller(user, partner, "", "", "", "person", "session", "", grants=grants)
    limits = [
        limit
        for misses in (False, True)
        for limit in limits_of(settings.policy, caller, at_desk.now, misses=misses)
        if limit.scope is Scope.USER or (partner and limit.scope is Scope.PARTNER)
    ]
    return list(await Budgets(at_desk.store).usage(limits))


def used(settings: Settings, user: str) -> list[dict[str, object]]:
    """What is used of one user's limits."""

    async def work() -> list[Usage]:
        async with desk(settings, writes=False) as at_desk:
            one = await user_named(Tokens(at_desk.store, at_desk.keys), user)
            return await _usage(at_desk, settings, one, "")

    return [_plain(usage) for usage in asyncio.run(work())]


@app.command()
def show(
    user: Annotated[
        str | None, typer.Argument(help="A login, or a user's id (u_…). Default: all with a token.")
    ] = None,
    partner: Annotated[str | None, typer.Option(help="The partner: its own limits are shown too.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Show how many different persons a user has taken, of which limits, and when there is room again.

    [bold]Examples[/bold]

      gateway budget show
      gateway budget show camille
      gateway budget show camille --json | jq '.[].budgets[] | select(.used > 0)'
    """
    settings = settings_of(config)

    async def work() -> list[tuple[str, str, list[Usage]]]:
        async with desk(settings, writes=False) as at_desk:
            rows = await Tokens(at_desk.store, at_desk.keys).rows()
            if user is not None:
                wanted = {await user_named(Tokens(at_desk.store, at_desk.keys), user, partner)}
            else:
                wanted = {row.user for row in rows}
            names = {row.user: f"{row.login} of {row.partner}" for row in rows}
            shown = sorted((names.get(one, ""), one) for one in wanted)
            return [(one, name, await _usage(at_desk, settings, one, partner or "")) for name, one in shown]

    found = asyncio.run(work())
    if json:
        emit(
            [{"user": one, "name": name, "budgets": [_plain(usage) for usage in usages]} for one, name, usages in found]
        )
        return
    for one, name, usages in found:
        table(
            f"{name}  {one}".strip(),
            ("limit", "class", "used", "of", "in", "next free"),
            [
                (u.limit.name, u.limit.klass.word, u.used, u.limit.limit, span(u.limit.window_s), span(u.next_free_s))
                for u in usages
            ],
        )
        say("")


def _plain(usage: Usage) -> dict[str, object]:
    limit = usage.limit
    return {
        "name": limit.name,
        "scope": str(limit.scope),
        "class": limit.klass.word,
        "limit": limit.limit,
        "used": usage.used,
        "window_s": limit.window_s,
        "next_free_s": usage.next_free_s,
    }


@app.command()
def grant(
    user: Annotated[str, typer.Argument(help="A login, or a user's id (u_…).")],
    persons: Annotated[int, typer.Option(min=1, help="By how many persons the limits are raised.")],
    reason: Annotated[str, typer.Option(help="Why; recorded.")],
    lasts: Annotated[str, typer.Option("--for", help="For how long: 30m, 2h, 1d.")] = "2h",
    klass: Annotated[str, typer.Option("--class", help="The class whose limits are raised.")] = "sensitive",
    by: Annotated[str | None, typer.Option(help="Who decided it; recorded. Default: this account.")] = None,
    partner: Annotated[str | None, typer.Option(help="Whose user, where two partners have the same login.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Raise a user's limits of one class for a time: in 24 hours at most by the smallest of them once more.

    [bold]Example[/bold]

      gateway budget grant camille --persons 20 --for 2h --reason "crisis unit, case 2026-17" --by "J. Officer"
    """
    settings = settings_of(config)
    lasts_s = duration_s(lasts)
    if lasts_s > 31 * 86_400:
        fail("a limit is raised for at most 31 days", NO)
    limit = _smallest(settings, klass)

    async def work() -> Grant | str:
        async with desk(settings) as at_desk:
            one = await user_named(Tokens(at_desk.store, at_desk.keys), user, partner)
            given = Grant(Class.of(klass), persons, at_desk.now + lasts_s)
            who = by or at_desk.account
            about = {"user": one, "class": klass, "persons": persons, "until": int(given.until), "reason_given": reason}
            await at_desk.record("grant", "asked", who, **about)
            done = await Grants(at_desk.store).grant(one, given, by=who, reason=reason, now=at_desk.now, limit=limit)
            event = "refused" if done == OVER_THE_DAY else "given"
            await at_desk.record("grant", event, who, **about)
            return done

    done = asyncio.run(work())
    if isinstance(done, str):
        fail(f"refused: grants of 24 hours may together be at most {limit} persons for the class {klass}", NO)
    if json:
        emit({"user": user, "class": klass, "persons": persons, "until": int(done.until)})
    else:
        say(f"{user}: {persons} persons more of class {klass}, until {at(done.until)}")


def _smallest(settings: Settings, klass: str) -> int:
    own = [
        rule.limit
        for rule in settings.policy.budgets
        if rule.scope is Scope.USER and rule.klass.word == klass and not rule.misses
    ]
    if not own:
        fail(f"no user has a limit of the class {klass!r} in policy.toml", NO)
    return min(own)
