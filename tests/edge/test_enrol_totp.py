"""A code application: bound by a code that it made, by who may, once; and the code that bound it opens nothing."""

import html
import re
from base64 import b32decode

import httpx2
import pyotp

from .conftest import House
from .test_invite import ROLES, alice, ask, invite, lea, session_of, user  # noqa: F401  (fixtures)
from .test_passkeys import SAME, Somebody

NAVIGATE = {"sec-fetch-mode": "navigate", "accept": "text/html"}


async def begun(who: Somebody) -> tuple[str, str]:
    """The ceremony and the secret that the page shows."""
    page = await who.pages.post("/.gateway/enrol/totp", headers=who.session | SAME | NAVIGATE)
    return shown(page.text)


def shown(page: str) -> tuple[str, str]:
    ceremony = re.search(r'name="ceremony" value="([^"]+)"', page)
    secret = re.search(r'class="secret">([A-Z2-7 ]+)<', page)
    assert ceremony and secret and "<svg" in page
    return html.unescape(ceremony[1]), secret[1].replace(" ", "")


async def finish(who: Somebody, ceremony: str, code: str) -> httpx2.Response:
    said = {"ceremony": ceremony, "code": code}
    return await who.pages.post("/.gateway/enrol/totp/verify", data=said, headers=who.session | SAME | NAVIGATE)


def code_of(secret: str, house: House) -> str:
    return pyotp.TOTP(secret).at(int(house.clock.now()))


async def test_who_is_invited_binds_one_and_it_is_young(alice: Somebody, lea: Somebody) -> None:  # noqa: F811
    await invite(alice, await ask(lea), yes="1")
    ceremony, secret = await begun(lea)
    code = code_of(secret, lea.house)
    assert (await finish(lea, ceremony, code)).status_code == 303
    assert await lea.house.factors.kinds(await user(lea)) == ("totp",)
    used = await lea.post("/.gateway/step-up/totp", {"code": code})
    assert used.json()["type"].endswith("code_used")
    lea.house.clock.forward(30)
    assert (await lea.post("/.gateway/step-up/totp", {"code": code_of(secret, lea.house)})).status_code == 200
    assert [proof.bound for proof in await lea.proofs()] == ["remote"]
    assert secret not in str(lea.house.ledger)


async def test_a_wrong_code_shows_the_same_secret_again(alice: Somebody) -> None:  # noqa: F811
    ceremony, secret = await begun(alice)
    wrong = await finish(alice, ceremony, "000000" if code_of(secret, alice.house) != "000000" else "111111")
    assert wrong.status_code == 403
    again, same = shown(wrong.text)
    assert same == secret and again != ceremony
    assert len(b32decode(secret)) == 20
    assert (await finish(alice, again, code_of(secret, alice.house))).status_code == 303


async def test_a_ceremony_serves_once_and_its_person_alone(alice: Somebody) -> None:  # noqa: F811
    ceremony, secret = await begun(alice)
    code = code_of(secret, alice.house)
    assert (await finish(alice, ceremony, code)).status_code == 303
    assert (await finish(alice, ceremony, code)).status_code == 403


async def test_without_an_invitation_nothing_is_shown(lea: Somebody) -> None:  # noqa: F811
    page = await lea.pages.post("/.gateway/enrol/totp", headers=lea.session | SAME)
    assert page.json()["type"].endswith("invitation_required")


async def test_without_a_fresh_confirmation_nothing_is_shown(pages: httpx2.AsyncClient, house: House) -> None:
    page = await pages.post("/.gateway/enrol/totp", headers=await house.cookie() | SAME)
    assert page.status_code == 401
