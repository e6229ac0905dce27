"""A lost telephone: a printed code confirms once, opens little, and begets nothing."""

import asyncio
import re

import httpx2
import pytest

from gateway.core.assurance import Proof

from .conftest import House

SAME = {"sec-fetch-site": "same-origin"}
NAVIGATE = {"sec-fetch-mode": "navigate", "accept": "text/html"}
BURN = "/.gateway/step-up/recovery"
MAKE = "/.gateway/recovery/codes"


async def proofs_of(house: House, headers: dict[str, str]) -> tuple[Proof, ...]:
    caller = await house.caller(headers)
    assert caller is not None
    return caller.proofs


async def confirmed(pages: httpx2.AsyncClient, house: House) -> dict[str, str]:
    """A session that has just confirmed with its telephone."""
    session = await house.cookie()
    answer = await pages.post("/.gateway/step-up/totp", json={"code": house.code()}, headers=session | SAME)
    return {"cookie": answer.headers["set-cookie"].split(";")[0]}


async def test_codes_are_shown_once_to_who_has_just_confirmed(pages: httpx2.AsyncClient, house: House) -> None:
    session = await confirmed(pages, house)
    answer = await pages.post(MAKE, headers=session | SAME | NAVIGATE)
    shown = re.findall(r"<code>([A-Z2-7]{4}(?:-[A-Z2-7]{4}){3})</code>", answer.text)
    assert answer.status_code == 200 and len(set(shown)) == 10
    assert answer.headers["cache-control"] == "no-store"
    assert not any(code in str(house.ledger) for code in shown)
    assert house.ledger[-1]["reason"] == "recovery_codes_made"
    assert "10 of your codes are left" in (await pages.get("/.gateway/account", headers=session | NAVIGATE)).text


async def test_codes_are_made_for_nobody_who_has_not_just_confirmed(pages: httpx2.AsyncClient, house: House) -> None:
    session = await confirmed(pages, house)
    house.clock.forward(301)
    answer = await pages.post(MAKE, headers=session | SAME | NAVIGATE)
    assert answer.status_code == 401
    assert await house.recovery.left(house.user) == 0


async def test_a_recovery_code_begets_no_recovery_codes(pages: httpx2.AsyncClient, house: House) -> None:
    code = (await house.recovery.issue(house.user))[0]
    answer = await pages.post(BURN, json={"code": code}, headers=await house.cookie() | SAME)
    after = {"cookie": answer.headers["set-cookie"].split(";")[0]}
    assert (await pages.post(MAKE, headers=after | SAME)).status_code == 401
    assert await house.recovery.left(house.user) == 9


async def test_a_code_gives_a_proof_that_cools(pages: httpx2.AsyncClient, house: House) -> None:
    code = (await house.recovery.issue(house.user))[0]
    token = await house.token()
    answer = await pages.post(BURN, json={"code": code.lower()}, headers=token)
    assert answer.status_code == 200 and answer.json()["proof"]["kind"] == "recovery"
    assert set(answer.json()["proof"]["fresh_for_s"]) == {"personal", "sensitive"}
    (proof,) = await proofs_of(house, token)
    assert (proof.kind, proof.bound, proof.bound_at) == ("recovery", "remote", house.clock.now())


async def test_one_code_posted_a_hundred_times_at_once_opens_once(pages: httpx2.AsyncClient, house: House) -> None:
    code = (await house.recovery.issue(house.user))[0]
    tokens = [await house.token() for _ in range(4)]
    posts = (pages.post(BURN, json={"code": code}, headers=tokens[number % 4]) for number in range(100))
    answers = await asyncio.gather(*posts)
    assert sum(answer.status_code == 200 for answer in answers) == 1
    assert sum([len(await proofs_of(house, token)) for token in tokens]) == 1


async def test_a_wrong_code_in_a_form_says_so_on_the_same_page(pages: httpx2.AsyncClient, house: House) -> None:
    await house.recovery.issue(house.user)
    session = await house.cookie()
    answer = await pages.post(BURN, data={"code": "AAAA-BBBB-CCCC-DDDD"}, headers=session | SAME | NAVIGATE)
    assert answer.status_code == 403
    assert 'action="/.gateway/step-up/recovery"' in answer.text and "The code is not right" in answer.text
    assert house.ledger[-1]["reason"] == "code_rejected" and house.ledger[-1]["proof"] == {"kind": "recovery"}


@pytest.mark.parametrize("path", [BURN, MAKE])
async def test_another_site_burns_and_makes_nothing(pages: httpx2.AsyncClient, house: House, path: str) -> None:
    code = (await house.recovery.issue(house.user))[0]
    session = await confirmed(pages, house)
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {}):
        answer = await pages.post(path, data={"code": code}, headers=session | headers)
        assert answer.status_code == 403 and answer.json()["type"].endswith("bad_origin")
    assert await house.recovery.left(house.user) == 10


async def test_a_machine_has_no_recovery(pages: httpx2.AsyncClient, house: House) -> None:
    code = (await house.recovery.issue(house.user))[0]
    answer = await pages.post(BURN, json={"code": code}, headers=await house.token("machine"))
    assert answer.status_code == 403 and answer.json()["type"].endswith("machine_token")
    assert await house.recovery.left(house.user) == 10
