"""Tells those outside who want to know: the operator's own address of changes, partners of their frozen people.

Each has a queue in the store and a loop of its own here: one that is silent keeps nobody else waiting.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.config import Settings
from gateway.edge.sending import Receiver, deliver_due
from gateway.edge.transmitter import Told, Transmitter
from gateway.edge.webhook import Webhook
from gateway.ledger import LedgerUnavailable
from gateway.metrics import WAITING
from gateway.partners import partners_of
from gateway.ports import StoreUnavailable
from gateway.stores.freezes import signals_to
from gateway.stores.sending import Sending
from gateway.wiring import Opened

LOOK_EVERY_S = 2.0
"""How often a worker looks for what is due."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Errand:
    """Somebody who is told, and what waits for them. ``kind``, ``partner``: as the metrics name it."""

    kind: str
    partner: str
    queue: Sending
    receiver: Receiver


def errands_of(opened: Opened, settings: Settings) -> list[Errand]:
    """Everybody whom the configuration wants to be told. Raises ``OSError``: a secret cannot be read."""
    found = []
    notify = settings.gateway.notify
    if notify is not None:
        webhook = Webhook(notify.url, settings.path(notify.secret_file).read_bytes().strip())
        found.append(Errand("notices", "", opened.notices.sending, webhook))
    for name, partner in partners_of(settings).items():
        if partner.events is not None:
            transmitter = Transmitter(name, partner.events, settings.pages_url, opened.keyring.assertion_key)
            told = Told(transmitter, opened.ledger, opened.store.clock)
            found.append(Errand("signals", name, signals_to(opened.store, name), told))
    return found


async def run_errands(errands: Iterable[Errand]) -> None:
    """Run each for as long as this worker lives."""
    async with asyncio.TaskGroup() as group:
        for errand in errands:
            group.create_task(_run(errand))


async def _run(errand: Errand) -> None:
    """Whatever store and ledger cannot do now waits for the next round: what was sent may then be sent twice."""
    while True:
        try:
            await deliver_due(errand.queue, errand.receiver)
            WAITING.labels(errand.kind, errand.partner).set(await errand.queue.waiting())
        except (StoreUnavailable, LedgerUnavailable):
            pass
        except Exception:  # a message that cannot be read is put off already, and ends no worker
            log.exception("%s: a message cannot be sent; the others go on", errand.receiver.name)
        await asyncio.sleep(LOOK_EVERY_S)
