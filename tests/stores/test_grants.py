"""Limits are raised within what a day allows."""

import asyncio

import pytest

from gateway.core.assurance import Grant
from gateway.core.extraction import Class
from gateway.stores.connection import Store
from gateway.stores.grants import OVER_THE_DAY, Grants


async def give(grants: Grants, now: float, persons: int, klass: Class = Class.SENSITIVE) -> bool:
    grant = Grant(klass, persons, now + 7200)
    answer = await grants.grant("u_1", grant, by="o", reason="r", now=now, limit=60)
    assert answer in (grant, OVER_THE_DAY)
    return answer == grant


async def test_a_day_holds_as_many_as_the_limit_and_not_one_more(store: Store) -> None:
    grants = Grants(store)
    assert await give(grants, 1e9, 40)
    assert not await give(grants, 1e9 + 1, 21)
    assert await give(grants, 1e9 + 2, 20)
    assert not await give(grants, 1e9 + 86_399, 1)
    assert await give(grants, 1e9 + 86_400, 40)
    assert not await give(grants, 1e9 + 86_401, 1)


async def test_classes_are_added_up_apart(store: Store) -> None:
    grants = Grants(store)
    assert await give(grants, 1e9, 60)
    assert await give(grants, 1e9, 60, Class.PERSONAL)


async def test_at_once_they_never_pass_the_limit(store: Store) -> None:
    grants = Grants(store)
    given = await asyncio.gather(*(give(grants, 1e9, 7) for _ in range(50)))
    assert sum(given) == 60 // 7


async def test_a_grant_of_nobody_or_of_the_past_is_none(store: Store) -> None:
    with pytest.raises(ValueError, match="at least one person"):
        await give(Grants(store), 1e9, 0)
