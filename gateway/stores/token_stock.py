"""The stock of hardware tokens: sealed, each with its serial number, until it becomes somebody's.

Rules of this file:

1. A serial number enters once: in stock or assigned, it is refused. A file is taken whole or not at all.
2. Who is given a token by an operator's word is bound from afar: it opens little while it is young (``core.cooling``).
3. A token leaves the stock in the step that makes it a factor: it is never two persons', and its secret never in both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from gateway.core.cooling import Binding
from gateway.factors.totp import Oath
from gateway.keyring import KeyRing, Unsealable
from gateway.ports import StoreUnavailable
from gateway.stores import keys
from gateway.stores.connection import Argument, Script, Store
from gateway.stores.factors import new_factor_id
from gateway.stores.oath import Bound, seal_factor, seal_stock, unseal_stock

_IMPORT = Script("oath_import")
_ASSIGN = Script("oath_assign")


@dataclass(frozen=True, slots=True)
class StockRow:
    """A token as operators see it; ``user``, ``factor_id`` and ``assigned_at`` (Unix seconds) once it is somebody's."""

    serial: str
    algorithm: str
    digits: int
    period_s: int
    user: str | None = None
    factor_id: str | None = None
    assigned_at: float | None = None


class TokenStock:
    """The hardware tokens in the store, their secrets sealed."""

    def __init__(self, store: Store, keyring: KeyRing) -> None:
        self._store = store
        self._keyring = keyring

    async def known(self, serials: Sequence[str]) -> tuple[str, ...]:
        """Those of the serial numbers that are in the stock or somebody's already."""
        if not serials:
            return ()
        found = await self._store.calls(*(("HMGET", name, *serials) for name in (keys.STOCK, keys.ASSIGNED)))
        return tuple(serial for serial, *values in zip(serials, *found, strict=True) if any(values))

    async def add(self, tokens: Mapping[str, Oath]) -> tuple[str, ...]:
        """Take all tokens, by serial number, or none: returns those that are known already, if any."""
        arguments: list[Argument] = []
        for serial, oath in tokens.items():
            arguments += [serial, seal_stock(self._keyring, oath, serial)]
        known = await self._store.run(_IMPORT, [keys.STOCK, keys.ASSIGNED], arguments)
        return tuple(serial.decode() for serial in known)

    async def row(self, serial: str) -> StockRow | None:
        """One token; ``None`` where there is none."""
        stocked, assigned = await self._store.calls(
            ("HGET", keys.STOCK, serial), ("HGET", keys.ASSIGNED, serial), atomic=True
        )
        if stocked is not None:
            return self._stocked(serial, stocked)
        return _assigned(serial, assigned) if assigned is not None else None

    async def rows(self) -> list[StockRow]:
        """Every token, by serial number."""
        stocked, assigned = await self._store.calls(("HGETALL", keys.STOCK), ("HGETALL", keys.ASSIGNED), atomic=True)
        rows = [self._stocked(serial.decode(), sealed) for serial, sealed in _pairs(stocked)]
        rows += [_assigned(serial.decode(), text) for serial, text in _pairs(assigned)]
        return sorted(rows, key=lambda row: row.serial)

    async def assign(self, serial: str, user: str, *, bound: str = Binding.REMOTE, now: float) -> str | None:
        """Make a token of the stock a factor of ``user``; its id, or ``None`` where it is not in the stock (now)."""
        sealed = await self._store.call("HGET", keys.STOCK, serial)
        if sealed is None:
            return None
        oath, factor_id = self._unsealed(serial, sealed), new_factor_id()
        whose = orjson.dumps([user, factor_id, now, oath.algorithm, oath.digits, oath.period_s])
        mine = seal_factor(self._keyring, Bound(oath, str(bound), now), user, factor_id)
        names = [keys.STOCK, keys.ASSIGNED, keys.factors(user)]
        taken = await self._store.run(_ASSIGN, names, [serial, sealed, f"totp:{factor_id}", mine, whose])
        return factor_id if taken else None

    def _stocked(self, serial: str, sealed: bytes) -> StockRow:
        oath = self._unsealed(serial, sealed)
        return StockRow(serial, oath.algorithm, oath.digits, oath.period_s)

    def _unsealed(self, serial: str, sealed: bytes) -> Oath:
        try:
            return unseal_stock(self._keyring, sealed, serial)
        except Unsealable as fault:
            raise StoreUnavailable(f"token {serial}: {fault}") from fault


def _assigned(serial: str, text: bytes) -> StockRow:
    user, factor_id, at, algorithm, digits, period_s = orjson.loads(text)
    return StockRow(serial, algorithm, digits, period_s, user, factor_id, at)


def _pairs(answer: Mapping[bytes, bytes] | Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    if isinstance(answer, Mapping):
        return list(answer.items())
    return list(zip(answer[::2], answer[1::2], strict=True))
