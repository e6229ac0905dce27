"""A legacy page asks for a record by script: it waits, a small window confirms, and the page never knew."""

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from running_demo import RunningDemo
from test_journey_browser import ENGLISH, FRENCH, Visitor, Words

BAR = "[role=alertdialog]"


def executed(demo: RunningDemo) -> int:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{demo.upstream}/compteur") as answer:
        said: int = json.load(answer)["requetes_non_sures"]
        return said


def _ask(page: Page, number: int, button: str) -> None:
    page.fill("#numero", str(number))
    page.click(button)
    page.locator(BAR).wait_for()


def _confirm(visitor: Visitor, page: Page) -> str:
    """Confirm in the window that the bar opens; gives its address."""
    with page.expect_popup() as opening:
        page.locator(f"{BAR} button").first.click()
    window = opening.value
    window.locator("input[name=code]").wait_for()
    address = window.url
    window.fill("input[name=code]", visitor.code())
    with window.expect_event("close"):
        window.press("input[name=code]", "Enter")
    return address


def _story(browser: Browser, demo: RunningDemo, login: str, words: Words, host: str) -> list[str]:
    context = browser.new_context(locale=words.locale)
    context.set_default_timeout(60_000)
    visitor = Visitor(demo, context, login, words)
    page = visitor.page
    visitor.sign_in()
    origin = f"http://{host}{demo.host.partition('localhost')[2]}"
    page.goto(f"{origin}/consultation")
    assert page.url == f"{origin}/consultation"
    assert page.locator(BAR).count() == 0

    first, second, third = demo.ids[700:703]
    _ask(page, first, "#consultation input[type=submit]")
    assert page.locator("#resultat").inner_text() == "…"
    assert _confirm(visitor, page).startswith(f"{demo.gateway}/.gateway/step-up?flow=")
    page.locator("#resultat").filter(has_text=demo.nirs[first]).wait_for()
    assert page.locator(BAR).count() == 0

    # Confirmed once for a while: an old poste's XMLHttpRequest passes as well, and what is saved is saved once.
    page.fill("#numero", str(second))
    page.click("#ancien")
    page.locator("#resultat").filter(has_text=demo.nirs[second]).wait_for()
    before = executed(demo)
    page.fill("#numero", str(third))
    page.click("#enregistrer")
    page.locator("#resultat").filter(has_text="Enregistré").wait_for()
    assert executed(demo) == before + 1
    assert page.url == f"{origin}/consultation"
    context.close()
    return visitor.errors


def _old_story(browser: Browser, demo: RunningDemo, login: str, words: Words) -> None:
    """Not now; then an XMLHttpRequest and a save that wait for the confirmation, each sent on once."""
    context = browser.new_context(locale=words.locale)
    context.set_default_timeout(60_000)
    visitor = Visitor(demo, context, login, words)
    page = visitor.page
    visitor.sign_in()
    page.goto(f"{demo.gateway}/consultation")
    first, second = demo.ids[710:712]
    _ask(page, first, "#ancien")
    page.keyboard.press("Escape")
    page.locator("#resultat").filter(has_text="Erreur 401").wait_for()
    before = executed(demo)
    _ask(page, second, "#enregistrer")
    assert executed(demo) == before
    _confirm(visitor, page)
    page.locator("#resultat").filter(has_text="Enregistré").wait_for()
    assert executed(demo) == before + 1
    context.close()


def _shown_story(browser: Browser, demo: RunningDemo, login: str, words: Words, show: str) -> None:
    context = browser.new_context(locale=words.locale)
    context.set_default_timeout(60_000)
    visitor = Visitor(demo, context, login, words)
    page = visitor.page
    visitor.sign_in()
    number = demo.ids[720]
    page.goto(f"{demo.gateway}/dossiers/{number}")
    assert page.locator("#nir").inner_text().partition("xMASKx")[1]
    with page.expect_popup() as opening:
        page.locator("#nir").get_by_role("button", name=show).click()
    window = opening.value
    window.fill("input[name=code]", visitor.code())
    window.press("input[name=code]", "Enter")
    page.locator("#nir").filter(has_text=demo.nirs[number]).wait_for()
    # What asks for a confirmation of its own stays hidden, and nothing is offered that would not help.
    assert page.get_by_role("button", name=show).count() == 0
    context.close()


@pytest.mark.parametrize(
    ("login", "words", "host"),
    [("camille", FRENCH, "localhost"), ("sacha", ENGLISH, "guichet.localhost")],
    ids=["same-host", "second-host"],
)
def test_a_script_of_a_legacy_page_waits_for_the_confirmation(
    running: RunningDemo, browser: Callable[..., Any], login: str, words: Words, host: str
) -> None:
    errors = browser(_story, running, login, words, host)
    assert [one for one in errors if "status of 401" not in one] == []


def test_not_now_gives_the_page_its_answer_and_a_save_that_waited_is_done_once(
    running: RunningDemo, browser: Callable[..., Any]
) -> None:
    browser(_old_story, running, "noor", FRENCH)


def test_a_hidden_value_is_shown_after_one_confirmation(running: RunningDemo, browser: Callable[..., Any]) -> None:
    browser(_shown_story, running, "ines", ENGLISH, "Show")
