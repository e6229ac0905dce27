"""What changed in how somebody's access is protected: told to them until they have seen it, and sent on where asked.

Rules of this file:

1. A session cannot make what it did itself seen: a thief's own change waits for the person's next session.
2. One notice of a kind for each credential that caused it, the newest: nobody pushes one out with many others.
3. The ledger is the record; a notice only tells.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Argument, Script, Store
from gateway.stores.sending import Sending

MOST_SHOWN = 50
_SEEN = Script("notices_seen")


@dataclass(frozen=True, slots=True)
class Notice:
    """One change. ``at``: Unix seconds; ``reference``: of the request, empty for a command; ``by``: a credential."""

    kind: str
    at: float
    reference: str
    by: str


class Notices:
    """The notices in the store. ``sends``: they are also sent on, from the queue ``sending``."""

    def __init__(self, store: Store, clock: Clock | None = None, *, sends: bool = False) -> None:
        self._store = store
        self._clock = clock or store.clock
        self.sending = Sending(store, clock, name=keys.NOTIFY)
        self._sends = sends

    async def add(self, user: str, partner: str, kind: str, *, reference: str, by: str) -> None:
        """Tell ``user`` of a change that the credential ``by`` made. ``partner`` is for who is told besides."""
        now = self._clock.now()
        notice = orjson.dumps({"kind": kind, "at": now, "reference": reference, "by": by})
        commands: list[Sequence[Argument]] = [
            ("HSET", keys.notices(user), f"{kind}:{by}", notice),
            ("EXPIRE", keys.notices(user), keys.NOTICE_LIFETIME_S),
        ]
        if self._sends:
            message: Mapping[str, object] = {
                "id": secrets.token_hex(8),
                "kind": kind,
                "user": user,
                "partner": partner,
                "time": int(now),
                "reference": reference,
            }
            commands += self.sending.putting(orjson.dumps(message), now)
        await self._store.calls(*commands, atomic=True)

    async def of(self, user: str) -> tuple[Notice, ...]:
        """What ``user`` has not seen, the newest first."""
        said = map(orjson.loads, await self._store.call("HVALS", keys.notices(user)))
        since = self._clock.now() - keys.NOTICE_LIFETIME_S
        found = (Notice(one["kind"], one["at"], one["reference"], one["by"]) for one in said if one["at"] > since)
        return tuple(sorted(found, key=lambda one: -one.at)[:MOST_SHOWN])

    async def seen(self, user: str, *, until: float, by: str) -> int:
        """Take away what was shown, up to the time of the newest; not what the session ``by`` did itself."""
        return int(await self._store.run(_SEEN, [keys.notices(user)], [repr(until), by]))
