"""Codes in the store: tried seldom, burnt once, whoever asks how often."""

import asyncio
import base64

import pyotp
import pytest

from gateway.keyring import KeyRing
from gateway.ports import CodeRejected, StoreUnavailable
from gateway.stores import keys
from gateway.stores.connection import Store
from gateway.stores.factors import Accepted, Factors

SECRET = b"12345678901234567890"
USER = "u_1"


@pytest.fixture
def factors(store: Store, keyring: KeyRing, clock) -> Factors:
    return Factors(store, keyring, clock)


def code_at(at: float, secret: bytes = SECRET) -> str:
    return pyotp.TOTP(base64.b32encode(secret).decode()).at(int(at))


def wrong_codes(at: float) -> list[str]:
    right = {code_at(at + 30 * step) for step in range(-40, 41)}
    return [code for code in (f"{number:06}" for number in range(1000)) if code not in right]


async def test_a_right_code_is_accepted_at_the_time_of_its_verification(factors: Factors, clock) -> None:
    factor_id = await factors.enrol_totp(USER, SECRET)
    assert await factors.verify_totp(USER, code_at(clock.at)) == Accepted(factor_id, "totp", clock.at)


async def test_codes_of_three_steps_are_usable_once_each_and_none_before_an_accepted_one(
    factors: Factors, clock
) -> None:
    await factors.enrol_totp(USER, SECRET)
    for away in (-30, 0, 30):
        assert isinstance(await factors.verify_totp(USER, code_at(clock.at + away)), Accepted)
    for away in (30, -30, 0):
        assert await factors.verify_totp(USER, code_at(clock.at + away)) == CodeRejected("code_used")


async def test_a_hundred_at_once_over_several_connections_are_one(
    four_stores: list[Store], keyring: KeyRing, clock
) -> None:
    several = [Factors(store, keyring, clock) for store in four_stores]
    await several[0].enrol_totp(USER, SECRET)
    code = code_at(clock.at)
    answers = await asyncio.gather(*(several[index % 4].verify_totp(USER, code) for index in range(100)))
    assert sum(isinstance(one, Accepted) for one in answers) == 1
    assert {one.reason for one in answers if isinstance(one, CodeRejected)} == {"code_used"}


async def test_the_sixth_wrong_code_in_15_minutes_is_not_looked_at(factors: Factors, clock) -> None:
    await factors.enrol_totp(USER, SECRET)
    wrong = wrong_codes(clock.at)
    for code in wrong[:5]:
        assert await factors.verify_totp(USER, code) == CodeRejected("code_wrong")
        clock.forward(1)
    assert await factors.verify_totp(USER, code_at(clock.at)) == CodeRejected("too_many_tries", 895)
    clock.forward(894)
    assert await factors.verify_totp(USER, code_at(clock.at)) == CodeRejected("too_many_tries", 1)
    clock.forward(1)
    assert isinstance(await factors.verify_totp(USER, code_at(clock.at)), Accepted)


async def test_a_thousand_wrong_codes_at_once_are_five_tries(factors: Factors, clock) -> None:
    await factors.enrol_totp(USER, SECRET)
    answers = await asyncio.gather(*(factors.verify_totp(USER, code) for code in wrong_codes(clock.at)[:200]))
    assert sum(one == CodeRejected("code_wrong") for one in answers) == 5


async def test_a_success_takes_its_own_try_back_and_no_other(factors: Factors, clock) -> None:
    await factors.enrol_totp(USER, SECRET)
    wrong = wrong_codes(clock.at)
    for code in wrong[:4]:
        await factors.verify_totp(USER, code)
    assert isinstance(await factors.verify_totp(USER, code_at(clock.at)), Accepted)
    assert await factors.verify_totp(USER, wrong[4]) == CodeRejected("code_wrong")
    assert isinstance(await factors.verify_totp(USER, wrong[5]), CodeRejected)
    assert (await factors.verify_totp(USER, wrong[5])).reason == "too_many_tries"


async def test_a_used_code_counts_once_however_often_it_comes(factors: Factors, store: Store, clock) -> None:
    await factors.enrol_totp(USER, SECRET)
    code = code_at(clock.at)
    await factors.verify_totp(USER, code)
    for _ in range(50):
        assert await factors.verify_totp(USER, code) == CodeRejected("code_used")
    assert await store.call("ZCARD", keys.tries(USER)) == 1


async def test_a_wrong_code_is_a_new_guess_in_every_step(factors: Factors, clock) -> None:
    await factors.enrol_totp(USER, SECRET)
    wrong = wrong_codes(clock.at)[0]
    for _ in range(5):
        assert await factors.verify_totp(USER, wrong) == CodeRejected("code_wrong")
        assert await factors.verify_totp(USER, wrong) == CodeRejected("code_wrong")
        clock.forward(30)
    assert (await factors.verify_totp(USER, wrong)).reason == "too_many_tries"


async def fail(factors: Factors, clock, times: int) -> None:
    for _ in range(times):
        assert await factors.verify_totp(USER, wrong_codes(clock.at)[0]) == CodeRejected("code_wrong")
        clock.forward(200)


async def test_a_hundred_failures_in_a_row_stop_the_factor_until_it_is_bound_again(factors: Factors, clock) -> None:
    old = await factors.enrol_totp(USER, SECRET)
    await fail(factors, clock, 100)
    assert await factors.verify_totp(USER, code_at(clock.at)) == CodeRejected("factor_stopped")
    clock.forward(86_400)
    assert await factors.verify_totp(USER, code_at(clock.at)) == CodeRejected("factor_stopped")
    await factors.remove(USER, old)
    again = await factors.enrol_totp(USER, b"another secret of 20")
    answer = await factors.verify_totp(USER, code_at(clock.at, b"another secret of 20"))
    assert answer == Accepted(again, "totp", clock.at)


async def test_a_success_after_99_failures_begins_the_count_anew(factors: Factors, clock) -> None:
    await factors.enrol_totp(USER, SECRET)
    await fail(factors, clock, 99)
    assert isinstance(await factors.verify_totp(USER, code_at(clock.at)), Accepted)
    await fail(factors, clock, 99)
    assert isinstance(await factors.verify_totp(USER, code_at(clock.at)), Accepted)


async def test_tries_are_counted_for_each_user(factors: Factors, clock) -> None:
    await factors.enrol_totp(USER, SECRET)
    await factors.enrol_totp("u_2", SECRET)
    for code in wrong_codes(clock.at)[:6]:
        await factors.verify_totp(USER, code)
    assert isinstance(await factors.verify_totp("u_2", code_at(clock.at)), Accepted)


async def test_without_a_factor_there_is_nothing_to_try(factors: Factors) -> None:
    assert await factors.verify_totp(USER, "123456") == CodeRejected("no_factor")
    assert await factors.kinds(USER) == ()
    await factors.enrol_totp(USER, SECRET)
    assert await factors.kinds(USER) == ("totp",)


async def test_a_sealed_secret_moved_to_another_user_opens_nothing(factors: Factors, store: Store, clock) -> None:
    factor_id = await factors.enrol_totp(USER, SECRET)
    sealed = await store.call("HGET", keys.factors(USER), f"totp:{factor_id}")
    assert SECRET not in sealed
    await store.call("HSET", keys.factors("u_2"), f"totp:{factor_id}", sealed)
    with pytest.raises(StoreUnavailable):
        await factors.verify_totp("u_2", code_at(clock.at))
