"""Passkeys in the store: one person each, counters that move forward only, and never the last one away."""

import asyncio

import pytest

from gateway.core.assurance import Caller, Proof
from gateway.factors.webauthn import Registered
from gateway.keyring import KeyRing
from gateway.stores.callers import StoredCallers
from gateway.stores.connection import Store
from gateway.stores.factors import Factors
from gateway.stores.passkeys import MOST, Passkeys
from gateway.stores.tokens import Tokens

USER = "u_1"


@pytest.fixture
def passkeys(store: Store, keyring: KeyRing, clock) -> Passkeys:
    return Passkeys(store, keyring, clock)


def made(number: int = 1, sign_count: int = 0) -> Registered:
    return Registered(bytes([number]) * 32, b"key", sign_count, ("usb",))


async def bound(passkeys: Passkeys, number: int = 1, sign_count: int = 0, user: str = USER) -> str:
    return await passkeys.bind(user, made(number, sign_count), name="blue key", bound="own")


async def test_a_passkey_is_kept_with_what_is_said_of_it(
    passkeys: Passkeys, store: Store, keyring: KeyRing, clock
) -> None:
    factor_id = await bound(passkeys)
    (one,) = await passkeys.of(USER)
    assert (one.factor_id, one.credential_id, one.public_key, one.transports) == (
        factor_id,
        b"\1" * 32,
        b"key",
        ("usb",),
    )
    assert (one.name, one.bound, one.bound_at) == ("blue key", "own", clock.at)
    assert await Factors(store, keyring, clock).kinds(USER) == ("webauthn",)


async def test_a_credential_is_one_persons(passkeys: Passkeys) -> None:
    await bound(passkeys)
    assert await bound(passkeys, user="u_2") == "taken" == await bound(passkeys)
    assert await passkeys.of("u_2") == ()


async def test_of_a_hundred_that_bind_one_credential_one_does(
    four_stores: list[Store], keyring: KeyRing, clock
) -> None:
    several = [Passkeys(store, keyring, clock) for store in four_stores]
    answers = await asyncio.gather(*(bound(several[index % 4], user=f"u_{index}") for index in range(100)))
    assert sum(one.startswith("f_") for one in answers) == 1


async def test_a_person_has_so_many_and_no_more(passkeys: Passkeys) -> None:
    for number in range(MOST):
        assert (await bound(passkeys, number)).startswith("f_")
    assert await bound(passkeys, MOST) == "full"


async def test_one_count_is_good_for_one_of_a_hundred(passkeys: Passkeys) -> None:
    factor_id = await bound(passkeys, sign_count=5)
    answers = await asyncio.gather(*(passkeys.used(USER, factor_id, 6) for _ in range(100)))
    assert sorted(answers) == ["back"] * 99 + ["moved"]


@pytest.mark.parametrize(
    ("first", "counts", "verdicts"),
    [
        (0, [0, 0, 0], ["moved"] * 3),
        (0, [1, 1, 2], ["moved", "back", "moved"]),
        (5, [4, 5, 6, 0], ["back", "back", "moved", "back"]),
    ],
)
async def test_a_counter_never_goes_back(
    passkeys: Passkeys, first: int, counts: list[int], verdicts: list[str]
) -> None:
    factor_id = await bound(passkeys, sign_count=first)
    assert [await passkeys.used(USER, factor_id, count) for count in counts] == verdicts


async def test_the_last_way_to_confirm_stays(passkeys: Passkeys, store: Store, keyring: KeyRing, clock) -> None:
    await bound(passkeys)
    (one,) = await passkeys.of(USER)
    assert await passkeys.remove(USER, one) == "last"
    await Factors(store, keyring, clock).enrol_totp(USER, b"s" * 20)
    assert await passkeys.remove(USER, one) == "removed"
    assert await passkeys.remove(USER, one) == "gone"
    assert await passkeys.used(USER, one.factor_id, 9) == "gone"


async def test_a_removed_credential_may_be_bound_again(passkeys: Passkeys) -> None:
    await bound(passkeys, 1)
    await bound(passkeys, 2)
    (first,) = [one for one in await passkeys.of(USER) if one.credential_id == b"\1" * 32]
    await passkeys.remove(USER, first)
    assert (await bound(passkeys, 1, user="u_2")).startswith("f_")


async def test_a_factor_that_was_taken_away_changes_no_other(
    passkeys: Passkeys, store: Store, keyring: KeyRing, clock
) -> None:
    first, second = await bound(passkeys, 1), await bound(passkeys, 2)
    by_id = {one.factor_id: one for one in await passkeys.of(USER)}
    factors = Factors(store, keyring, clock)
    code = await factors.enrol_totp(USER, b"s" * 20)
    assert await passkeys.remove(USER, by_id[first], by=second) == "removed"
    await factors.remove(USER, code)
    for gone in (first, code):
        assert await passkeys.bind(USER, made(3), name="x", bound="own", by=gone) == "stale"
        assert await passkeys.remove(USER, by_id[second], by=gone) == "stale"
    assert [one.factor_id for one in await passkeys.of(USER)] == [second]


async def test_what_a_factor_confirmed_ends_with_it(passkeys: Passkeys, store: Store, keyring: KeyRing, clock) -> None:
    tokens, callers = Tokens(store, keyring, clock), StoredCallers(store, keyring, clock)
    person = {"issuer": "https://agency.example", "sub": "s", "partner": "agency", "name": "script", "login": "alice"}
    token, token_id = await tokens.issue(**person, kind="person", expires_at=clock.now() + 10**6)
    user = keyring.user_id(person["issuer"], person["sub"])
    kept, gone = await bound(passkeys, 1, user=user), await bound(passkeys, 2, user=user)
    for number, factor in enumerate((kept, gone)):
        assert await tokens.attach_proof(token_id, Proof(f"p{number}", "webauthn", clock.at, user, token_id, factor))
    (passkey,) = [one for one in await passkeys.of(user) if one.factor_id == gone]
    assert await passkeys.remove(user, passkey, by=kept) == "removed"
    caller = await callers.by_token(token, anew=True)
    assert isinstance(caller, Caller) and [proof.factor_id for proof in caller.proofs] == [kept]
