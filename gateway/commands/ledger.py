"""``gateway ledger``: whether the record of everything is whole, to hand it on, to begin another."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from gateway import ledgers
from gateway.commands.ledger_access import desk, ledger_directory, ledger_keys
from gateway.commands.setup import settings_of
from gateway.commands.terminal import DEFAULT_CONFIG, NO, ConfigOption, JsonOption, emit, escaped, fail, say
from gateway.ledger.reading import verify as read_all
from gateway.ledger.shipping import ship
from gateway.ledger.verify import Problem, Verification

app = typer.Typer(no_args_is_help=True, help="The record of every decision: verify it, hand it on, begin another.")


@app.callback()
def group() -> None:
    """The record of every decision: verify it, hand it on, begin another."""


@contextmanager
def reading_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar of bytes read, on the standard error and on a terminal only."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("reading the ledger", total=None)

        def step(read: int, total: int) -> None:
            progress.update(task, completed=read, total=total)

        yield step


@app.command()
def verify(
    config: ConfigOption = DEFAULT_CONFIG,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing: the exit status speaks.")] = False,
    json: JsonOption = False,
) -> None:
    """Read every record of every chain: seals, links, gaps, missing files and cut ends. Exit status 1: not intact.

    [bold]Examples[/bold]

      gateway ledger verify
      gateway ledger verify --json | jq .problems
    """
    settings = settings_of(config)
    try:
        with reading_bar() as progress:
            found = read_all(ledger_directory(settings), ledger_keys(settings), progress)
    except OSError as fault:
        fail(f"the ledger cannot be read: {fault}")
    if json:
        emit(found.as_json())
    elif not quiet:
        _show(found)
    if not found.intact:
        raise typer.Exit(NO)


def _show(found: Verification) -> None:
    for one in found.problems:
        say(f"[red]problem[/red]  {_at(one)}")
    if found.problems_in_all > len(found.problems):
        say(f"… and {found.problems_in_all - len(found.problems)} more")
    for one in found.notes:
        say(f"[yellow]note[/yellow]     {_at(one)}")
    size = f"{found.records} records in {found.chains} chains"
    say(f"[green]intact[/green]: {size}" if found.intact else f"[red]not intact[/red]: {size}")


def _at(problem: Problem) -> str:
    place = f"{problem.file}:{problem.line}" if problem.line else problem.file
    return f"{place}: {problem.what}".replace("[", r"\[")


@app.command("ship")
def ship_files(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """Hand closed files on, compressed, by the command that [ledger] ship names. `gateway serve` does it each minute.

    A file is closed when its worker has begun another; each is handed on once. Exit status 1: one was not taken.

    [bold]Examples[/bold]

      gateway ledger ship
      gateway ledger ship --json | jq .
    """
    settings = settings_of(config)
    command = settings.gateway.ledger.ship
    if command is None:
        fail('[ledger] of gateway.toml names no command: ship = ["put-away", "{file}"]')
    try:
        told = list(ship(ledger_directory(settings), command))
    except OSError as fault:
        fail(f"closed files cannot be handed on: {fault}")
    if json:
        emit([{"file": one.file, "fault": one.fault or None} for one in told])
    else:
        for one in told:
            say(f"[red]{one.file}[/red]: {escaped(one.fault)}" if one.fault else f"[green]{one.file}[/green]")
        say(f"{sum(not one.fault for one in told)} handed on, {sum(bool(one.fault) for one in told)} wait")
    if any(one.fault for one in told):
        raise typer.Exit(NO)


@app.command("lost")
def lost_ledger(
    node: Annotated[str, typer.Argument(help="The gateway whose ledger's disk is lost.", metavar="NAME")],
    by: Annotated[str | None, typer.Option(help="Who decided it; recorded. Default: this account.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Let a gateway begin another ledger under its name, after its own was lost. The store must be whole.

    Whom it gave stands in no ledger then; budgets in the store count them on. Run it at another gateway.

    [bold]Example[/bold]

      gateway ledger lost gateway-1
    """
    settings = settings_of(config)

    async def work() -> bool:
        async with desk(settings) as at_desk:
            await at_desk.record("operator", "ledger_lost", by, gateway=node)
            return await ledgers.lost(at_desk.store, node)

    if not asyncio.run(work()):
        fail(f"no gateway called {node!r} has told the store of a ledger", NO)
    if json:
        emit({"node": node})
    else:
        say(f"{escaped(node)} may begin another ledger; keep what can be saved of the old one")
