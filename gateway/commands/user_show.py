"""``gateway user show``: how things stand with a person's access, without a word about whom they saw."""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from gateway.commands.budget import used
from gateway.commands.ledger_access import desk, ledger_directory, ledger_keys
from gateway.commands.people import roles_held, user_named
from gateway.commands.setup import settings_of
from gateway.commands.terminal import DEFAULT_CONFIG, ConfigOption, JsonOption, at, emit, facts, fail, say, table
from gateway.config import Settings
from gateway.core.standing import BoundFactor
from gateway.ledger.verify import Verification, walk
from gateway.stores.people import People

MOST_REFUSALS = 10


def show(
    login: Annotated[str, typer.Argument(metavar="USER", help="A login, or a user's id (u_…).")],
    partner: Annotated[str | None, typer.Option(help="Whose user, where two partners have the same login.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Show a user's factors and their ages, what is closed or cooling, limits, and the last ten refusals.

    [bold]Example[/bold]

      gateway user show camille
    """
    settings = settings_of(config)
    state = asyncio.run(_state(settings, login, partner))
    state["budgets"] = used(settings, state["user"])
    state["refusals"] = _refusals(settings, state["user"])
    if json:
        emit(state)
        return
    closed = f"closed from {state['closed_from']} up, at their own word" if state["closed_from"] else "open"
    how = "frozen" if state["frozen"] else closed
    say(f"{state['user']}: {how}; {state['recovery_codes']} recovery codes left; {state['sessions']} sessions")
    waits = [word for word, there in (("an invitation", state["invited"]), ("a letter", state["letter"])) if there]
    facts([("roles", ", ".join(state["roles"])), ("waiting", ", ".join(waits))])
    rows = [
        (one["kind"], one["id"], one["bound"], at(one["bound_at"]), at(one["cooling_until"]))
        for one in state["factors"]
    ]
    table("Factors", ("kind", "id", "bound", "since", "cooling until"), rows)
    table("Limits", ("limit", "used", "of"), [(one["name"], one["used"], one["limit"]) for one in state["budgets"]])
    refusals = [(at(one["at"]), one["reference"], one["reason"]) for one in state["refusals"]]
    table("Last refusals", ("at", "reference", "reason"), refusals)


async def _state(settings: Settings, login: str, partner: str | None) -> dict[str, Any]:
    async with desk(settings, writes=False) as at_desk:
        store, keys = at_desk.store, at_desk.keys
        user = await user_named(at_desk, login, partner)
        standing = await People(store, keys).standing(user)
        return {
            "user": user,
            "roles": [rule.role for rule, holder in await roles_held(at_desk) if holder == user],
            "closed_from": standing.closed_from.word if standing.closed_from is not None else None,
            "frozen": standing.frozen,
            "sessions": standing.sessions,
            "invited": standing.invited,
            "letter": standing.letter,
            "recovery_codes": standing.recovery_codes,
            "factors": [_factor(one, at_desk.now) for one in standing.factors],
        }


def _factor(one: BoundFactor, now: float) -> dict[str, object]:
    until = one.until(now)
    return {
        "id": one.id,
        "kind": one.kind,
        "bound": one.bound,
        "bound_at": int(one.bound_at) or None,
        "cooling_until": until and int(until),
    }


def _refusals(settings: Settings, user: str) -> list[dict[str, object]]:
    last: deque[Mapping[str, Any]] = deque(maxlen=MOST_REFUSALS)
    try:
        for record in walk(ledger_directory(settings), ledger_keys(settings), Verification()):
            if (record.get("caller") or {}).get("user") == user and record.get("verdict") in ("refusal", "challenge"):
                last.append(record)
    except OSError as fault:
        fail(f"the ledger cannot be read: {fault}")
    newest = sorted(last, key=lambda one: -one["now"])
    return [{"at": int(one["now"]), "reference": one.get("ref"), "reason": one.get("reason")} for one in newest]
