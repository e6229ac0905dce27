"""What one person is signed in with, seen and ended by themselves: living sessions and tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.policy import IDLE_S
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Argument, Script, Store

_END = Script("end_access")
_SESSION = ("issued_at", "seen", "idle_s", "expires_at", "network", "browser")
_TOKEN = ("issued_at", "expires_at", "revoked_at", "name")


@dataclass(frozen=True, slots=True)
class LivingSession:
    """A session that goes on. Times: Unix seconds; ``seen``: exact to a minute.

    ``network``, ``browser``: where it was opened from, empty where nobody knows.
    """

    id: str
    since: float
    seen: float
    network: str
    browser: str


@dataclass(frozen=True, slots=True)
class LivingToken:
    """A token that is good. Times: Unix seconds."""

    id: str
    name: str
    since: float
    expires_at: float


class Access:
    """The sessions and tokens of one user at a time."""

    def __init__(self, store: Store, clock: Clock | None = None, *, idle_s: int = IDLE_S) -> None:
        self._store = store
        self._clock = clock or store.clock
        self._idle_s = idle_s

    async def of(self, user: str) -> tuple[tuple[LivingSession, ...], tuple[LivingToken, ...]]:
        """The living sessions and tokens of ``user``, the newest first."""
        answers = await self._store.calls(("SMEMBERS", keys.families(user)), ("SMEMBERS", keys.tokens_of(user)))
        families, tokens = (sorted(one.decode() for one in answer) for answer in answers)
        asked: list[Sequence[Argument]] = [("HMGET", keys.family(one), *_SESSION) for one in families]
        asked += [("HMGET", keys.token(one), *_TOKEN) for one in tokens]
        said = [[part and part.decode() for part in one] for one in await self._store.calls(*asked)] if asked else []
        gone = [one for one, fields in zip(families, said, strict=False) if fields[0] is None]
        sessions = [self._session(one, said.pop(0)) for one in families]
        held = [self._token(one, said.pop(0)) for one in tokens]
        await self._forget(user, sessions=gone, tokens=[one for one, row in zip(tokens, held, strict=True) if not row])
        return (
            tuple(sorted((one for one in sessions if one), key=lambda one: -one.since)),
            tuple(sorted((one for one in held if one), key=lambda one: -one.since)),
        )

    async def end(self, user: str, which: str) -> tuple[int, int]:
        """End one session, with its proofs, or revoke one token; how many of each: none where it is not ``user``'s."""
        return await self._end(user, which, "") if which else (0, 0)

    async def end_others(self, user: str, *, but: str) -> tuple[int, int]:
        """End every session and token of ``user`` except ``but``; how many of each."""
        return await self._end(user, "", but)

    async def _end(self, user: str, which: str, but: str) -> tuple[int, int]:
        names = [keys.families(user), keys.tokens_of(user), keys.not_before(user)]
        arguments: list[Argument] = [repr(self._clock.now()), which, but, keys.NOT_BEFORE_LIFETIME_S]
        sessions, tokens = await self._store.run(_END, names, arguments)
        return int(sessions), int(tokens)

    async def _forget(self, user: str, *, sessions: list[str], tokens: list[str]) -> None:
        """Take out of the user's sets what never lives again, so that they stay short."""
        sets = {keys.families(user): sessions, keys.tokens_of(user): tokens}
        commands = [("SREM", name, *ids) for name, ids in sets.items() if ids]
        if commands:
            await self._store.calls(*commands)

    def _session(self, family: str, said: list[str | None]) -> LivingSession | None:
        since, seen, idle_s, expires_at, network, browser = said
        now = self._clock.now()
        if since is None or seen is None or expires_at is None:
            return None
        if now - float(seen) >= int(idle_s or self._idle_s) or now >= float(expires_at):
            return None
        return LivingSession(family, float(since), float(seen), network or "", browser or "")

    def _token(self, token_id: str, said: list[str | None]) -> LivingToken | None:
        since, expires_at, revoked_at, name = said
        if since is None or expires_at is None or revoked_at is not None or self._clock.now() >= float(expires_at):
            return None
        return LivingToken(token_id, name or "", float(since), float(expires_at))
