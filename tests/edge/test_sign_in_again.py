"""Confirming at one's organisation: signed in there anew, and on with the session that was here."""

from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import pytest_asyncio

from gateway.core.extraction import Class
from gateway.core.policy import AssertedRule, PartnerRule
from gateway.core.reasons import Reason, Refusal
from gateway.edge import answers
from gateway.edge.answers import Site
from gateway.edge.asked import Asked
from gateway.edge.partner import Partner

from .conftest import ORIGIN, House, RunningProvider
from .test_sign_in import Browser

AGAIN = "/.gateway/sign-in?again=1"
TAKEN, NOT_SAID = AssertedRule(("eidas1",), (), 900, Class.PERSONAL), AssertedRule(("gold",), (), 900, Class.PERSONAL)


def takes(house: House, rule: AssertedRule | None) -> None:
    house.policy = replace(house.policy, partners={"agency": PartnerRule(asserted=rule)})


async def session(house: House, provider: RunningProvider, sub: str = "sub-alice") -> str:
    """The cookie of a session in which nothing is confirmed."""
    who = {"issuer": provider.issuer, "sub": sub, "partner": "agency", "name": "Alice Martin", "login": "alice"}
    return await house.sessions.open(**who)


@pytest_asyncio.fixture
async def browser(house: House, partner: Partner, provider: RunningProvider) -> AsyncIterator[Browser]:
    """Alice's browser, signed in."""
    takes(house, TAKEN)
    async with house.client(partner) as client:
        made = Browser(client, provider)
        made.cookies["__Host-gateway"] = await session(house, provider)
        yield made


async def returned(browser: Browser, flow: str = "") -> httpx2.Response:
    """The answer to who has signed in anew."""
    away = await browser.get(AGAIN + (f"&flow={flow}" if flow else ""))
    return await browser.get(await browser.at_the_partner(away.headers["location"]))


async def test_the_partner_is_asked_to_ask(browser: Browser) -> None:
    address = (await browser.get(AGAIN)).headers["location"]
    query = parse_qs(urlsplit(address).query)
    assert address.startswith(f"{browser.provider.issuer}/authorize?")
    assert (query["prompt"], query["max_age"]) == (["login"], ["900"])


async def test_it_is_a_proof_of_the_session_that_goes_on(browser: Browser, house: House) -> None:
    before, old = await browser.caller(house), browser.cookies["__Host-gateway"]
    answer = await returned(browser, await house.keep_target())
    after = await browser.caller(house)
    assert (answer.status_code, answer.headers["location"]) == (303, "/dossiers/7")
    assert before is not None and after is not None and before.proofs == ()
    assert after.credential_id == before.credential_id and browser.cookies["__Host-gateway"] != old
    assert [(one.factor_id, one.credential_id) for one in after.proofs] == [("acr:eidas1", after.credential_id)]
    assert house.ledger[-1]["proof"]["credential"] == "acr:eidas1"


async def test_somebody_else_who_signs_in_has_a_session_of_their_own(
    browser: Browser, house: House, provider: RunningProvider
) -> None:
    bob = browser.cookies["__Host-gateway"] = await session(house, provider, "sub-bob")
    await returned(browser)
    caller = await browser.caller(house)
    assert caller is not None and caller.sub == "sub-alice"
    assert await house.caller({"cookie": f"__Host-gateway={bob}"}) is None


async def test_what_is_no_proof_leaves_the_session_as_it_was(browser: Browser, house: House) -> None:
    takes(house, NOT_SAID)
    before, cookie = await browser.caller(house), browser.cookies["__Host-gateway"]
    answer = await returned(browser, await house.keep_target())
    after = await browser.caller(house)
    assert answer.headers["location"] == "/dossiers/7" and browser.cookies["__Host-gateway"] == cookie
    assert before is not None and after is not None
    assert (after.credential_id, after.proofs) == (before.credential_id, ())


async def test_where_the_partner_s_word_is_nothing_nobody_is_sent_there(browser: Browser, house: House) -> None:
    takes(house, None)
    answer = await browser.get(f"{AGAIN}&flow={await house.keep_target()}")
    assert answer.headers["location"] == "/dossiers/7"


@pytest.mark.parametrize(("offers", "elsewhere"), [(True, False), (False, False), (True, True)], ids=str)
def test_the_page_that_asks_offers_it_where_it_would_open(offers: bool, elsewhere: bool) -> None:
    refusal = Refusal(Reason.PROOF_REQUIRED, Class.PERSONAL, ("totp",), 900, by_partner=offers, elsewhere=elsewhere)
    asked = Asked(True, "en", b"GET", b"/dossiers/7", "K7Q-4M2", "id", host="localhost:8080")
    page = answers.render(refusal, request=asked, site=Site(ORIGIN, ""), sign_in_flow="f" * 20).body.decode()
    link = f'href="/.gateway/sign-in?again=1&amp;flow={"f" * 20}"'
    assert (link in page) is (offers and not elsewhere)
