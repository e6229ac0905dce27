"""Whom a command is about: a user's id, or the login that one of their tokens names."""

from collections.abc import Sequence

from gateway.commands.terminal import fail
from gateway.stores.tokens import TokenRow, Tokens


def user_of(rows: Sequence[TokenRow], named: str, partner: str | None = None) -> str:
    """The id of the user called ``named``; ends the command where that is nobody, or not one person."""
    if named.startswith("u_"):
        return named
    found = {row.user for row in rows if row.login == named and partner in (None, row.partner)}
    if not found:
        fail(f"nobody known has the login {named!r}; give the user's id (u_…): the ledger and `token list` show it")
    if len(found) > 1:
        fail(f"{len(found)} users have the login {named!r}: say which with --partner, or give the id")
    return found.pop()


async def user_named(tokens: Tokens, named: str, partner: str | None = None) -> str:
    """The same, over the tokens in the store."""
    return named if named.startswith("u_") else user_of(await tokens.rows(), named, partner)
