"""Joins everything: the only file that sees both sides of every door.

What a worker serves with has two parts: what it opens once, and what it builds of that for one configuration.

A new policy is a new pair of ``Doors`` and ``Served`` over the same open store, ledger and connections.
"""

import contextlib
import logging
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network

from gateway import application, ledgers
from gateway.assertion import AssertionSigner
from gateway.config import Settings
from gateway.core.charging import limits_of
from gateway.core.policy import Scope
from gateway.doors import Doors, Served, Timeouts
from gateway.edge.activity import Recent
from gateway.edge.answers import Site
from gateway.edge.doors import Doors as PageDoors
from gateway.edge.partner_callers import PartnerCallers, access_tokens_of
from gateway.edge.possession import Possession
from gateway.edge.seats import Seating
from gateway.edge.site import build as build_pages
from gateway.keyring import KeyRing
from gateway.ledger import Ledger, LedgerUnavailable
from gateway.ledger.history import History
from gateway.means import Room
from gateway.metrics import OBSERVING, PrometheusMetrics
from gateway.partners import partners_of
from gateway.pipeline import ANONYMOUS
from gateway.stores.access import Access
from gateway.stores.activity import Activity
from gateway.stores.budgets import Budgets
from gateway.stores.callers import StoredCallers
from gateway.stores.challenges import Challenges
from gateway.stores.closures import Closures
from gateway.stores.connection import Store
from gateway.stores.documents import Documents
from gateway.stores.factors import Factors
from gateway.stores.flows import Flows
from gateway.stores.identities import Identities
from gateway.stores.invitations import Invitations
from gateway.stores.kept_requests import KeptRequests
from gateway.stores.letters import Letters
from gateway.stores.migrations import Migrations
from gateway.stores.notices import Notices
from gateway.stores.outsiders import Outsiders
from gateway.stores.partner_tokens import PartnerTokens, SeenProofs
from gateway.stores.partnerships import Partnerships
from gateway.stores.passkeys import Passkeys
from gateway.stores.people import People
from gateway.stores.recovery import RecoveryCodes
from gateway.stores.same_keys import require_same_keys
from gateway.stores.sealed_answers import SealedAnswers
from gateway.stores.seats import Seats
from gateway.stores.sessions import Sessions
from gateway.stores.signals import Signals
from gateway.stores.tokens import Tokens
from gateway.upstream import Upstream

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Opened:
    """What a worker opens once and keeps, whatever the policy: the store, the ledger, connections, what it counts."""

    store: Store
    ledger: Ledger
    keyring: KeyRing
    metrics: PrometheusMetrics
    upstreams: dict[str, Upstream]
    budgets: Budgets
    callers: StoredCallers
    tokens: Tokens
    activity: Activity
    notices: Notices
    room: Room

    async def aclose(self) -> None:
        """Write what is still only counted, then close everything."""
        await self.activity.flush()
        with contextlib.suppress(LedgerUnavailable):  # the disk is full: what was counted is lost with it
            await self.ledger.flush_counts(now=self.store.clock.now())
        await self.ledger.aclose()
        for upstream in self.upstreams.values():
            await upstream.aclose()
        await self.store.close()


async def open_all(settings: Settings, keyring: KeyRing, metrics: PrometheusMetrics) -> Opened:
    """Open store and ledger. Raises ``StoreUnavailable``, ``LedgerUnavailable`` and ``OSError``: nothing is left open.

    A store that was lost is rebuilt here.
    """
    gateway = settings.gateway
    directory = settings.path(gateway.ledger.directory)
    async with contextlib.AsyncExitStack() as closing:
        store = await Store.connect(settings.store)
        closing.push_async_callback(store.close)
        # First of all: a store that stays lost must not begin a new chain at every try.
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        await ledgers.enter(store, directory, gateway.node)
        await require_same_keys(store, keyring.fingerprints())
        ledger = await Ledger.open(
            directory,
            gateway.node,
            keyring.ledger_key(),
            keyring.ledger_kid,
            now=store.clock.now(),
            reserve_bytes=gateway.ledger.reserve_bytes,
        )
        closing.push_async_callback(ledger.aclose)
        store.took, ledger.took = partial(metrics.took, "store"), partial(metrics.took, "ledger")
        tokens = Tokens(store, keyring)
        await tokens.index()
        opened = Opened(
            store=store,
            ledger=ledger,
            keyring=keyring,
            metrics=metrics,
            upstreams={
                name: Upstream(application.origin_of(settings, table)) for name, table in gateway.applications.items()
            },
            budgets=Budgets(store),
            callers=StoredCallers(store, keyring),
            tokens=tokens,
            activity=Activity(store),
            notices=Notices(store, sends=gateway.notify is not None),
            room=Room(gateway.reading.worker_bytes),
        )
        closing.pop_all()
    return opened


async def policy_in_force(opened: Opened, settings: Settings, reason: str) -> None:
    """Record that this worker decides by this policy from now on. Raises ``LedgerUnavailable``."""
    digest = await opened.ledger.keep_policy(settings.policy.text)
    record = {"kind": "policy", "policy": digest, "reason": reason}
    await opened.ledger.append(record, now=opened.store.clock.now())


async def partners_in_force(opened: Opened, settings: Settings) -> None:
    """End for good what is open of people whose partner is not among these. Raises ``StoreUnavailable``."""
    issuers = {name: table.issuer for name, table in settings.partners.items()}
    await Partnerships(opened.store).hold(issuers)


async def tell_used(opened: Opened, settings: Settings) -> None:
    """Tell the metrics how much everybody together has taken. Raises ``StoreUnavailable``."""
    now = opened.store.clock.now()
    limits = limits_of(settings.policy, ANONYMOUS, now, observe=settings.observing)
    opened.metrics.used(await opened.budgets.usage([one for one in limits if one.scope is Scope.EVERYONE]))


def doors_of(opened: Opened, settings: Settings) -> Doors:
    """What the path calls. Raises ``OSError``: a partner's secret cannot be read."""
    store, keyring, pages = opened.store, opened.keyring, _doors_of_pages(opened, settings)
    return Doors(
        callers=pages.callers,
        budgets=opened.budgets,
        factors=pages.factors,
        records=opened.ledger,
        clock=store.clock,
        tokens=pages.partner_tokens,
        possession=pages.possession,
        flows=pages.flows,
        kept=KeptRequests(store, keyring),
        sealed=SealedAnswers(store, keyring),
        challenges=pages.challenges,
        outsiders=Outsiders(store, keyring),
        hasher=keyring,
        assertions=AssertionSigner(keyring.assertion_key, settings.pages_url),
        metrics=opened.metrics,
        pages=build_pages(pages),
        room=opened.room,
        activity=opened.activity,
        recent=Recent(pages.access, opened.activity, store.clock),
    )


def _doors_of_pages(opened: Opened, settings: Settings) -> PageDoors:
    store, keyring, documents, partners = opened.store, opened.keyring, Documents(opened.store), partners_of(settings)
    faults = opened.metrics.partner_faults
    tokens, registry = access_tokens_of(partners.values(), documents, faults), PartnerTokens(store, keyring)
    seating = Seating(Seats(store), opened.ledger, store.clock, lambda: settings.policy, settings.observing)
    return PageDoors(
        clock=store.clock,
        callers=PartnerCallers(
            opened.callers, registry, tokens, seating, store.clock, lambda: settings.policy, partners
        ),
        tokens=opened.tokens,
        partner_tokens=tokens,
        possession=Possession(settings.pages_url, keyring.nonce, SeenProofs(store, keyring), store.clock),
        sessions=Sessions(store, keyring),
        seating=seating,
        identities=Identities(store, keyring),
        migrations=Migrations(store),
        access=Access(store),
        notices=opened.notices,
        activity=opened.activity,
        flows=Flows(store, keyring),
        documents=documents,
        factors=Factors(store, keyring),
        recovery=RecoveryCodes(store, keyring),
        passkeys=Passkeys(store, keyring),
        invitations=Invitations(store, keyring),
        letters=Letters(store, keyring),
        people=People(store, keyring, told=settings.told),
        history=History(settings.path(settings.gateway.ledger.directory)),
        closures=Closures(store),
        signals=Signals(store, keyring),
        kept=KeptRequests(store, keyring),
        challenges=Challenges(store, keyring),
        outsiders=Outsiders(store, keyring),
        budgets=opened.budgets,
        records=opened.ledger,
        keyring=keyring,
        policy=lambda: settings.policy,
        partners=partners,
        pages_url=settings.pages_url,
        help_desk=settings.gateway.help_desk,
        hosts=frozenset(host for table in settings.gateway.applications.values() for host in table.hosts),
        house_networks=_networks(settings.gateway.house_networks),
        chooser=settings.gateway.sign_in.chooser,
        observing=settings.observing,
        partner_faults=faults,
    )


def served_of(opened: Opened, settings: Settings) -> Served:
    """What is served: each application compiled together with the policy."""
    gateway = settings.gateway
    by_host = {}
    for name, table in gateway.applications.items():
        built = application.build(settings, settings.policy, name, opened.upstreams[name])
        by_host.update(dict.fromkeys(table.hosts, built))
        OBSERVING.labels(name).set(built.observing)
        if built.observing:
            log.warning("application %s: OBSERVE: nothing is asked, masked or refused", name)
    return Served(
        by_host=by_host,
        partner_names={name: table.name for name, table in settings.partners.items()},
        site=site_of(settings),
        trusted_proxies=_networks(gateway.trusted_proxies),
        house_networks=_networks(gateway.house_networks),
        timeouts=Timeouts(gateway.listen.body_idle_timeout, gateway.listen.write_idle_timeout),
        request_bytes=gateway.reading.request_bytes,
        document_bytes=gateway.reading.document_bytes,
    )


def site_of(settings: Settings) -> Site:
    """Where the gateway's own pages are."""
    return Site(settings.pages_url, settings.gateway.help_desk, disclose=settings.policy.disclose)


def _networks(written: list[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(one) for one in written)
