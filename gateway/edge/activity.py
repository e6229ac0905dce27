"""What lately happened in somebody's name, in words: on the account page, and where they are asked or stopped."""

from collections.abc import Mapping, Sequence

from gateway.core.activity import episodes, since, slot_of
from gateway.core.assurance import Caller
from gateway.core.extraction import Class
from gateway.edge import words
from gateway.edge.context import Context
from gateway.edge.doors import Access, Activity, LivingSession, LivingToken
from gateway.edge.words import Language
from gateway.ports import Clock, StoreUnavailable

MOST_EPISODES = 12


class Recent:
    """Recent releases of one person at a time."""

    def __init__(self, access: Access, activity: Activity, clock: Clock) -> None:
        self._access = access
        self._activity = activity
        self._clock = clock

    async def episodes(self, caller: Caller, language: Language) -> list[dict[str, object]]:
        """What was opened since yesterday, the newest first: what, from where, and when (Unix seconds)."""
        opened = await self._activity.of(caller.user)
        where = _Places(caller, *await self._access.of(caller.user), language) if opened else None
        now = self._clock.now()
        return [
            {
                "what": words.opened(one.klass, one.persons, language),
                "where": where.name(one.credential_id) if where else "",
                "start": one.start,
                "until": min(one.until, int(now)),
                "ago_s": max(0.0, now - one.start),
            }
            for one in episodes(opened, MOST_EPISODES)
        ]

    async def since(self, caller: Caller, language: Language) -> Mapping[str, object] | None:
        """What happened since the last confirmation here, or since signing in; ``None``: the store does not say.

        Nothing is told to who has not confirmed yet whose session it is.
        """
        if caller.unconfirmed:
            return None
        try:
            opened = await self._activity.of(caller.user)
            sessions, tokens = await self._access.of(caller.user)
        except StoreUnavailable:
            return None
        confirmed_at = max((proof.verified_at for proof in caller.proofs), default=None)
        began = next((one.since for one in sessions if one.id == caller.credential_id), None)
        at = began if confirmed_at is None else confirmed_at
        if at is None:
            return None
        where = _Places(caller, sessions, tokens, language)
        # a session begins within a slot, whose figures are all its own
        found = since(opened, at if confirmed_at else slot_of(at, None), caller.credential_id)
        return {
            "confirmed": confirmed_at is not None,
            "ago_s": max(0.0, self._clock.now() - at),
            "here": where.own,
            "opened": [
                (where.name(one), _in_words(found[one], language))
                for one in sorted(found, key=lambda one: one != caller.credential_id)
            ],
        }


def recent_of(context: Context) -> Recent:
    """Recent releases, for a page."""
    return Recent(context.doors.access, context.doors.activity, context.doors.clock)


async def since_of(context: Context, caller: Caller) -> Mapping[str, object] | None:
    """What happened since the last confirmation, for a page of a session."""
    return await recent_of(context).since(caller, context.asked.language) if caller.credential == "session" else None


class _Places:
    """What credentials are called before their person."""

    def __init__(
        self, caller: Caller, sessions: Sequence[LivingSession], tokens: Sequence[LivingToken], language: Language
    ) -> None:
        self._here = caller.credential_id
        self._language = language
        self._names = {one.id: place(one.browser, one.network, language) for one in sessions}
        self._names |= {one.id: words.say("access_token", language, name=one.name) for one in tokens}

    @property
    def own(self) -> str | None:
        """Where the caller's own session was opened from."""
        return self._names.get(self._here)

    def name(self, credential_id: str) -> str:
        """Where something happened."""
        if credential_id == self._here:
            return words.say("access_here", self._language)
        return self._names.get(credential_id) or words.say("access_over", self._language)


def place(browser: str, network: str, language: Language) -> str:
    """A session as its person knows it again, such as ``Firefox · 192.0.2.0/24``."""
    known = browser if browser and browser != "other" else words.say("access_browser", language)
    return f"{known} · {network}" if network else known


def _in_words(persons: Mapping[Class, int], language: Language) -> list[str]:
    return [words.opened(klass, persons[klass], language) for klass in sorted(persons, reverse=True)]
