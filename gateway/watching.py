"""Whether those who hold conversations open may go on: one watch for all of a worker, also while nobody says anything.

Rules of this file:

1. Each caller is asked about once a round, however many conversations are theirs, and nothing kept will do: nobody
   goes on for longer than ``ROUND_S`` and the round itself, which together are less than a second.
2. A round asks about some at a time: whoever asks something meanwhile need not wait for all of it.
3. A store that has said nothing for ``SILENT_S`` ends all of them: somebody may be revoked, and nobody can tell. In a
   shorter outage a silent conversation stands: each of its messages asks for itself, and is refused.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from gateway.core.reasons import Refusal
from gateway.edge.credentials import Credential
from gateway.ports import StoreUnavailable
from gateway.refusing import translated

ROUND_S = 0.7
AT_ONCE = 64
SILENT_S = 1.0
"""How long the store may say nothing, as seen at the end of the next question: less than two seconds in all."""

Ask = Callable[[], Awaitable[Refusal | None]]
"""Looks a caller up anew: why they may ask nothing more, if so."""

log = logging.getLogger(__name__)


class Watch:
    """Ends the conversations of one worker. ``ending``: set once the server is to end, and all of them with it.

    ``monotonic``: seconds, for how long the store has said nothing.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.ending = asyncio.Event()
        self._monotonic = monotonic
        self._answered_at = 0.0
        self._open: dict[Credential, dict[asyncio.Future[Refusal | None], Ask]] = {}
        self._rounds: asyncio.Task[None] | None = None

    def end(self) -> None:
        """The server is to end."""
        self.ending.set()
        self._settle_all(None)

    async def over(self, credential: Credential, ask: Ask) -> Refusal | None:
        """Wait until a conversation is to end: why its caller may ask nothing more, or ``None`` where the server ends.

        One ``ask`` answers for all conversations of a credential.
        """
        if self.ending.is_set():
            return None
        over: asyncio.Future[Refusal | None] = asyncio.get_running_loop().create_future()
        group = self._open.setdefault(credential, {})
        group[over] = ask
        if self._rounds is None:
            self._answered_at = self._monotonic()  # whoever opens one has just been looked up
            self._rounds = asyncio.create_task(self._go_round(), name="watch")
        try:
            return await over
        finally:
            del group[over]
            if not group:
                del self._open[credential]

    async def _go_round(self) -> None:
        try:
            while self._open:
                begun = time.monotonic()
                everybody = list(self._open)
                for at in range(0, len(everybody), AT_ONCE):
                    await asyncio.gather(*map(self._ask_about, everybody[at : at + AT_ONCE]))
                await asyncio.sleep(max(0.0, begun + ROUND_S - time.monotonic()))
        finally:
            self._rounds = None

    async def _ask_about(self, credential: Credential) -> None:
        group = self._open.get(credential)
        if not group:
            return
        ask, asked_at = next(iter(group.values())), self._monotonic()
        try:
            gone = await ask()
            self._answered_at = max(self._answered_at, asked_at)
        except StoreUnavailable as fault:
            if self._monotonic() - self._answered_at >= SILENT_S:
                self._settle_all(translated(fault))
            return
        except Exception as fault:  # whatever is raised ends in a refusal, as on the path
            log.error("the watch: a fault of ours", exc_info=fault)
            gone = translated(fault)
        if gone is not None:
            _settle(group, gone)

    def _settle_all(self, why: Refusal | None) -> None:
        for group in self._open.values():
            _settle(group, why)


def _settle(group: dict[asyncio.Future[Refusal | None], Ask], why: Refusal | None) -> None:
    for over in group:
        if not over.done():
            over.set_result(why)
