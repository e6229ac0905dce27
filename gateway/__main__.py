"""``gateway``: the command line."""

# ruff: noqa: E402  (nothing that is loaded here is garbage: to look for it took a quarter of a start)
import gc

gc.disable()

import sys
from collections.abc import Sequence

import typer

from gateway.commands import budget, demo, explain, freeze, ledger, partner, reload, report, setup, token, user
from gateway.commands.terminal import CommandFailed

gc.enable()

app = typer.Typer(
    name="gateway",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="""Stand before an application: know who asks, what came back, and how many persons they have taken.

    [bold]To see it work:[/bold]   gateway demo

    [bold]For your own:[/bold]     gateway init config · edit its three files · gateway check · gateway serve
    """,
)
demo.register(app)
setup.register(app)
reload.register(app)
explain.register(app)
app.add_typer(token.app, name="token")
app.add_typer(user.app, name="user")
app.add_typer(budget.app, name="budget")
app.add_typer(partner.app, name="partner")
freeze.register(app)
app.add_typer(ledger.app, name="ledger")
app.add_typer(report.app, name="report")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; an expected fault is one line on the standard error."""
    try:
        app(list(arguments) if arguments is not None else None)
    except CommandFailed as fault:
        sys.stderr.write(f"gateway: {fault}\n")
        sys.exit(fault.status)
    except BrokenPipeError:
        sys.exit(0)


if __name__ == "__main__":
    main()
