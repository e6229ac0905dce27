"""A person at a browser whose work is interrupted after it was done, or because their session has ended."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import redis
from playwright.sync_api import Browser
from running_demo import RunningDemo
from stack import until
from test_journey_accessible import _violations
from test_journey_browser import ENGLISH, FRENCH, Visitor, Words
from test_journey_kept import executed

from gateway.config import load
from gateway.stores import keys

SUBMIT = """([action, fields]) => {
  const form = document.createElement("form");
  form.method = "post"; form.action = action;
  for (const [name, value] of Object.entries(fields)) {
    const field = document.createElement("input");
    field.name = name; field.value = value; form.append(field);
  }
  document.body.append(form); form.submit();
}"""
WHO = "() => Promise.all([1, 2, 3, 4, 5, 6].map(async () => (await fetch('/.gateway/budget')).status))"
OPEN = {FRENCH: "Confirmer et l'ouvrir", ENGLISH: "Confirm and open it"}
SEND = {FRENCH: "L'envoyer", ENGLISH: "Send it"}
SIGN_IN = {FRENCH: "Se connecter", ENGLISH: "Sign in"}


def _visitor(browser: Browser, demo: RunningDemo, login: str, words: Words) -> Visitor:
    context = browser.new_context(locale=words.locale)
    context.set_default_timeout(60_000)
    visitor = Visitor(demo, context, login, words)
    visitor.sign_in()
    return visitor


def _sealed(browser: Browser, demo: RunningDemo, login: str, words: Words) -> list[str]:
    visitor = _visitor(browser, demo, login, words)
    page, number = visitor.page, demo.ids[507]
    page.goto(f"{demo.gateway}/recherche?q=MARTIN")
    before = executed(demo)
    with page.expect_navigation():
        page.evaluate(SUBMIT, [f"/dossiers/{number}/modifier", {"telephone": "none"}])
    assert demo.seen(page.content().encode()) == set()
    visitor.errors += _violations(page)
    page.get_by_role("link", name=OPEN[words]).click()
    _confirm(visitor)
    page.locator("input[name=nir]").wait_for()
    assert page.input_value("input[name=nir]") == demo.nirs[number]
    assert not [one for one in visitor.context.cookies() if "kept" in one["name"]]
    assert executed(demo) == before + 1
    visitor.context.close()
    return visitor.errors


def _confirm(visitor: Visitor) -> None:
    visitor.confirm(visitor.code())
    visitor.page.locator("input[name=code]").wait_for(state="detached")


def _kept(browser: Browser, demo: RunningDemo, login: str, words: Words) -> list[str]:
    visitor = _visitor(browser, demo, login, words)
    page, number = visitor.page, demo.ids[509]
    before = executed(demo)
    fields = {"nir": demo.nirs[number], "telephone": "none"}
    with page.expect_navigation():
        page.evaluate(SUBMIT, [f"/dossiers/{number}/modifier?from=list", fields])
    _confirm(visitor)
    page.wait_for_url("**/.gateway/kept?id=*")
    assert executed(demo) == before
    with page.expect_navigation():
        page.get_by_role("button", name=SEND[words]).click()
    # The answer stands at the form's own address: the links in it lead where the application meant.
    assert page.url == f"{demo.gateway}/dossiers/{number}/modifier?from=list"
    assert page.input_value("input[name=nir]") == demo.nirs[number]
    assert executed(demo) == before + 1
    with page.expect_navigation():
        page.reload()
    assert page.locator("input[name=nir]").count() == 0
    assert executed(demo) == before + 1
    visitor.context.close()
    return visitor.errors


def _ended(browser: Browser, demo: RunningDemo, login: str, words: Words) -> list[str]:
    visitor = _visitor(browser, demo, login, words)
    page, number = visitor.page, demo.ids[508]
    _end_session(demo, visitor.cookie()["value"])
    until(lambda: set(page.evaluate(WHO)) == {401}, what="the end of the session")
    before = executed(demo)
    with page.expect_navigation():
        page.evaluate(SUBMIT, [f"/dossiers/{number}/modifier", {"telephone": "0199000508"}])
    assert executed(demo) == before
    visitor.errors += _violations(page)
    page.get_by_role("link", name=SIGN_IN[words]).click()
    at = {"relais-emploi": "Relais Emploi", "cap-insertion": "Cap Insertion"}[visitor.user["partner"]]
    page.get_by_role("link", name=at).click()
    if page.locator("input[name=password]").count():
        page.fill("input[name=login]", visitor.user["login"])
        page.fill("input[name=password]", visitor.user["password"])
        page.press("input[name=password]", "Enter")
    page.wait_for_url("**/.gateway/kept?id=*")
    assert executed(demo) == before
    visitor.errors += _violations(page)
    page.get_by_role("button", name=SEND[words]).click()
    page.wait_for_url(f"**/dossiers/{number}")
    assert executed(demo) == before + 1
    with demo.sqlite() as rows:
        (saved,) = rows.execute("SELECT telephone FROM demandeur WHERE id = ?", (number,)).fetchone()
    assert saved == "0199000508"
    visitor.context.close()
    return visitor.errors


def _end_session(demo: RunningDemo, cookie: str) -> None:
    """As if nobody had used it for half an hour."""
    with contextlib.closing(redis.Redis.from_url(load(demo.config).gateway.store.url)) as store:
        family = store.hget(keys.session(demo.keyring.token_hash(cookie)), "family")
        store.hset(keys.family(family.decode()), "seen", "1.0")


STORIES = [
    (_sealed, "camille", FRENCH),
    (_sealed, "sacha", ENGLISH),
    (_ended, "camille", FRENCH),
    (_ended, "sacha", ENGLISH),
    (_kept, "noor", FRENCH),
    (_kept, "ines", ENGLISH),
]


@pytest.mark.parametrize(("story", "login", "words"), STORIES)
def test_no_work_is_lost(
    running: RunningDemo,
    browser: Callable[..., Any],
    story: Callable[..., list[str]],
    login: str,
    words: Words,
) -> None:
    errors = browser(story, running, login, words)
    expected = ("status of 401", "status of 403", "status of 404", "status of 409")
    assert [one for one in errors if not any(known in one for known in expected)] == []
