"""A person who types an e-mail address instead of looking through a list; without script, by the keyboard alone."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser
from running_demo import RunningDemo
from test_journey_browser import ENGLISH, FRENCH, Visitor, Words

from gateway.__main__ import main


def _typed(browser: Browser, demo: RunningDemo, words: Words) -> list[str]:
    context = browser.new_context(locale=words.locale, java_script_enabled=False)
    context.set_default_timeout(60_000)
    visitor = Visitor(demo, context, "camille", words)
    page, wanted = visitor.page, f"{demo.gateway}/recherche?q=MARTIN"
    page.goto(wanted)
    page.fill("input[name=email]", "camille@nowhere.example")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    visitor.errors.clear()  # the 404 that was asked for
    page.fill("input[name=email]", f"Camille@{visitor.user['partner']}.example")
    page.keyboard.press("Enter")
    page.fill("input[name=login]", visitor.user["login"])
    page.fill("input[name=password]", visitor.user["password"])
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: url == wanted or url.startswith(f"{demo.gateway}/.gateway/notices"))
    visitor.cookie()
    context.close()
    return visitor.errors


@pytest.mark.parametrize("words", [FRENCH, ENGLISH], ids=["fr", "en"])
def test_an_address_leads_to_the_partner_and_to_what_was_wanted(
    running: RunningDemo,
    browser: Callable[..., Any],
    words: Words,
) -> None:
    assert browser(_typed, running, words) == []


def test_the_demo_s_partners_are_set_up_rightly(running: RunningDemo, capsys: pytest.CaptureFixture[str]) -> None:
    for partner in running.told["partners"]:
        with pytest.raises(SystemExit) as ended:
            main(["partner", "check", partner["id"], "--config", running.told["config"]])
        assert ended.value.code == 0
    assert capsys.readouterr().out.count("its people can sign in") == 2
