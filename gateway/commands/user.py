"""``gateway user``: open again what a person closed; in a demo, bind a code generator (it shows the secret)."""

import asyncio
import base64
import secrets
from typing import Annotated

import typer

from gateway.commands import user_letters, user_show, user_tokens
from gateway.commands.ledger_access import desk
from gateway.commands.people import user_named
from gateway.commands.setup import settings_of
from gateway.commands.terminal import DEFAULT_CONFIG, NO, ConfigOption, JsonOption, emit, fail, say
from gateway.factors.totp import provisioning_uri
from gateway.initialise import is_demo
from gateway.stores.closures import Closures
from gateway.stores.factors import Factors

SECRET_BYTES = 20
"""RFC 4226, section 4: 160 bits."""

app = typer.Typer(
    no_args_is_help=True, help="Users: letters, how one stands, open again what one closed, hardware tokens."
)


app.add_typer(user_tokens.app, name="tokens")
app.command("show")(user_show.show)
app.command("invite")(user_letters.invite)


@app.callback()
def group() -> None:
    """Users: letters, how one stands, open again what one closed, hardware tokens."""


@app.command()
def enrol(
    login: Annotated[str, typer.Argument(metavar="USER", help="A login, or a user's id (u_…).")],
    partner: Annotated[str | None, typer.Option(help="Whose user, where two partners have the same login.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Bind a new TOTP secret to a user, and show it. In a demo only: elsewhere nobody but the person may see it.

    [bold]Example[/bold]

      gateway user enrol camille --config /tmp/gw-1a2b3c4d/config
    """
    settings = settings_of(config)
    if not is_demo(settings.directory):
        fail("this shows a secret, and is for the configuration of a demo only", NO)

    async def work() -> tuple[str, str, bytes]:
        async with desk(settings) as at_desk:
            user = await user_named(at_desk, login, partner)
            secret = secrets.token_bytes(SECRET_BYTES)
            await at_desk.record("factor", "enrolled", None, user=user, factor_kind="totp")
            return user, await Factors(at_desk.store, at_desk.keys).enrol_totp(user, secret), secret

    user, factor, secret = asyncio.run(work())
    text = base64.b32encode(secret).decode()
    uri = provisioning_uri(secret, login, "Gateway demo")
    if json:
        emit({"user": user, "factor": factor, "totp_secret": text, "uri": uri})
    else:
        say(f"{user}: {factor}\n  secret {text}\n  {uri}")


@app.command()
def reopen(
    login: Annotated[str, typer.Argument(metavar="USER", help="A login, or a user's id (u_…).")],
    partner: Annotated[str | None, typer.Option(help="Whose user, where two partners have the same login.")] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who decided it; recorded. Default: this account.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Open again what a person closed by saying that it was not them. Speak with them first, by a number you know.

    [bold]Example[/bold]

      gateway user reopen camille --by "security officer"
    """

    async def work() -> tuple[str, bool]:
        async with desk(settings_of(config)) as at_desk:
            user = await user_named(at_desk, login, partner)
            await at_desk.record("operator", "reopen", by, user=user)
            was = await Closures(at_desk.store).reopen(user)
            if was:
                await at_desk.tell(user, "reopened")
            return user, was

    user, was = asyncio.run(work())
    if not was:
        fail(f"nothing is closed to {user}", NO)
    if json:
        emit({"user": user, "closed": False})
    else:
        say(f"{user}: open again; their tokens stay revoked, and they confirm anew")
