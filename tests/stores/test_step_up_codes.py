"""Short codes: one a token and class at a time, used once."""

import asyncio

from gateway.keyring import KeyRing
from gateway.stores.connection import Store
from gateway.stores.step_up_codes import AskedFor, StepUpCodes

ASKED = AskedFor("u_1", "t_1", "script", "sensitive", "register", "record")


async def test_a_token_that_asks_again_is_given_the_same_code(store: Store, keyring: KeyRing) -> None:
    codes = StepUpCodes(store, keyring)
    offered = await asyncio.gather(*(codes.offer(ASKED) for _ in range(50)))
    assert len(set(offered)) == 1
    other = AskedFor("u_1", "t_2", "script", "sensitive", "register", "record")
    assert await codes.offer(other) != offered[0]


async def test_a_code_is_read_however_typed_and_taken_by_one_of_a_hundred(store: Store, keyring: KeyRing) -> None:
    codes = StepUpCodes(store, keyring)
    code = await codes.offer(ASKED)
    assert await codes.look(f" {code.lower().replace('-', '')} ") == ASKED
    taken = await asyncio.gather(*(codes.take(code) for _ in range(100)))
    assert [one for one in taken if one is not None] == [ASKED]
    assert await codes.look(code) is None
    assert await codes.offer(ASKED) != code
