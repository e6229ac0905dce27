"""Whom a command is about: a user's id, the login that a token or session has named, or a partner's subject."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from gateway.commands.ledger_access import Desk
from gateway.commands.terminal import at, fail
from gateway.core.identity import Known, State
from gateway.core.policy import RoleRule
from gateway.core.standing import Namesake
from gateway.keyring import KeyRing
from gateway.stores.connection import Store
from gateway.stores.identities import Identities
from gateway.stores.people import People
from gateway.stores.tokens import Tokens

OPENS_NOTHING: Final[Mapping[State, str]] = {
    State.WAITING: "this sub is new in a migration and not confirmed yet: its person signs in by it and confirms first",
    State.GONE: "this sub is over, another one took its place in a migration: give that one, with its partner",
}
"""Why nothing is made for an identity, and what to do."""


async def user_known(
    store: Store, keys: KeyRing, partners: Iterable[str], named: str, partner: str | None = None
) -> str:
    """The id of the user called ``named``; ends the command where that is nobody, or not one person."""
    if named.startswith("u_"):
        return (await Identities(store, keys).known(named)).user
    found = await _namesakes(store, keys, partners, named, partner)
    if not found:
        fail(f"nobody known has the login {named!r}; give the user's id (u_…): the ledger and `token list` show it")
    if len(found) > 1:
        which = "say which with --partner, or " if len({one.partner for one in found}) > 1 else ""
        listed = "".join(f"\n  {_described(one)}" for one in found)
        fail(f"{len(found)} users have the login {named!r}: {which}give the id of the one you mean{listed}")
    return found[0].user


async def _namesakes(
    store: Store, keys: KeyRing, partners: Iterable[str], login: str, partner: str | None
) -> Sequence[Namesake]:
    """Everybody with this login, at this partner or any, by a token of ours or a sign-in; who came last comes first.

    A login is what a partner's person says: one of two may be saying the other's.
    """
    found = {
        row.user: Namesake(row.user, row.partner, row.sub, row.name, row.issued_at, 0.0)
        for row in await Tokens(store, keys).rows()
        if row.login == login and partner in (None, row.partner)
    }
    people = People(store, keys)
    for asked in (one for one in partners if partner in (None, one)):
        for one in await people.by_login(asked, login):
            since = min(one.since, found[one.user].since) if one.user in found else one.since
            found[one.user] = replace(one, since=since)
    return sorted(found.values(), key=lambda one: -one.last)


def _described(one: Namesake) -> str:
    named, last = ("name", f"last sign-in {at(one.last)}") if one.last else ("token", "never signed in")
    who = f"{one.user} of {one.partner}: subject {one.sub!r}, {named} {one.name!r}"
    return f"{who}, since {at(one.since)}, {last}"


async def user_named(at_desk: Desk, named: str, partner: str | None = None) -> str:
    """The same, at a desk."""
    return await user_known(at_desk.store, at_desk.keys, at_desk.settings.partners, named, partner)


async def identities_of(at_desk: Desk, subjects: Iterable[tuple[str, str]]) -> tuple[Known, ...]:
    """Whose the identities of these (partner, subject) are, in order."""
    partners = at_desk.settings.partners
    named = [at_desk.keys.user_id(partners[partner].issuer, sub) for partner, sub in subjects]
    return await Identities(at_desk.store, at_desk.keys).all_of(named)


async def roles_held(at_desk: Desk) -> Sequence[tuple[RoleRule, str]]:
    """Every role of the policy that somebody can use now, with its user."""
    rules = at_desk.settings.policy.roles
    found = await identities_of(at_desk, [(rule.partner, rule.sub) for rule in rules])
    return [(rule, one.user) for rule, one in zip(rules, found, strict=True) if one.state not in OPENS_NOTHING]
