"""What a person has closed to themselves because somebody else was at it, until a person in charge opens it again."""

from gateway.core.extraction import Class
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Argument, Script, Store

CLOSED_FROM = Class.SENSITIVE
_NOT_ME = Script("not_me")


class Closures:
    """The closures in the store."""

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or store.clock

    async def not_me(self, user: str, *, but: str) -> tuple[int, int]:
        """End every session and token of ``user`` except the family ``but``, drop all proofs, close what is sensitive.

        One step, so that nothing of the thief's comes between; returns how many sessions and tokens ended.
        """
        names = [keys.families(user), keys.tokens_of(user), keys.closed(user), keys.not_before(user)]
        arguments: list[Argument] = [user, but, repr(self._clock.now()), CLOSED_FROM.word, keys.NOT_BEFORE_LIFETIME_S]
        sessions, tokens = await self._store.run(_NOT_ME, names, arguments)
        return int(sessions), int(tokens)

    async def closed_from(self, user: str) -> Class | None:
        """The class from which all is closed to ``user``; ``None``: nothing is."""
        said = await self._store.call("GET", keys.closed(user))
        return Class.of(said.decode()) if said else None

    async def reopen(self, user: str) -> bool:
        """Open again what ``user`` had closed; false where nothing was."""
        return bool(await self._store.call("DEL", keys.closed(user)))
