"""``gateway partner``: whether a partner's people could sign in, and who of them has a seat."""

import asyncio
import time
from collections.abc import Mapping
from typing import Annotated

import typer

from gateway.commands.ledger_access import Desk, desk, key_ring
from gateway.commands.partner_migrate import migrate
from gateway.commands.people import user_named
from gateway.commands.setup import settings_of
from gateway.commands.terminal import (
    DEFAULT_CONFIG,
    NO,
    ConfigOption,
    JsonOption,
    at,
    emit,
    escaped,
    facts,
    fail,
    say,
    table,
)
from gateway.config import Settings
from gateway.edge.client_auth import UnusableKey, public_key
from gateway.edge.partner import Partner
from gateway.edge.partner_check import Step, walk
from gateway.edge.transmitter import Transmitter
from gateway.partners import partner_of
from gateway.stores.seats import Seat, Seats
from gateway.stores.signals import Signals

app = typer.Typer(no_args_is_help=True, help="Partner organisations: how they sign in, their seats.")
COLOURS = {"right": "green", "note": "yellow", "wrong": "red"}


@app.callback()
def group() -> None:
    """Partner organisations: how they sign in, their seats."""


@app.command()
def check(
    name: Annotated[str, typer.Argument(metavar="ID", help="The partner's id in partners.toml.")],
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Walk through a partner's sign-in without signing anybody in, and say in words what is wrong.

    Metadata, keys, our authentication with a code that is none, userinfo, an authorisation request that is thrown away,
    and where the partner is told of its people, a verification event. Whoever registers the gateway at the partner's
    finds here what to write.

    [bold]Example[/bold]

      gateway partner check relais-emploi
    """
    settings = settings_of(config)
    partner = _partner(settings, name)
    callback, asserted = f"{settings.pages_url}/.gateway/callback/{name}", settings.policy.of(name).asserted
    steps = asyncio.run(walk(partner, callback, time.time(), _transmitter(settings, partner), asserted))
    wrong = [step for step in steps if step.verdict == "wrong"]
    registered = {
        "redirect_uri": callback,
        "post_logout_redirect_uri": f"{settings.pages_url}/.gateway/signed-out",
        "backchannel_logout_uri": f"{settings.pages_url}/.gateway/back-channel-logout/{name}",
        "events_uri": f"{settings.pages_url}/.gateway/events/{name}",
        "public_key": _public(partner),
        "signals_issuer": settings.pages_url if partner.events else None,
        "jwks_uri": f"{settings.pages_url}/.gateway/jwks.json" if partner.events else None,
    }
    if json:
        told = [{"what": step.what, "verdict": step.verdict, "words": step.words} for step in steps]
        emit({"partner": name, "issuer": partner.issuer, "register": registered, "steps": told, "wrong": len(wrong)})
    else:
        _tell(partner, steps, registered)
    if wrong:
        raise typer.Exit(NO)


def _partner(settings: Settings, name: str) -> Partner:
    if name not in settings.partners:
        fail(f"no partner {name!r}; there are: {', '.join(settings.partners) or 'none'}", NO)
    try:
        return partner_of(settings, name, settings.partners[name])
    except OSError as fault:
        fail(f"partners.{name}: {fault.filename}: {fault.strerror}", NO)


def _transmitter(settings: Settings, partner: Partner) -> Transmitter | None:
    if partner.events is None:
        return None
    return Transmitter(partner.id, partner.events, settings.pages_url, key_ring(settings).assertion_key)


def _public(partner: Partner) -> dict[str, object] | None:
    try:
        return None if partner.client_key is None else public_key(partner.client_key)
    except UnusableKey:
        return None


def _tell(partner: Partner, steps: tuple[Step, ...], registered: Mapping[str, object]) -> None:
    say(f"{escaped(partner.name)}: {escaped(partner.issuer)}")
    for step in steps:
        say(f"[{COLOURS[step.verdict]}]{step.verdict:<6}[/{COLOURS[step.verdict]}] {step.what}: {escaped(step.words)}")
    say("\nAt the partner's is registered:")
    facts((what, escaped(str(value))) for what, value in registered.items() if value is not None)
    wrong = sum(step.verdict == "wrong" for step in steps)
    say(f"\n[red]to correct: {wrong}[/red]" if wrong else "\n[green]its people can sign in[/green]")


@app.command()
def seats(
    partner: Annotated[str, typer.Argument(metavar="ID", help="The partner's id in partners.toml.")],
    free: Annotated[
        str | None,
        typer.Option(help="Free this user's seat (a login or an id); ends their sessions and the partner's tokens."),
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who decided it; recorded. Default: this account.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Show who of a partner has a seat, the longest idle first, or free one.

    Whoever comes back after that takes a seat as somebody new. Tokens of ours go on: `gateway token revoke`.

    [bold]Examples[/bold]

      gateway partner seats relais-emploi
      gateway partner seats relais-emploi --free camille --by "security officer"
    """
    settings = settings_of(config)
    if partner not in settings.partners:
        fail(f"no partner {partner!r}; there are: {', '.join(settings.partners) or 'none'}", NO)

    async def work() -> list[Seat]:
        async with desk(settings, writes=free is not None) as at_desk:
            if free is not None:
                await _free(at_desk, partner, free, by)
            return await Seats(at_desk.store).rows(partner)

    rows, most = asyncio.run(work()), settings.policy.of(partner).seats
    if json:
        emit({"partner": partner, "seats": most, "taken": [{"user": one.user, "seen": int(one.seen)} for one in rows]})
        return
    table(
        f"{partner}: {len(rows)} seats taken" + (f" of {most}" if most is not None else ", nothing bounds them"),
        ("user", "last came"),
        [(one.user, at(one.seen)) for one in rows],
    )


async def _free(at_desk: Desk, partner: str, named: str, by: str | None) -> None:
    user = await user_named(at_desk, named, partner)
    await at_desk.record("operator", "seat_freed", by, user=user, partner=partner)
    if not await Seats(at_desk.store).leave(partner, user):
        fail(f"{named} has no seat at {partner}", NO)
    await Signals(at_desk.store, at_desk.keys).end(user, None)


app.command("migrate")(migrate)
