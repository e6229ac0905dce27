"""A worker's life: it opens its doors, keeps them open, serves, and closes them. One ``App`` per worker process.

A worker starts to listen at once and answers 503 until store and ledger are there: a lifespan that fails would end it,
and one that waits would hide why.
"""

import asyncio
import contextlib
import gc
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from gateway import ledgers
from gateway.admin import State, write_state
from gateway.config import ConfigurationError, Settings
from gateway.core.reasons import Reason, Refusal
from gateway.edge.answers import render
from gateway.keyring import KeyRing
from gateway.ledger import LedgerUnavailable
from gateway.metrics import READY, STORE_ANSWERS, PrometheusMetrics
from gateway.passage import Receive, Scope, Send, begin
from gateway.pipeline import Pipeline
from gateway.ports import StoreUnavailable
from gateway.reaper import Reaper
from gateway.reloading import generation_in, load_generation
from gateway.serve import CONFIG_VARIABLE, ENDING, RUN_VARIABLE
from gateway.stores.faults import StoreLost
from gateway.telling import Errand, errands_of, run_errands
from gateway.websocket import serve_websocket
from gateway.wiring import (
    Opened,
    doors_of,
    open_all,
    partners_in_force,
    policy_in_force,
    served_of,
    site_of,
    tell_used,
)

NEW_OBJECTS = 20_000
"""How many more containers there are before the collector looks again; requests leave few behind."""

TELL_USED_EVERY_S = 10
"""How often a worker asks the store how much everybody together has taken, for the metrics."""

FOLLOW_EVERY_S = 0.2
"""How often a worker looks whether there is a new configuration: one link of the file system is read."""

WRITE_ACTIVITY_EVERY_S = 3
"""How often a worker writes what people were shown, in figures; a crash loses no more than that."""

MOST_SKEW_S = 2.0
"""Rule 13 of the design: a process further from the store's time is not ready."""

log = logging.getLogger(__name__)


def create() -> "App":
    """The worker's ASGI application, for the configuration that the parent process has checked."""
    directory, folder = Path(os.environ[CONFIG_VARIABLE]), Path(os.environ[RUN_VARIABLE])
    generation = generation_in(folder)
    return App(load_generation(directory, folder, generation), generation)


class App:
    """One worker: opens its doors, keeps them open, serves."""

    def __init__(self, settings: Settings, generation: int = 0) -> None:
        self._settings = settings
        self._generation = generation
        self._behind = ""
        self._ending = False
        self._conversations = 0
        self._keyring = KeyRing.load(settings.path(settings.gateway.keys))
        listen = settings.gateway.listen
        self._reaper = Reaper(listen.port, silent_s=listen.silent_timeout, kept_alive_s=listen.kept_alive_timeout)
        self._ledger_directory = settings.path(settings.gateway.ledger.directory)
        self._tasks: list[asyncio.Task[None]] = []
        self._telling: asyncio.Task[None] | None = None
        self._opened: Opened | None = None
        self._why, self._store_fault = "starting", ""
        self._metrics = PrometheusMetrics()
        self.pipeline: Pipeline | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        peer = scope.get("client") or ()
        self._reaper.enter(peer)
        try:
            if self.pipeline is None:
                await self._not_ready(scope, receive, send)
            elif scope["type"] == "http":
                await self.pipeline(scope, receive, send)
            elif scope["type"] == "websocket":
                await self._converse(self.pipeline, scope, receive, send)
        finally:
            self._reaper.leave(peer)

    async def _converse(self, pipeline: Pipeline, scope: Scope, receive: Receive, send: Send) -> None:
        self._conversations += 1
        try:
            room = self._conversations <= self._settings.gateway.listen.most_websockets
            await serve_websocket(pipeline, scope, receive, send, room=room)
        finally:
            self._conversations -= 1

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self._tasks = [
            asyncio.create_task(work) for work in (self._open(), self._watch(), self._follow(), self._reaper.run())
        ]
        for task in self._tasks:
            task.add_done_callback(_must_not_fail)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await _ended([*self._tasks, *([self._telling] if self._telling else [])])
        await self._close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _not_ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1013, "reason": "not ready"})
            return
        passage = begin(scope, receive, send, ())
        refusal = Refusal(Reason.STORE_UNAVAILABLE, retry_s=2)
        answer = render(refusal, request=passage.asked, site=site_of(self._settings))
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _open(self) -> None:
        """Open store and ledger, trying each second until both are there."""
        while self.pipeline is None:
            try:
                await self._join()
                _spare_collections()
                self._why = ""
            except (StoreUnavailable, LedgerUnavailable, OSError) as fault:
                self._why = str(fault)
                log.warning("not ready: %s", fault)
                await self._close()
                await asyncio.sleep(1)

    async def _join(self) -> None:
        opened = self._opened = await open_all(self._settings, self._keyring, self._metrics)
        await partners_in_force(opened, self._settings)
        await policy_in_force(opened, self._settings, "start")
        errands = errands_of(opened, self._settings)
        self.pipeline = Pipeline(doors_of(opened, self._settings), served_of(opened, self._settings))
        self._tell(errands)

    def _tell(self, errands: Iterable[Errand]) -> None:
        """Tell those outside who want to know, and nobody else any more."""
        if self._telling is not None:
            self._telling.cancel()
        self._telling = asyncio.create_task(run_errands(errands))
        self._telling.add_done_callback(_must_not_fail)

    async def _watch(self) -> None:
        """Each second: are store and ledger whole, the clock right; tell the admin listener. Each minute: write counts.

        A store that was lost is taken up again here, as soon as it has been rebuilt.
        """
        beats = 0
        folder = Path(os.environ[RUN_VARIABLE])
        while True:
            self._why, self._store_fault = await self._unready()
            READY.set(0 if self._why else 1)
            STORE_ANSWERS.set(0 if self._store_fault or self.pipeline is None else 1)
            self._metrics.tell()
            with contextlib.suppress(OSError):  # the folder is gone when the parent is
                self._say(folder)
            beats += 1
            if beats % WRITE_ACTIVITY_EVERY_S == 0 and self._opened is not None:
                await self._opened.activity.flush()
            if beats % TELL_USED_EVERY_S == 0 and self._opened is not None and not self._store_fault:
                with contextlib.suppress(StoreUnavailable):
                    await tell_used(self._opened, self._settings)
            if beats % 60 == 0 and self._opened is not None:
                with contextlib.suppress(LedgerUnavailable):  # counts stay and are written next time
                    await self._opened.ledger.flush_counts(now=self._opened.store.clock.now())
            await asyncio.sleep(1)

    async def _follow(self) -> None:
        """Do as the server says: decide by the configuration that it has accepted since, and prepare for the end.

        What cannot be taken yet (store or ledger cannot be written) is tried again; the old one holds until then.
        """
        folder = Path(os.environ[RUN_VARIABLE])
        while True:
            await asyncio.sleep(FOLLOW_EVERY_S)
            with contextlib.suppress(OSError):  # the folder is gone when the parent is
                if (generation := generation_in(folder)) != self._generation:
                    await self._take(folder, generation)
                    self._say(folder)
                if self._ending or (folder / ENDING).exists():
                    self._end()
                    self._say(folder)

    def _end(self) -> None:
        """The server is to end: whoever balances load is told so, and conversations are closed."""
        self._ending = True
        if self.pipeline is not None:
            self.pipeline.watch.end()

    def _say(self, folder: Path) -> None:
        why = "it is to end" if self._ending else self._why
        state = State(
            not why,
            why,
            self._store_fault,
            self._generation,
            self._behind,
            self._ending,
            self._conversations,
            {partner: fault for partner, fault in self._metrics.partner_faults.items() if fault},
        )
        write_state(folder, state)

    async def _take(self, folder: Path, generation: int) -> None:
        try:
            settings = await asyncio.to_thread(load_generation, self._settings.directory, folder, generation)
            if self.pipeline is not None and self._opened is not None:
                doors, served = doors_of(self._opened, settings), served_of(self._opened, settings)
                errands = errands_of(self._opened, settings)
                await partners_in_force(self._opened, settings)
                await policy_in_force(self._opened, settings, "reload")
                self.pipeline.doors, self.pipeline.served = doors, served
                self._tell(errands)
        except (ConfigurationError, OSError, LedgerUnavailable, StoreUnavailable) as fault:
            self._behind = str(fault)
            log.error("a new policy is not taken yet: %s", fault)
            return
        self._settings, self._generation, self._behind = settings, generation, ""

    async def _unready(self) -> tuple[str, str]:
        """Why this worker should not be asked, and what is wrong with the store; nothing where nothing is."""
        if self.pipeline is None or self._opened is None:
            return self._why or "starting", ""
        store, ledger = self._opened.store, self._opened.ledger
        if not await ledger.probe(now=store.clock.now()):
            return "the ledger cannot be written", ""
        if abs(store.clock.skew_s) > MOST_SKEW_S:
            return f"this machine's clock is {store.clock.skew_s:.1f} s from the store's", ""
        return "", await self._fault_of_store()

    async def _fault_of_store(self) -> str:
        if self._opened is None:
            return "starting"
        store = self._opened.store
        if store.doubt:
            return store.doubt
        if store.clock.sampled_ago_s > 3:
            return "the store does not answer"
        try:
            return await ledgers.check(store, self._ledger_directory, self._settings.gateway.node)
        except StoreLost as lost:
            return str(lost)
        except (StoreUnavailable, OSError) as fault:
            return f"the store cannot be checked: {fault}"

    async def _close(self) -> None:
        if self._opened is not None:
            await self._opened.aclose()
        self._opened = None


async def _ended(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: an order that comes in the middle of a command of the store may be lost there."""
    alive = set(tasks)
    while alive:
        for task in alive:
            task.cancel()
        _, alive = await asyncio.wait(alive, timeout=0.5)


def _must_not_fail(task: asyncio.Task[None]) -> None:
    """A worker without its watch would serve on, blind: it ends at once, and the parent starts another."""
    if not task.cancelled() and (fault := task.exception()) is not None:
        log.critical("this worker ends: %s", type(fault).__name__, exc_info=fault)
        os._exit(1)


def _spare_collections() -> None:
    """Let the cycle collector pass over what lives as long as the worker: it took a tenth of a request's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, 20, 20)
