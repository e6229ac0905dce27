"""Joins everything: the only file that sees both sides of every door. One ``App`` per worker process.

A worker starts to listen at once and answers 503 until store and ledger are there: a lifespan that fails would end it,
and one that waits would hide why.
"""

import asyncio
import contextlib
import gc
import logging
import os
from ipaddress import ip_network
from pathlib import Path

from gateway import application
from gateway.admin import write_state
from gateway.assertion import AssertionSigner
from gateway.config import Settings, load
from gateway.core.reasons import Reason, Refusal
from gateway.doors import Doors, Served, Timeouts
from gateway.edge.activity import Recent
from gateway.edge.answers import Site, render
from gateway.edge.doors import Doors as PageDoors
from gateway.edge.partner_callers import PartnerCallers, access_tokens_of
from gateway.edge.possession import Possession
from gateway.edge.site import build as build_pages
from gateway.edge.webhook import Webhook
from gateway.keyring import KeyRing
from gateway.ledger import Ledger, LedgerUnavailable
from gateway.ledger.history import History
from gateway.ledger.reading import last_charge_seq
from gateway.means import Room
from gateway.metrics import OBSERVING, READY, PrometheusMetrics
from gateway.partners import partners_of
from gateway.passage import Receive, Scope, Send, begin
from gateway.pipeline import Pipeline
from gateway.ports import StoreUnavailable
from gateway.reaper import Reaper
from gateway.serve import CONFIG_VARIABLE, RUN_VARIABLE
from gateway.stores.access import Access
from gateway.stores.activity import Activity
from gateway.stores.budgets import Budgets
from gateway.stores.callers import StoredCallers
from gateway.stores.challenges import Challenges
from gateway.stores.closures import Closures
from gateway.stores.connection import Store, StoreLost
from gateway.stores.documents import Documents
from gateway.stores.factors import Factors
from gateway.stores.flows import Flows
from gateway.stores.invitations import Invitations
from gateway.stores.kept_requests import KeptRequests
from gateway.stores.letters import Letters
from gateway.stores.notices import Notices
from gateway.stores.outsiders import Outsiders
from gateway.stores.partner_tokens import PartnerTokens, SeenProofs
from gateway.stores.passkeys import Passkeys
from gateway.stores.people import People
from gateway.stores.recovery import RecoveryCodes
from gateway.stores.sealed_answers import SealedAnswers
from gateway.stores.seats import Seats
from gateway.stores.sessions import Sessions
from gateway.stores.signals import Signals
from gateway.stores.tokens import Tokens
from gateway.upstream import Upstream
from gateway.websocket import serve_websocket

NEW_OBJECTS = 20_000
"""How many more containers there are before the collector looks again; requests leave few behind."""

WRITE_ACTIVITY_EVERY_S = 3
"""How often a worker writes what people were shown, in figures; a crash loses no more than that."""

NOTIFY_EVERY_S = 2.0
"""How often a worker looks for notices to send on."""

MOST_SKEW_S = 2.0
"""Rule 13 of the design: a process further from the store's time is not ready."""

log = logging.getLogger(__name__)


def create() -> "App":
    """The worker's ASGI application, for the configuration that the parent process has checked."""
    return App(load(Path(os.environ[CONFIG_VARIABLE])))


class App:
    """One worker: opens its doors, keeps them open, serves."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keyring = KeyRing.load(settings.path(settings.gateway.keys))
        listen = settings.gateway.listen
        self._reaper = Reaper(listen.port, silent_s=listen.silent_timeout, kept_alive_s=listen.kept_alive_timeout)
        self._ledger_directory = settings.path(settings.gateway.ledger.directory)
        self._site = Site(settings.pages_url, settings.gateway.help_desk, disclose=settings.policy.disclose)
        self._tasks: list[asyncio.Task[None]] = []
        self._store: Store | None = None
        self._ledger: Ledger | None = None
        self._notices: Notices | None = None
        self._activity: Activity | None = None
        self._webhook = webhook_of(settings)
        self._why = "starting"
        self._metrics = PrometheusMetrics()
        self._upstreams: list[Upstream] = []
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
                await serve_websocket(self.pipeline, scope, receive, send)
        finally:
            self._reaper.leave(peer)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self._tasks = [
            asyncio.create_task(work) for work in (self._open(), self._watch(), self._notify(), self._reaper.run())
        ]
        for task in self._tasks:
            task.add_done_callback(_must_not_fail)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _not_ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1013, "reason": "not ready"})
            return
        passage = begin(scope, receive, send, ())
        refusal = Refusal(Reason.STORE_UNAVAILABLE, retry_s=2)
        answer = render(refusal, request=passage.asked, site=self._site)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _open(self) -> None:
        """Open store and ledger, trying each second until both are there."""
        while self.pipeline is None:
            try:
                self.pipeline = await self._join()
                _spare_collections()
                self._why = ""
            except (StoreUnavailable, LedgerUnavailable, OSError) as fault:
                self._why = str(fault)
                log.warning("not ready: %s", fault)
                await self._close()
                await asyncio.sleep(1)

    async def _join(self) -> Pipeline:
        settings, keyring = self._settings, self._keyring
        gateway = settings.gateway
        directory = self._ledger_directory
        store = self._store = await Store.connect(gateway.store.url)
        # First of all: a store that stays lost must not begin a new chain at every try.
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        await store.ensure_epoch(directory, await asyncio.to_thread(last_charge_seq, directory))
        ledger = self._ledger = await Ledger.open(
            directory,
            gateway.node,
            keyring.ledger_key(),
            keyring.ledger_kid,
            now=store.clock.now(),
            reserve_bytes=gateway.ledger.reserve_bytes,
        )
        budgets, flows, partners = Budgets(store), Flows(store, keyring), partners_of(settings)
        documents = Documents(store)
        partner_tokens = access_tokens_of(partners.values(), documents)
        registry = PartnerTokens(store, keyring)
        callers = PartnerCallers(StoredCallers(store, keyring), registry, partner_tokens, store.clock)
        possession = Possession(settings.pages_url, keyring.nonce, SeenProofs(store, keyring), store.clock)
        digest = await ledger.keep_policy(settings.policy.text)
        await ledger.append({"kind": "policy", "policy": digest, "reason": "start"}, now=store.clock.now())
        tokens = Tokens(store, keyring)
        await tokens.index()
        access, activity = Access(store), Activity(store)
        self._activity = activity
        notices = self._notices = Notices(store, sends=gateway.notify is not None)
        kept, challenges = KeptRequests(store, keyring), Challenges(store, keyring)
        outsiders = Outsiders(store, keyring)
        pages = PageDoors(
            clock=store.clock,
            callers=callers,
            tokens=tokens,
            partner_tokens=partner_tokens,
            possession=possession,
            sessions=Sessions(store, keyring),
            seats=Seats(store),
            access=access,
            notices=notices,
            activity=activity,
            flows=flows,
            documents=documents,
            factors=Factors(store, keyring),
            recovery=RecoveryCodes(store, keyring),
            passkeys=Passkeys(store, keyring),
            invitations=Invitations(store, keyring),
            letters=Letters(store, keyring),
            people=People(store, keyring),
            history=History(directory),
            closures=Closures(store),
            signals=Signals(store, keyring),
            kept=kept,
            challenges=challenges,
            outsiders=outsiders,
            budgets=budgets,
            records=ledger,
            keyring=keyring,
            policy=lambda: settings.policy,
            partners=partners,
            pages_url=settings.pages_url,
            help_desk=gateway.help_desk,
            hosts=frozenset(host for table in gateway.applications.values() for host in table.hosts),
            house_networks=tuple(ip_network(one) for one in gateway.house_networks),
            chooser=gateway.sign_in.chooser,
            observing=settings.observing,
        )
        doors = Doors(
            callers=callers,
            budgets=budgets,
            records=ledger,
            clock=store.clock,
            tokens=partner_tokens,
            possession=possession,
            flows=flows,
            kept=kept,
            sealed=SealedAnswers(store, keyring),
            challenges=challenges,
            outsiders=outsiders,
            hasher=keyring,
            assertions=AssertionSigner(keyring.assertion_key, settings.pages_url),
            metrics=self._metrics,
            pages=build_pages(pages),
            room=Room(gateway.reading.worker_bytes),
            activity=activity,
            recent=Recent(access, activity, store.clock),
        )
        return Pipeline(doors, self._served())

    def _served(self) -> Served:
        settings = self._settings
        gateway = settings.gateway
        by_host = {}
        for name, table in gateway.applications.items():
            upstream = Upstream(application.origin_of(settings, table))
            self._upstreams.append(upstream)
            built = application.build(settings, settings.policy, name, upstream)
            by_host.update(dict.fromkeys(table.hosts, built))
            OBSERVING.labels(name).set(built.observing)
            if built.observing:
                log.warning("application %s: OBSERVE: nothing is asked, masked or refused", name)
        return Served(
            by_host=by_host,
            partner_names={name: table.name for name, table in settings.partners.items()},
            site=self._site,
            trusted_proxies=tuple(ip_network(one) for one in gateway.trusted_proxies),
            house_networks=tuple(ip_network(one) for one in gateway.house_networks),
            timeouts=Timeouts(gateway.listen.body_idle_timeout, gateway.listen.write_idle_timeout),
            request_bytes=gateway.reading.request_bytes,
            document_bytes=gateway.reading.document_bytes,
        )

    async def _watch(self) -> None:
        """Each second: are store and ledger whole, the clock right; tell the admin listener. Each minute: write counts.

        A store that was lost is taken up again here, as soon as it has been rebuilt.
        """
        beats = 0
        folder = Path(os.environ[RUN_VARIABLE])
        while True:
            why = await self._unready()
            READY.set(0 if why else 1)
            self._metrics.tell()
            with contextlib.suppress(OSError):  # the folder is gone when the parent is
                write_state(folder, ready=not why, why=why)
            beats += 1
            if beats % WRITE_ACTIVITY_EVERY_S == 0 and self._activity is not None:
                await self._activity.flush()
            if beats % 60 == 0 and self._ledger and self._store:
                with contextlib.suppress(LedgerUnavailable):  # counts stay and are written next time
                    await self._ledger.flush_counts(now=self._store.clock.now())
            await asyncio.sleep(1)

    async def _notify(self) -> None:
        """Send on what changed, where the configuration wants it; a store that does not answer is asked again."""
        while self._webhook is not None:
            if self._notices is not None:
                with contextlib.suppress(StoreUnavailable):
                    await self._webhook.deliver_due(self._notices)
            await asyncio.sleep(NOTIFY_EVERY_S)

    async def _unready(self) -> str:
        store, ledger = self._store, self._ledger
        if self.pipeline is None or store is None or ledger is None:
            return self._why or "starting"
        if not await ledger.probe(now=store.clock.now()):
            return "the ledger cannot be written"
        if store.clock.sampled_ago_s > 3:
            return "the store does not answer"
        if abs(store.clock.skew_s) > MOST_SKEW_S:
            return f"this machine's clock is {store.clock.skew_s:.1f} s from the store's"
        try:
            await store.check_epoch(self._ledger_directory)
        except StoreLost as lost:
            return str(lost)
        except (StoreUnavailable, OSError) as fault:
            return f"the store cannot be checked: {fault}"
        return ""

    async def _close(self) -> None:
        if self._activity is not None:
            await self._activity.flush()
        if self._ledger is not None:
            if self._store is not None:
                with contextlib.suppress(LedgerUnavailable):  # the disk is full: what was counted is lost with it
                    await self._ledger.flush_counts(now=self._store.clock.now())
            await self._ledger.aclose()
        for upstream in self._upstreams:
            await upstream.aclose()
        if self._store is not None:
            await self._store.close()
        self._ledger, self._store, self._upstreams = None, None, []
        self._notices, self._activity = None, None


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


def webhook_of(settings: Settings) -> Webhook | None:
    """Where changes are told to, with the secret read from its file."""
    notify = settings.gateway.notify
    return None if notify is None else Webhook(notify.url, settings.path(notify.secret_file).read_bytes().strip())
