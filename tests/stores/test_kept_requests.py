"""A kept form: one sending, one person, one browser; and nothing in the store to read."""

import asyncio

import pytest

from gateway.keyring import KeyRing
from gateway.stores import keys
from gateway.stores.connection import Store
from gateway.stores.halved import MOST_OF_A_LINEAGE
from gateway.stores.kept_requests import ANY_SESSION, KeptRequest, KeptRequests

FORM = KeptRequest("POST", "/dossiers/7/note?x=%E9", "localhost:8080", "text/plain", "", b"a \xff note of mine")


@pytest.fixture
def kept(store: Store, keyring: KeyRing, clock) -> KeptRequests:
    return KeptRequests(store, keyring, clock)


async def keep(kept: KeptRequests, family: str = "s_1") -> tuple[str, str]:
    made = await kept.keep("u_1", family, FORM)
    assert made is not None
    return made


async def test_it_is_looked_at_and_taken_once_byte_for_byte(kept: KeptRequests) -> None:
    named = await keep(kept)
    assert await kept.look("u_1", "s_1", *named) == FORM
    assert await kept.take("u_1", "s_1", *named) == FORM
    assert await kept.take("u_1", "s_1", *named) is None


async def test_of_a_hundred_that_take_it_one_does(four_stores: list[Store], keyring: KeyRing, clock) -> None:
    several = [KeptRequests(store, keyring, clock) for store in four_stores]
    named = await keep(several[0])
    taken = await asyncio.gather(*(several[index % 4].take("u_1", "s_1", *named) for index in range(100)))
    assert [one for one in taken if one is not None] == [FORM]


@pytest.mark.parametrize("who", [("u_2", "s_1"), ("u_1", "s_2")])
async def test_anothers_hands_leave_it_where_it_is(kept: KeptRequests, who: tuple[str, str]) -> None:
    kept_id, half = await keep(kept)
    assert await kept.take(*who, kept_id, half) is None
    assert await kept.take("u_1", "s_1", kept_id, half[:-1] + "_") is None
    assert await kept.take("u_1", "s_1", kept_id, half) == FORM


async def test_after_ten_minutes_it_is_gone(kept: KeptRequests, clock) -> None:
    named = await keep(kept)
    clock.forward(600)
    assert await kept.take("u_1", "s_1", *named) is None


async def test_a_family_keeps_a_few_and_no_more_until_one_is_sent(kept: KeptRequests) -> None:
    named = [await keep(kept) for _ in range(MOST_OF_A_LINEAGE)]
    assert await kept.keep("u_1", "s_1", FORM) is None
    await keep(kept, "s_2")
    await kept.take("u_1", "s_1", *named[0])
    await keep(kept)


async def test_the_store_reads_nothing_of_it(kept: KeptRequests, store: Store, keyring: KeyRing) -> None:
    kept_id, half = await keep(kept)
    raw = await store.call("GET", keys.kept(keyring.token_hash(f"kept:{kept_id}")))
    for secret in (FORM.body, b"dossiers", half.encode(), kept_id.encode(), b"u_1"):
        assert secret not in raw


async def test_what_is_kept_for_any_session_is_any_later_one_s_of_the_same_user(kept: KeptRequests) -> None:
    named = await keep(kept, ANY_SESSION)
    assert await kept.look("u_2", "s_2", *named) is None
    assert await kept.look("u_1", "s_9", *named) == FORM
    assert await kept.take("u_1", "s_9", *named) == FORM
    assert await kept.take("u_1", "s_8", *named) is None


async def test_a_user_whose_sessions_have_ended_keeps_a_few_and_no_more(kept: KeptRequests) -> None:
    named = [await keep(kept, ANY_SESSION) for _ in range(MOST_OF_A_LINEAGE)]
    assert await kept.keep("u_1", ANY_SESSION, FORM) is None
    await kept.take("u_1", "s_3", *named[0])
    await keep(kept, ANY_SESSION)
