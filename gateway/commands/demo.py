"""``gateway demo``: everything on this machine, in one command, and nothing left behind."""

import asyncio
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.commands.ledger_access import key_ring, ledger_directory
from gateway.commands.terminal import CANNOT, JsonOption, emit, fail
from gateway.config import load
from gateway.ledger.reports import Selector, report_caller

if TYPE_CHECKING:
    from gateway.demo.ready import Ready


USUAL_PORT = 8080


def register(app: typer.Typer) -> None:
    """Add this command to ``app``."""
    app.command("demo")(demo)


def demo(
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="The gateway's port; 0 for any free one. Default: 8080 (a theft: 0)."),
    ] = None,
    persons: Annotated[int, typer.Option(min=2_000, max=2_000_000, help="How many persons are made up.")] = 100_000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="The gateway's worker processes.")] = 2,
    ready_file: Annotated[Path | None, typer.Option(help="Written when all is up: addresses, tokens, secrets.")] = None,
    theft: Annotated[bool, typer.Option("--theft", help="Run a thief, draw what it got, and end.")] = False,
    stay: Annotated[bool, typer.Option("--stay", help="With --theft: go on afterwards.")] = False,
    json: JsonOption = False,
) -> None:
    """Start an employment application with a made-up population, two partners' sign-in, and the gateway before it.

    Everything is private to this command: a store, keys and a configuration in a folder of its own, free ports. It
    prints what to open and what to type. What dies is started again. Ctrl-C ends it and leaves nothing behind.

    [bold]Examples[/bold]

      gateway demo
      gateway demo --theft
      gateway demo --port 0 --persons 5000 --ready-file ready.json
    """
    from gateway.demo.supervise import Stopped, stopping_on_signals

    console = Console(stderr=json, highlight=False)
    if port is None:
        port = 0 if theft else USUAL_PORT
    try:
        with stopping_on_signals():
            _run(console, port, persons, workers, ready_file, theft, stay, json)
    except Stopped:
        console.print("\nEnded; nothing is left behind.")


def _run(
    console: Console,
    port: int,
    persons: int,
    workers: int,
    ready_file: Path | None,
    theft: bool,
    stay: bool,
    json: bool,
) -> None:
    try:
        from gateway.demo.stage import Stage, choose_ports
        from gateway.demo.tour import show
    except ImportError as fault:
        fail(f"the demo needs more than the gateway ({fault.name} is missing): pip install 'step-up-gateway[demo]'")
    from gateway.demo.supervise import DidNotStart, Household, private_folder
    from gateway.ports import StoreUnavailable
    from gateway.stores.embedded import NoServer

    if ready_file is not None:
        if not ready_file.absolute().parent.is_dir():
            fail(f"there is no folder for {ready_file}")
        ready_file.unlink(missing_ok=True)
    household = Household()
    with private_folder() as folder:
        try:
            stage = Stage(folder, choose_ports(port), workers, household)
            with _bar(console) as progress:
                task = progress.add_task("persons", total=persons)
                told = stage.build(
                    persons,
                    lambda done: progress.update(task, completed=done),
                    lambda words: progress.update(task, description=words),
                )
            if theft:
                _theft(console, told, json)
            if not theft or stay:
                show(console, told, _called())
                stage.keep(told, ready_file, lambda words: console.print(f"[dim]{words}[/dim]"))
        except (DidNotStart, NoServer, StoreUnavailable, OSError) as fault:
            fail(str(fault), CANNOT)
        finally:
            household.stop()
            if ready_file is not None:
                ready_file.unlink(missing_ok=True)


def _called() -> str:
    """How this program was called, for people to type again."""
    if shutil.which("gateway"):
        return "gateway"
    called = Path(sys.argv[0])
    return str(called) if called.name == "gateway" else f"{sys.executable} -m gateway"


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _theft(console: Console, told: "Ready", json: bool) -> None:
    import httpx2

    from gateway.demo.cast import user_id
    from gateway.demo.ready import SAMPLES
    from gateway.demo.theft import NoProof, drawn, shown_live, steal

    token, user = told.tokens[0], told.users[0]
    console.print("A thief has the token of an adviser, and one fresh code of theirs. It takes what it can:")
    seen = shown_live(console)
    try:
        found = asyncio.run(steal(told.gateway, token.token, user.totp_secret, SAMPLES["person"], told.ids, seen=seen))
    except (NoProof, httpx2.HTTPError) as fault:
        fail(f"the theft could not begin: {fault}")
    settings = load(Path(told.config))
    keys = key_ring(settings)
    thief = user_id(settings, keys, user.login)
    report = report_caller(ledger_directory(settings), keys.ledger_keys(), Selector(user=thief))
    if json:
        emit({"asked": found.asked, "taken": found.taken, "stopped_by": found.stopped_by, "reported": report.persons})
    else:
        console.print(drawn(found, report.persons, user.login))
