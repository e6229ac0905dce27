"""A first factor: asked for, invited by somebody else who has just confirmed, bound once, and young."""

import re
from dataclasses import replace

import httpx2
import pytest
from authenticator import Authenticator

from gateway.core.policy import RoleRule

from .conftest import ISSUER, ORIGIN, House
from .test_passkeys import ENROL, SAME, Somebody

NAVIGATE = {"sec-fetch-mode": "navigate", "accept": "text/html"}
INVITE = "/.gateway/invite"
ROLES = (RoleRule("referent", "agency", "sub-alice", ("agency",)),)


async def session_of(house: House, sub: str, partner: str = "agency") -> dict[str, str]:
    cookie = await house.sessions.open(issuer=ISSUER, sub=sub, partner=partner, name=f"Name of {sub}", login=sub)
    return {"cookie": f"__Host-gateway={cookie}"}


@pytest.fixture
async def alice(pages: httpx2.AsyncClient, house: House) -> Somebody:
    """A referent who has just confirmed."""
    house.policy = replace(house.policy, roles=ROLES)
    alice = Somebody(pages, house, await house.cookie())
    await alice.confirm_by_code()
    return alice


@pytest.fixture
async def lea(pages: httpx2.AsyncClient, house: House) -> Somebody:
    """Somebody new, without a factor."""
    return Somebody(pages, house, await session_of(house, "sub-lea"))


async def ask(who: Somebody) -> str:
    answer = await who.pages.post("/.gateway/enrol/ask", headers=who.session | SAME | NAVIGATE)
    (code,) = re.findall(r"<code>([A-Z]{4}-[A-Z]{4})</code>", answer.text)
    return str(code)


async def invite(who: Somebody, code: str, **more: str) -> httpx2.Response:
    return await confirming(who, {"code": code, **more})


async def confirming(who: Somebody, data: dict[str, str]) -> httpx2.Response:
    """Post a form, and where the page asks to confirm just this, confirm with the next code and post it again."""
    answer = await who.pages.post(INVITE, data=data, headers=who.session | SAME | NAVIGATE)
    asked = re.search(r'name="challenge" value="([^"]+)"', answer.text)
    if asked is None:
        return answer
    who.house.clock.forward(30)
    confirmed = await who.post("/.gateway/step-up/totp", {"code": who.house.code(), "challenge": asked[1]})
    assert confirmed.status_code == 200, confirmed.text
    return await who.pages.post(INVITE, data=data, headers=who.session | SAME | NAVIGATE)


async def test_who_is_invited_binds_one_factor_and_it_is_young(alice: Somebody, lea: Somebody) -> None:
    assert (await lea.post(f"{ENROL}/options")).json()["type"].endswith("invitation_required")
    code = await ask(lea)
    shown = await invite(alice, code)
    assert "Name of sub-lea" in shown.text and await lea.house.invitations.waiting(await user(lea)) is None
    assert "10 files in two days" in (await invite(alice, code, yes="1")).text
    page = await lea.pages.get("/.gateway/enrol", headers=lea.session | NAVIGATE)
    assert "You are invited" in page.text
    key = Authenticator(ORIGIN)
    assert (await lea.add(key)).status_code == 200
    (one,) = await lea.house.passkeys.of(await user(lea))
    assert one.bound == "remote"
    assert (await lea.post(f"{ENROL}/options")).status_code == 401
    reasons = [one.get("reason") for one in lea.house.ledger]
    assert [reasons.count(one) for one in ("invitation_asked", "invited", "factor_bound")] == [1, 1, 1]
    await lea.touch(key)
    assert [proof.bound for proof in await lea.proofs()] == ["remote"]


async def user(who: Somebody) -> str:
    caller = await who.house.caller(who.session)
    assert caller is not None
    return caller.user


async def test_who_has_no_role_invites_nobody(pages: httpx2.AsyncClient, house: House, lea: Somebody) -> None:
    alice = Somebody(pages, house, await house.cookie())
    await alice.confirm_by_code()
    answer = await pages.post(INVITE, data={"code": await ask(lea), "yes": "1"}, headers=alice.session | SAME)
    assert answer.json()["type"].endswith("role_required")
    assert await house.invitations.waiting(await user(lea)) is None


async def bare(who: Somebody, **data: str) -> httpx2.Response:
    return await who.pages.post(INVITE, data=data, headers=who.session | SAME | NAVIGATE)


@pytest.mark.parametrize(("language", "words"), [("en", "Invite Name of sub-lea"), ("fr", "Inviter Name of sub-lea")])
async def test_a_referent_confirms_this_very_invitation(
    alice: Somebody, lea: Somebody, language: str, words: str
) -> None:
    code = await ask(lea)
    alice.session["accept-language"] = language
    asked = await bare(alice, code=code, yes="1")
    assert (asked.status_code, words in asked.text) == (401, True)
    assert await alice.house.invitations.waiting(await user(lea)) is None


async def test_what_was_confirmed_for_one_invites_nobody_else_nor_twice_nor_in_person(
    alice: Somebody, lea: Somebody, pages: httpx2.AsyncClient
) -> None:
    other = Somebody(pages, alice.house, await session_of(alice.house, "sub-max"))
    codes = await ask(lea), await ask(other)
    asked = re.search(r'name="challenge" value="([^"]+)"', (await bare(alice, code=codes[0], yes="1")).text)
    assert asked is not None
    alice.house.clock.forward(30)
    said = {"code": alice.house.code(), "challenge": asked[1]}
    assert (await alice.post("/.gateway/step-up/totp", said)).status_code == 200
    assert (await bare(alice, code=codes[1], yes="1")).status_code == 401
    assert (await bare(alice, code=codes[0], yes="1", here="1")).status_code == 401
    assert (await bare(alice, code=codes[0], yes="1")).status_code == 200
    assert (await bare(alice, code=codes[0], yes="1")).status_code == 401


async def test_a_confirmation_waits_five_minutes_for_its_invitation(alice: Somebody, lea: Somebody) -> None:
    code = await ask(lea)
    asked = re.search(r'name="challenge" value="([^"]+)"', (await bare(alice, code=code, yes="1")).text)
    assert asked is not None
    alice.house.clock.forward(30)
    await alice.post("/.gateway/step-up/totp", {"code": alice.house.code(), "challenge": asked[1]})
    alice.house.clock.forward(301)
    assert (await bare(alice, code=code, yes="1")).status_code == 401


async def test_a_referent_invites_nobody_of_another_partner(alice: Somebody, pages: httpx2.AsyncClient) -> None:
    stranger = Somebody(pages, alice.house, await session_of(alice.house, "sub-max", "mission"))
    answer = await invite(alice, await ask(stranger), yes="1")
    unknown = await invite(alice, "BBBB-BBBB", yes="1")
    assert answer.status_code == unknown.status_code == 403
    assert await alice.house.invitations.waiting(await user(stranger)) is None


async def test_who_has_lost_what_they_confirm_with_is_vouched_for_by_two_in_person(
    alice: Somebody, lea: Somebody, house: House
) -> None:
    await house.factors.enrol_totp(await user(lea), b"another secret of 20")
    code = await ask(lea)
    assert "says that it is lost" in (await invite(alice, code)).text
    assert "needs one more" in (await invite(alice, code, yes="1", here="1")).text
    assert (await lea.post(f"{ENROL}/options")).json()["type"].endswith("proof_required")
    assert "passkey-add" not in (await lea.pages.get("/.gateway/enrol", headers=lea.session | NAVIGATE)).text
    assert await house.invitations.invite(await user(lea), by="u_o", role="officer", in_person=True) == "vouched"
    assert (await lea.add(Authenticator(ORIGIN))).status_code == 200
    (one,) = await house.passkeys.of(await user(lea))
    assert one.bound == "vouched"
    assert await house.factors.kinds(await user(lea)) == ("totp", "webauthn")
    assert (await lea.post(f"{ENROL}/options")).status_code == 401


async def test_from_afar_nobody_is_let_add_to_what_is_there(alice: Somebody, lea: Somebody, house: House) -> None:
    await house.factors.enrol_totp(await user(lea), b"another secret of 20")
    code = await ask(lea)
    await invite(alice, code, yes="1")
    assert await house.invitations.invite(await user(lea), by="u_o", role="officer", in_person=True) == "remote"
    assert (await lea.post(f"{ENROL}/options")).status_code == 401
    assert (await lea.pages.post("/.gateway/enrol/totp", headers=lea.session | SAME)).status_code == 401


@pytest.mark.parametrize("path", [INVITE, "/.gateway/enrol/ask"])
async def test_another_site_asks_for_and_makes_none(alice: Somebody, lea: Somebody, path: str) -> None:
    code = await ask(lea)
    headers = alice.session | {"sec-fetch-site": "cross-site"}
    answer = await alice.pages.post(path, data={"code": code, "yes": "1"}, headers=headers)
    assert answer.json()["type"].endswith("bad_origin")
    assert await alice.house.invitations.waiting(await user(lea)) is None


async def test_what_a_ripe_factor_adds_is_ripe_however_that_one_was_bound(alice: Somebody, lea: Somebody) -> None:
    await invite(alice, await ask(lea), yes="1")
    first = Authenticator(ORIGIN)
    await lea.add(first)
    page = await lea.pages.get("/.gateway/enrol", headers=lea.session | NAVIGATE)
    assert "opens only a part" in page.text
    lea.house.clock.forward(48 * 3600)
    lea.session = await session_of(lea.house, "sub-lea")
    await lea.touch(first)
    assert (await lea.add(Authenticator(ORIGIN), "second")).status_code == 200
    assert [one.bound for one in await lea.house.passkeys.of(await user(lea))] == ["remote", "own"]
    page = await lea.pages.get("/.gateway/enrol", headers=lea.session | NAVIGATE)
    assert "opens only a part" not in page.text


async def test_what_is_bound_while_all_only_observes_is_ripe(house: House) -> None:
    house.observing = True
    async with house.client() as pages:
        lea = Somebody(pages, house, await session_of(house, "sub-lea"))
        await house.invitations.invite(await user(lea), by="u_ref", role="referent", in_person=False)
        await lea.add(Authenticator(ORIGIN))
    assert [one.bound for one in await house.passkeys.of(await user(lea))] == ["own"]
