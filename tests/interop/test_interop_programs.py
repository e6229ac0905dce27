"""A program with access tokens of a provider that is not ours, each bound to a key of the program's."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest
import pytest_asyncio
from dpop_client import DpopClient
from edge.conftest import ORIGIN, House

from gateway.edge.partner import Api, Partner
from gateway.edge.partner_callers import PartnerCallers, access_tokens_of
from gateway.edge.site import build
from gateway.stores.callers import StoredCallers
from gateway.stores.documents import Documents
from gateway.stores.partner_tokens import PartnerTokens

from .conftest import AUDIENCE, PROGRAM, PROGRAM_SECRET, Counterpart, outside

BUDGET = "/.gateway/budget"


@pytest.fixture
def key() -> DpopClient:
    return DpopClient()


@pytest.fixture
def partner(counterpart: Counterpart, made_here: None) -> Partner:
    return replace(counterpart.partner, api=Api(AUDIENCE, dpop="required"))


async def token_of(issuer: str, key: DpopClient | None, resource: str = AUDIENCE) -> str:
    """What the provider gives the program for itself, for ``resource``."""
    form = {"grant_type": "client_credentials", "resource": resource, "scope": "api"}
    async with outside() as there:
        address = (await there.get(f"{issuer}/.well-known/openid-configuration")).json()["token_endpoint"]
        proof = {"dpop": key.proof("POST", address, "", claims={"ath": None})} if key else {}
        answer = await there.post(address, data=form, auth=(PROGRAM, PROGRAM_SECRET), headers=proof)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said["token_type"] == ("DPoP" if key else "Bearer")
    return str(said["access_token"])


@pytest_asyncio.fixture
async def pages(house: House, partner: Partner) -> AsyncIterator[httpx2.AsyncClient]:
    """The pages of a gateway that takes this partner's tokens."""
    tokens = access_tokens_of([partner], Documents(house.store))
    registry = PartnerTokens(house.store, house.keyring, house.clock)
    stored, seating = StoredCallers(house.store, house.keyring, house.clock), house.doors.seating
    callers = PartnerCallers(
        stored, registry, tokens, seating, house.clock, lambda: house.doors.policy(), {partner.id: partner}
    )
    doors = replace(house.doors_of(house.store, {partner.id: partner}), callers=callers, partner_tokens=tokens)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=build(doors)), base_url=ORIGIN) as client:
        yield client


async def asked(pages: httpx2.AsyncClient, house: House, key: DpopClient, token: str) -> httpx2.Response:
    """The program's limits, asked for with its key."""
    proof = key.proof("GET", f"{ORIGIN}{BUDGET}", token, nonce=house.doors.possession.nonce, now=house.clock.now())
    return await pages.get(BUDGET, headers={"authorization": f"DPoP {token}", "dpop": proof})


async def test_a_program_with_its_key_is_let_in(
    pages: httpx2.AsyncClient, house: House, partner: Partner, key: DpopClient
) -> None:
    answer = await asked(pages, house, key, await token_of(partner.issuer, key))
    assert answer.status_code == 200, answer.text


async def test_nobody_else_is_with_its_token(
    pages: httpx2.AsyncClient, house: House, partner: Partner, key: DpopClient
) -> None:
    token = await token_of(partner.issuer, key)
    assert (await asked(pages, house, DpopClient(), token)).status_code == 401
    plain = await pages.get(BUDGET, headers={"authorization": f"Bearer {token}"})
    assert (plain.status_code, plain.json()["type"]) == (401, "urn:gateway:problem:invalid_dpop_binding")


async def test_nor_the_program_with_a_token_that_is_bound_to_no_key(
    pages: httpx2.AsyncClient, partner: Partner
) -> None:
    token = await token_of(partner.issuer, None)
    plain = await pages.get(BUDGET, headers={"authorization": f"Bearer {token}"})
    assert (plain.status_code, plain.json()["type"]) == (401, "urn:gateway:problem:invalid_dpop_binding")
