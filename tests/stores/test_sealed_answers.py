"""A sealed answer: one owner, one half of the key, one who spends it; and nothing in the store to read."""

import asyncio
from dataclasses import replace

import pytest

from gateway.keyring import KeyRing
from gateway.stores import keys
from gateway.stores.connection import Store
from gateway.stores.halved import MOST_OF_A_LINEAGE
from gateway.stores.sealed_answers import SealedAnswer, SealedAnswers

ANSWER = SealedAnswer(
    "K7Q-4M2", "POST", "/dossiers/7?x=\xe9", "localhost:8080", "internal", [("nir", "1850578006084")], False, 201,
    [("Content-Type", "application/pdf"), ("X-Name", "Zo\xe9")], True, None, b"an \xff invoice",
)  # fmt: skip


@pytest.fixture
def sealed(store: Store, keyring: KeyRing, clock) -> SealedAnswers:
    return SealedAnswers(store, keyring, clock)


async def keep(sealed: SealedAnswers, half: str | None = None) -> tuple[str, str]:
    kept = await sealed.keep("u_1", "s_1", ANSWER, half)
    assert kept is not None
    return kept


async def test_it_is_looked_at_as_it_was_and_stays(sealed: SealedAnswers) -> None:
    sealed_id, half = await keep(sealed)
    for _ in range(2):
        found = await sealed.look("u_1", "s_1", sealed_id, half)
        assert found is not None
        assert replace(found, persons=ANSWER.persons, headers=ANSWER.headers) == ANSWER
        assert [tuple(one) for one in found.headers] == ANSWER.headers


async def test_a_half_that_is_given_is_the_half(sealed: SealedAnswers) -> None:
    sealed_id, half = await keep(sealed, "gwt_token")
    assert half == "gwt_token"
    assert await sealed.look("u_1", "s_1", sealed_id, "gwt_token") is not None
    assert await sealed.look("u_1", "s_1", sealed_id, "gwt_other") is None


@pytest.mark.parametrize("who", [("u_2", "s_1"), ("u_1", "s_2"), ("u_1", "")])
async def test_others_see_nothing(sealed: SealedAnswers, who: tuple[str, str]) -> None:
    assert await sealed.look(*who, *await keep(sealed)) is None


async def test_of_a_hundred_that_spend_it_one_does(sealed: SealedAnswers) -> None:
    sealed_id, half = await keep(sealed)
    spent = await asyncio.gather(*(sealed.spend("u_1", "s_1", sealed_id) for _ in range(100)))
    assert sum(spent) == 1
    assert await sealed.look("u_1", "s_1", sealed_id, half) is None


async def test_one_claims_it_until_it_lets_go(sealed: SealedAnswers) -> None:
    sealed_id, _ = await keep(sealed)
    claimed = await asyncio.gather(*(sealed.claim(sealed_id) for _ in range(100)))
    assert sum(claimed) == 1
    await sealed.let_go(sealed_id)
    assert await sealed.claim(sealed_id)


async def test_a_claim_that_nobody_ends_ends_itself(sealed: SealedAnswers, store: Store, keyring: KeyRing) -> None:
    sealed_id, _ = await keep(sealed)
    await sealed.claim(sealed_id)
    left_s = await store.call("TTL", keys.pick_up(keyring.token_hash(f"pick-up:{sealed_id}")))
    assert 0 < left_s <= keys.PICK_UP_CLAIM_S


async def test_after_ten_minutes_it_is_gone(sealed: SealedAnswers, clock) -> None:
    named = await keep(sealed)
    clock.forward(600)
    assert await sealed.look("u_1", "s_1", *named) is None


async def test_a_credential_has_a_few_waiting_and_no_more_until_one_is_spent(sealed: SealedAnswers) -> None:
    first, *_ = [await keep(sealed) for _ in range(MOST_OF_A_LINEAGE)]
    assert await sealed.keep("u_1", "s_1", ANSWER, None) is None
    await sealed.spend("u_1", "s_1", first[0])
    await keep(sealed)


async def test_the_store_reads_nothing_of_it(sealed: SealedAnswers, store: Store, keyring: KeyRing) -> None:
    sealed_id, half = await keep(sealed)
    raw = await store.call("GET", keys.kept(keyring.token_hash(f"answer:{sealed_id}")))
    for secret in (ANSWER.body, b"dossiers", b"1850578006084", half.encode(), sealed_id.encode(), b"u_1"):
        assert secret not in raw
