"""``gateway user tokens``: hardware tokens from their maker's file to the person. No secret is ever shown."""

import asyncio
import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.commands.ledger_access import desk
from gateway.commands.people import user_named
from gateway.commands.setup import settings_of
from gateway.commands.terminal import (
    DEFAULT_CONFIG,
    NO,
    ConfigOption,
    JsonOption,
    at,
    content_of,
    emit,
    escaped,
    fail,
    say,
    table,
    tell_mistakes,
)
from gateway.core.cooling import Binding, invited_as
from gateway.factors.pskc import KeyNeeded, read_pskc
from gateway.factors.token_files import MOST_BYTES, Mistake, Read, read_csv
from gateway.stores.token_stock import StockRow, TokenStock

LONGEST_KEY = 1024

app = typer.Typer(no_args_is_help=True, help="Hardware tokens: import, list, assign.")
ByOption = Annotated[str | None, typer.Option("--by", help="Who decided it; recorded. Default: this account.")]


@app.callback()
def group() -> None:
    """Hardware tokens: import, list, assign."""


@app.command("import")
def import_tokens(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or PSKC (RFC 6030).")],
    key_file: Annotated[
        Path | None, typer.Option(help="Its first line: the PSKC's pre-shared key (hex) or passphrase.")
    ] = None,
    by: ByOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Take the tokens of a file into the sealed stock: all of them, or none and every mistake with its line.

    A CSV has the columns serial,secret,algorithm,digits,period, in this order or named in its first line; then the
    last three may be left out (SHA1, 6, 30). Secrets are hexadecimal or base 32. The key of an encrypted PSKC comes
    from --key-file, a prompt or the standard input.

    [bold]Examples[/bold]

      gateway user tokens import tokens.csv
      gateway user tokens import batch-17.pskc --key-file passphrase.txt --by "security officer"
    """
    settings = settings_of(config)
    tokens, mistakes = _read(file, key_file)
    done = f"nothing of {file} was imported"
    if mistakes:
        tell_mistakes(file, mistakes, json, counted="imported", done=done)

    async def work() -> tuple[str, ...]:
        async with desk(settings) as at_desk:
            stock = TokenStock(at_desk.store, at_desk.keys)
            known = await stock.known([token.serial for token in tokens])
            if not known:
                about = {"number": len(tokens), "first": tokens[0].serial, "last": tokens[-1].serial}
                await at_desk.record("factor", "tokens_imported", by, **about)
                known = await stock.add({token.serial: token.oath for token in tokens})
            return known

    known = set(asyncio.run(work()))
    if known:
        text = "{} was imported before: take it out of the file"
        mistakes = tuple(Mistake(one.line, text.format(one.serial)) for one in tokens if one.serial in known)
        tell_mistakes(file, mistakes, json, counted="imported", done=done)
    if json:
        emit({"imported": len(tokens), "serials": [token.serial for token in tokens]})
    else:
        say(escaped(f"{len(tokens)} tokens are in the stock. Destroy {file} now: it holds their secrets."))


@app.command("list")
def list_tokens(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """List the hardware tokens, in stock and assigned; never their secrets.

    [bold]Examples[/bold]

      gateway user tokens list
      gateway user tokens list --json | jq '.[] | select(.user == null) | .serial'
    """

    async def work() -> list[StockRow]:
        async with desk(settings_of(config), writes=False) as at_desk:
            return await TokenStock(at_desk.store, at_desk.keys).rows()

    rows = asyncio.run(work())
    if json:
        emit([_plain(row) for row in rows])
        return
    table(
        "Hardware tokens",
        ("serial", "codes", "user", "factor", "since"),
        [
            (
                row.serial,
                f"{row.algorithm}, {row.digits} digits, {row.period_s} s",
                row.user or "in stock",
                row.factor_id,
                at(row.assigned_at),
            )
            for row in rows
        ],
    )


@app.command()
def assign(
    serial: Annotated[str, typer.Argument(metavar="SERIAL", help="The token's number, as printed on its back.")],
    login: Annotated[str, typer.Argument(metavar="USER", help="A login, or a user's id (u_…).")],
    partner: Annotated[str | None, typer.Option(help="Whose user, where two partners have the same login.")] = None,
    by: ByOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Make a token of the stock a user's way to confirm; it is theirs alone from then on.

    For two days it opens little, as everything that is bound from afar: ten new persons, nothing restricted. While
    every application only observes, it is ripe at once.

    [bold]Example[/bold]

      gateway user tokens assign 1000133508267 camille --by "security officer"
    """

    settings = settings_of(config)

    async def work() -> tuple[str, str]:
        async with desk(settings) as at_desk:
            stock = TokenStock(at_desk.store, at_desk.keys)
            user = await user_named(at_desk, login, partner)
            row = await stock.row(serial)
            if row is None:
                fail(f"there is no token {serial}; `gateway user tokens list` shows them", NO)
            if row.user is not None:
                fail(f"token {serial} is {row.user}'s already: take another one", NO)
            bound = invited_as(Binding.REMOTE, observing=settings.observing)
            about = {"user": user, "factor_kind": "totp", "serial": serial, "bound": bound}
            await at_desk.record("factor", "enrolled", by, **about)
            factor = await stock.assign(serial, user, bound=bound, now=at_desk.now)
            if factor is None:
                fail(f"token {serial} has just become somebody else's: take another one", NO)
            await at_desk.tell(user, "token_assigned")
            return user, factor

    user, factor = asyncio.run(work())
    if json:
        emit({"serial": serial, "user": user, "factor": factor})
    else:
        say(escaped(f"token {serial} is {user}'s ({factor})"))


def _read(file: Path, key_file: Path | None) -> Read:
    """The tokens of a file and its mistakes; ends the command where it cannot be read."""
    content = content_of(file, MOST_BYTES)
    if not content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        return read_csv(content)
    try:
        return read_pskc(content, _first_line(key_file))
    except KeyNeeded as needed:
        if key_file is not None:
            fail(f"{key_file} is empty: its first line must be {needed}")
        return read_pskc(
            content, _asked(f"{needed}: ") or fail(f"{file} is encrypted: {needed} is needed (--key-file)")
        )


def _first_line(key_file: Path | None) -> str | None:
    if key_file is None:
        return None
    try:
        return content_of(key_file, LONGEST_KEY).decode().split("\n")[0].rstrip("\r") or None
    except UnicodeDecodeError:
        fail(f"{key_file} is no text: its first line must be the key in hexadecimal, or the passphrase")


def _asked(prompt: str) -> str:
    return getpass(prompt[0].upper() + prompt[1:]) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")


def _plain(row: StockRow) -> dict[str, Any]:
    return {
        "serial": row.serial,
        "algorithm": row.algorithm,
        "digits": row.digits,
        "period_s": row.period_s,
        "user": row.user,
        "factor": row.factor_id,
        "assigned_at": None if row.assigned_at is None else int(row.assigned_at),
    }
