"""A person at a browser: sign in, search, open a file, confirm in place; in French, in English, without script."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request
from running_demo import PERIOD_S, RunningDemo
from stack import until

from gateway.commands.ledger_access import desk
from gateway.config import load
from gateway.demo.cast import user_id
from gateway.edge.cookies import SESSION
from gateway.stores import keys
from gateway.stores.passkeys import Passkeys

MASKED = "xMASKx"


@dataclass(frozen=True)
class Words:
    """What the pages say."""

    locale: str
    confirm: str
    wrong: str
    numbers: str
    used: str
    gone: str


FRENCH = Words(
    "fr-FR",
    "Confirmez que c'est vous",
    "Le code n'est pas bon",
    "Numéros de sécurité sociale",
    "{} sur {}",
    "déconnecté ici et chez",
)
ENGLISH = Words(
    "en-GB",
    "Confirm it is you",
    "The code is not right",
    "Social security numbers",
    "{} of {}",
    "signed out here and at",
)

STORIES = [("camille", FRENCH, True), ("sacha", ENGLISH, True), ("noor", FRENCH, False)]


@dataclass
class Visitor:
    """One person at one browser. ``errors``: what its console complained of, beside refusals that were asked for."""

    demo: RunningDemo
    context: BrowserContext
    login: str
    words: Words
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        told = self.demo.told
        self.user = next(one for one in told["users"] if one["login"] == self.login)
        self.page = self.open()

    def open(self) -> Page:
        """A new tab."""
        page = self.context.new_page()
        page.on("console", lambda said: self._hear(said.type, said.text))
        page.on("pageerror", lambda fault: self.errors.append(str(fault)))
        return page

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.errors.append(text)

    def code(self, *, wrong: bool = False) -> str:
        """A code of theirs that no journey has typed: each is good once (RFC 6238, 5.2), and so is the next step's."""
        totp, now = pyotp.TOTP(self.user["totp_secret"]), int(time.time())
        if wrong:
            good = [totp.at(now + step * PERIOD_S) for step in range(-2, 3)]
            return next(code for number in range(10) if (code := f"{number:06d}") not in good)
        step = max(now // PERIOD_S, self.demo.typed.get(self.login, 0) + 1)
        until(lambda: step <= time.time() // PERIOD_S + 1, what="the step of a code that is unused")
        self.demo.typed[self.login] = step
        code = totp.at(step * PERIOD_S)
        self.demo.secrets[code] = "code"
        return code

    def cookie(self) -> dict[str, Any]:
        """The session's cookie."""
        (found,) = [one for one in self.context.cookies() if one["name"] == SESSION]
        self.demo.secrets[found["value"]] = "session"
        return dict(found)

    def sign_in(self) -> None:
        page = self.page
        page.goto(f"{self.demo.gateway}/recherche?q=MARTIN")
        assert page.url.startswith(f"{self.demo.gateway}/.gateway/sign-in")
        at = {"relais-emploi": "Relais Emploi", "cap-insertion": "Cap Insertion"}[self.user["partner"]]
        page.get_by_role("link", name=at).click()
        page.fill("input[name=login]", self.user["login"])
        page.fill("input[name=password]", self.user["password"])
        page.press("input[name=password]", "Enter")
        wanted, notices = f"{self.demo.gateway}/recherche?q=MARTIN", f"{self.demo.gateway}/.gateway/notices"
        page.wait_for_url(lambda url: url == wanted or url.startswith(notices))
        if page.url.startswith(notices):  # what changed since the last time is seen first
            page.locator("form[action$='/notices'] button").click()
        # Where the person wanted to go, the search's words included.
        page.wait_for_url(wanted)
        cookie = self.cookie()
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")
        assert (cookie["path"], cookie["domain"], cookie["expires"]) == ("/", "localhost", -1)

    def confirm(self, code: str) -> None:
        """Type a code into the page that asks for one."""
        self.page.fill("input[name=code]", code)
        self.page.press("input[name=code]", "Enter")

    def sign_out(self) -> None:
        """Here, then at the partner, which is shown whose session ends and asks nothing; and back."""
        page = self.page
        page.locator("form[action$='/sign-out'] button").click()
        page.wait_for_url(f"{self.demo.gateway}/.gateway/signed-out?state=*")
        assert self.words.gone in page.locator("p.lead").inner_text()
        assert SESSION not in [one["name"] for one in self.context.cookies()]


def numbers_used(visitor: Visitor) -> int:
    """How many numbers of an hour's sixty somebody has seen: other journeys may have been theirs."""
    page, words = visitor.open(), visitor.words
    page.goto(f"{visitor.demo.gateway}/.gateway/account")
    limit = page.locator("li").filter(has_text=words.numbers).first
    used = int(limit.locator("meter").get_attribute("value") or -1)
    assert words.used.format(used, 60) in limit.inner_text()
    page.close()
    return used


def _story(browser: Browser, demo: RunningDemo, login: str, words: Words, script: bool) -> list[str]:
    context = browser.new_context(locale=words.locale, java_script_enabled=script)
    context.set_default_timeout(60_000)
    visitor = Visitor(demo, context, login, words)
    page = visitor.page
    asked: list[Request] = []
    page.on("request", lambda one: asked.append(one))
    visitor.sign_in()
    used = numbers_used(visitor)

    page.locator("a[href^='/dossiers/']").last.click()
    page.wait_for_url("**/dossiers/*")
    record, number = page.url, int(page.url.rpartition("/")[2])
    assert demo.seen(page.content().encode()) == set()
    assert MASKED in page.locator("#nir").inner_text()
    other = visitor.open()
    other.goto(f"{demo.gateway}/recherche?q=DA")

    before = visitor.cookie()["value"]
    answer = page.goto(f"{record}/modifier")
    assert answer is not None
    # The page that asks stands in place: the address is what the person wanted.
    assert (answer.status, page.url) == (401, f"{record}/modifier")
    assert page.get_by_role("heading", name=words.confirm).is_visible()
    assert demo.seen(page.content().encode()) == set()
    visitor.confirm(visitor.code(wrong=True))
    page.get_by_role("alert").filter(has_text=words.wrong).wait_for()
    visitor.confirm(visitor.code())
    page.locator("input[name=nir]").wait_for()
    assert page.url == f"{record}/modifier"
    assert page.input_value("input[name=nir]") == demo.nirs[number]
    assert visitor.cookie()["value"] != before

    answer = other.reload()
    assert answer is not None
    assert (answer.status, other.url) == (200, f"{demo.gateway}/recherche?q=DA")

    assert numbers_used(visitor) == used + 1
    page.goto(f"{demo.gateway}/.gateway/account")
    visitor.sign_out()
    page.goto(f"{demo.gateway}/recherche")
    assert page.url.startswith(f"{demo.gateway}/.gateway/sign-in")
    # No address holds what is secret.
    assert demo.seen(*(one.url.encode() for one in asked)) == set()
    assert [one.url for one in asked for secret in demo.secrets if secret in one.url] == []
    context.close()
    return visitor.errors


@pytest.mark.parametrize(("login", "words", "script"), STORIES, ids=[one[0] for one in STORIES])
def test_a_person_opens_a_file_at_a_browser(
    running: RunningDemo, browser: Callable[..., Any], login: str, words: Words, script: bool
) -> None:
    errors = browser(_story, running, login, words, script)
    # A browser says so itself when a page is a 401 or a 403.
    unexpected = [one for one in errors if "status of 401" not in one and "status of 403" not in one]
    assert unexpected == []


def ripen(demo: RunningDemo, login: str) -> None:
    """Let three days pass for the passkeys of somebody."""
    settings = load(demo.config)
    user = user_id(settings, demo.keyring, login)

    async def work() -> None:
        async with desk(settings) as at_desk:
            for one in await Passkeys(at_desk.store, at_desk.keys).of(user):
                await at_desk.store.call("HSET", keys.factor(one.factor_id), "bound_at", repr(at_desk.now - 3 * 86_400))

    asyncio.run(work())


def _passkey_story(browser: Browser, demo: RunningDemo, login: str, words: Words) -> list[str]:
    context = browser.new_context(locale=words.locale)
    context.set_default_timeout(60_000)
    visitor = Visitor(demo, context, login, words)
    page = visitor.page
    devtools = context.new_cdp_session(page)
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
    visitor.sign_in()

    page.goto(f"{demo.gateway}/.gateway/account")
    page.locator("a[href='/.gateway/enrol']").click()
    assert page.locator("form.passkey-add").count() == 0
    page.locator("a[href='/.gateway/enrol?change']").click()
    assert page.locator("form.passkey").is_hidden()
    visitor.confirm(visitor.code())
    page.fill("input[name=name]", "Blue key")
    page.locator("form.passkey-add button").click()
    page.get_by_text("Blue key").wait_for()
    page.goto(f"{demo.gateway}/.gateway/account")
    visitor.sign_out()
    visitor.sign_in()

    page.locator("a[href^='/dossiers/']").first.click()
    page.wait_for_url("**/dossiers/*")
    record, number = page.url, int(page.url.rpartition("/")[2])
    assert MASKED in page.locator("#nir").inner_text()
    answer = page.goto(f"{record}/modifier")
    assert answer is not None and answer.status == 401
    page.locator("form.passkey button").wait_for()
    # What was used last on this device has the focus.
    assert page.evaluate("document.activeElement.id") == "code"
    page.locator("form.passkey button").click()
    page.locator("input[name=nir]").wait_for()
    assert page.url == f"{record}/modifier"
    other = visitor.open()
    other.goto(f"{demo.gateway}/.gateway/step-up")
    other.locator("form.passkey button:focus").wait_for()
    assert page.input_value("input[name=nir]") == demo.nirs[number]
    page.goto(record)
    assert demo.nirs[number] in page.locator("#nir").inner_text().replace(" ", "")

    # For two days a key that was added with a code opens what a code opens; then all.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(ripen, demo, login).result()
    # An export is confirmed by itself: the page says what leaves, and the touch opens that once.
    export = f"{demo.gateway}/exports/sante.csv?limite=15"
    for _ in range(2):
        answer = page.goto(export)
        assert answer is not None and answer.status == 401
        told = page.locator("dl.facts").inner_text()
        assert all(said in told for said in ("Export santé, handicap et logement", "dossiers", "Cap Insertion")), told
        with page.expect_download() as downloading:
            page.locator("form.passkey button").click()
        lines = downloading.value.path().read_text().splitlines()
        assert (lines[0].split(";")[:2], len(lines)) == (["id", "nom"], 16)
        page.locator("#step-up-done").wait_for()
    context.close()
    return visitor.errors


def test_a_person_adds_a_passkey_and_confirms_with_one_touch(running: RunningDemo, browser: Callable[..., Any]) -> None:
    errors = browser(_passkey_story, running, "ines", FRENCH)
    assert [one for one in errors if "status of 401" not in one] == []
