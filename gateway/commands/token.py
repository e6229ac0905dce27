"""``gateway token``: issue, list, revoke, and give a machine its mandate."""

import asyncio
from typing import Annotated, Any

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
    duration_s,
    emit,
    end_of,
    fail,
    say,
    span,
    table,
)
from gateway.config import Settings
from gateway.core.assurance import Mandate
from gateway.core.extraction import Class
from gateway.core.identity import Known
from gateway.stores.tokens import TokenRow, Tokens

LONGEST_MANDATE_S = 90 * 86_400
_PER = {"hour": 3600, "day": 86_400, "week": 7 * 86_400, "month": 30 * 86_400}

app = typer.Typer(no_args_is_help=True, help="Tokens for programs: issue, list, revoke, mandate.")
ByOption = Annotated[str | None, typer.Option("--by", help="Who decided it; recorded. Default: this account.")]


@app.command()
def issue(
    partner: Annotated[str, typer.Option(help="The partner's id in partners.toml.")],
    sub: Annotated[str, typer.Option(help="The user's `sub` at that partner: with it they share one budget.")],
    login: Annotated[str, typer.Option(help="How people call the user.")],
    name: Annotated[str, typer.Option(help="What the token is for.")],
    lasts: Annotated[str, typer.Option("--for", help="How long it is good: 8h, 90d.")] = "90d",
    machine: Annotated[bool, typer.Option("--machine", help="For a program: it can hold no human proof.")] = False,
    max_persons: Annotated[int | None, typer.Option(help="Persons for one proof, instead of the class's.")] = None,
    agency: Annotated[str, typer.Option(help="The user's agency: its persons are inside, all others outside.")] = "",
    by: ByOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Make a token. It is shown once: only its hash is kept.

    A token and a browser session of the same person draw on one budget; after a migration by whichever sub is theirs.

    [bold]Examples[/bold]

      gateway token issue --partner relais-emploi --sub 4711 --login camille --name "night report" --for 30d
      gateway token issue --partner relais-emploi --sub batch --login batch --name import --machine
    """
    settings = settings_of(config)
    if partner not in settings.partners:
        fail(f"no partner {partner!r} in partners.toml; there are: {', '.join(settings.partners) or 'none'}")
    lasts_s = duration_s(lasts)

    async def work() -> tuple[str, str]:
        async with desk(settings) as at_desk:
            tokens = Tokens(at_desk.store, at_desk.keys)
            known = await _usable(at_desk, partner, sub)
            token, token_id = await tokens.issue(
                issuer=settings.partners[partner].issuer,
                sub=sub,
                user=known.user,
                partner=partner,
                name=name,
                login=login,
                kind="machine" if machine else "person",
                expires_at=at_desk.now + lasts_s,
                max_persons=max_persons,
                agency=agency.strip(),
            )
            said = {
                "token": token_id,
                "user": known.user,
                "partner": partner,
                "lasts_s": lasts_s,
                "agency": agency.strip(),
            }
            await at_desk.record("token", "issued", by, **said)
            if await _usable(at_desk, partner, sub) != known:  # another's since: what it opened then ended without this
                await tokens.revoke(token_id)
                fail("who this sub is was changed just now, so no token was made: give the command again", NO)
            await at_desk.tell(known.user, "token_issued", partner)
            return token, token_id

    token, token_id = asyncio.run(work())
    if json:
        emit({"id": token_id, "token": token})
        return
    say(f"{token_id} for {login} of {partner}, good for {span(lasts_s)}. Shown once:\n\n  {token}\n")


async def _usable(at_desk: Desk, partner: str, sub: str) -> Known:
    """Whose an identity is; ends the command where it opens nothing."""
    (known,) = await identities_of(at_desk, [(partner, sub)])
    return fail(OPENS_NOTHING[known.state], NO) if known.state in OPENS_NOTHING else known


def _state(row: TokenRow, now: float) -> str:
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at <= now else "good"


def _plain(row: TokenRow, now: float) -> dict[str, Any]:
    names = ("id", "user", "partner", "name", "login", "kind", "issued_at", "expires_at", "max_persons", "revoked_at")
    mandate = row.mandate
    said = (
        {
            "class": mandate.klass.word,
            "persons": mandate.persons,
            "window_s": mandate.window_s,
            "until": int(mandate.until),
            "by": mandate.by,
        }
        if mandate
        else None
    )
    plain = {name: getattr(row, name) for name in (*names, "agency")}
    times = {name: int(plain[name]) for name in ("issued_at", "expires_at", "revoked_at") if plain[name] is not None}
    return {**plain, **times, "mandate": said, "state": _state(row, now)}


@app.command("list")
def list_tokens(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """List all tokens, the newest first; never the tokens themselves.

    [bold]Examples[/bold]

      gateway token list
      gateway token list --json | jq '.[] | select(.state == "good") | .id'
    """

    async def work() -> tuple[list[TokenRow], float]:
        async with desk(settings_of(config), writes=False) as at_desk:
            return await Tokens(at_desk.store, at_desk.keys).rows(), at_desk.now

    rows, now = asyncio.run(work())
    if json:
        emit([_plain(row, now) for row in rows])
        return
    table(
        "Tokens",
        ("id", "login", "partner", "for", "kind", "state", "until", "user", "agency", "mandate"),
        [
            (
                *(r.id, r.login, r.partner, r.name, r.kind, _state(r, now), at(r.expires_at), r.user, r.agency),
                _mandate(r.mandate),
            )
            for r in rows
        ],
    )


def _mandate(mandate: Mandate | None) -> str:
    if mandate is None:
        return ""
    return (
        f"{mandate.klass.word}: {mandate.persons} in {span(mandate.window_s)} until {at(mandate.until)}, {mandate.by}"
    )


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The token's id (t_…), as `token list` shows it.")],
    by: ByOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Stop a token for ever, within a second, everywhere; what is being streamed to it stops too.

    [bold]Example[/bold]

      gateway token revoke t_0123456789abcdef --by "security officer"
    """

    async def work() -> None:
        async with desk(settings_of(config)) as at_desk:
            await _existing(at_desk, token_id)
            await at_desk.record("token", "revoked", by, token=token_id)
            await Tokens(at_desk.store, at_desk.keys).revoke(token_id)

    asyncio.run(work())
    if json:
        emit({"id": token_id, "revoked": True})
    else:
        say(f"{token_id} is revoked")


async def _existing(at_desk: Desk, token_id: str) -> TokenRow:
    rows = await Tokens(at_desk.store, at_desk.keys).rows()
    found = next((row for row in rows if row.id == token_id), None)
    if found is None:
        fail(f"there is no token {token_id}; `gateway token list` shows them", NO)
    return found


@app.command()
def mandate(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="A machine token's id (t_…).")],
    klass: Annotated[str, typer.Option("--class", help="The class that it may reach.")] = "sensitive",
    persons: Annotated[int, typer.Option(min=1, help="Different persons for each --per.")] = 0,
    per: Annotated[str, typer.Option(help="hour, day, week or month; or 12h, 2d.")] = "day",
    until: Annotated[str, typer.Option(help="The last day, such as 2026-03-31: at most 90 days from now.")] = "",
    by: Annotated[str, typer.Option(help="The officer who decided it; recorded.")] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the mandate back.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Let a machine's token reach a class that asks people for a proof, within a budget of its own.

    A program can confirm nothing: what stands in for the proof is an officer's name, a number of persons and an end.

    [bold]Examples[/bold]

      gateway token mandate t_0123456789abcdef --class sensitive --persons 200 --per day --until 2026-03-31 --by OFFICER
      gateway token mandate t_0123456789abcdef --withdraw --by OFFICER
    """
    settings = settings_of(config)
    if not by:
        fail("say who decided it: --by OFFICER")

    async def work() -> Mandate | None:
        async with desk(settings) as at_desk:
            row = await _existing(at_desk, token_id)
            given = None if withdraw else _checked(settings, row, klass, persons, per, until, by, at_desk.now)
            plain = _plain(row, at_desk.now)["mandate"] if given is None else _said(given)
            event = "mandate_withdrawn" if given is None else "mandated"
            await at_desk.record("token", event, by, token=token_id, user=row.user, mandate=plain)
            await Tokens(at_desk.store, at_desk.keys).set_mandate(token_id, given)
            return given

    given = asyncio.run(work())
    if json:
        emit({"id": token_id, "mandate": _said(given) if given else None})
    else:
        say(f"{token_id}: {_mandate(given) if given else 'its mandate is withdrawn'}")


def _said(mandate: Mandate) -> dict[str, object]:
    return {
        "class": mandate.klass.word,
        "persons": mandate.persons,
        "window_s": mandate.window_s,
        "until": int(mandate.until),
        "by": mandate.by,
    }


def _checked(
    settings: Settings, row: TokenRow, klass: str, persons: int, per: str, until: str, by: str, now: float
) -> Mandate:
    if row.kind != "machine":
        fail("a mandate is for a machine's token: a person confirms instead", NO)
    if not persons:
        fail("say for how many persons: --persons N")
    try:
        wanted = Class.of(klass)
    except KeyError:
        fail(f"{klass!r} is no class; there are: {', '.join(one.word for one in Class)}")
    if not settings.policy.classes[wanted].kinds:
        fail(f"the class {klass} asks for no proof: no mandate is needed", NO)
    ends = end_of(until) if until else fail("say until when: --until 2026-03-31")
    if not now < ends <= now + LONGEST_MANDATE_S:
        fail("a mandate ends in the future, and at most 90 days from now", NO)
    window_s = _PER.get(per) or duration_s(per)
    if window_s > 31 * 86_400:
        fail("--per is at most 31 days", NO)
    return Mandate(wanted, persons, window_s, ends, by)
