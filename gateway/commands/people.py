"""Whom a command is about: a user's id, or the login that one of their tokens or sessions has named."""

from collections.abc import Iterable

from gateway.commands.ledger_access import Desk
from gateway.commands.terminal import fail
from gateway.keyring import KeyRing
from gateway.stores.connection import Store
from gateway.stores.identities import Identities
from gateway.stores.people import People
from gateway.stores.tokens import Tokens


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
