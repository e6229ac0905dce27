"""Grants: one user's limits raised for a time, within what a day allows."""

import math
import secrets

import orjson

from gateway.core.assurance import Grant
from gateway.stores import keys
from gateway.stores.connection import Argument, Script, Store

OVER_THE_DAY = "over_the_day"
_GRANT = Script("grant")


class Grants:
    """The grants in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def grant(self, user: str, grant: Grant, *, by: str, reason: str, now: float, limit: int) -> Grant | str:
        """Raise the limits of ``grant.klass``; ``"over_the_day"`` where that makes more than ``limit`` in 24 h."""
        if grant.persons < 1 or grant.until <= now:
            raise ValueError("a grant is of at least one person, and ends in the future")
        said = {
            "class": grant.klass.word,
            "persons": grant.persons,
            "until": grant.until,
            "made": now,
            "by": by,
            "reason": reason,
        }
        lifetime_s = max(keys.GRANT_DAY_S, math.ceil(grant.until - now)) + keys.MINUTE_S
        arguments: list[Argument] = [
            f"g_{secrets.token_hex(8)}",
            orjson.dumps(said),
            now,
            keys.GRANT_DAY_S,
            limit,
            lifetime_s,
        ]
        done = await self._store.run(_GRANT, [keys.grants(user)], arguments)
        return grant if done else OVER_THE_DAY
