"""Whom a command is about: a user's id, the login that a token or session has named, or a partner's subject."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gateway.commands.ledger_access import Desk
from gateway.commands.terminal import fail
from gateway.core.identity import Known, State
from gateway.core.policy import RoleRule
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
    rows = await Tokens(store, keys).rows()
    found = {row.user for row in rows if row.login == named and partner in (None, row.partner)}
    people = People(store, keys)
    signed_in = [await people.by_login(one, named) for one in partners if partner in (None, one)]
    found |= {user for user in signed_in if user is not None}
    if not found:
        fail(f"nobody known has the login {named!r}; give the user's id (u_…): the ledger and `token list` show it")
    if len(found) > 1:
        fail(f"{len(found)} users have the login {named!r}: say which with --partner, or give the id")
    return found.pop()


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
