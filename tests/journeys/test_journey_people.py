"""Somebody new at work: the help desk starts, a referent signs, an officer looks after; the pages are for everybody."""

import asyncio
import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from running_demo import RunningDemo
from test_journey_accessible import _violations
from test_journey_browser import ENGLISH, FRENCH, Words

from gateway.commands.ledger_access import desk
from gateway.config import load
from gateway.core.assurance import Act, Proof
from gateway.core.extraction import Class
from gateway.edge.cookies import SESSION
from gateway.stores import keys
from gateway.stores.encoding import proof_text
from gateway.stores.sessions import Sessions

PICTURES = os.environ.get("GATEWAY_PICTURES")
SACHA = ("relais-emploi", "re-4712", "Sacha Moreau")
CAMILLE = ("relais-emploi", "re-4711", "Camille Durand")
NOOR = ("cap-insertion", "ci-0815", "Noor Lefevre")


def _session(demo: RunningDemo, partner: str, sub: str, name: str, *, confirmed: bool) -> str:
    """A session, as signing in at the partner opens it and a ripe factor confirms it."""
    settings = load(demo.config)

    async def work() -> str:
        async with desk(settings) as at_desk:
            sessions, issuer = Sessions(at_desk.store, at_desk.keys), settings.partners[partner].issuer
            cookie = await sessions.open(issuer=issuer, sub=sub, partner=partner, name=name, login=sub)
            proof = Proof(secrets.token_hex(8), "totp", at_desk.now, at_desk.keys.user_id(issuer, sub), "")
            return str(await sessions.rotate(cookie, proof)) if confirmed else cookie

    cookie = asyncio.run(work())
    demo.secrets[cookie] = "session"
    return cookie


def confirm_act(demo: RunningDemo, cookie: str, act: str, whom: str) -> None:
    """What a ripe factor makes of the page that asks to confirm one act on one user."""
    settings = load(demo.config)

    async def work() -> None:
        async with desk(settings) as at_desk:
            said = await at_desk.store.call("HMGET", keys.session(at_desk.keys.token_hash(cookie)), "family", "sees")
            family, sees = said[0].decode(), int(said[1])
            done = Act(demo.keyring.request_hash(act.encode(), demo.host, whom.encode()), Class.PUBLIC)
            proof = Proof(secrets.token_hex(8), "totp", at_desk.now, "", family, act=done)
            await at_desk.store.call("HSET", keys.proofs(family), proof.id, f"{sees}:".encode() + proof_text(proof))

    with ThreadPoolExecutor(1) as thread:  # the browser's own thread has a loop already
        thread.submit(lambda: asyncio.run(work())).result()


def invited(page: Page) -> str:
    """Send the form again that a confirmation interrupted, until a worker knows of it: what the page says then."""
    for _ in range(100):
        with page.expect_navigation():
            page.locator("#again").evaluate("form => form.submit()")
        if page.locator(".done[role=status]:not([hidden])").count():
            return page.locator(".done").inner_text()
    raise AssertionError("never invited")


class _Tour:
    """One person after another at one small window; what axe-core and the width say of each page."""

    def __init__(self, browser: Browser, demo: RunningDemo, words: Words, scheme: Any) -> None:
        self.browser, self.demo, self.words, self.scheme = browser, demo, words, scheme
        self.found: list[str] = []

    def sit(self, cookie: str) -> Page:
        context = self.browser.new_context(
            locale=self.words.locale, color_scheme=self.scheme, viewport={"width": 320, "height": 640}
        )
        context.set_default_timeout(60_000)
        context.add_cookies(
            [{"name": SESSION, "value": cookie, "domain": "localhost", "path": "/", "secure": True, "httpOnly": True}]
        )
        return context.new_page()

    def open(self, page: Page, name: str) -> None:
        page.goto(f"{self.demo.gateway}/.gateway/{name}")
        self.look(page, name)

    def press(self, page: Page, button: str, name: str) -> None:
        page.locator(button).click()
        self.look(page, name)

    def look(self, page: Page, name: str) -> None:
        self.found += _violations(page)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            self.found.append(f"{name}: wider than 320 px")
        if PICTURES:
            language = self.words.locale[:2]
            page.screenshot(path=str(Path(PICTURES) / f"{language}-{name}.png"), full_page=True)


def _story(
    browser: Browser,
    demo: RunningDemo,
    words: Words,
    scheme: Any,
    sub: str,
    cookies: list[str],
) -> list[str]:
    tour = _Tour(browser, demo, words, scheme)
    new, help_desk, referent, officer = map(tour.sit, cookies)
    tour.open(new, "enrol")
    new.fill("input[name=code]", "AAAA-BBBB-CCCC-DDDD")
    tour.press(new, "form[action$='/enrol/letter'] button", "letter-wrong")
    tour.press(new, "form[action$='/enrol/ask'] button", "asked")
    code = new.locator(".tell code").inner_text()

    tour.open(help_desk, "account")
    tour.open(help_desk, "people")
    help_desk.fill("input[name=code]", code)
    tour.press(help_desk, "form:has(input[name=code]) button", "people-new")
    assert help_desk.locator("button[value=freeze]").count() == 0
    tour.press(help_desk, "button[value=start]", "people-started")

    tour.open(referent, "invite")
    tour.press(referent, ".ways li:has-text('Léa Roy') button", "invite-who")
    tour.press(referent, "form:has(input[name=yes]) button", "invite-confirm")
    issuer = load(demo.config).partners["relais-emploi"].issuer
    confirm_act(demo, cookies[2], "invite", demo.keyring.user_id(issuer, sub))
    invited(referent)
    tour.look(referent, "invite-done")
    tour.open(new, "enrol")
    new.locator(".done").wait_for()

    tour.open(officer, "people")
    officer.fill("input[name=login]", "nobody")
    tour.press(officer, "form:has(input[name=login]) button", "people-unknown")
    officer.fill("input[name=login]", sub)
    officer.select_option("select[name=partner]", "relais-emploi")
    tour.press(officer, "form:has(input[name=login]) button", "people-known")
    tour.press(officer, "button[value=freeze]", "people-frozen")
    tour.press(officer, "button[value=unfreeze]", "people-unfrozen")
    tour.press(officer, "button[value=end]", "people-ended")
    for page in (new, help_desk, referent, officer):
        page.context.close()
    return tour.found


@pytest.mark.parametrize(("words", "scheme"), [(FRENCH, "light"), (ENGLISH, "dark")], ids=["light", "dark"])
def test_the_help_desk_starts_a_referent_signs_an_officer_looks_after(
    running: RunningDemo,
    browser: Callable[..., Any],
    words: Words,
    scheme: str,
) -> None:
    sub = f"re-{secrets.token_hex(4)}"
    cookies = [_session(running, "relais-emploi", sub, "Léa Roy", confirmed=False)]
    cookies += [_session(running, *one, confirmed=True) for one in (SACHA, CAMILLE, NOOR)]
    assert browser(_story, running, words, scheme, sub, cookies) == []
