"""A piece leaves once its record is on disk and what it cost is still counted."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from small_application import small_application
from test_charges import MORE, REPLACED, desk_of, persons

from gateway import charges
from gateway.keyring import KeyRing
from gateway.ledger import Ledger
from gateway.means import Means, Room
from gateway.metrics import PrometheusMetrics
from gateway.outcomes import Outcome
from gateway.stores.activity import Activity
from gateway.stores.connection import Store
from gateway.stores.faults import StoreLost


class SlowLedger(Ledger):
    """One whose disk takes so long that the budgets were counted anew meanwhile, by a ledger without this record."""

    store: Store
    folder: Path

    async def append(self, record: Mapping[str, object], *, now: float, reserve: bool = False) -> int:
        sequence = await super().append(record, now=now, reserve=reserve)
        await self.store.renew_epoch(self.folder, 1)
        return sequence


async def test_what_was_counted_anew_without_its_record_does_not_leave(
    store: Store, keyring: KeyRing, clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charges, "RECORDED_WITHIN_S", 0.0)
    await store.ensure_epoch(tmp_path)
    desk = await desk_of(small_application(policy=MORE, replaced=REPLACED), store, keyring, clock)
    await desk.prove()
    charger = await desk.charger()
    ledger = await SlowLedger.open(
        tmp_path / "ledger", "node", keyring.ledger_key(), keyring.ledger_kid, now=clock.now()
    )
    ledger.store, ledger.folder = store, tmp_path
    try:
        means = Means("app", ledger, charger, Room(1 << 20), PrometheusMetrics(), Activity(store), "h_1", 1 << 20, 1.0)
        outcome = await charger.document(persons(1), masks=False)
        assert isinstance(outcome, Outcome)
        with pytest.raises(StoreLost):
            await means.record(charger._passage, outcome, 100, "release")
    finally:
        await ledger.aclose()
