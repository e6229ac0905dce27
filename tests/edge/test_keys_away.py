"""A partner's keys: asked for once in half a minute whatever is invented, and away for new sign-ins alone."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import httpx2
import pytest
import pytest_asyncio

from gateway.edge import partner_http, provider
from gateway.edge.jwks import SPACING_S, TTL_S, NotFetched, NotThere
from gateway.edge.partner import Partner
from gateway.edge.partner_http import fetched_once
from gateway.edge.provider import Provider
from gateway.stores.documents import Documents

from .conftest import House
from .test_lies import caller_of, partner_of, seen, signed_in


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody gives up while this machine is busy: what is counted here is how often somebody asks."""
    for module, name in ((partner_http, "TIMEOUT_S"), (partner_http, "WHOLE_S"), (provider, "CALL_TIMEOUT_S")):
        monkeypatch.setattr(module, name, 60.0)


async def tell(partner: Partner, what: str) -> None:
    """Let the provider ``hide`` its keys or ``show`` them."""
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as outside:
        assert (await outside.post(f"{partner.issuer}/{what}")).status_code == 204


@pytest_asyncio.fixture
async def partner(liar: str) -> AsyncIterator[Partner]:
    """A partner that tells no lies, and shows its keys again when a test is over."""
    honest = partner_of(liar, "honest")
    yield honest
    await tell(honest, "show")


async def test_while_the_keys_are_away_sessions_live_on_and_whoever_comes_anew_is_told_so(
    house: House, partner: Partner
) -> None:
    async with house.client(partner) as client:
        alice = await signed_in(house, partner, client)
        await tell(partner, "hide")
        house.clock.forward(SPACING_S)
        assert (await signed_in(house, partner, client)).status_code == 303  # the keys that are kept are good still
        house.clock.forward(TTL_S - SPACING_S)
        answer = await signed_in(house, partner, client)
        assert answer.status_code == 503
        assert "sign-in does not answer" in answer.text and "Who is signed in already can go on" in answer.text
        assert house.ledger[-1]["detail"] == f"{partner.issuer}/jwks: status 500"
        assert (await caller_of(house, alice)).sub == "sub-alice"


async def test_a_thousand_invented_keys_are_one_fetch_in_half_a_minute(house: House, partner: Partner) -> None:
    fetched = partial(fetched_once, Documents(house.store, house.clock))
    workers = [Provider(partner, "", fetched) for _ in range(8)]
    before = (await seen(partner.issuer))["jwks"]
    for forward_s, fetches in ((0, 1), (SPACING_S - 1, 1), (1, 2), (SPACING_S, 3)):
        house.clock.forward(forward_s)
        asked = [workers[number % 8].keys(f"invented-{number}", house.clock.now()) for number in range(1_000)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(one) for one in found} == {NotThere}
        assert (await seen(partner.issuer))["jwks"] - before == fetches


async def test_unknown_keys_are_fetched_once_in_half_a_minute(house: House, liar: str) -> None:
    partner = partner_of(liar, "kid-unknown")
    before = (await seen(partner.issuer))["jwks"]
    async with house.client(partner) as client:
        answers = await asyncio.gather(*(signed_in(house, partner, client) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {403}
        assert (await seen(partner.issuer))["jwks"] == before + 1
        house.clock.forward(SPACING_S)
        await signed_in(house, partner, client)
    assert (await seen(partner.issuer))["jwks"] == before + 2


async def test_all_workers_together_fetch_once_in_half_a_minute(house: House, liar: str) -> None:
    partner = partner_of(liar, "kid-unknown")
    before = (await seen(partner.issuer))["jwks"]
    workers = [signed_in(house, partner) for _ in range(8)]  # each with a site of its own, over one store
    assert {answer.status_code for answer in await asyncio.gather(*workers)} == {403}
    assert (await seen(partner.issuer))["jwks"] == before + 1


async def test_keys_that_were_asked_for_in_vain_are_so_for_all_workers(house: House, liar: str) -> None:
    partner = partner_of(liar, "keys-none")
    assert (await signed_in(house, partner)).status_code == 503
    before = (await seen(partner.issuer))["jwks"]
    assert (await signed_in(house, partner)).status_code == 503
    assert (await seen(partner.issuer))["jwks"] == before


async def test_what_is_wrong_with_a_partner_is_known_until_it_answers_again(house: House, partner: Partner) -> None:
    faults: dict[str, str] = {}
    asked = Provider(partner, "", partial(fetched_once, Documents(house.store, house.clock)), faults)
    await asked.keys(None, house.clock.now())
    assert faults == {partner.id: ""}
    await tell(partner, "hide")
    house.clock.forward(TTL_S)
    with pytest.raises(NotFetched):
        await asked.keys(None, house.clock.now())
    assert faults == {partner.id: f"{partner.issuer}/jwks: status 500"}
    await tell(partner, "show")
    house.clock.forward(SPACING_S)
    await asked.keys(None, house.clock.now())
    assert faults == {partner.id: ""}
