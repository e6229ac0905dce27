"""Two providers that know somebody by one subject: two persons, neither of whom becomes, sees or ends the other."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from edge.conftest import House

from gateway.edge.partner import Partner

from .back_channel import Address, sign_out_there
from .browsing import Browser
from .conftest import Counterpart, before

pytestmark = pytest.mark.usefixtures("made_here")


@pytest_asyncio.fixture
async def here(house: House, counterpart: Counterpart, other_partner: Partner) -> AsyncIterator[Browser]:
    """The browser of the certified provider's person, signed in."""
    async with before(house, counterpart, counterpart.partner, other_partner) as browser:
        await browser.sign_in("/.gateway/sign-in?partner=agency")
        yield browser


@pytest_asyncio.fixture
async def there(house: House, counterpart: Counterpart, other_partner: Partner) -> AsyncIterator[Browser]:
    """The browser of the other provider's person, signed in."""
    async with before(house, counterpart, counterpart.partner, other_partner) as browser:
        await browser.sign_in("/.gateway/sign-in?partner=other")
        yield browser


async def test_the_same_subject_at_two_partners_is_two_persons(here: Browser, there: Browser, house: House) -> None:
    one, two = await here.caller(house), await there.caller(house)
    assert one is not None and two is not None and one.sub == two.sub
    assert one.user != two.user and one.partner != two.partner


async def test_neither_sees_the_other_s_sessions(here: Browser, there: Browser, house: House) -> None:
    for browser in (here, there):
        caller = await browser.caller(house)
        assert caller is not None
        sessions, _ = await house.access.of(caller.user)
        assert [session.id for session in sessions] == [caller.credential_id]


async def test_what_came_back_from_one_counts_at_no_other(here: Browser, house: House) -> None:
    here.cookies.pop("__Host-gateway")
    back = await here.at_the_partner(await here.leave("/.gateway/sign-in?partner=agency"))
    answer = await here.get(back.replace("/agency?", "/other?"))
    assert answer.status_code == 403 and await here.caller(house) is None


async def test_a_partner_s_word_ends_nothing_of_another_s_person(
    here: Browser, there: Browser, house: House, counterpart: Counterpart, address: Address
) -> None:
    await sign_out_there(here, counterpart.issuer, counterpart.client_id)
    assert await here.caller(house) is None and await there.caller(house) is not None


async def test_a_word_that_another_partner_signed_ends_nothing(
    here: Browser, there: Browser, house: House, counterpart: Counterpart, address: Address
) -> None:
    await sign_out_there(here, counterpart.issuer, counterpart.client_id)
    ((body, _),) = address.told
    assert await address.again(body, "other") >= 400
    assert await there.caller(house) is not None
