"""Which gateways of one store have ledgers of their own: lost budgets are counted anew from all of them, or not at all.

Rules of this file:

1. A ledger has an id, beside it on its disk. Each gateway tells the store its name and that id, and keeps beside its
   own ledger what the others told: that outlives the store.
2. Budgets are declared whole again once every ledger that any of those counted has heard of was read.
3. A gateway takes up again by itself where its ledger was counted to its last charge, and not before.
"""

import asyncio
import contextlib
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from gateway.ledger.reading import last_charge_at, last_charge_seq
from gateway.ports import StoreUnavailable
from gateway.stores import keys
from gateway.stores.connection import Store, write_synced
from gateway.stores.faults import StoreLost

ID_FILE: Final = "ledger-id"
OTHERS_FILE: Final = "store-ledgers.json"
"""A gateway's name to the id of its ledger, of every gateway that was ever heard of."""


@dataclass(frozen=True, slots=True)
class LedgerFolder:
    """A ledger's directory; ``id``: empty where no gateway has served from it."""

    directory: Path
    id: str

    @classmethod
    def at(cls, directory: Path) -> "LedgerFolder":
        """A ledger as it is; raises ``OSError``."""
        file = directory / ID_FILE
        return cls(directory, file.read_bytes().strip().decode("latin-1") if file.exists() else "")

    @classmethod
    def made(cls, directory: Path) -> "LedgerFolder":
        """A ledger that has an id from now on; raises ``OSError``."""
        if not (directory / ID_FILE).exists():
            new = directory / f"{ID_FILE}.{os.getpid()}"
            write_synced(new, secrets.token_hex(8).encode())
            with contextlib.suppress(FileExistsError):  # another process was faster: then it is theirs
                os.link(new, directory / ID_FILE)
            new.unlink()
        return cls.at(directory)

    def heard_of(self) -> dict[str, str]:
        """Names of gateways to their ledgers' ids, as this ledger's gateway has heard; raises ``OSError``."""
        file = self.directory / OTHERS_FILE
        if not file.exists():
            return {}
        try:
            return {str(name): str(held) for name, held in dict(orjson.loads(file.read_bytes())).items()}
        except (ValueError, TypeError) as fault:
            raise OSError(
                f"{file} is damaged ({fault}): put it back from a backup, or remove it while all gateways answer;"
                " it is then written anew"
            ) from fault

    def hear(self, of: Mapping[str, str]) -> None:
        """Keep that for later; raises ``OSError``."""
        write_synced(self.directory / OTHERS_FILE, orjson.dumps(dict(of), option=orjson.OPT_SORT_KEYS))


async def enter(store: Store, directory: Path, node: str) -> None:
    """Begin to serve with a ledger. Raises ``StoreLost``, ``StoreUnavailable``, ``OSError``."""
    ledger = LedgerFolder.made(directory)
    sequence = await asyncio.to_thread(last_charge_seq, directory)
    try:
        await store.ensure_epoch(directory, sequence)
    except StoreLost:
        if not await _taken_up(store, ledger):
            raise
        await store.ensure_epoch(directory, sequence)
    if wrong := await _meet(store, ledger, node):
        raise StoreUnavailable(wrong)


async def check(store: Store, directory: Path, node: str) -> str:
    """Look, as a running worker does each second, whether the store is the one that was known: in words what is wrong.

    Raises ``StoreLost``, ``StoreUnavailable``, ``OSError``.
    """
    ledger = LedgerFolder.at(directory)
    try:
        await store.check_epoch(directory)
    except StoreLost:
        if not await _taken_up(store, ledger):
            raise
        await store.check_epoch(directory)
    return await _meet(store, ledger, node)


async def _taken_up(store: Store, ledger: LedgerFolder) -> bool:
    """Whether the store counts this ledger to its last charge, so that its gateway may use it from now on."""
    at = await store.call("HGET", keys.LEDGERS_COUNTED, ledger.id) if ledger.id else None
    if at is None or float(at) != await asyncio.to_thread(_last_charge_at, ledger.directory):
        return False
    await store.adopt_epoch(ledger.directory)
    return True


async def _meet(store: Store, ledger: LedgerFolder, node: str) -> str:
    """Tell the store of this ledger and hear of the others; what is wrong with that, in words."""
    told = await _told(store)
    if told.get(node, ledger.id) != ledger.id:
        return (
            f"another gateway, which has a ledger of its own, is called {node!r} too: give each a name ($GATEWAY_NODE);"
            f" where the ledger of this one was lost, `gateway ledger lost {node}`"
        )
    if node not in told:
        await store.call("HSETNX", keys.LEDGERS, node, ledger.id)
    heard = ledger.heard_of()
    if (now := {**heard, **told, node: ledger.id}) != heard:
        ledger.hear(now)
    return ""


async def lost(store: Store, node: str) -> bool:
    """Let a gateway begin another ledger; whether it had one. Raises ``StoreUnavailable``."""
    return bool(await store.call("HDEL", keys.LEDGERS, node))


async def _told(store: Store) -> dict[str, str]:
    said = await store.call("HGETALL", keys.LEDGERS)
    return {name.decode(): held.decode() for name, held in said.items()}


def _last_charge_at(directory: Path) -> float:
    return last_charge_at(directory) or 0.0


@dataclass(frozen=True, slots=True)
class Counting:
    """Ledgers that budgets are counted anew from. ``to``: of each the time of its last charge, Unix seconds.

    ``without``: names of gateways whose ledgers are lost.
    """

    ledgers: tuple[LedgerFolder, ...]
    to: tuple[float, ...]
    without: tuple[str, ...]

    @classmethod
    def of(cls, directories: Iterable[Path], without: Iterable[str]) -> "Counting":
        """What these directories hold now; raises ``OSError``, ``NoLedger``."""
        found = tuple(map(LedgerFolder.at, directories))
        for one in found:
            if not one.id:
                raise NoLedger(
                    f"{one.directory} is no ledger that a gateway has served with: {ID_FILE} is missing there"
                )
        return cls(found, tuple(_last_charge_at(one.directory) for one in found), tuple(without))

    async def missing(self, store: Store) -> tuple[str, ...]:
        """Names of gateways that these, or the store, have heard of, and whose ledgers are not among them."""
        heard = await _told(store)
        for one in self.ledgers:
            heard |= one.heard_of()
        ids = {one.id for one in self.ledgers}
        return tuple(sorted(name for name, held in heard.items() if held not in ids and name not in self.without))

    @property
    def sequence(self) -> int:
        """The last number of a charge in any of them."""
        return max((last_charge_seq(one.directory) or 0 for one in self.ledgers), default=0)

    async def tell(self, store: Store) -> None:
        """Say what is counted, before the budgets are declared whole. Raises ``StoreUnavailable``, ``OSError``."""
        said = [value for one, at in zip(self.ledgers, self.to, strict=True) for value in (one.id, repr(at))]
        commands = [("DEL", keys.LEDGERS_COUNTED), ("HSET", keys.LEDGERS_COUNTED, *said)]
        if self.without:
            commands.append(("HDEL", keys.LEDGERS, *self.without))
        await store.calls(*commands, atomic=True)
        for one in self.ledgers:
            one.hear({name: held for name, held in one.heard_of().items() if name not in self.without})


class NoLedger(Exception):
    """A directory that no gateway has served with."""
