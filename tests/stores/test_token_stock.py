"""Hardware tokens in stock: in once, out once, and sealed for who has them."""

import asyncio
import base64
import hashlib

import pyotp
import pytest

from gateway.factors.totp import Oath
from gateway.keyring import KeyRing
from gateway.ports import StoreUnavailable
from gateway.stores import keys
from gateway.stores.connection import Store
from gateway.stores.factors import Accepted, Factors
from gateway.stores.token_stock import StockRow, TokenStock

A, B = Oath(b"12345678901234567890"), Oath(b"12345678901234567890123456789012", "SHA256", 8, 60)


@pytest.fixture
def stock(store: Store, keyring: KeyRing) -> TokenStock:
    return TokenStock(store, keyring)


async def test_tokens_are_in_stock_with_what_they_are(stock: TokenStock) -> None:
    assert await stock.add({"b": B, "a": A}) == ()
    assert await stock.rows() == [StockRow("a", "SHA1", 6, 30), StockRow("b", "SHA256", 8, 60)]
    assert await stock.row("b") == StockRow("b", "SHA256", 8, 60)
    assert await stock.row("c") is None


async def test_all_are_taken_or_none(stock: TokenStock) -> None:
    await stock.add({"a": A})
    await stock.assign("a", "u_1", now=1.0)
    await stock.add({"b": B})
    assert await stock.add({"c": A, "b": B, "a": A}) == ("b", "a")
    assert await stock.known(["a", "b", "c"]) == ("a", "b")
    assert await stock.known([]) == ()
    assert [row.serial for row in await stock.rows()] == ["a", "b"]


async def test_no_secret_is_in_the_store_in_clear_and_none_opens_elsewhere(stock: TokenStock, store: Store) -> None:
    await stock.add({"a": A, "b": B})
    sealed = await store.call("HGET", keys.STOCK, "a")
    assert A.secret not in sealed
    await store.call("HSET", keys.STOCK, "b", sealed)
    with pytest.raises(StoreUnavailable):
        await stock.assign("b", "u_1", now=1.0)


async def test_an_assigned_token_is_a_factor_of_that_user_and_no_longer_in_stock(
    stock: TokenStock, store: Store, keyring: KeyRing, clock
) -> None:
    factors = Factors(store, keyring, clock)
    await stock.add({"b": B})
    factor_id = await stock.assign("b", "u_1", now=clock.at)
    assert await stock.row("b") == StockRow("b", "SHA256", 8, 60, "u_1", factor_id, clock.at)
    assert await store.call("HEXISTS", keys.STOCK, "b") == 0
    assert await stock.assign("b", "u_2", now=clock.at) is None
    assert await stock.assign("none", "u_2", now=clock.at) is None
    assert await factors.kinds("u_2") == ()
    shown = pyotp.HOTP(base64.b32encode(B.secret).decode(), digits=8, digest=hashlib.sha256).at(int(clock.at // 60))
    assert await factors.verify_totp("u_1", shown) == Accepted(str(factor_id), "totp", clock.at, "remote", clock.at)


async def test_a_token_assigned_a_hundred_times_at_once_is_one_persons(
    four_stores: list[Store], keyring: KeyRing
) -> None:
    stocks = [TokenStock(store, keyring) for store in four_stores]
    await stocks[0].add({"a": A})
    made = await asyncio.gather(*(stocks[one % 4].assign("a", f"u_{one}", now=1.0) for one in range(100)))
    held = [user for user in range(100) if await Factors(four_stores[0], keyring).kinds(f"u_{user}")]
    assert held == [user for user, factor_id in enumerate(made) if factor_id]
    assert len(held) == 1


async def test_twenty_thousand_tokens_are_taken_in_one_step(stock: TokenStock) -> None:
    assert await stock.add({f"{number:08}": A for number in range(20_000)}) == ()
    assert len(await stock.rows()) == 20_000
