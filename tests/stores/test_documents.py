"""A partner's document is fetched by one worker for all."""

import asyncio

import pytest

from gateway.stores import keys
from gateway.stores.connection import Store
from gateway.stores.documents import Documents

ADDRESS = "https://sso.example/jwks"


@pytest.fixture
def documents(store: Store, clock) -> Documents:
    return Documents(store, clock)


async def test_one_of_many_is_to_fetch_it(documents: Documents) -> None:
    assert sum(await asyncio.gather(*(documents.claim(ADDRESS) for _ in range(50)))) == 1


async def test_another_address_is_another_s_business(documents: Documents) -> None:
    assert await documents.claim(ADDRESS) and await documents.claim(f"{ADDRESS}2")


async def test_it_is_fetched_again_after_its_time(documents: Documents, clock) -> None:
    assert await documents.claim(ADDRESS)
    clock.forward(keys.DOCUMENT_SPACING_S - 1)
    assert not await documents.claim(ADDRESS)
    clock.forward(1)
    assert await documents.claim(ADDRESS)


async def test_what_was_fetched_is_there_for_all_while_it_is_young(documents: Documents, clock) -> None:
    assert await documents.young(ADDRESS) is None
    await documents.keep(ADDRESS, b"\x00{}")
    clock.forward(keys.DOCUMENT_SPACING_S - 1)
    assert await documents.young(ADDRESS) == b"\x00{}"
    assert await documents.young(f"{ADDRESS}2") is None
    clock.forward(1)
    assert await documents.young(ADDRESS) is None


async def test_what_was_tried_in_vain_is_empty(documents: Documents) -> None:
    await documents.keep(ADDRESS, b"")
    assert await documents.young(ADDRESS) == b""
