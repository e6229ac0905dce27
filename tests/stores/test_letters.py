"""Letters: one code, one person, once, for thirty days."""

import asyncio

import pytest

from gateway.keyring import KeyRing
from gateway.ports import CodeRejected
from gateway.stores import keys
from gateway.stores.connection import Store
from gateway.stores.invitations import Invitations
from gateway.stores.letters import Letters, new_code
from gateway.stores.recovery import RecoveryCodes


@pytest.fixture
def letters(store: Store, keyring: KeyRing, clock) -> Letters:
    return Letters(store, keyring, clock)


async def test_a_code_is_burnt_however_it_is_typed_and_once(letters: Letters) -> None:
    code = new_code()
    await letters.keep({"u_lea": code})
    assert await letters.burn("u_lea", f" {code.lower().replace('-', ' ')} ") is None
    assert await letters.burn("u_lea", code) == CodeRejected("no_factor")


async def test_a_code_is_burnt_by_one_of_a_hundred(four_stores: list[Store], keyring: KeyRing, clock) -> None:
    several = [Letters(store, keyring, clock) for store in four_stores]
    code = new_code()
    await several[0].keep({"u_hundred": code})
    burnt = await asyncio.gather(*(several[index % 4].burn("u_hundred", code) for index in range(100)))
    assert [one is None for one in burnt].count(True) == 1


async def test_a_code_is_its_persons_alone(letters: Letters) -> None:
    codes = {"u_lea": new_code(), "u_max": new_code()}
    await letters.keep(codes)
    assert await letters.burn("u_max", codes["u_lea"]) == CodeRejected("code_wrong")
    assert await letters.burn("u_eve", codes["u_lea"]) == CodeRejected("no_factor")
    assert await letters.burn("u_lea", codes["u_lea"]) is None


async def test_a_newer_letter_ends_the_older(letters: Letters) -> None:
    older, newer = new_code(), new_code()
    await letters.keep({"u_lea": older})
    await letters.keep({"u_lea": newer})
    assert await letters.burn("u_lea", older) == CodeRejected("code_wrong")
    assert await letters.burn("u_lea", newer) is None


async def test_a_code_holds_for_thirty_days(letters: Letters, store: Store) -> None:
    await letters.keep({"u_lea": new_code()})
    assert await store.call("TTL", keys.letter("u_lea")) == keys.LETTER_LIFETIME_S == 30 * 86_400


async def test_five_wrong_codes_and_the_right_one_waits_fifteen_minutes(letters: Letters, clock) -> None:
    code = new_code()
    await letters.keep({"u_lea": code})
    for _ in range(5):
        assert await letters.burn("u_lea", new_code()) == CodeRejected("code_wrong")
    assert await letters.burn("u_lea", code) == CodeRejected("too_many_tries", 900)
    clock.forward(900)
    assert await letters.burn("u_lea", code) is None


@pytest.mark.parametrize("typed", ["", "ABCD", "💥" * 16, "A" * 1000])
async def test_what_can_be_no_code_is_no_try(letters: Letters, store: Store, typed: str) -> None:
    await letters.keep({"u_lea": new_code()})
    assert await letters.burn("u_lea", typed) == CodeRejected("code_wrong")
    assert await store.call("EXISTS", keys.tries("u_lea")) == 0


async def test_the_store_holds_no_code_and_a_letters_hash_is_no_recovery_codes(
    letters: Letters, store: Store, keyring: KeyRing, clock
) -> None:
    code = new_code()
    await letters.keep({"u_lea": code})
    (kept,) = await store.call("SMEMBERS", keys.letter("u_lea"))
    bare = code.replace("-", "")
    assert bare.encode() not in kept and kept != keyring.recovery_hash("u_lea", bare)
    assert await RecoveryCodes(store, keyring, clock).left("u_lea") == 0


async def test_a_letter_makes_no_invitation_less_that_waits_already(store: Store, keyring: KeyRing, clock) -> None:
    invitations = Invitations(store, keyring, clock)
    for role in ("referent", "officer"):
        await invitations.invite("u_lea", by=f"u_{role}", role=role, in_person=True)
    await invitations.by_letter("u_lea")
    assert await invitations.take("u_lea") == "vouched"


async def test_nobody_vouches_together_with_a_letter(store: Store, keyring: KeyRing, clock) -> None:
    invitations = Invitations(store, keyring, clock)
    await invitations.by_letter("u_lea")
    assert await invitations.invite("u_lea", by="u_ref", role="referent", in_person=True) == "remote"
