"""What is open to be confirmed: one name for one thing, a few at a time, each used once; a proof claimed once."""

import asyncio
from dataclasses import replace

from gateway.core.assurance import Act, Challenge, Proof
from gateway.core.extraction import Class
from gateway.keyring import KeyRing
from gateway.stores import keys
from gateway.stores.challenges import MOST_OPEN, Challenges
from gateway.stores.connection import Store

ASKED = Challenge("u_1", "t_1", "token", "script", "sensitive", "register", "record", {"en": "A record"})
BOUND = replace(ASKED, credential_id="s_1", credential="session", act=Act("r1", Class.RESTRICTED, 200))


async def test_who_asks_again_is_given_the_same_name(store: Store, keyring: KeyRing, clock) -> None:
    challenges = Challenges(store, keyring, clock)
    for asked in (ASKED, BOUND):
        assert len(set(await asyncio.gather(*(challenges.offer(asked) for _ in range(50))))) == 1
    others = [replace(ASKED, credential_id="t_2"), replace(ASKED, klass="restricted"), replace(ASKED, act=BOUND.act)]
    assert len({await challenges.offer(one) for one in (ASKED, BOUND, *others)}) == 5


async def test_a_code_is_read_however_typed_and_taken_once_of_a_hundred(store: Store, keyring: KeyRing, clock) -> None:
    challenges = Challenges(store, keyring, clock)
    code = await challenges.offer(ASKED)
    assert await challenges.look(f" {code.lower().replace('-', '')} ") == ASKED
    taken = await asyncio.gather(*(challenges.take(code) for _ in range(100)))
    assert [one for one in taken if one is not None] == [ASKED]
    assert await challenges.look(code) is None
    assert await challenges.offer(ASKED) != code


async def test_a_sessions_name_is_long_and_exact(store: Store, keyring: KeyRing, clock) -> None:
    challenges = Challenges(store, keyring, clock)
    name = await challenges.offer(BOUND)
    assert len(name) == 32
    assert await challenges.look(name) == BOUND
    assert await challenges.look(name.swapcase()) is None


async def test_beyond_the_most_the_first_is_over(store: Store, keyring: KeyRing, clock) -> None:
    challenges = Challenges(store, keyring, clock)
    asked = [replace(BOUND, act=Act(f"r{number}", Class.RESTRICTED)) for number in range(MOST_OPEN + 2)]
    names = []
    for one in asked:
        names.append(await challenges.offer(one))
        clock.at += 1
    assert [await challenges.look(name) for name in names] == [None, None, *asked[2:]]
    assert await store.call("ZCARD", keys.challenges_of("s_1")) == MOST_OPEN


async def test_a_proof_is_claimed_by_one_of_a_hundred(store: Store, keyring: KeyRing, clock) -> None:
    challenges = Challenges(store, keyring, clock)
    proof = Proof("p_1", "webauthn", clock.now(), "u_1", "s_1", act=BOUND.act)
    assert sum(await asyncio.gather(*(challenges.claim(proof) for _ in range(100)))) == 1
    assert await challenges.claim(replace(proof, id="p_2"))
