"""Signing in and out at a provider that is not ours: whole, once, in the browser that began, for this sign-in alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from edge.conftest import House

from gateway.edge import sso

from .browsing import Browser, changed, form_of, refused, said
from .conftest import HERE, Counterpart, before


async def test_a_person_signs_in_and_goes_on_to_what_they_wanted(
    browser: Browser, house: House, counterpart: Counterpart
) -> None:
    flow = await house.keep_target()
    address = await browser.leave(f"/.gateway/sign-in?flow={flow}")
    assert said(address, "code_challenge_method") == "S256"
    back = await browser.at_the_partner(address)
    assert (said(back, "state"), said(back, "iss")) == (said(address, "state"), counterpart.issuer)
    answer = await browser.get(back)
    assert (answer.status_code, answer.headers["location"]) == (303, "/dossiers/7")


async def test_a_session_is_the_issuer_s_subject_s(browser: Browser, house: House, counterpart: Counterpart) -> None:
    await browser.sign_in()
    caller = await browser.caller(house)
    assert caller is not None
    assert (caller.issuer, caller.sub, caller.partner) == (counterpart.issuer, counterpart.sub, "agency")
    assert caller.user == house.keyring.user_id(counterpart.issuer, counterpart.sub)
    _, record = house.ledger
    assert (record["verdict"], record["caller"]["user"]) == ("accepted", caller.user)


async def test_what_the_partner_sends_back_works_once(browser: Browser, house: House) -> None:
    back = await browser.at_the_partner(await browser.leave())
    assert (await browser.get(back)).status_code == 303
    browser.cookies.pop("__Host-gateway")
    assert await refused(await browser.get(back), browser, house) == "the state is used"


async def test_a_code_that_was_used_serves_no_other_sign_in(browser: Browser, house: House) -> None:
    used = await browser.at_the_partner(await browser.leave())
    assert (await browser.get(used)).status_code == 303
    browser.cookies.pop("__Host-gateway")
    fresh = await browser.at_the_partner(await browser.leave())
    answer = await browser.get(changed(fresh, code=said(used, "code")))
    assert await refused(answer, browser, house) == "the partner gave no token for the code"


async def test_a_stolen_code_is_worth_nothing_in_the_thief_s_own_sign_in(
    browser: Browser, another: Browser, house: House
) -> None:
    stolen = await browser.at_the_partner(await browser.leave())
    own = await another.at_the_partner(await another.leave())
    answer = await another.get(changed(own, code=said(stolen, "code")))
    assert await refused(answer, another, house) == "the partner gave no token for the code"


async def test_the_state_of_another_browser_signs_nobody_in(browser: Browser, another: Browser, house: House) -> None:
    await browser.leave()
    planted = await another.at_the_partner(await another.leave())
    assert (await browser.get(planted)).status_code == 403 and not browser.session
    assert house.ledger == []


async def test_an_id_token_with_another_nonce_signs_nobody_in(browser: Browser, house: House) -> None:
    back = await browser.at_the_partner(changed(await browser.leave(), nonce="n" * 43))
    assert await refused(await browser.get(back), browser, house) == "the nonce is not ours"


@pytest.mark.parametrize("issuer", [None, "https://evil.example"], ids=str)
async def test_an_answer_that_does_not_name_the_issuer_signs_nobody_in(
    browser: Browser, house: House, issuer: str | None
) -> None:
    back = await browser.at_the_partner(await browser.leave())
    answer = await browser.get(changed(back, iss=issuer))
    assert await refused(answer, browser, house) == "the answer is another issuer's"


async def test_the_partner_refuses_whoever_cannot_prove_to_have_begun(browser: Browser, house: House) -> None:
    address = changed(await browser.leave(), code_challenge=None, code_challenge_method=None)
    answer = await browser.get(await browser.at_the_partner(address))
    assert await refused(answer, browser, house) == "the partner did not sign the person in"


async def test_an_algorithm_that_is_not_the_partner_s_signs_nobody_in(house: House, counterpart: Counterpart) -> None:
    other = replace(counterpart.partner, algorithms=("PS512",))
    async with before(house, counterpart, other) as browser:
        assert await refused(await browser.sign_in(), browser, house) == "the algorithm is not the partner's"


async def test_who_is_signed_in_there_types_nothing_a_second_time(browser: Browser) -> None:
    await browser.sign_in()
    browser.cookies.clear()
    assert (await browser.sign_in()).status_code == 303
    assert browser.typed == 1


async def test_signing_out_ends_the_session_here_and_there(browser: Browser, house: House) -> None:
    await browser.sign_in()
    before = {"cookie": f"__Host-gateway={browser.session}"}
    answer = await browser.post("/.gateway/sign-out")
    assert await house.caller(before) is None
    address = answer.headers["refresh"].removeprefix("0; url=")
    back = await browser.at_the_partner(address)
    assert back == f"/.gateway/signed-out?state={said(address, 'state')}"
    assert "signed out here and at Agence Sud" in (await browser.get(back)).text
    await browser.sign_in()
    assert browser.typed == 2


async def test_the_partner_believes_no_word_of_which_session_ends_but_its_own(
    browser: Browser, made_here: None
) -> None:
    await browser.sign_in()
    address = (await browser.post("/.gateway/sign-out")).headers["refresh"].removeprefix("0; url=")
    assert (await browser.status_there(address), await browser.status_there(changed(address, id_token_hint="x"))) == (
        200,
        400,
    )


async def test_with_a_hint_at_the_person_alone_it_ends_too(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, made_here: None
) -> None:
    monkeypatch.setattr(sso, "LONGEST_HINT", 100)
    await browser.sign_in()
    address = (await browser.post("/.gateway/sign-out")).headers["refresh"].removeprefix("0; url=")
    assert "id_token_hint" not in address
    assert (await browser.at_the_partner(address)).startswith("/.gateway/signed-out?state=")
    await browser.sign_in()
    assert browser.typed == 2


def test_the_lock_file_has_hashes_and_names_no_registry() -> None:
    packages = json.loads((HERE / "package-lock.json").read_bytes())["packages"]
    ours = packages.pop("")
    assert ours["dependencies"] == json.loads(Path(HERE / "package.json").read_bytes())["dependencies"]
    assert packages and all("integrity" in one and "resolved" not in one for one in packages.values())


def test_the_first_form_of_a_page_is_filled_like_a_person_would() -> None:
    page = (
        "<form id=f action=/a><input type=hidden name=x value=1><input name=who><input type=password name=p></form>"
        "<button form=f name=go value=yes>Yes</button><button form=f name=stop>No</button><form action=/b></form>"
    )
    form = form_of(page)
    assert form is not None and (form.action, form.asks) == ("/a", True)
    assert form.filled("alice", "secret") == {"x": "1", "who": "alice", "p": "secret", "go": "yes"}
