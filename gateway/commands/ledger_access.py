"""The ledger as commands use it: where it is, its keys, and a chain of the command's own for what it did."""

import getpass
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.commands.terminal import fail
from gateway.config import Settings
from gateway.keyring import KeyRing, KeyRingError
from gateway.ledger import Ledger, LedgerUnavailable
from gateway.ports import StoreUnavailable
from gateway.stores.connection import Store
from gateway.stores.notices import Notices


def key_ring(settings: Settings) -> KeyRing:
    """The keys, or the end of the command."""
    try:
        return KeyRing.load(settings.path(settings.gateway.keys))
    except KeyRingError as fault:
        fail(str(fault))


def ledger_directory(settings: Settings) -> Path:
    """Where the ledger is."""
    return settings.path(settings.gateway.ledger.directory)


def ledger_keys(settings: Settings) -> Mapping[str, bytes]:
    """The keys that its records are sealed with, by id."""
    return key_ring(settings).ledger_keys()


@dataclass(frozen=True, slots=True)
class Desk:
    """What an operator's command works with. ``record`` comes first or the change is not made."""

    settings: Settings
    keys: KeyRing
    store: Store
    ledger: Ledger | None
    account: str

    @property
    def now(self) -> float:
        """The store's time."""
        return self.store.clock.now()

    async def record(self, kind: str, event: str, by: str | None, **fields: object) -> None:
        """Write down what is about to be done, by whom, on disk before it happens."""
        if self.ledger is None:
            raise TypeError("this command said that it changes nothing")
        record = {"kind": kind, "event": event, "by": by or self.account, "account": self.account, **fields}
        await self.ledger.append(record, now=self.now, reserve=True)

    async def tell(self, user: str, kind: str, partner: str = "") -> None:
        """Tell ``user`` of a change that was made."""
        notices = Notices(self.store, sends=self.settings.gateway.notify is not None)
        await notices.add(user, partner, kind, reference="", by="operator")


def account() -> str:
    """The account of this machine under which the command runs."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


@asynccontextmanager
async def desk(settings: Settings, *, writes: bool = True) -> AsyncIterator[Desk]:
    """Open store and ledger for one command (``writes`` false: the store alone); ends it when one is missing."""
    keys = key_ring(settings)
    try:
        store = await Store.connect(settings.store)
    except StoreUnavailable as fault:
        fail(f"the store does not answer: {fault}")
    try:
        if writes:
            ledger = await _chain(settings, keys, store)
            try:
                yield Desk(settings, keys, store, ledger, account())
            finally:
                await ledger.aclose()
        else:
            yield Desk(settings, keys, store, None, account())
    except StoreUnavailable as fault:
        fail(f"the store does not answer: {fault}")
    except LedgerUnavailable as fault:
        fail(f"the ledger cannot be written, so nothing was done: {fault}")
    finally:
        await store.close()


async def _chain(settings: Settings, keys: KeyRing, store: Store) -> Ledger:
    return await Ledger.open(
        ledger_directory(settings),
        settings.gateway.node,
        keys.ledger_key(),
        keys.ledger_kid,
        now=store.clock.now(),
        reserve_bytes=settings.gateway.ledger.reserve_bytes,
    )
