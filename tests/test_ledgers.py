"""Gateways of one store know of one another's ledgers."""

import asyncio
from pathlib import Path

import pytest

from gateway import ledgers
from gateway.ledgers import Counting, LedgerFolder, NoLedger
from gateway.ports import StoreUnavailable
from gateway.stores.connection import Store


async def entered(store: Store, folder: Path, node: str) -> LedgerFolder:
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    await ledgers.enter(store, folder, node)
    return LedgerFolder.at(folder)


async def test_each_hears_of_the_others_and_keeps_it(store: Store, tmp_path: Path) -> None:
    one = await entered(store, tmp_path / "one", "one")
    other = await entered(store, tmp_path / "other", "other")
    assert await ledgers.check(store, one.directory, "one") == ""
    assert one.heard_of() == other.heard_of() == {"one": one.id, "other": other.id}


async def test_those_that_share_a_ledger_are_counted_with_it(store: Store, tmp_path: Path) -> None:
    for node in ("one", "other"):
        await entered(store, tmp_path / "ledger", node)
    assert await Counting.of([tmp_path / "ledger"], ()).missing(store) == ()


async def test_a_name_that_another_ledger_has_is_told_until_that_one_is_given_up(store: Store, tmp_path: Path) -> None:
    await entered(store, tmp_path / "one", "same")
    with pytest.raises(StoreUnavailable, match="gateway ledger lost same"):
        await entered(store, tmp_path / "other", "same")
    assert await ledgers.lost(store, "same")
    assert not await ledgers.lost(store, "same")
    await entered(store, tmp_path / "other", "same")
    assert "is called 'same' too" in await ledgers.check(store, tmp_path / "one", "same")


async def test_whose_ledger_is_not_there_is_missing_also_where_the_store_has_forgotten(
    store: Store, tmp_path: Path
) -> None:
    for node in ("one", "two", "three"):
        await entered(store, tmp_path / node, node)
    await ledgers.check(store, tmp_path / "two", "two")
    await store.call("FLUSHALL")
    assert await Counting.of([tmp_path / "two"], ()).missing(store) == ("one", "three")
    assert await Counting.of([tmp_path / "two", tmp_path / "one"], ["three"]).missing(store) == ()


async def test_what_is_no_ledger_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(NoLedger, match="is no ledger"):
        Counting.of([tmp_path], ())


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[1]", b'"a"', b"3"])
async def test_a_damaged_list_of_gateways_is_told_and_ends_no_worker(
    store: Store, tmp_path: Path, content: bytes
) -> None:
    one = await entered(store, tmp_path / "one", "one")
    await asyncio.to_thread((one.directory / "store-ledgers.json").write_bytes, content)
    with pytest.raises(OSError, match=r"store-ledgers\.json is damaged"):
        await ledgers.check(store, one.directory, "one")
