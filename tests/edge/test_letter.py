"""A letter's code: with one's own sign-in, in a browser, without a factor, once; then one young factor."""

from pathlib import Path

import httpx2
import pytest
from authenticator import Authenticator

from gateway.stores.letters import new_code

from .conftest import ISSUER, ORIGIN, House
from .test_invite import NAVIGATE, session_of, user
from .test_passkeys import ENROL, SAME, Somebody

LETTER = "/.gateway/enrol/letter"


@pytest.fixture
async def lea(pages: httpx2.AsyncClient, house: House) -> Somebody:
    """Somebody new, without a factor."""
    return Somebody(pages, house, await session_of(house, "sub-lea"))


@pytest.fixture
async def code(lea: Somebody, house: House) -> str:
    """What stands in Léa's letter; it was made before she ever signed in."""
    code = new_code()
    await house.letters.keep({house.keyring.user_id(ISSUER, "sub-lea"): code})
    return code


async def type_it(who: Somebody, code: str, **headers: str) -> httpx2.Response:
    return await who.pages.post(LETTER, data={"code": code}, headers=who.session | SAME | NAVIGATE | headers)


async def test_a_letter_lets_its_person_bind_one_factor_and_it_is_young(lea: Somebody, code: str) -> None:
    assert "code in your letter" in (await lea.pages.get("/.gateway/enrol", headers=lea.session | NAVIGATE)).text
    assert (await type_it(lea, code)).headers["location"] == "/.gateway/enrol"
    assert "You are invited" in (await lea.pages.get("/.gateway/enrol", headers=lea.session | NAVIGATE)).text
    assert (await lea.add(Authenticator(ORIGIN))).status_code == 200
    assert [one.bound for one in await lea.house.passkeys.of(await user(lea))] == ["remote"]
    assert {one.kind for one in await lea.house.notices.of(await user(lea))} == {"letter_used", "factor_bound"}
    reasons = [one.get("reason") for one in lea.house.ledger]
    assert [reasons.count(one) for one in ("letter_used", "factor_bound")] == [1, 1]
    assert code not in str(lea.house.ledger)


async def test_a_letter_is_used_once(lea: Somebody, code: str) -> None:
    await type_it(lea, code)
    await lea.house.invitations.take(await user(lea))
    assert (await type_it(lea, code)).status_code == 403
    assert await lea.house.invitations.waiting(await user(lea)) is None


async def test_another_persons_letter_opens_nothing(lea: Somebody, code: str, pages: httpx2.AsyncClient) -> None:
    thief = Somebody(pages, lea.house, await session_of(lea.house, "sub-eve"))
    answer = await type_it(thief, code)
    assert answer.status_code == 403 and "The code is not right" in answer.text
    assert await lea.house.invitations.waiting(await user(thief)) is None
    assert (await type_it(lea, code)).status_code == 303


async def test_five_wrong_codes_and_one_waits(lea: Somebody, code: str) -> None:
    for _ in range(5):
        assert (await type_it(lea, new_code())).status_code == 403
    assert (await type_it(lea, code)).status_code == 429
    assert await lea.house.invitations.waiting(await user(lea)) is None
    assert [one["reason"] for one in lea.house.ledger][-2:] == ["code_rejected", "too_many_tries"]


async def test_who_has_a_factor_has_no_use_for_a_letter(pages: httpx2.AsyncClient, house: House) -> None:
    code = new_code()
    await house.letters.keep({house.user: code})
    answer = await pages.post(LETTER, data={"code": code}, headers=await house.cookie() | SAME)
    assert answer.json()["type"].endswith("invitation_refused")
    assert await house.letters.waiting(house.user)


async def test_another_site_types_nothing(lea: Somebody, code: str) -> None:
    assert (await type_it(lea, code, **{"sec-fetch-site": "cross-site"})).status_code == 403
    assert await lea.house.letters.waiting(await user(lea))


@pytest.mark.parametrize("kind", ["person", "machine"])
async def test_a_token_is_no_sign_in(house: House, kind: str) -> None:
    code = new_code()
    await house.letters.keep({house.user: code})
    async with house.client() as pages:
        answer = await pages.post(LETTER, data={"code": code}, headers=await house.token(kind))
    assert answer.status_code == 403 and await house.letters.waiting(house.user)


async def test_what_cannot_be_recorded_invites_nobody(lea: Somebody, code: str, tmp_path: Path) -> None:
    await lea.house.records.aclose()
    assert (await type_it(lea, code)).status_code == 503
    assert await lea.house.invitations.waiting(await user(lea)) is None


async def test_a_letter_alone_adds_nothing_without_being_typed(lea: Somebody, code: str) -> None:
    assert (await lea.post(f"{ENROL}/options")).json()["type"].endswith("invitation_required")


async def test_a_letter_used_while_all_only_observes_binds_a_ripe_factor(house: House) -> None:
    house.observing, code = True, new_code()
    async with house.client() as pages:
        lea = Somebody(pages, house, await session_of(house, "sub-lea"))
        await house.letters.keep({await user(lea): code})
        await type_it(lea, code)
        await lea.add(Authenticator(ORIGIN))
    assert [one.bound for one in await house.passkeys.of(await user(lea))] == ["own"]
