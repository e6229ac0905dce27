"""``gateway report``: who saw whose record, for an officer, for a person who asks, for a regulator."""

import asyncio
import sys
import time
from collections.abc import Callable
from getpass import getpass
from typing import Annotated, TypeVar

import typer

from gateway.commands.ledger import reading_bar
from gateway.commands.ledger_access import key_ring, ledger_directory
from gateway.commands.setup import settings_of
from gateway.commands.terminal import (
    DEFAULT_CONFIG,
    NO,
    ConfigOption,
    JsonOption,
    as_text,
    at,
    emit,
    facts,
    fail,
    moment,
    say,
    table,
)
from gateway.config import Settings
from gateway.core.extraction import Identifier
from gateway.keyring import KeyRing
from gateway.ledger.reports import (
    BreachReport,
    CallerReport,
    Selector,
    Sighting,
    report_breach,
    report_caller,
    report_person,
)
from gateway.ledger.verify import Progress, Verification
from gateway.ports import StoreUnavailable
from gateway.reading.identifiers import identify
from gateway.stores.connection import Store
from gateway.stores.places import LINKS

Report = TypeVar("Report")

app = typer.Typer(no_args_is_help=True, help="Who saw whose record: by caller, by person, for a breach.")

SinceOption = Annotated[str | None, typer.Option(help="From: 2026-02-06, 2026-02-06T18:00, or 7d before now.")]
UntilOption = Annotated[str | None, typer.Option(help="Before: the same.")]
PartnerOption = Annotated[str | None, typer.Option(help="A partner's id.")]
TokenOption = Annotated[str | None, typer.Option(help="A token's id (t_…), or a session's.")]
HashesOption = Annotated[bool, typer.Option("--hashes", help="With --json: every person's keyed hash.")]


def _times(since: str | None, until: str | None) -> tuple[float | None, float | None]:
    now = time.time()
    return (moment(since, now=now) if since else None, moment(until, now=now) if until else None)


async def _user(settings: Settings, keys: KeyRing, named: str) -> str:
    from gateway.commands.people import user_known

    if named.startswith("u_"):
        return named
    try:
        store = await Store.connect(settings.store)
    except StoreUnavailable as fault:
        fail(f"the store does not answer, so a login is nobody: give the user's id (u_…): {fault}")
    try:
        return await user_known(store, keys, settings.partners, named)
    finally:
        await store.close()


@app.command()
def caller(
    user: Annotated[str | None, typer.Argument(help="A login, or a user's id (u_…).")] = None,
    partner: PartnerOption = None,
    token: TokenOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    hashes: HashesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Say how many different persons a caller was given, exactly, and what of them, hour by hour.

    [bold]Examples[/bold]

      gateway report caller camille --since 7d
      gateway report caller --partner relais-emploi --since 2026-02-06 --until 2026-03-06
      gateway report caller --token t_0123456789abcdef --json | jq .persons
    """
    if not (user or partner or token):
        fail("say whose: a user, --partner or --token")
    settings = settings_of(config)
    keys = key_ring(settings)
    selector = Selector(asyncio.run(_user(settings, keys, user)) if user else None, partner, token)
    from_s, until_s = _times(since, until)
    report = _read(
        lambda progress: report_caller(
            ledger_directory(settings), keys.ledger_keys(), selector, since=from_s, until=until_s, progress=progress
        )
    )
    if json:
        emit(report.as_json(hashes=hashes))
        return
    _show_taken(report)


def _read(work: Callable[[Progress], Report]) -> Report:
    try:
        with reading_bar() as progress:
            return work(progress)
    except OSError as fault:
        fail(f"the ledger cannot be read: {fault}")


def _show_taken(report: CallerReport | BreachReport) -> None:
    rows: list[tuple[str, object]] = [("persons", report.persons)]
    rows += [(f"  of class {word}", number) for word, number in report.persons_by_class.items() if number]
    rows += [
        ("not identifiable", report.unnamed or ""),
        ("categories", as_text([f"{name} ({number})" for name, number in report.categories.items()])),
        ("answers", report.answers),
        ("refused", report.refused),
        ("challenged", report.challenged),
        ("first, last", f"{at(report.first)} – {at(report.last)}" if report.first else ""),
    ]
    facts(rows)
    if report.timeline:
        say("")
        most = max(hour.new_persons for hour in report.timeline) or 1
        table(
            "Hour by hour",
            ("hour", "new persons", "", "answers", "refused"),
            [
                (
                    at(hour.start)[:16],
                    hour.new_persons,
                    "█" * round(30 * hour.new_persons / most),
                    hour.answers,
                    hour.refused,
                )
                for hour in report.timeline
            ],
        )
    if len(report.callers) > 1:
        say("")
        rows_of = [(one.user, one.partner, one.persons, one.answers) for one in report.callers]
        table("Callers", ("user", "partner", "persons", "answers"), rows_of)
    _warn(report.verification)


def _warn(found: Verification) -> None:
    if not found.intact:
        say(f"\n[red]The ledger is not intact[/red] ({found.problems_in_all} problems): see gateway ledger verify")


@app.command()
def person(
    kind: Annotated[str, typer.Option(help="What the number is: a kind of [unique.KIND] in policy.toml.")] = "nir",
    since: SinceOption = None,
    until: UntilOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Say who saw a person's data, when, and what of it. The number is asked for, or read from the standard input.

    It is never an argument: what is typed on a command line stays in histories and process lists.

    [bold]Examples[/bold]

      gateway report person
      gateway report person --kind numero_francetravail --json < number.txt
    """
    settings = settings_of(config)
    keys = key_ring(settings)
    unique = next((one for one in settings.policy.unique if one.kind == kind), None)
    if unique is None:
        fail(f"no kind {kind!r}; there are: {', '.join(one.kind for one in settings.policy.unique)}")
    typed = getpass(f"{kind}: ") if sys.stdin.isatty() else sys.stdin.readline()
    identifier = identify(unique, typed.strip())
    if identifier is None:
        fail(f"this is no {kind}", NO)
    wanted, linked = asyncio.run(_hashes(settings, keys, identifier))
    from_s, until_s = _times(since, until)
    report = _read(
        lambda progress: report_person(
            ledger_directory(settings), keys.ledger_keys(), wanted, since=from_s, until=until_s, progress=progress
        )
    )
    if json:
        emit({**report.as_json(), "links_known": linked})
        return
    facts([("seen by", f"{report.callers} users" if report.sightings else "nobody")])
    if not linked:
        say("[yellow]The store does not answer[/yellow]: seen under another identifier, they would not be found.")
    if report.sightings:
        say("")
        columns = ("when", "user", "partner", "route", "class", "in clear", "masked", "reference", "why")
        table("Sightings", columns, [_row(one) for one in report.sightings])
    _warn(report.verification)


def _row(one: Sighting) -> tuple[object, ...]:
    clear, masked = as_text(one.clear), as_text(one.masked)
    why = (one.why or "").replace("[", r"\[")
    return at(one.now), one.user, one.partner, one.route, one.class_name, clear, masked, one.reference, why


async def _hashes(settings: Settings, keys: KeyRing, identifier: Identifier) -> tuple[set[str], bool]:
    """The hashes under which a person may stand in the ledger: the identifier's, and those linked to it."""
    own = keys.person_hash(identifier)
    found = {own.hex()}
    try:
        store = await Store.connect(settings.store)
    except StoreUnavailable:
        return found, False
    try:
        root = await store.call("GET", b"l:" + own, place=LINKS)
        if root:
            group = await store.call("HVALS", b"g:" + root, place=LINKS)
            found |= {bytes(root).hex(), *(bytes(one).hex() for one in group)}
    except StoreUnavailable:
        return found, False
    finally:
        await store.close()
    return found, True


@app.command()
def breach(
    since: Annotated[str, typer.Option(help="From: 2026-02-06, 2026-02-06T18:00, or 28d before now.")],
    until: UntilOption = None,
    user: Annotated[list[str] | None, typer.Option(help="Only this user (login or id); may be repeated.")] = None,
    partner: Annotated[list[str] | None, typer.Option(help="Only this partner; may be repeated.")] = None,
    token: Annotated[list[str] | None, typer.Option(help="Only this token; may be repeated.")] = None,
    hashes: HashesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Say what a notification within 72 hours needs (GDPR, article 33): persons, categories, callers, period.

    [bold]Examples[/bold]

      gateway report breach --since 2026-02-06 --until 2026-03-06 --user camille
      gateway report breach --since 28d --partner relais-emploi --json --hashes > persons.json
    """
    settings = settings_of(config)
    keys = key_ring(settings)
    from_s, until_s = _times(since, until)
    selectors = [Selector(user=asyncio.run(_user(settings, keys, one))) for one in user or ()]
    selectors += [Selector(partner=one) for one in partner or ()] + [Selector(credential=one) for one in token or ()]
    end = time.time() + 1 if until_s is None else until_s
    report = _read(
        lambda progress: report_breach(
            ledger_directory(settings), keys.ledger_keys(), from_s or 0.0, end, selectors, progress=progress
        )
    )
    if json:
        emit(report.as_json(hashes=hashes))
        return
    facts([("period", f"{at(report.since)} – {at(report.until)}"), ("applications", as_text(report.applications))])
    _show_taken(report)
