"""A provider that is not ours is asked in its own way: beforehand, by our key, at userinfo, at a level."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from edge.conftest import House

from gateway.edge.partner import ClaimNames, Partner

from .browsing import changed, refused
from .conftest import ACR, STRICT, Counterpart, before, made_key

NAMED = ClaimNames(name=("name",), user=("preferred_username",))


@pytest.fixture
def strict(counterpart: Counterpart, made_here: None) -> Partner:
    """The client that has a key in place of a secret, and must send its requests beforehand."""
    keyed = replace(counterpart.partner, client_id=STRICT, client_secret=None, client_key=counterpart.key)
    return replace(keyed, client_auth="private_key_jwt", par=True, userinfo="jwt", claims=NAMED)


async def test_a_request_sent_beforehand_leaves_nothing_to_change_in_the_browser(
    house: House, counterpart: Counterpart
) -> None:
    async with before(house, counterpart, replace(counterpart.partner, par=True)) as browser:
        address = await browser.leave()
        assert set(parse_qs(urlsplit(address).query)) == {"client_id", "request_uri"}
        assert (await browser.get(await browser.at_the_partner(address))).status_code == 303
        caller = await browser.caller(house)
    assert caller is not None and (caller.issuer, caller.sub) == (counterpart.issuer, counterpart.sub)


async def test_userinfo_says_what_the_id_token_does_not(house: House, counterpart: Counterpart) -> None:
    async with before(house, counterpart, replace(counterpart.partner, userinfo="json", claims=NAMED)) as browser:
        await browser.sign_in()
        caller = await browser.caller(house)
    assert caller is not None and caller.name not in ("", caller.sub)


async def test_a_key_a_request_sent_beforehand_and_signed_userinfo_go_together(
    house: House, counterpart: Counterpart, strict: Partner
) -> None:
    async with before(house, counterpart, strict) as browser:
        await browser.sign_in()
        caller = await browser.caller(house)
    assert caller is not None and (caller.sub, caller.name) == (counterpart.sub, "Alice Martin")


async def test_plain_userinfo_does_not_stand_for_signed(house: House, counterpart: Counterpart) -> None:
    async with before(house, counterpart, replace(counterpart.partner, userinfo="jwt")) as browser:
        why = await refused(await browser.sign_in(), browser, house)
    assert why == "userinfo: the answer is no application/jwt"


async def test_a_key_that_is_not_ours_begins_nothing(house: House, counterpart: Counterpart, strict: Partner) -> None:
    async with before(house, counterpart, replace(strict, client_key=made_key())) as browser:
        answer = await browser.get("/.gateway/sign-in")
    assert answer.status_code == 503
    assert house.ledger[-1]["detail"] == "a request sent beforehand was refused: status 401"


@pytest.mark.usefixtures("made_here")
async def test_who_signs_in_at_the_level_asked_for_comes_in(house: House, counterpart: Counterpart) -> None:
    async with before(house, counterpart, replace(counterpart.partner, acr=(ACR,))) as browser:
        assert (await browser.sign_in()).status_code == 303


@pytest.mark.usefixtures("made_here")
async def test_a_level_that_was_not_said_lets_nobody_in(house: House, counterpart: Counterpart) -> None:
    async with before(house, counterpart, replace(counterpart.partner, acr=(ACR,))) as browser:
        back = await browser.at_the_partner(changed(await browser.leave(), claims=None))
        why = await refused(await browser.get(back), browser, house)
    assert why == "the level (acr) is none of those asked for"
