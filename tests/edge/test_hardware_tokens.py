"""A token in the hand, without a telephone or a script: eight digits, and a clock that has gone wrong."""

import asyncio
import hashlib
from base64 import b32encode

import httpx2
import pyotp
import pytest

from gateway.factors.totp import Oath
from gateway.stores.token_stock import TokenStock

from .conftest import House

SAME = {"sec-fetch-site": "same-origin"}
NAVIGATE = {"sec-fetch-mode": "navigate", "accept": "text/html"}
TOTP = "/.gateway/step-up/totp"
TOKEN = Oath(b"a token's secret of 32 bytes, so", "SHA256", 8, 60)


def shown(house: House, steps: int = 0) -> str:
    """What the token shows, its clock so many steps ahead."""
    generator = pyotp.HOTP(b32encode(TOKEN.secret).decode(), digits=8, digest=hashlib.sha256)
    return str(generator.at(int(house.clock.now() // 60) + steps))


@pytest.mark.parametrize("spaced", [False, True])
async def test_eight_digits_confirm(pages: httpx2.AsyncClient, house: House, spaced: bool) -> None:
    await house.factors.enrol_oath(house.user, TOKEN)
    code = shown(house)
    typed = f"{code[:4]} {code[4:]}" if spaced else code
    assert (await pages.post(TOTP, json={"code": typed}, headers=await house.token())).status_code == 200


async def test_the_page_takes_six_to_eight_digits(pages: httpx2.AsyncClient, house: House) -> None:
    page = await pages.get("/.gateway/step-up", headers=await house.cookie() | NAVIGATE)
    assert 'pattern="[0-9 ]{6,9}" maxlength="9"' in page.text


@pytest.mark.parametrize(
    ("language", "words"), [("en", "Type the next code too"), ("fr", "Saisissez aussi le code suivant")]
)
async def test_a_token_eight_steps_late_is_asked_for_the_next_code_and_then_believed(
    pages: httpx2.AsyncClient, house: House, language: str, words: str
) -> None:
    await house.factors.enrol_oath(house.user, TOKEN)
    flow = await house.keep_target("/dossiers/7")
    headers = await house.cookie() | SAME | NAVIGATE | {"accept-language": language}
    for _ in range(2):
        asked = await pages.post(TOTP, data={"code": shown(house, -8), "flow": flow}, headers=headers)
        assert asked.status_code == 403 and words in asked.text and f'value="{flow}"' in asked.text
        assert "set-cookie" not in asked.headers
    answer = await pages.post(TOTP, data={"code": shown(house, -7), "flow": flow}, headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/dossiers/7")
    said = [(one["verdict"], one.get("reason")) for one in house.ledger]
    assert said == [("refusal", "code_next_needed")] * 2 + [("accepted", None)]


async def test_the_second_code_a_hundred_times_at_once_opens_once(pages: httpx2.AsyncClient, house: House) -> None:
    await house.factors.enrol_oath(house.user, TOKEN)
    token = await house.token()
    first = await pages.post(TOTP, json={"code": shown(house, -8)}, headers=token)
    assert (first.status_code, first.json()["type"]) == (403, "urn:gateway:problem:code_next_needed")
    house.clock.forward(60)
    code = shown(house, -8)
    answers = await asyncio.gather(*(pages.post(TOTP, json={"code": code}, headers=token) for _ in range(100)))
    assert sum(answer.status_code == 200 for answer in answers) == 1
    caller = await house.caller(token)
    assert caller is not None and len(caller.proofs) == 1


async def test_a_token_given_by_an_operators_word_opens_little_at_first(
    pages: httpx2.AsyncClient, house: House
) -> None:
    stock, token = TokenStock(house.store, house.keyring), await house.token()
    await stock.add({"A-1": TOKEN})
    await stock.assign("A-1", house.user, now=house.clock.now())
    assert (await pages.post(TOTP, json={"code": shown(house)}, headers=token)).status_code == 200
    caller = await house.caller(token)
    assert caller is not None
    (proof,) = caller.proofs
    assert (proof.bound, proof.bound_at) == ("remote", house.clock.now())
