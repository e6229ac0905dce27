"""``gateway freeze`` and ``unfreeze``: stop a token, a user or a whole partner at once."""

import asyncio
from typing import Annotated, Literal

import typer

from gateway.commands.ledger_access import Desk, desk
from gateway.commands.people import user_named
from gateway.commands.setup import settings_of
from gateway.commands.terminal import DEFAULT_CONFIG, NO, ConfigOption, JsonOption, emit, fail, say
from gateway.stores.freezes import Freezes

Kind = Literal["token", "user", "partner"]
KindArgument = Annotated[Kind, typer.Argument(help="What is stopped.")]
NameArgument = Annotated[str, typer.Argument(metavar="ID", help="t_…, a user's id or login, a partner's id.")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who decided it; recorded. Default: this account.")]


def register(app: typer.Typer) -> None:
    """Add these commands to ``app``."""
    app.command("freeze")(freeze)
    app.command("unfreeze")(unfreeze)


async def _name(at_desk: Desk, kind: Kind, name: str) -> str:
    if kind == "partner" and name not in at_desk.settings.partners:
        fail(f"no partner {name!r}; there are: {', '.join(at_desk.settings.partners) or 'none'}", NO)
    return await user_named(at_desk, name) if kind == "user" else name


def _freezes(at_desk: Desk) -> Freezes:
    return Freezes(at_desk.store, at_desk.keys, at_desk.settings.told)


def freeze(
    kind: KindArgument,
    name: NameArgument,
    reason: Annotated[str, typer.Option(help="Why; recorded.")] = "",
    by: ByOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Stop a token, a user or a partner within a second, everywhere; streams to them stop too.

    [bold]Examples[/bold]

      gateway freeze user camille --reason "called: it was not them" --by "security officer"
      gateway freeze partner relais-emploi --reason "stolen accounts"
    """

    async def work() -> tuple[str, str | None]:
        async with desk(settings_of(config)) as at_desk:
            one = await _name(at_desk, kind, name)
            await at_desk.record("operator", "freeze", by, about=kind, name=one, reason_given=reason)
            who = by or at_desk.account
            told = await _freezes(at_desk).freeze(kind, one, by=who, reason=reason, now=at_desk.now)
            return one, told

    one, told = asyncio.run(work())
    if json:
        emit({"kind": kind, "id": one, "frozen": True, "told": told})
    else:
        say(f"{kind} {one} is frozen; to lift it: gateway unfreeze {kind} {one}")
        if told is not None:
            say(f"{told} will be told, that it ends its own sessions of them too")


def unfreeze(
    kind: KindArgument,
    name: NameArgument,
    by: ByOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Let a frozen token, user or partner go on.

    [bold]Example[/bold]

      gateway unfreeze user camille --by "security officer"
    """

    async def work() -> bool:
        async with desk(settings_of(config)) as at_desk:
            one = await _name(at_desk, kind, name)
            await at_desk.record("operator", "unfreeze", by, about=kind, name=one)
            return await _freezes(at_desk).unfreeze(kind, one, now=at_desk.now)

    was = asyncio.run(work())
    if not was:
        fail(f"{kind} {name} was not frozen", NO)
    if json:
        emit({"kind": kind, "id": name, "frozen": False})
    else:
        say(f"{kind} {name} goes on")
