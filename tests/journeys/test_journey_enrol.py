"""Somebody new, and somebody who has lost their telephone: vouched for by two, and at work in one sitting."""

from collections.abc import Callable
from typing import Any

import pyotp
from playwright.sync_api import Browser, Page
from running_demo import RunningDemo
from test_journey_browser import ENGLISH, FRENCH, MASKED, Visitor, Words
from test_journey_people import CAMILLE, NOOR, _session, confirm_act, invited

from gateway.config import load
from gateway.demo.cast import ADVISERS
from gateway.edge.cookies import SESSION

VOUCHED_AN_HOUR, FILES = 20, 25


class _Newcomer(Visitor):
    """Somebody of a partner, with a virtual authenticator in their computer."""

    def __post_init__(self) -> None:
        adviser = next(one for one in ADVISERS if one.login == self.login)
        self.user = {"login": adviser.login, "password": adviser.password, "partner": adviser.partner}
        self.page = self.open()
        devtools = self.context.new_cdp_session(self.page)
        devtools.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})

    def ask(self) -> str:
        """Ask for an invitation; gives the code to tell."""
        self.page.locator("form[action$='/enrol/ask'] button").click()
        return self.page.locator(".tell code").inner_text()

    def add_passkey(self) -> None:
        self.page.goto(f"{self.demo.gateway}/.gateway/enrol")
        self.page.locator(".done").wait_for()
        self.page.fill("input[name=name]", "Desk computer")
        with self.page.expect_navigation():
            self.page.locator("form.passkey-add button").click()
        self.page.get_by_text("Desk computer").wait_for()

    def touch(self, address: str) -> None:
        answer = self.page.goto(address)
        assert answer is not None and answer.status == 401
        self.page.locator("form.passkey button").click()


def _vouch(browser: Browser, demo: RunningDemo, cookie: str, code: str, login: str) -> str:
    """Somebody with a role, who has just confirmed, sees who it is and says that they are here."""
    context = browser.new_context(locale="fr-FR")
    context.set_default_timeout(60_000)
    context.add_cookies(
        [{"name": SESSION, "value": cookie, "domain": "localhost", "path": "/", "secure": True, "httpOnly": True}]
    )
    page = context.new_page()
    page.goto(f"{demo.gateway}/.gateway/invite")
    page.fill("input[name=code]", code)
    page.locator("form:has(input[name=code]) button").click()
    page.check("input[name=here]")
    page.locator("form:has(input[name=yes]) button").click()
    page.get_by_text("qui est devant vous").wait_for()
    adviser = next(one for one in ADVISERS if one.login == login)
    issuer = load(demo.config).partners[adviser.partner].issuer
    confirm_act(demo, cookie, "invite-here", demo.keyring.user_id(issuer, adviser.sub))
    said = invited(page)
    context.close()
    return said


def _opened(page: Page, demo: RunningDemo, numbers: list[int]) -> list[bool]:
    """Open files one after the other: whether each shows its number."""
    shown = []
    for number in numbers:
        answer = page.goto(f"{demo.gateway}/dossiers/{number}")
        assert answer is not None and answer.status == 200
        text = page.locator("#nir").inner_text()
        assert (demo.nirs[number] in text) is not (MASKED in text)
        shown.append(demo.nirs[number] in text)
    return shown


def _first_story(browser: Browser, demo: RunningDemo, words: Words, vouchers: list[str]) -> list[str]:
    context = browser.new_context(locale=words.locale)
    context.set_default_timeout(60_000)
    new = _Newcomer(demo, context, "theo", words)
    new.sign_in()
    page = new.page
    page.goto(f"{demo.gateway}/.gateway/enrol")
    code = new.ask()
    for voucher in vouchers:
        _vouch(browser, demo, voucher, code, "theo")
    new.add_passkey()

    # A code application beside it: under a touch, and with a code from its drawing.
    new.touch(f"{demo.gateway}/.gateway/enrol?change")
    page.locator("form[action$='/enrol/totp'] button").click()
    secret = page.locator("code.secret").inner_text().replace(" ", "")
    demo.secrets[secret] = "code generator"
    new.user["totp_secret"] = secret
    page.fill("input[name=code]", pyotp.TOTP(secret).now())
    page.press("input[name=code]", "Enter")
    page.locator(".ways li").nth(1).wait_for()
    page.goto(f"{demo.gateway}/.gateway/account")
    new.sign_out()

    new.sign_in()
    page.locator("a[href^='/dossiers/']").first.click()
    page.wait_for_url("**/dossiers/*")
    record, number = page.url, int(page.url.rpartition("/")[2])
    assert MASKED in page.locator("#nir").inner_text()
    new.touch(f"{record}/modifier")
    page.locator("input[name=nir]").wait_for()
    assert _opened(page, demo, [number]) == [True]
    # What is under special protection stays closed to what is so new, and the page says why.
    answer = page.goto(f"{demo.gateway}/exports/sante.csv?limite=5")
    assert answer is not None and answer.status == 401
    page.locator("form.passkey button").click()
    page.get_by_role("heading", name="trop récent").wait_for()
    context.close()
    return new.errors


def _lost_story(browser: Browser, demo: RunningDemo, words: Words, vouchers: list[str]) -> list[str]:
    context = browser.new_context(locale=words.locale)
    context.set_default_timeout(60_000)
    lost = _Newcomer(demo, context, "lucie", words)
    lost.sign_in()
    page = lost.page
    page.goto(f"{demo.gateway}/.gateway/enrol")
    assert page.locator("form.passkey-add").count() == 0
    page.locator("details summary").click()
    code = lost.ask()
    # One alone does not do: it is lost to whoever talks best.
    assert "voix" in _vouch(browser, demo, vouchers[0], code, "lucie")
    page.goto(f"{demo.gateway}/.gateway/enrol")
    assert page.locator("form.passkey-add").count() == 0
    _vouch(browser, demo, vouchers[1], code, "lucie")
    lost.add_passkey()
    lost.touch(f"{demo.gateway}/dossiers/{demo.ids[800]}/modifier")
    page.locator("input[name=nir]").wait_for()
    shown = _opened(page, demo, demo.ids[800 : 800 + FILES])
    assert shown == [True] * VOUCHED_AN_HOUR + [False] * (FILES - VOUCHED_AN_HOUR)
    context.close()
    return lost.errors


def _vouchers(demo: RunningDemo) -> list[str]:
    return [_session(demo, *one, confirmed=True) for one in (CAMILLE, NOOR)]


def test_somebody_new_is_vouched_for_and_at_work(running: RunningDemo, browser: Callable[..., Any]) -> None:
    errors = browser(_first_story, running, FRENCH, _vouchers(running))
    assert [one for one in errors if "status of 401" not in one and "status of 403" not in one] == []


def test_a_lost_telephone_is_vouched_for_by_two_and_its_person_works_on(
    running: RunningDemo, browser: Callable[..., Any]
) -> None:
    errors = browser(_lost_story, running, ENGLISH, _vouchers(running))
    assert [one for one in errors if "status of 401" not in one] == []
