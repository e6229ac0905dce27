"""Signing out: here at once, then at the partner, told which session ends, and back in the same browser."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import orjson
import pytest
import pytest_asyncio

from gateway.edge import sso
from gateway.edge.id_token import strict_base64
from gateway.edge.partner import Partner
from gateway.keyring import KeyRing
from gateway.stores import keys
from gateway.stores.sessions import Sessions

from .conftest import ORIGIN, House, RunningProvider
from .test_sign_in import Browser, begun

HOME = "/.gateway/signed-out"


@pytest_asyncio.fixture
async def browser(house: House, partner: Partner, provider: RunningProvider) -> AsyncIterator[Browser]:
    """A browser in which Alice has signed in."""
    async with house.client(partner) as client:
        made = Browser(client, provider)
        await made.get(await made.at_the_partner(await begun(made)))
        yield made


async def leave(browser: Browser) -> str:
    """Sign out here; the address at the partner."""
    answer = await browser.post("/.gateway/sign-out", sec_fetch_site="same-origin")
    assert answer.status_code == 200
    return str(answer.headers["refresh"]).removeprefix("0; url=")


def said(address: str) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(address).query).items()}


async def at_the_partner(address: str) -> httpx2.Response:
    """The partner's answer to who was never there in this browser."""
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as outside:
        return await outside.get(address)


async def test_the_session_ends_here_and_its_cookie_goes(browser: Browser, house: House) -> None:
    before = await browser.caller(house)
    cookie = browser.cookies["__Host-gateway"]
    await leave(browser)
    assert before is not None and browser.cookies["__Host-gateway"] == ""
    assert await house.caller({"cookie": f"__Host-gateway={cookie}"}) is None
    assert await house.store.call("KEYS", "*so:*") == []


async def test_the_partner_is_told_which_session_ends_and_where_to_go_back(browser: Browser, house: House) -> None:
    caller = await browser.caller(house)
    address = await leave(browser)
    query = said(address)
    assert address.startswith(f"{browser.provider.issuer}/end_session?") and caller is not None
    assert (query["client_id"], query["post_logout_redirect_uri"]) == ("gateway", f"{ORIGIN}{HOME}")
    claims = orjson.loads(strict_base64(query["id_token_hint"].split(".")[1]) or b"")
    assert (claims["iss"], claims["sub"]) == (caller.issuer, caller.sub)


async def test_back_with_our_state_it_is_said_that_both_have_ended_and_once(browser: Browser) -> None:
    back = (await at_the_partner(await leave(browser))).headers["location"].removeprefix(ORIGIN)
    assert back.startswith(f"{HOME}?state=")
    assert "You are signed out here and at Agence Nord." in (await browser.get(back)).text
    assert "Agence Nord" not in (await browser.get(back)).text


@pytest.mark.parametrize("how", ["none", "twice", "unknown", "another browser"])
async def test_without_our_state_nothing_is_said_of_the_partner(browser: Browser, how: str) -> None:
    state = said(await leave(browser))["state"]
    if how == "another browser":
        browser.cookies["__Host-gateway-flow"] = "A" * 43
    query = {"none": "", "twice": f"?state={state}&state={state}", "unknown": "?state=x"}.get(how, f"?state={state}")
    answer = await browser.get(f"{HOME}{query}")
    assert answer.status_code == 200 and "Agence Nord" not in answer.text


async def test_a_token_too_long_for_an_address_is_not_sent_and_its_person_is_hinted_at(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sso, "LONGEST_HINT", 100)
    browser.cookies.pop("__Host-gateway")
    await browser.get(await browser.at_the_partner(await begun(browser)))
    query = said(await leave(browser))
    assert query["logout_hint"] == "sub-alice" and "id_token_hint" not in query and query["client_id"] == "gateway"


async def test_whoever_has_the_cookie_somewhere_else_ends_the_session_and_learns_nothing(
    browser: Browser, house: House, partner: Partner
) -> None:
    answer = await browser.post(
        "/.gateway/sign-out", sec_fetch_site="same-origin", user_agent="Mozilla/5.0 (X11) Gecko/20100101 Firefox/130.0"
    )
    assert answer.status_code == 200 and "refresh" not in answer.headers
    assert await browser.caller(house) is None


async def test_another_site_cannot_sign_a_person_out(browser: Browser, house: House) -> None:
    answer = await browser.post("/.gateway/sign-out", sec_fetch_site="cross-site")
    assert answer.status_code == 403 and await browser.caller(house) is not None


async def test_a_partner_without_such_an_address_is_not_gone_to(house: House, liar: str) -> None:
    partner = Partner("agency", "Agence Nord", f"{liar}/honest", "gateway", "the client's secret")
    async with house.client(partner) as client:
        headers = await house.cookie() | {"sec-fetch-mode": "navigate", "sec-fetch-site": "same-origin"}
        answer = await client.post("/.gateway/sign-out", headers=headers)
    assert answer.status_code == 200 and "refresh" not in answer.headers


WHO: dict[str, Any] = {"issuer": "https://sso", "sub": "1", "partner": "p", "name": "Léa", "login": "lea"}


async def test_what_the_partner_needs_is_kept_sealed_for_this_person_and_ends_with_the_session(house: House) -> None:
    cookie = await house.sessions.open(**WHO, sign_out_by="id_token_hint=secret")
    caller = await house.caller({"cookie": f"__Host-gateway={cookie}"})
    assert caller is not None
    kept = await house.store.call("GET", keys.sign_out_by(caller.credential_id))
    assert b"secret" not in kept
    assert await house.sessions.sign_out_by(caller.credential_id, caller.user) == "id_token_hint=secret"
    assert await house.sessions.sign_out_by(caller.credential_id, "u_other") == ""
    await house.people.end_sessions(caller.user)
    assert await house.sessions.sign_out_by(caller.credential_id, caller.user) == ""


async def test_it_goes_with_the_session_to_a_family_of_its_own(house: House) -> None:
    cookie = await house.sessions.open(**WHO, sign_out_by="id_token_hint=secret")
    before = await house.caller({"cookie": f"__Host-gateway={cookie}"})
    assert before is not None
    moved = await house.sessions.refound(cookie, before.user)
    after = await house.caller({"cookie": f"__Host-gateway={moved}"})
    assert after is not None and after.credential_id != before.credential_id
    assert await house.sessions.sign_out_by(after.credential_id, after.user) == "id_token_hint=secret"


async def test_with_other_keys_nothing_of_it_can_be_opened(house: House, tmp_path: Any) -> None:
    cookie = await house.sessions.open(**WHO, sign_out_by="id_token_hint=secret")
    caller = await house.caller({"cookie": f"__Host-gateway={cookie}"})
    other = Sessions(house.store, KeyRing.create(tmp_path / "keys"), house.clock)
    assert caller is not None and await other.sign_out_by(caller.credential_id, caller.user) == ""
