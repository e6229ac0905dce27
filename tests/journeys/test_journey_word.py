"""A person whose organisation says how they signed in: what its word opens, nobody is asked for a code."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from playwright.sync_api import Browser
from stack import CODES_OPEN_ALL, Stack, demo_application, free_ports, running_stack, until
from test_journey_browser import MASKED

from gateway.demo import cast
from gateway.demo.supervise import answers
from gateway.edge.cookies import SESSION
from gateway.stores.sessions import Sessions

PARTNER = "cap-insertion"
TAKEN = (
    f'[partners.{PARTNER}]\nacr = {{ values = ["eidas2"], max_age = "15m", serves = "sensitive", i_accept = 3000 }}\n'
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway that takes the word of the demo's provider for a proof."""
    (port,) = free_ports(1)
    issuer, users = f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("sso") / "users.json"
    changes = {"policy.toml": CODES_OPEN_ALL, "partners.toml": {'"http://127.0.0.1:8003"': f'"{issuer}"'}}
    with ExitStack() as ending:
        upstream, _ = ending.enter_context(demo_application())
        running = ending.enter_context(running_stack(upstream, changes=changes, more={"policy.toml": TAKEN}))
        secret = cast.partner_secret(running.directory, PARTNER)
        users.write_text(cast.provider_file(PARTNER, secret, f"http://localhost:{running.port}"))
        ending.callback(_provider(port, issuer, users))
        until(lambda: answers(f"{issuer}/.well-known/openid-configuration"), what="the provider")
        yield running


def _provider(port: int, issuer: str, users: Path) -> Callable[[], None]:
    command = ("-m", "gateway.demo.sso", "--port", str(port), "--issuer", issuer, "--users", str(users))
    process = Popen([sys.executable, *command, "--die-with-parent"])

    def end() -> None:
        process.terminate()
        process.wait(10)

    return end


def _password(login: str) -> str:
    return next(one.password for one in cast.ADVISERS if one.login == login)


def _story(browser: Browser, stack: Stack, login: str) -> list[bool]:
    """Whether somebody who has typed their password and nothing else sees a file's number, and whether its health."""
    at = f"http://localhost:{stack.port}"
    context = browser.new_context(locale="fr-FR")
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(f"{at}/dossiers/7")
    page.get_by_role("link", name="Cap Insertion").click()
    page.fill("input[name=login]", login)
    page.fill("input[name=password]", _password(login))
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"{at}/dossiers/7")
    shown = [MASKED not in page.locator(f"dd#{name}").inner_text() for name in ("nir", "rqth")]
    context.close()
    return shown


def _again(browser: Browser, stack: Stack, cookie: str) -> list[str]:
    """The headings that somebody meets whose session confirms nothing, and whether the last page is the form."""
    at = f"http://localhost:{stack.port}"
    context = browser.new_context(locale="fr-FR")
    context.set_default_timeout(60_000)
    secure = at.replace("http:", "https:")  # a cookie with this name is made nowhere else
    context.add_cookies([{"name": SESSION, "value": cookie, "url": secure, "secure": True, "httpOnly": True}])
    page = context.new_page()
    page.goto(f"{at}/dossiers/7/modifier")
    met = [page.locator("h1").inner_text()]
    page.get_by_role("link", name="Ou confirmez auprès de votre organisation").click()
    page.fill("input[name=login]", "ines")
    page.fill("input[name=password]", _password("ines"))
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"{at}/dossiers/7/modifier")
    met.append(page.locator("input[name=nir]").input_value())
    context.close()
    return met


def test_who_is_asked_to_confirm_may_do_so_at_their_organisation(
    stack: Stack,
    browser: Callable[..., Any],
) -> None:
    one = next(one for one in cast.ADVISERS if one.login == "ines")
    issuer = stack.settings.partners[PARTNER].issuer
    opening = Sessions(stack.thread.store, stack.keyring).open(
        issuer=issuer, sub=one.sub, partner=PARTNER, name=one.name, login=one.login
    )
    asked, number = browser(_again, stack, stack.thread.call(opening))
    assert asked == "Confirmez que c'est vous" and MASKED not in number and len(number) >= 13


@pytest.mark.parametrize(("login", "opens"), [("ines", True), ("noor", False)])
def test_what_an_organisation_s_word_opens_needs_no_code(
    stack: Stack,
    browser: Callable[..., Any],
    login: str,
    opens: bool,
) -> None:
    assert browser(_story, stack, login) == [opens, False]
    sub = next(one.sub for one in cast.ADVISERS if one.login == login)
    user = stack.keyring.user_id(stack.settings.partners[PARTNER].issuer, sub)
    records = [one for one in stack.records() if one.get("caller", {}).get("user") == user]
    *_, signed_in = [one for one in records if one["kind"] == "sign_in"]
    *_, answer = [one for one in records if one["kind"] == "answer"]
    proof = answer["proof"] and (answer["proof"]["kind"], answer["proof"]["credential"])
    if opens:
        assert proof == ("partner", "acr:eidas2") and answer["proof"]["id"] == signed_in["proof"]["id"]
    else:
        assert proof is None and signed_in["detail"].startswith("no proof: ")
