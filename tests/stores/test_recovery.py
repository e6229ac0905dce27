"""Recovery codes in the store: found and burnt in one step, known to nobody but who printed them."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.keyring import KeyRing
from gateway.ports import CodeRejected
from gateway.stores import keys
from gateway.stores.connection import Store
from gateway.stores.recovery import CODES, Recovered, RecoveryCodes, normalised, readable

USER = "u_1"
WRONG = "AAAA-BBBB-CCCC-DDD{}"


@pytest.fixture
def codes(store: Store, keyring: KeyRing, clock) -> RecoveryCodes:
    return RecoveryCodes(store, keyring, clock)


async def test_ten_codes_of_eighty_bits_are_made(codes: RecoveryCodes) -> None:
    made = await codes.issue(USER)
    assert len(set(made)) == CODES == await codes.left(USER)
    assert {len(normalised(code) or "") * 5 for code in made} == {80}


async def test_a_code_is_accepted_once_as_bound_from_afar_now(codes: RecoveryCodes, clock) -> None:
    code = (await codes.issue(USER))[3]
    accepted = await codes.burn(USER, code)
    assert accepted == Recovered(clock.at, 9)
    assert isinstance(accepted, Recovered) and (accepted.bound, accepted.bound_at) == ("remote", clock.at)
    assert await codes.burn(USER, code) == CodeRejected("code_wrong")


async def test_a_hundred_uses_at_once_over_several_connections_are_one(
    four_stores: list[Store], keyring: KeyRing, clock
) -> None:
    several = [RecoveryCodes(store, keyring, clock) for store in four_stores]
    code = (await several[0].issue(USER))[0]
    answers = await asyncio.gather(*(several[index % 4].burn(USER, code) for index in range(100)))
    assert sum(isinstance(one, Recovered) for one in answers) == 1
    assert await several[0].left(USER) == 9


async def test_new_codes_end_the_old_ones(codes: RecoveryCodes) -> None:
    old = await codes.issue(USER)
    await codes.issue(USER)
    assert await codes.burn(USER, old[0]) == CodeRejected("code_wrong")
    assert await codes.left(USER) == CODES


async def test_anothers_code_is_none(codes: RecoveryCodes) -> None:
    code = (await codes.issue(USER))[0]
    await codes.issue("u_2")
    assert await codes.burn("u_2", code) == CodeRejected("code_wrong")
    assert isinstance(await codes.burn(USER, code), Recovered)


async def test_who_has_none_is_told(codes: RecoveryCodes) -> None:
    assert await codes.burn(USER, WRONG.format("A")) == CodeRejected("no_factor")


async def test_the_sixth_wrong_one_in_15_minutes_is_not_looked_at(codes: RecoveryCodes, clock) -> None:
    right = (await codes.issue(USER))[0]
    for letter in "ABCDE":
        assert await codes.burn(USER, WRONG.format(letter)) == CodeRejected("code_wrong")
    assert await codes.burn(USER, right) == CodeRejected("too_many_tries", 900)
    clock.forward(901)
    assert isinstance(await codes.burn(USER, right), Recovered)


async def test_the_same_wrong_one_counts_once(codes: RecoveryCodes) -> None:
    right = (await codes.issue(USER))[0]
    for _ in range(20):
        assert await codes.burn(USER, WRONG.format("A")) == CodeRejected("code_wrong")
    assert isinstance(await codes.burn(USER, right), Recovered)


async def test_the_store_holds_no_code(codes: RecoveryCodes, store: Store) -> None:
    made = await codes.issue(USER)
    held = await store.call("SMEMBERS", keys.recovery(USER))
    assert {len(one) for one in held} == {32}
    assert not any(code.encode() in b"".join(held) for code in made)


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=16, max_size=16), st.sampled_from(["", " ", "-", " - "]))
def test_spaces_dashes_and_case_are_peoples(code: str, between: str) -> None:
    typed = between.join(readable(code).split("-")).lower()
    assert normalised(typed) == normalised(f" {readable(code)} ") == code


@pytest.mark.parametrize("typed", ["", "ABCD", "A" * 17, "é" * 16, "A" * 10_000, "ABCD-EFGH-IJKL-MN9P"])
def test_what_can_be_no_code_is_none(typed: str) -> None:
    assert normalised(typed) is None
