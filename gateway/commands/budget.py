"""``gateway budget``: what is used of a user's limits, to raise one for a time, and to count anew from the ledger."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from gateway import rebuild as rebuilding
from gateway import reidentifying, reseating
from gateway.commands.ledger_access import Desk, desk, ledger_directory, ledger_keys
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
from gateway.ledger.reading import LedgerDamaged, Problem, charges_of, last_charge_seq, verified
from gateway.ledgers import Counting, LedgerFolder, NoLedger
from gateway.stores import keys
from gateway.stores.budgets import Budgets
from gateway.stores.connection import Store
from gateway.stores.encoding import grant_of
from gateway.stores.faults import StoreLost
from gateway.stores.grants import OVER_THE_DAY, Grants
from gateway.stores.identities import Identities
from gateway.stores.subjects import Subjects
from gateway.stores.tokens import Tokens

app = typer.Typer(no_args_is_help=True, help="Limits: what is used, to raise one for a time, to count anew.")


async def _grants(at_desk: Desk, user: str) -> tuple[Grant, ...]:
    values = await at_desk.store.call("HVALS", keys.grants(user))
    grants = (grant_of(value) for value in values)
    return tuple(grant for grant in grants if grant.until > at_desk.now)


async def _partner(at_desk: Desk, user: str, said: str | None) -> str:
    """Whose user it is, where that is known; empty: nobody knows."""
    subject = await Subjects(at_desk.store, at_desk.keys).of(user)
    return subject.partner if subject is not None else said or ""


async def _usage(at_desk: Desk, settings: Settings, user: str, partner: str) -> list[Usage]:
    grants = await _grants(at_desk, user)
    theirs = await _partner(at_desk, user, partner)
    caller = Caller(user, theirs, "", "", "", "person", "session", "", grants=grants)
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
            one = await user_named(at_desk, user)
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
            wanted = {row.user for row in rows} if user is None else {await user_named(at_desk, user, partner)}
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
                (u.limit.name, u.limit.klass.word, _used(u), u.limit.limit, span(u.limit.window_s), span(u.next_free_s))
                for u in usages
            ],
        )
        say("")


def _used(usage: Usage) -> str:
    return f"{usage.used} and {usage.floor_used} of one's own" if usage.floor_used else str(usage.used)


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
        **({"floor_used": usage.floor_used} if limit.floor else {}),
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

    async def work() -> tuple[Grant | str, int]:
        async with desk(settings) as at_desk:
            one = await user_named(at_desk, user, partner)
            limit = _smallest(settings, klass, await _partner(at_desk, one, partner))
            given = Grant(Class.of(klass), persons, at_desk.now + lasts_s)
            who = by or at_desk.account
            about = {"user": one, "class": klass, "persons": persons, "until": int(given.until), "reason_given": reason}
            await at_desk.record("grant", "asked", who, **about)
            done = await Grants(at_desk.store).grant(one, given, by=who, reason=reason, now=at_desk.now, limit=limit)
            event = "refused" if done == OVER_THE_DAY else "given"
            await at_desk.record("grant", event, who, **about)
            return done, limit

    done, limit = asyncio.run(work())
    if isinstance(done, str):
        fail(f"refused: grants of 24 hours may together be at most {limit} persons for the class {klass}", NO)
    if json:
        emit({"user": user, "class": klass, "persons": persons, "until": int(done.until)})
    else:
        say(f"{user}: {persons} persons more of class {klass}, until {at(done.until)}")


def _smallest(settings: Settings, klass: str, partner: str) -> int:
    """The smallest limit of a partner's user; of anybody's, where it is not known whose they are."""
    policy = settings.policy
    own = [
        rule.limit
        for rule in (policy.of(partner).budgets if partner else policy.every_budget)
        if rule.scope is Scope.USER and rule.klass.word == klass and not rule.misses and not rule.outside
    ]
    if not own:
        fail(f"no user has a limit of the class {klass!r} in policy.toml", NO)
    return min(own)


LOST_TOO = (
    "Not in the ledger, so not in the store either: tokens, sessions, codes' secrets, grants, and what was"
    " revoked or frozen since a backup. Issue, enrol, revoke and freeze again."
)


@app.command()
def rebuild(
    ledger: Annotated[
        list[Path] | None,
        typer.Option(help="A copy, made since the store was lost, of another gateway's ledger. One option for each."),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="A gateway whose ledger is lost: whom it gave is counted no more.")
    ] = None,
    force: Annotated[
        bool, typer.Option(help="Also while the store is whole, or although records of the ledger do not verify.")
    ] = False,
    by: Annotated[str | None, typer.Option(help="Who decided it; recorded. Default: this account.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Count every budget anew from the ledger, and who has a seat, after the store was emptied, swapped or rolled back.

    Until then every gateway answers 503; it takes up again by itself within seconds. Which identifiers are one person
    is not in the ledger: somebody known by several may be counted twice until the window ends, never less than once.
    Gateways with ledgers of their own are counted together: run it at one, with copies of the others' directories.

    [bold]Example[/bold]

      gateway budget rebuild --ledger /tmp/ledger-of-gateway-1
    """
    settings = settings_of(config)
    told: list[Problem] = []
    comings, changes = reseating.Comings(), reidentifying.Changes()

    async def work() -> rebuilding.Rebuilt:
        async with desk(settings) as at_desk:
            directory = ledger_directory(settings)
            if not force:
                await _require_lost(at_desk.store, directory)
            directories = (LedgerFolder.made(directory).directory, *(ledger or ()))
            await _all_given(at_desk.store, Counting.of(directories, without or ()))
            await at_desk.record(
                "operator", "rebuild", by, force=force, ledgers=len(directories), without=without or []
            )
            await rebuilding.close(at_desk.store)
            counting = Counting.of(directories, without or ())
            since = rebuilding.since(settings.policy, at_desk.now)
            problem = told.append if force else None
            read = chain.from_iterable(verified(one, ledger_keys(settings), problem) for one in directories)
            records = changes.noting(comings.noting(read))
            found = rebuilding.replay(settings.policy, charges_of(records, since), at_desk.now)
            await reseating.write(at_desk.store, comings, at_desk.now)
            await counting.tell(at_desk.store)
            with _writing_bar(found.entries) as progress:
                await rebuilding.write(at_desk.store, found, directory, counting.sequence, progress)
            identities = Identities(at_desk.store, at_desk.keys)
            await reidentifying.write(identities, changes, settings.policy, at_desk.now)
            return found

    try:
        found = asyncio.run(work())
    except NoLedger as fault:
        fail(str(fault))
    except (LedgerDamaged, OSError) as fault:
        fail(f"the ledger cannot be trusted, so the store stays closed: {fault} (--force leaves such records out)")
    figures = {"records": found.records, "budgets": len(found.budgets), "persons": found.entries}
    if json:
        emit({**figures, "left_out": len(told)})
    else:
        say("{records} records of the ledger: {budgets} budgets, {persons} persons counted in them".format(**figures))
        if told:
            say(f"[yellow]{len(told)} problems in the ledger: what they hide is not counted[/yellow]")
        say(LOST_TOO)


async def _require_lost(store: Store, directory: Path) -> None:
    with contextlib.suppress(StoreLost):
        await store.ensure_epoch(directory, last_charge_seq(directory) or 0)
        fail("the store is whole: nothing was done (--force counts anew all the same)", NO)


async def _all_given(store: Store, counting: Counting) -> None:
    if names := await counting.missing(store):
        fail(
            f"gateways that have ledgers of their own: {', '.join(names)}. Copy their directories here and name each"
            " with --ledger; where one is lost for good, --without NAME: whom it gave is then counted no more",
            NO,
        )


@contextlib.contextmanager
def _writing_bar(entries: int) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("writing the budgets", total=entries)
        yield lambda done: progress.update(task, completed=done)
