"""What happened in one's name: on the account page, and on the page that asks to confirm."""

import httpx2

from gateway.core.extraction import Class

from .conftest import House
from .test_recovery import confirmed

NAVIGATE = {"sec-fetch-mode": "navigate", "accept": "text/html"}
ACCOUNT, STEP_UP = "/.gateway/account", "/.gateway/step-up"


async def opens(house: House, headers: dict[str, str], persons: int, klass: Class = Class.SENSITIVE) -> None:
    caller = await house.caller(headers)
    assert caller is not None
    house.activity.opened(caller, {klass: persons}, house.clock.now())
    await house.activity.flush()


async def test_the_account_page_says_what_was_opened_and_from_where(pages: httpx2.AsyncClient, house: House) -> None:
    mine, token = await house.cookie(), await house.token()
    assert "Nothing since yesterday" in (await pages.get(ACCOUNT, headers=mine | NAVIGATE)).text
    await opens(house, mine, 12)
    await opens(house, token, 1, Class.PERSONAL)
    text = (await pages.get(ACCOUNT, headers=mine | NAVIGATE)).text
    assert "12 files with social security numbers" in text and "1 file with contact details" in text
    assert "Token script" in text and f'data-until="{int(house.clock.now())}"' in text


async def test_what_a_session_opened_that_is_over_is_still_told(pages: httpx2.AsyncClient, house: House) -> None:
    mine, other = await house.cookie(), await house.cookie()
    await opens(house, other, 7)
    await house.sessions.end(other["cookie"].removeprefix("__Host-gateway="))
    text = (await pages.get(ACCOUNT, headers=mine | NAVIGATE)).text
    assert "7 files with social security numbers" in text and "a session or token that has ended" in text


async def test_who_is_asked_to_confirm_sees_what_happened_since_the_last_time(
    pages: httpx2.AsyncClient, house: House
) -> None:
    mine = await house.cookie()
    await opens(house, mine, 5)
    before = (await pages.get(STEP_UP, headers=mine | NAVIGATE)).text
    assert "Since you signed in" in before and "5 files" in before
    house.clock.forward(601)
    mine = await confirmed(pages, house)
    house.clock.forward(600)
    assert "no file" in (await pages.get(STEP_UP, headers=mine | NAVIGATE)).text
    await opens(house, mine, 3)
    after = (await pages.get(STEP_UP, headers=mine | NAVIGATE)).text
    assert "Since your last confirmation" in after and "3 files" in after and "5 files" not in after


async def test_a_token_is_told_nothing(pages: httpx2.AsyncClient, house: House) -> None:
    token = await house.token()
    await opens(house, token, 3)
    for path in (ACCOUNT, STEP_UP):
        assert "3 files" not in (await pages.get(path, headers=token | NAVIGATE)).text


async def test_nobody_is_told_of_anybody_else(pages: httpx2.AsyncClient, house: House) -> None:
    bob = {"issuer": "https://agency.example", "sub": "sub-bob", "partner": "agency", "name": "Bob", "login": "bob"}
    theirs = {"cookie": f"__Host-gateway={await house.sessions.open(**bob)}"}
    await opens(house, theirs, 9)
    mine = await house.cookie()
    for path in (ACCOUNT, STEP_UP):
        assert "9 files" not in (await pages.get(path, headers=mine | NAVIGATE)).text
