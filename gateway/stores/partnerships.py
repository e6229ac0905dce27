"""Which partners people may come by, for the sessions of those who may not any more.

A partner that is out of the configuration once has lost the sessions that were open then, also where it comes back.
"""

from collections.abc import Mapping, Sequence

from gateway.core.policy import ABSOLUTE_S
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Argument, Store


class Partnerships:
    """The partners that any gateway on this store has ever trusted."""

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or store.clock

    async def hold(self, issuers: Mapping[str, str]) -> None:
        """Trust these alone, id to issuer, from now on: what is open of any other's people is over for good.

        Raises ``StoreUnavailable``.
        """
        held = {keys.partnership(partner, issuer) for partner, issuer in issuers.items()}
        known = {name.decode() for name in await self._store.call("SMEMBERS", keys.PARTNERSHIPS)}
        now = repr(self._clock.now())
        ended: list[Sequence[Argument]] = [
            ("SET", keys.sessions_until(name), now, "EX", ABSOLUTE_S + keys.ENDED_SESSION_S) for name in known - held
        ]
        begun: list[Sequence[Argument]] = [("SADD", keys.PARTNERSHIPS, *sorted(held - known))] if held - known else []
        if ended or begun:
            await self._store.calls(*ended, *begun, atomic=True)
