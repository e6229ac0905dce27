"""What a certified provider says of how its person signed in: asked for, returned, fresh, and then a proof."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from edge.conftest import House

from gateway.core.assurance import Proof
from gateway.core.extraction import Class
from gateway.core.policy import BY_PARTNER, AssertedRule, PartnerRule

from .browsing import Browser, said
from .conftest import ACR, AMR, Counterpart, before

pytestmark = pytest.mark.usefixtures("made_here")
RULE = AssertedRule((ACR,), (), 400, Class.PERSONAL)


def takes(house: House, rule: AssertedRule) -> None:
    house.policy = replace(house.policy, partners={"agency": PartnerRule(asserted=rule)})


@pytest_asyncio.fixture
async def taken(house: House, browser: Browser) -> AsyncIterator[Browser]:
    """Somebody's browser, before a gateway whose policy takes the counterpart's word."""
    takes(house, RULE)
    house.clock.forward(30)  # the counterpart's clock goes on, ours stands still
    yield browser


async def proofs(browser: Browser, house: House) -> tuple[Proof, ...]:
    """What somebody has by signing in and typing nothing more."""
    answer = await browser.sign_in()
    caller = await browser.caller(house)
    assert answer.status_code == 303 and caller is not None
    return caller.proofs


async def test_a_level_that_was_asked_for_and_returned_is_a_proof(taken: Browser, house: House) -> None:
    address = await taken.leave()
    assert (said(address, "acr_values"), said(address, "max_age")) == (ACR, "400")
    (proof,) = await proofs(taken, house)
    assert (proof.kind, proof.factor_id) == (BY_PARTNER, f"acr:{ACR}")
    (record,) = [one for one in house.ledger if one["kind"] == "sign_in"]
    assert (record["proof"]["credential"], record["proof"]["id"]) == (f"acr:{ACR}", proof.id)


async def test_signing_in_again_without_typing_is_the_same_proof_and_no_younger(taken: Browser, house: House) -> None:
    house.clock.forward(60)  # the provider's clock went on while this one was held, and no proof is of later than now
    (first,) = await proofs(taken, house)
    taken.cookies.clear()
    house.clock.forward(60)
    (again,) = await proofs(taken, house)
    assert taken.typed == 1
    assert (again.id, again.verified_at) == (first.id, first.verified_at)


async def test_a_sign_in_of_old_is_none(taken: Browser, house: House) -> None:
    await proofs(taken, house)
    taken.cookies.clear()
    house.clock.forward(500)
    assert await proofs(taken, house) == ()
    assert taken.typed == 1 and house.ledger[-1]["detail"] == "no proof: its auth_time is too long ago"


async def test_another_level_than_the_one_asked_for_is_none(browser: Browser, house: House) -> None:
    takes(house, replace(RULE, acr=("eidas3",)))
    assert said(await browser.leave(), "acr_values") == "eidas3"
    assert await proofs(browser, house) == ()


@pytest.mark.parametrize(("asks", "name"), [((), None), (("max_age",), None), (("claims",), f"amr:{AMR}")], ids=str)
async def test_how_somebody_signed_in_is_believed_as_far_as_it_is_said(
    house: House, counterpart: Counterpart, asks: tuple[str, ...], name: str | None
) -> None:
    takes(house, replace(RULE, acr=(), amr=(AMR,)))
    async with before(house, counterpart, replace(counterpart.partner, asks=asks)) as browser:
        assert [one.factor_id for one in await proofs(browser, house)] == ([name] if name else [])
