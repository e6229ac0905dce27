"""Scripts that are asked for in one turn of the loop, run in one round trip.

Rules of this file:

1. A trip takes at most ``AT_ONCE``: the store answers others in between.
2. When a whole trip fails, everybody waiting fails with it: nobody waits twice for a dead store.
"""

import asyncio
from typing import Any

from gateway.ports import StoreUnavailable
from gateway.stores.connection import Store
from gateway.stores.scripts import Placed

AT_ONCE = 64


class Together:
    """Runs scripts. One object per worker and kind of question."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[tuple[Placed, asyncio.Future[Any]]] = []
        self._sender: asyncio.Task[None] | None = None

    async def run(self, placed: Placed) -> Any:
        """A script's answer; raises ``StoreUnavailable``."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((placed, answer))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send(), name="scripts")  # begins once all of this turn have asked
        return await answer

    async def _send(self) -> None:
        sent: list[tuple[Placed, asyncio.Future[Any]]] = []
        fault = StoreUnavailable("the question was not answered")
        try:
            while self._waiting:
                sent, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
                answers = await self._store.run_all([placed for placed, _ in sent])
                faults = [one for one in answers if isinstance(one, StoreUnavailable)]
                for (_, waiter), answer in zip(sent, answers, strict=True):
                    _settle(waiter, answer)
                if len(faults) == len(sent):
                    fault = faults[0]
                    return
        finally:
            for _, waiter in (*sent, *self._waiting):
                _settle(waiter, fault)
            self._waiting = []
            self._sender = None


def _settle(waiter: asyncio.Future[Any], answer: Any) -> None:
    if waiter.done():
        return
    if isinstance(answer, StoreUnavailable):
        waiter.set_exception(answer)
    else:
        waiter.set_result(answer)
