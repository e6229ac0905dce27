"""Tokens: recognisable, kept as hashes, stopped for ever."""

import re

import pytest

from gateway.core.assurance import Mandate, Proof
from gateway.core.extraction import Class
from gateway.keyring import KeyRing
from gateway.ports import NoCaller
from gateway.stores.callers import StoredCallers
from gateway.stores.connection import Store
from gateway.stores.tokens import Tokens, checksum, well_formed

WHO = {"issuer": "https://sso", "sub": "1", "partner": "p", "name": "Léa", "login": "lea"}


@pytest.fixture
def tokens(store: Store, keyring: KeyRing, clock) -> Tokens:
    return Tokens(store, keyring, clock)


@pytest.fixture
def callers(store: Store, keyring: KeyRing, clock) -> StoredCallers:
    return StoredCallers(store, keyring, clock, monotonic=clock.now)


def proof_of(token_id: str, at: float, number: int = 1) -> Proof:
    return Proof(f"pr_{number}", "totp", at, "u", token_id, "f_1")


async def test_a_token_names_its_caller(tokens: Tokens, callers: StoredCallers, keyring: KeyRing, clock) -> None:
    token, token_id = await tokens.issue(**WHO, expires_at=clock.at + 60, max_persons=60)
    caller = await callers.by_token(token)
    assert (caller.user, caller.credential_id) == (keyring.user_id("https://sso", "1"), token_id)
    assert (caller.name, caller.partner, caller.kind, caller.credential) == ("Léa", "p", "person", "token")
    assert (caller.max_persons, caller.expires_at, caller.proofs) == (60, clock.at + 60, ())


async def test_a_token_is_recognisable_and_the_store_does_not_hold_it(tokens: Tokens, store: Store, clock) -> None:
    token, _ = await tokens.issue(**WHO, expires_at=clock.at + 60)
    assert re.fullmatch(r"gwt_[0-9A-Za-z]{49}", token)
    for name in await store.call("KEYS", "*"):
        assert token.encode() not in name + await store.call("DUMP", name)


def test_a_mistyped_token_is_known_without_the_store() -> None:
    body = "a" * 43
    assert well_formed(f"gwt_{body}{checksum(body)}")
    end = checksum(body)
    for wrong in ("", "gwt_", f"gwt_b{body[1:]}{end}", f"gwt_{body}{end}x", f"{body}{end}", f"gwt_{body}{end[:-1]}é"):
        assert not well_formed(wrong)


async def test_an_invented_token_is_unknown(callers: StoredCallers) -> None:
    body = "a" * 43
    assert await callers.by_token(f"gwt_{body}{checksum(body)}") == NoCaller("unknown")


async def test_a_revoked_token_is_refused_by_every_worker_within_a_second(
    tokens: Tokens, callers: StoredCallers, clock
) -> None:
    token, token_id = await tokens.issue(**WHO, expires_at=clock.at + 60)
    await callers.by_token(token)
    assert await tokens.revoke(token_id)
    clock.forward(0.81)
    assert await callers.by_token(token) == NoCaller("revoked")


async def test_a_token_expires_though_it_was_just_looked_up(tokens: Tokens, callers: StoredCallers, clock) -> None:
    token, _ = await tokens.issue(**WHO, expires_at=clock.at + 0.5)
    await callers.by_token(token)
    clock.forward(0.5)
    assert await callers.by_token(token) == NoCaller("expired")
    clock.forward(10)
    assert await callers.by_token(token) == NoCaller("expired")


async def test_a_proof_belongs_to_the_token_that_made_it(tokens: Tokens, callers: StoredCallers, clock) -> None:
    token, token_id = await tokens.issue(**WHO, expires_at=clock.at + 1e7)
    other, _ = await tokens.issue(**WHO, expires_at=clock.at + 1e7)
    assert await tokens.attach_proof(token_id, proof_of(token_id, clock.at + 0.1234567))
    assert (await callers.by_token(token)).proofs == (proof_of(token_id, clock.at + 0.1234567),)
    assert (await callers.by_token(other)).proofs == ()


async def test_the_newest_proof_stands_first_and_old_ones_are_dropped(
    tokens: Tokens, callers: StoredCallers, clock
) -> None:
    token, token_id = await tokens.issue(**WHO, expires_at=clock.at + 1e9)
    for number in range(3):
        await tokens.attach_proof(token_id, proof_of(token_id, clock.at + number, number))
    clock.forward(30 * 86_400)
    assert [proof.id for proof in (await callers.by_token(token)).proofs] == ["pr_2", "pr_1"]


async def test_a_machine_holds_no_proof_but_a_mandate(tokens: Tokens, callers: StoredCallers, clock) -> None:
    token, token_id = await tokens.issue(**WHO, kind="machine", expires_at=clock.at + 60)
    assert not await tokens.attach_proof(token_id, proof_of(token_id, clock.at))
    mandate = Mandate(Class.SENSITIVE, 200, 86_400, clock.at + 30, "officer")
    assert await tokens.set_mandate(token_id, mandate)
    caller = await callers.by_token(token)
    assert (caller.kind, caller.mandate, caller.proofs) == ("machine", mandate, ())


async def test_a_revoked_token_takes_no_proof(tokens: Tokens, clock) -> None:
    _, token_id = await tokens.issue(**WHO, expires_at=clock.at + 60)
    await tokens.revoke(token_id)
    assert not await tokens.attach_proof(token_id, proof_of(token_id, clock.at))


async def test_nothing_is_done_to_a_token_that_never_was(tokens: Tokens, store: Store, clock) -> None:
    assert not await tokens.revoke("t_none")
    assert not await tokens.set_mandate("t_none", None)
    assert not await tokens.attach_proof("t_none", proof_of("t_none", clock.at))
    assert await store.call("DBSIZE") == 0


async def test_operators_see_every_token_newest_first(tokens: Tokens, clock) -> None:
    _, first = await tokens.issue(**WHO, expires_at=clock.at + 60)
    clock.forward(1)
    _, second = await tokens.issue(**WHO, kind="machine", expires_at=clock.at + 60, max_persons=3)
    await tokens.revoke(first)
    rows = await tokens.rows()
    assert [(row.id, row.kind, row.max_persons, row.revoked_at) for row in rows] == [
        (second, "machine", 3, None),
        (first, "person", None, clock.at),
    ]
