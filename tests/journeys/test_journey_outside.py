"""A file of another agency, in a real browser: asked why in place of it, by keyboard alone, and then it is there."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser
from stack import CODES_OPEN_ALL, Stack, demo_application, least_privilege, running_stack

from gateway.edge.cookies import SESSION
from gateway.stores.sessions import Sessions

WHY = "remplace une collègue de Lyon cette semaine"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    changes = {"policy.toml": {**CODES_OPEN_ALL, **least_privilege()}}
    with demo_application() as (upstream, _), running_stack(upstream, changes=changes) as running:
        yield running


def _story(browser: Browser, stack: Stack, cookie: str, script: bool) -> list[str]:
    """The headings that somebody meets on the way to a file of another agency."""
    at = f"http://localhost:{stack.port}"
    context = browser.new_context(locale="fr-FR", java_script_enabled=script)
    context.set_default_timeout(60_000)
    secure = at.replace("http:", "https:")  # a cookie with this name is made nowhere else
    context.add_cookies([{"name": SESSION, "value": cookie, "url": secure, "secure": True, "httpOnly": True}])
    page, met = context.new_page(), []
    page.goto(f"{at}/dossiers/7")
    met.append(page.locator("h1").inner_text())
    page.keyboard.type("trop")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the browser itself holds back what is too short
    met.append(page.locator("h1").inner_text())
    page.keyboard.press("Shift+Tab")
    page.fill("textarea", WHY)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("dl.fiche")
    met.append(page.url.removeprefix(at))
    page.reload()
    met.append(str(page.locator("dl.fiche").count()))
    context.close()
    return met


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_a_reason_in_place_of_a_file_of_another_agency(
    stack: Stack,
    browser: Callable[..., Any],
    script: bool,
) -> None:
    account = stack.account()
    cookie = stack.thread.call(
        Sessions(stack.thread.store, stack.keyring).open(
            issuer=stack.settings.partners[account.partner].issuer,
            sub=account.sub,
            partner=account.partner,
            name="Zoé Tést",
            login=account.sub,
            agency="00000",
        )
    )
    asked = "Pourquoi avez-vous besoin de ce dossier ?"
    assert browser(_story, stack, cookie, script) == [asked, asked, "/dossiers/7", "1"]
    (record,) = [one for one in stack.records() if one.get("why") and one["caller"]["user"] == account.user]
    assert record["why"] == WHY
