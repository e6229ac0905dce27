"""A generator with a wrong clock: followed by small steps, believed with two codes, never with one."""

import asyncio
import base64
import hashlib
import itertools
import os
import shutil
import signal
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pyotp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.factors.totp import Oath
from gateway.keyring import KeyRing
from gateway.ports import CodeRejected, StoreUnavailable
from gateway.stores import keys
from gateway.stores.connection import Store
from gateway.stores.embedded import EmbeddedStore
from gateway.stores.factors import Accepted, Factors

USER = "u_1"
SECRET = b"12345678901234567890"
TOKEN = Oath(b"12345678901234567890123456789012", "SHA256", 8, 60)
DIGESTS = {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256, "SHA512": hashlib.sha512}
NEXT = CodeRejected("code_next_needed")
USED = CodeRejected("code_used")
WRONG = CodeRejected("code_wrong")


@pytest.fixture
def factors(store: Store, keyring: KeyRing, clock) -> Factors:
    return Factors(store, keyring, clock)


def shown(oath: Oath, at: float, steps: int = 0) -> str:
    """What a generator shows whose clock is so many steps ahead."""
    text = base64.b32encode(oath.secret).decode()
    return pyotp.HOTP(text, digits=oath.digits, digest=DIGESTS[oath.algorithm]).at(int(at // oath.period_s) + steps)


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SHA512"])
@pytest.mark.parametrize("digits", [6, 8])
@pytest.mark.parametrize("period_s", [30, 60])
async def test_every_generator_confirms_once_and_is_followed(
    factors: Factors, clock, algorithm: str, digits: int, period_s: int
) -> None:
    oath = Oath(SECRET, algorithm, digits, period_s)
    factor_id = await factors.enrol_oath(USER, oath)
    for steps in range(6):  # a clock that gains one step from one use to the next
        assert await factors.verify_totp(USER, shown(oath, clock.at, steps)) == Accepted(factor_id, "totp", clock.at)
        assert await factors.verify_totp(USER, shown(oath, clock.at, steps)) == USED
        clock.forward(900)


async def test_a_factor_sealed_before_generators_differed_still_works(
    factors: Factors, store: Store, keyring: KeyRing, clock
) -> None:
    sealed = keyring.seal(SECRET, '["totp","u_1","f_old"]')
    await store.call("HSET", keys.factors(USER), "totp:f_old", sealed)
    assert await factors.verify_totp(USER, shown(Oath(SECRET), clock.at)) == Accepted("f_old", "totp", clock.at)
    await store.call("HSET", keys.factors(USER), "totp:f_old", b"oath:" + sealed)
    with pytest.raises(StoreUnavailable):
        await factors.verify_totp(USER, shown(Oath(SECRET), clock.at, 1))


async def test_what_codes_are_made_from_is_sealed_with_the_secret(factors: Factors, store: Store, clock) -> None:
    factor_id = await factors.enrol_oath(USER, TOKEN)
    sealed = await store.call("HGET", keys.factors(USER), f"totp:{factor_id}")
    assert TOKEN.secret not in sealed and b"SHA256" not in sealed
    await store.call("HSET", keys.factors("u_2"), f"totp:{factor_id}", sealed)
    with pytest.raises(StoreUnavailable):
        await factors.verify_totp("u_2", shown(TOKEN, clock.at))


@pytest.mark.parametrize("late", [-10, -8, -2, 2, 8, 10])
async def test_a_token_some_steps_away_resynchronises_with_two_codes_and_never_with_one(
    factors: Factors, store: Store, clock, late: int
) -> None:
    factor_id = await factors.enrol_oath(USER, TOKEN)
    for _ in range(3):
        assert await factors.verify_totp(USER, shown(TOKEN, clock.at, late)) == NEXT
    assert await store.call("ZCARD", keys.tries(USER)) == 1  # a failure, counted once for one code
    assert await store.call("HGET", keys.failures(USER), factor_id) == b"1"
    clock.forward(TOKEN.period_s)
    assert await factors.verify_totp(USER, shown(TOKEN, clock.at, late)) == Accepted(factor_id, "totp", clock.at)
    assert await store.call("ZCARD", keys.tries(USER)) == 1  # the first stays a failed try
    assert await store.call("HGET", keys.failures(USER), factor_id) is None
    clock.forward(TOKEN.period_s)
    assert await factors.verify_totp(USER, shown(TOKEN, clock.at, late)) == Accepted(factor_id, "totp", clock.at)


async def test_eleven_steps_away_is_a_wrong_code(factors: Factors, clock) -> None:
    await factors.enrol_oath(USER, TOKEN)
    for late in (-11, 11):
        assert await factors.verify_totp(USER, shown(TOKEN, clock.at, late)) == WRONG
        assert await factors.verify_totp(USER, shown(TOKEN, clock.at, late + 1)) in (WRONG, NEXT)


async def test_only_the_very_next_code_confirms_the_first(factors: Factors, clock) -> None:
    await factors.enrol_oath(USER, TOKEN)
    assert await factors.verify_totp(USER, shown(TOKEN, clock.at, -8)) == NEXT
    assert await factors.verify_totp(USER, shown(TOKEN, clock.at, -9)) == NEXT
    assert await factors.verify_totp(USER, shown(TOKEN, clock.at, -6)) == NEXT
    assert await factors.verify_totp(USER, shown(TOKEN, clock.at, -4)) == NEXT
    assert isinstance(await factors.verify_totp(USER, shown(TOKEN, clock.at, -3)), Accepted)


async def test_the_next_code_is_awaited_for_a_short_time(factors: Factors, clock) -> None:
    await factors.enrol_oath(USER, TOKEN)
    first, second = shown(TOKEN, clock.at, -5), shown(TOKEN, clock.at, -4)
    assert await factors.verify_totp(USER, first) == NEXT
    clock.forward(179)
    assert await factors.verify_totp(USER, first) == NEXT  # does not begin the time anew
    clock.forward(2)
    assert await factors.verify_totp(USER, second) == NEXT


async def test_nothing_is_replayed_across_a_drift_change(factors: Factors, store: Store, clock) -> None:
    await factors.enrol_oath(USER, TOKEN)
    codes = [shown(TOKEN, clock.at, steps) for steps in range(-6, 10)]
    assert isinstance(await factors.verify_totp(USER, codes[6]), Accepted)
    assert await factors.verify_totp(USER, codes[14]) == NEXT
    assert isinstance(await factors.verify_totp(USER, codes[15]), Accepted)  # nine steps ahead from here on
    for seconds in (0, 60, 300, 600):
        clock.forward(seconds)
        for code in codes:  # accepted, passed over, or older than all: at any time, whatever the drift
            await store.call("DEL", keys.tries(USER))
            assert await factors.verify_totp(USER, code) in (USED, WRONG)


async def test_the_drift_is_moved_by_accepted_codes_alone(factors: Factors, store: Store, clock) -> None:
    factor_id = await factors.enrol_oath(USER, TOKEN)
    assert await factors.verify_totp(USER, shown(TOKEN, clock.at, 1)) == Accepted(factor_id, "totp", clock.at)
    before = (await store.call("HGET", keys.clocks(USER), factor_id)).split()[:2]
    for steps in (1, 0, 9, 20):
        assert isinstance(await factors.verify_totp(USER, shown(TOKEN, clock.at, steps)), CodeRejected)
    assert (await store.call("HGET", keys.clocks(USER), factor_id)).split()[:2] == before
    await factors.remove(USER, factor_id)
    assert await store.call("EXISTS", keys.clocks(USER)) == 0


async def test_tries_at_a_far_code_are_throttled_like_any(factors: Factors, clock) -> None:
    await factors.enrol_oath(USER, TOKEN)
    for late in (-10, -8, -6, -4, -2):
        assert await factors.verify_totp(USER, shown(TOKEN, clock.at, late)) == NEXT
    assert (await factors.verify_totp(USER, shown(TOKEN, clock.at, -1))).reason == "too_many_tries"


async def test_each_of_two_generators_has_a_clock_of_its_own(factors: Factors, clock) -> None:
    phone = await factors.enrol_totp(USER, SECRET)
    token = await factors.enrol_oath(USER, TOKEN)
    assert await factors.verify_totp(USER, shown(TOKEN, clock.at, -8)) == NEXT
    assert await factors.verify_totp(USER, shown(Oath(SECRET), clock.at)) == Accepted(phone, "totp", clock.at)
    clock.forward(60)
    assert await factors.verify_totp(USER, shown(TOKEN, clock.at, -8)) == Accepted(token, "totp", clock.at)
    assert await factors.verify_totp(USER, shown(Oath(SECRET), clock.at)) == Accepted(phone, "totp", clock.at)


@pytest.mark.parametrize("first", [False, True], ids=["in the window", "after a far one"])
async def test_a_hundred_at_once_are_one(four_stores: list[Store], keyring: KeyRing, clock, first: bool) -> None:
    several = [Factors(store, keyring, clock) for store in four_stores]
    await several[0].enrol_oath(USER, TOKEN)
    if first:
        assert await several[0].verify_totp(USER, shown(TOKEN, clock.at, -8)) == NEXT
        clock.forward(TOKEN.period_s)
    code = shown(TOKEN, clock.at, -8 if first else 0)
    answers = await asyncio.gather(*(several[index % 4].verify_totp(USER, code) for index in range(100)))
    assert sum(isinstance(one, Accepted) for one in answers) == 1
    assert {one.reason for one in answers if isinstance(one, CodeRejected)} == {"code_used"}


async def test_a_store_lost_between_two_codes_opens_nothing(keyring: KeyRing, clock) -> None:
    directory = Path(tempfile.mkdtemp(prefix="gs"))
    server = EmbeddedStore(directory)
    server.start()
    try:
        server.wait_ready()
        store = await Store.connect(server.url, timeout_s=5)
        factors = Factors(store, keyring, clock)
        await factors.enrol_oath(USER, TOKEN)
        assert await factors.verify_totp(USER, shown(TOKEN, clock.at, -8)) == NEXT
        clock.forward(TOKEN.period_s)
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(StoreUnavailable):
            await factors.verify_totp(USER, shown(TOKEN, clock.at, -8))
        await store.close()
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


@dataclass
class Model:
    """What RFC 6238 and the rules of ``factors`` say, in words of Python."""

    drift: int = 0
    last: int = -1
    far: int | None = None
    far_at: float = 0.0
    accepted: list[int] = field(default_factory=list)

    def answer(self, step: int, now: float, period_s: int) -> str:
        current = int(now // period_s)
        away = abs(step - current - self.drift)
        awaiting = self.far is not None and now - self.far_at <= 3 * period_s
        known = away <= 10 or (self.far is not None and step == self.far + 1)
        if not known:
            return "code_wrong"
        if step <= self.last:
            return "code_used"
        if away <= 1 or (awaiting and step == self.far + 1):
            self.drift, self.last, self.far = step - current, step, None
            self.accepted.append(step)
            return "accepted"
        if away > 10:
            return "code_wrong"
        if not (awaiting and step == self.far):
            self.far, self.far_at = step, now
        return "code_next_needed"


EXAMPLES = itertools.count(1)
OATH = Oath(SECRET, digits=8)
moves = st.lists(st.tuples(st.sampled_from([0, 1, 15, 30, 45, 90, 91, 400]), st.integers(-12, 12)), max_size=25)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=moves)
async def test_script_equals_model(redis_socket: Path, keyring: KeyRing, story: list[tuple[int, int]]) -> None:
    user, model, now = f"u_{next(EXAMPLES)}", Model(), 1_800_000_000.0
    store = await Store.connect(f"unix://{redis_socket}", timeout_s=20)

    class Clock:
        def now(self) -> float:
            return now

    factors = Factors(store, keyring, Clock())
    await factors.enrol_oath(user, OATH)
    try:
        for seconds, away in story:
            now += seconds
            await store.call("DEL", keys.tries(user))  # how many tries there are is another test's
            step = int(now // 30) + model.drift + away
            answer = await factors.verify_totp(user, shown(OATH, step * 30))
            told = answer.reason if isinstance(answer, CodeRejected) else "accepted"
            assert told == model.answer(step, now, 30)
        assert model.accepted == sorted(set(model.accepted))
    finally:
        await store.close()
