"""Who signs out at a provider that is not ours is signed out here, by its signed word alone."""

from edge.conftest import House

from .back_channel import Address, sign_out_there
from .browsing import Browser
from .conftest import Counterpart


async def test_signing_out_there_ends_the_session_here(
    browser: Browser, house: House, counterpart: Counterpart, address: Address
) -> None:
    await browser.sign_in()
    assert await browser.caller(house) is not None
    await sign_out_there(browser, counterpart.issuer, counterpart.client_id)
    assert [status for _, status in address.told] == [200]
    assert await browser.caller(house) is None


async def test_it_does_not_end_what_began_in_another_browser(
    browser: Browser, another: Browser, house: House, counterpart: Counterpart, address: Address
) -> None:
    await browser.sign_in()
    await another.sign_in()
    await sign_out_there(browser, counterpart.issuer, counterpart.client_id)
    assert await browser.caller(house) is None and await another.caller(house) is not None


async def test_its_word_counts_once(browser: Browser, counterpart: Counterpart, address: Address) -> None:
    await browser.sign_in()
    await sign_out_there(browser, counterpart.issuer, counterpart.client_id)
    ((body, status),) = address.told
    assert (status, await address.again(body)) == (200, 400)
