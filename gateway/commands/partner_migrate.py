"""``gateway partner migrate``: people whom their partner calls by another name stay who they are."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from gateway.commands.ledger_access import Desk, desk
from gateway.commands.people import roles_held, user_named
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
    facts,
    fail,
    say,
    tell_mistakes,
)
from gateway.config import Settings
from gateway.core.enrolment import MAY, Act
from gateway.core.identity import Known, Pair, State
from gateway.factors.pairs_file import MOST_BYTES, Renamed, read_pairs
from gateway.factors.token_files import Mistake
from gateway.stores import keys
from gateway.stores.identities import Identities
from gateway.stores.migrations import Migrations, fingerprint_of, id_of
from gateway.stores.seats import Seats

PEOPLE_PER_CALL = 500
_ALREADY = (State.WAITING, State.CONFIRMED)


@dataclass(frozen=True, slots=True)
class Person:
    """One line of the file, as the store knows both identities; ``lacks``: they have no way to confirm."""

    line: int
    old: Known
    new: Known
    known: bool
    lacks: bool
    frozen: bool

    @property
    def pair(self) -> Pair:
        """Who is carried."""
        return Pair(self.old.identity, self.new.identity, self.old.user)

    @property
    def carried(self) -> bool:
        """Whether it was done before."""
        return self.new.before == self.old.identity and self.new.state in _ALREADY

    @property
    def wrong(self) -> str:
        """Why they cannot be carried; empty: they can, or were."""
        if self.carried:
            return ""
        if self.old.state is State.GONE or self.old.after not in ("", self.new.identity):
            return "old_sub was given another new_sub before: take the line out, or look who it became"
        if self.old.state is State.WAITING:
            return "old_sub was new in another migration and is not confirmed yet: let its person confirm first"
        if self.new.before or self.new.after or self.new.state is not State.OWN:
            return "new_sub is in another migration: take the line out, or correct it"
        return "" if self.known else "nobody was ever here by this old_sub: correct it, or take the line out"


def migrate(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The partner by whose subjects they are known now.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The partner by whose they will be; the same one, too.")],
    pairs: Annotated[Path, typer.Option("--map", metavar="CSV", help="Columns old_sub,new_sub, named.")],
    by: Annotated[str | None, typer.Option("--by", help="For which officer: a login, or an id (u_…).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Let people whose issuer or subject changes stay who they are: factors, limits, seats, what is frozen.

    It is started here, and two officers sign on the page. Then each person confirms once, at their first sign-in by the
    new name, with a factor of the old one; until then the old one goes on. A file given again goes on where it is.

    [bold]Examples[/bold]

      gateway partner migrate relais-emploi relais-emploi --map pairs.csv --dry-run
      gateway partner migrate relais-emploi relais-2027 --map pairs.csv --by "u_mrsxg5dp"
    """
    settings = settings_of(config)
    for one in (old, new):
        if one not in settings.partners:
            fail(f"no partner {one!r}; there are: {', '.join(settings.partners) or 'none'}", NO)
    issuers = (settings.partners[old].issuer, settings.partners[new].issuer)
    renamed, mistakes = read_pairs(content_of(pairs, MOST_BYTES), one_issuer=issuers[0] == issuers[1])
    if mistakes:
        _tell(pairs, mistakes, json)
    if by is None and not dry_run:
        fail("say with --by for which officer it is started: two sign it")

    async def work() -> dict[str, object]:
        async with desk(settings, writes=not dry_run) as at_desk:
            people = await _surveyed(at_desk, renamed, issuers, old)
            wrong = [Mistake(one.line, one.wrong) for one in people if one.wrong]
            if wrong:
                _tell(pairs, wrong, json)
            await _room(at_desk, people, old, new)
            said = _counted(people, old, new) | {"roles": _roles(settings, renamed, old)}
            if by is not None and not dry_run:
                said |= await _started(at_desk, people, old, new, by)
            return said

    said = asyncio.run(work())
    if json:
        emit(said)
    else:
        _show(settings, said, dry_run=dry_run)


def _tell(file: Path, mistakes: Sequence[Mistake], json: bool) -> NoReturn:
    tell_mistakes(file, mistakes, json, counted="people", done="nobody is carried")


async def _surveyed(at_desk: Desk, renamed: Sequence[Renamed], issuers: tuple[str, str], partner: str) -> list[Person]:
    identities, found = Identities(at_desk.store, at_desk.keys), list[Person]()
    for start in range(0, len(renamed), PEOPLE_PER_CALL):
        part = renamed[start : start + PEOPLE_PER_CALL]
        old = await identities.all_of([at_desk.keys.user_id(issuers[0], one.old) for one in part])
        new = await identities.all_of([at_desk.keys.user_id(issuers[1], one.new) for one in part])
        commands = [command for one in old for command in _asked(one, partner)]
        answers = await at_desk.store.calls(*commands)
        each = len(commands) // len(part)
        for index, one in enumerate(part):
            ways, frozen, seat, *more = answers[index * each : (index + 1) * each]
            known = bool(ways or frozen or seat is not None or any(more))
            found.append(Person(one.line, old[index], new[index], known, not ways, bool(frozen)))
    return found


def _asked(one: Known, partner: str) -> list[tuple[str, ...]]:
    """What tells that somebody was here: all that is kept of a user for longer than a day."""
    user = one.user
    there = (keys.subject, keys.tokens_of, keys.families, keys.letter, keys.invitation, keys.closed, keys.identity)
    return [
        ("HLEN", keys.factors(user)),
        ("EXISTS", keys.frozen("user", user)),
        ("ZSCORE", keys.seats(partner), user),
        *(("EXISTS", name(user)) for name in there),
    ]


async def _room(at_desk: Desk, people: Sequence[Person], old: str, new: str) -> None:
    """End the command where the new partner has fewer seats than there would be people."""
    most = at_desk.settings.policy.of(new).seats
    if most is None or old == new:
        return
    seats = Seats(at_desk.store)
    sitting = {one.user for one in await seats.rows(new)}
    coming = {one.user for one in await seats.rows(old)}
    users = {one.old.user for one in people}
    would_be = (sitting - {one.new.identity for one in people}) | (coming & users)
    if len(would_be) > most:
        fail(f"{new} has {most} seats and {len(would_be)} people would have one: raise `seats`, or free some first", NO)


def _counted(people: Sequence[Person], old: str, new: str) -> dict[str, object]:
    going = [one for one in people if not one.carried]
    return {
        "old": old,
        "new": new,
        "people": len(people),
        "to_carry": len(going),
        "unconfirmed": sum(one.carried and one.new.state is State.WAITING for one in people),
        "confirmed": sum(one.new.state is State.CONFIRMED for one in people),
        "no_way_to_confirm": [one.line for one in going if one.lacks],
        "frozen": [one.line for one in going if one.frozen],
        "fingerprint": fingerprint_of(id_of(old, new, [one.pair for one in people])),
    }


def _roles(settings: Settings, renamed: Sequence[Renamed], partner: str) -> list[dict[str, object]]:
    """The roles of the policy that name somebody who moves: they do not follow, an officer changes the file."""
    lines = {one.old: one.line for one in renamed}
    rules = [rule for rule in settings.policy.roles if rule.partner == partner and rule.sub in lines]
    return [{"role": rule.role, "line": lines[rule.sub]} for rule in rules]


async def _started(at_desk: Desk, people: Sequence[Person], old: str, new: str, by: str) -> dict[str, object]:
    officer = await user_named(at_desk, by)
    if officer not in await _officers(at_desk):
        fail(f"{by} is no officer ([[roles]] in policy.toml): it is started for an officer, and two sign it", NO)
    if all(one.carried for one in people):
        return {"sign_at": None}
    pairs = [one.pair for one in people]
    said = {"from": old, "to": new, "people": len(pairs), "fingerprint": fingerprint_of(id_of(old, new, pairs))}
    await at_desk.record("identity", "started", officer, **said)
    started = await Migrations(at_desk.store).start(old, new, pairs, by=officer)
    return {
        "sign_at": f"{at_desk.settings.pages_url}/.gateway/migrations",
        "started_by": started.by,
        "until": int(started.at + keys.MIGRATION_LIFETIME_S),
    }


async def _officers(at_desk: Desk) -> set[str]:
    return {user for rule, user in await roles_held(at_desk) if rule.role in MAY[Act.MIGRATE]}


def _show(settings: Settings, said: dict[str, object], *, dry_run: bool) -> None:
    lacking, frozen, roles = said["no_way_to_confirm"], said["frozen"], said["roles"]
    facts(
        [
            ("from, to", f"{said['old']}, {said['new']}"),
            ("people", said["people"]),
            ("to be carried", said["to_carry"]),
            ("carried, not confirmed yet", said["unconfirmed"]),
            ("confirmed", said["confirmed"]),
            ("without a way to confirm", _lines(lacking)),
            ("frozen, and stay so", _lines(frozen)),
            ("roles that stay behind", _listed(roles)),
            ("fingerprint", said["fingerprint"]),
        ]
    )
    if lacking:
        say("Who has no way to confirm is asked to get an invitation: a referent or officer vouches for them.")
    if roles:
        say(escaped("Roles do not follow: name the new partner and sub in a [[roles]] of policy.toml and reload it."))
        say("By the old sub each role is held until its person has confirmed, by the new one from then on.")
    if said["old"] != said["new"]:
        say(escaped(f"From then on {said['new']} and {said['old']} share the limits of a partner."))
    if dry_run:
        say("Nothing was changed.")
    elif said["sign_at"] is None:
        say("Everybody in the file is carried already: nothing to sign.")
    else:
        say(f"Two officers sign before {at(float(str(said['until'])))}, on {said['sign_at']}")


def _listed(roles: object) -> str:
    return ", ".join(f"{one['role']} (line {one['line']})" for one in roles) if isinstance(roles, list) else ""


def _lines(lines: object) -> str:
    shown = [str(line) for line in lines] if isinstance(lines, list) else []
    more = f" and {len(shown) - 20} more" if len(shown) > 20 else ""
    return f"{len(shown)} (lines {', '.join(shown[:20])}{more})" if shown else ""
