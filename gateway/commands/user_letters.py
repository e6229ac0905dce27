"""``gateway user invite``: a letter with a one-time code for each person of a file, for a launch."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from gateway.commands.ledger_access import Desk, desk
from gateway.commands.people import OPENS_NOTHING, identities_of
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
    tell_mistakes,
)
from gateway.config import Settings
from gateway.factors.people_file import MOST_BYTES, Invited, read_people
from gateway.factors.token_files import Mistake
from gateway.stores import keys
from gateway.stores.factors import Factors
from gateway.stores.letters import Letters, new_code


def invite(
    people: Annotated[Path, typer.Option("--from", metavar="CSV", help="Columns partner,sub,login,name, named.")],
    letters: Annotated[Path, typer.Option("--letters", metavar="PDF", help="The letters; must not be there yet.")],
    by: Annotated[str | None, typer.Option("--by", help="Who decided it; recorded. Default: this account.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Write a letter to each person of a file, with the code by which they set up their first way to confirm.

    All of them, or none and every mistake with its line. Who has a way to confirm gets none; who had a letter gets a
    new code. A code works once, within 30 days, after its person's own sign-in. The file is for this account alone:
    print it and destroy it.

    [bold]Example[/bold]

      gateway user invite --from people.csv --letters letters.pdf --by "security officer"
    """
    settings = settings_of(config)
    invited, mistakes = read_people(content_of(people, MOST_BYTES), settings.partners)
    if mistakes:
        tell_mistakes(people, mistakes, json, counted="letters", done="no letter was made")
    made, already, ends_at = asyncio.run(_made(settings, invited, people, letters, by, json=json))
    if json:
        emit({"letters": len(made), "users": made, "already": already, "ends_at": int(ends_at)})
        return
    say(escaped(f"{len(made)} letters are in {letters}; their codes hold until {at(ends_at)}"))
    if already:
        say(f"{len(already)} people of the file have a way to confirm, and get none")
    say("Print them, and destroy the file: it holds the codes.")


async def _made(
    settings: Settings, invited: tuple[Invited, ...], people: Path, file: Path, by: str | None, *, json: bool
) -> tuple[list[str], list[str], float]:
    from gateway.commands.letters_pdf import Letter, Sender, letters_pdf  # 0.3 s that no other command needs

    async with desk(settings) as at_desk:
        found = await identities_of(at_desk, [(one.partner, one.sub) for one in invited])
        stands = tuple(zip(invited, found, strict=True))
        wrong = [Mistake(one.line, OPENS_NOTHING[who.state]) for one, who in stands if who.state in OPENS_NOTHING]
        if wrong:
            tell_mistakes(people, wrong, json, counted="letters", done="no letter was made")
        users = {who.user: one for one, who in stands}
        factors = Factors(at_desk.store, at_desk.keys)
        already = [user for user in users if await factors.kinds(user)]
        codes = {user: new_code() for user in users if user not in already}
        ends_at = at_desk.now + keys.LETTER_LIFETIME_S
        if not codes:
            fail("everybody in the file has a way to confirm: no letter was made", NO)
        written = [
            Letter(users[user].name, users[user].login, settings.partners[users[user].partner].name, code)
            for user, code in codes.items()
        ]
        sender = Sender(settings.pages_url, settings.gateway.help_desk, ends_at, settings.observing)
        _write(file, letters_pdf(written, sender))
        try:
            await _recorded(at_desk, list(codes), by)
            await Letters(at_desk.store, at_desk.keys).keep(codes)
        except BaseException:
            _take_back(file)
            raise
        for user in codes:
            await at_desk.tell(user, "letter_made", users[user].partner)
        return list(codes), already, ends_at


async def _recorded(at_desk: Desk, users: list[str], by: str | None) -> None:
    await asyncio.gather(*(at_desk.record("factor", "letter_made", by, user=user) for user in users))


def _write(file: Path, content: bytes) -> None:
    """A new file that this account alone may read."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        fail(f"{file} is there already, and is never overwritten: give another name", NO)
    except OSError as fault:
        fail(f"{file}: {fault.strerror}")
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as fault:
        _take_back(file)
        fail(f"{file}: {fault.strerror}; no letter was made")


def _take_back(file: Path) -> None:
    """Its codes open nothing."""
    file.unlink(missing_ok=True)
