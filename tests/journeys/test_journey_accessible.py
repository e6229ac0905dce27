"""Our pages, light and dark: no violation of WCAG 2.2 AA that axe-core sees, and nothing wider than 320 px."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from running_demo import RunningDemo
from test_journey_browser import ENGLISH, FRENCH, Visitor, Words, browser  # noqa: F401  (a fixture)

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PAGES = (
    "account",
    "enrol",
    "enrol?change",
    "step-up",
    "step-up?code=BBBB-BBBB",
    "recovery",
    "invite",
    "kept?id=abc",
    "answers?id=abc",
    "signed-out",
    "nowhere",
)


def _violations(page: Page) -> list[str]:
    """What axe-core has against a page."""
    script = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    page.evaluate(f"{script};0")
    found = page.evaluate("tags => axe.run({runOnly: {type: 'tag', values: tags}})", TAGS)
    return [f"{page.url}: {one['id']}: {one['nodes'][0]['html']}" for one in found["violations"]]


def _look(browser: Browser, demo: RunningDemo, words: Words, scheme: Any) -> list[str]:  # noqa: F811
    context = browser.new_context(locale=words.locale, color_scheme=scheme, viewport={"width": 320, "height": 640})
    context.set_default_timeout(15_000)
    visitor = Visitor(demo, context, "camille", words)
    page, found = visitor.page, []
    page.goto(f"{demo.gateway}/.gateway/sign-in")
    found += _violations(page)
    visitor.sign_in()
    for name in PAGES:
        page.goto(f"{demo.gateway}/.gateway/{name}")
        found += _violations(page)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{page.url}: wider than 320 px")
    context.close()
    return found


@pytest.mark.parametrize(("words", "scheme"), [(FRENCH, "light"), (ENGLISH, "dark")], ids=["light", "dark"])
def test_pages_are_accessible(
    running: RunningDemo,
    browser: Callable[..., Any],  # noqa: F811
    words: Words,
    scheme: str,
) -> None:
    assert browser(_look, running, words, scheme) == []
