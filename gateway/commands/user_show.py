"""``gateway user show``: how things stand with a person's access, without a word about whom they saw."""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from gateway.commands.budget import used
from gateway.commands.ledger_access import desk, ledger_directory, ledger_keys
from gateway.commands.people import user_named
from gateway.commands.setup import settings_of
from gateway.commands.terminal import DEFAULT_CONFIG, ConfigOption, JsonOption, at, emit, fail, say, table
from gateway.config import Settings
from gateway.core.cooling import COOLING, Binding, cooling_of
from gateway.ledger.verify import Verification, walk
from gateway.stores.closures import Closures
from gateway.stores.factors import Factors
from gateway.stores.passkeys import Passkeys
from gateway.stores.recovery import RecoveryCodes
from gateway.stores.tokens import Tokens

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
    say(f"{state['user']}: {closed}; {state['recovery_codes']} recovery codes left")
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
        user = await user_named(Tokens(store, keys), login, partner)
        held = [(one.factor_id, "totp", one.bound, one.bound_at) for one in await Factors(store, keys).held(user)]
        held += [(one.factor_id, "webauthn", one.bound, one.bound_at) for one in await Passkeys(store, keys).of(user)]
        closed = await Closures(store).closed_from(user)
        return {
            "user": user,
            "closed_from": closed.word if closed is not None else None,
            "recovery_codes": await RecoveryCodes(store, keys).left(user),
            "factors": [_factor(*one, at_desk.now) for one in held],
        }


def _factor(factor_id: str, kind: str, bound: str, bound_at: float, now: float) -> dict[str, object]:
    cooling = cooling_of(bound, bound_at, now)
    until = None if cooling is None else bound_at + COOLING[Binding(bound)].lasts_s
    return {
        "id": factor_id,
        "kind": kind,
        "bound": bound,
        "bound_at": int(bound_at) or None,
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
