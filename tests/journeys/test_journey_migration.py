"""An agency changes its provider: two officers carry its people, and one of them goes on where she was.

Two providers of the demo, ``nord`` and ``neuf``, before one gateway; everybody at a real browser.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyotp
import pytest
from edge.conftest import serving as process
from playwright.sync_api import Browser, BrowserContext
from stack import CODES_OPEN_ALL, Stack, demo_application, free_ports, running_stack
from typer.testing import CliRunner

from gateway.__main__ import app
from gateway.stores.factors import Factors
from gateway.stores.seats import Seats

PASSWORD, CLIENT_SECRET = "correct horse", "s:e c+ret"
SUBS = {"nord": {"alice": "n-1", "olga": "n-2", "odile": "n-3"}, "neuf": {"alice": "alice@neuf"}}
TABLE = """
[partners.{name}]
name = "Agence {name}"
issuer = "{issuer}"
client_id = "gateway"
client_secret_file = "two.secret"
"""
OFFICER = """
[[roles]]
role = "officer"
partner = "nord"
sub = "{sub}"
"""


@dataclass
class House:
    """The gateway, its two providers, and the secrets of everybody's codes by login."""

    stack: Stack
    issuers: Mapping[str, str]
    secrets: Mapping[str, str]

    @property
    def at(self) -> str:
        return f"http://localhost:{self.stack.port}"

    def user(self, login: str, partner: str = "nord") -> str:
        return self.stack.keyring.user_id(self.issuers[partner], SUBS[partner][login])

    def command(self, *arguments: object) -> Any:
        """What ``gateway … --json`` says; in a thread, for a browser's own has a loop already."""
        said = [*map(str, arguments), "--json", "--config", str(self.stack.directory)]
        with ThreadPoolExecutor(1) as thread:
            ran = thread.submit(CliRunner().invoke, app, said).result()
        assert ran.exit_code == 0, ran.output
        return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    port, *theirs = free_ports(3)
    site, folder = f"http://localhost:{port}", tmp_path_factory.mktemp("providers")
    issuers = {name: f"http://127.0.0.1:{at}" for name, at in zip(SUBS, theirs, strict=True)}
    with contextlib.ExitStack() as ending:
        for name, at in zip(SUBS, theirs, strict=True):
            (users := folder / f"{name}.json").write_text(json.dumps(_users(site, name)))
            provider = ("-m", "gateway.demo.sso", "--port", str(at), "--issuer", issuers[name], "--users", str(users))
            ending.enter_context(process(at, *provider, "--die-with-parent"))
        upstream, _ = ending.enter_context(demo_application())
        changes = {
            "gateway.toml": {"\nport = 8080": f"\nport = {port}", '"localhost:8080"': f'"localhost:{port}"'},
            "policy.toml": CODES_OPEN_ALL,
        }
        more = {
            "partners.toml": "".join(TABLE.format(name=name, issuer=issuer) for name, issuer in issuers.items()),
            "two.secret": CLIENT_SECRET,
            "policy.toml": "".join(OFFICER.format(sub=SUBS["nord"][login]) for login in ("olga", "odile")),
        }
        stack = ending.enter_context(running_stack(upstream, changes=changes, more=more))
        made = House(stack, issuers, {login: pyotp.random_base32() for login in SUBS["nord"]})
        factors, seats = Factors(stack.thread.store, stack.keyring), Seats(stack.thread.store)
        for login, secret in made.secrets.items():  # they have been here for long
            stack.thread.call(seats.take("nord", made.user(login), ripe=True))
            stack.thread.call(factors.enrol_totp(made.user(login), pyotp.TOTP(secret).byte_secret()))
        yield made


def _users(site: str, partner: str) -> Mapping[str, object]:
    people = [
        {"login": login, "password": PASSWORD, "sub": sub, "name": login.title(), "email": f"{login}@{partner}.example"}
        for login, sub in SUBS[partner].items()
    ]
    client = {
        "client_id": "gateway",
        "client_secret": CLIENT_SECRET,
        "redirect_uris": [f"{site}/.gateway/callback/{partner}"],
        "post_logout_redirect_uris": [f"{site}/.gateway/signed-out"],
    }
    return {"users": people, "clients": [client]}


class Visitor:
    """Somebody at a browser of their own."""

    def __init__(self, started: Browser, house: House, login: str) -> None:
        self.house, self.login = house, login
        self.context: BrowserContext = started.new_context(locale="en-GB")
        self.context.set_default_timeout(60_000)
        self.page = self.context.new_page()

    def sign_in(self, partner: str) -> None:
        self.page.goto(f"{self.house.at}/recherche")
        with self.page.expect_navigation():
            self.page.get_by_role("link", name=f"Agence {partner}").click()
        self.page.locator("input[name=password], h1").first.wait_for()
        if self.page.locator("input[name=password]").count():  # their provider may know them still
            self.page.fill("input[name=login]", self.login)
            self.page.fill("input[name=password]", PASSWORD)
            with self.page.expect_navigation():
                self.page.press("input[name=password]", "Enter")
        self.page.wait_for_url(f"{self.house.at}/**")

    def goes(self, path: str) -> int:
        answer = self.page.goto(f"{self.house.at}{path}")
        assert answer is not None
        return answer.status

    def types(self, step: int = 0) -> None:
        """The code that they have now, or of another step: each is good once."""
        code = pyotp.TOTP(self.house.secrets[self.login]).at(int(time.time()) + 30 * step)
        self.page.fill("input[name=code]", code)
        self.page.press("input[name=code]", "Enter")

    def sees_the_number(self) -> bool:
        self.page.locator("input[name=nir]").wait_for()
        return len(self.page.input_value("input[name=nir]").replace(" ", "")) == 15

    def numbers_used(self) -> int:
        assert self.goes("/.gateway/account") == 200
        limit = self.page.locator("li").filter(has_text="Social security numbers").first
        return int(limit.locator("meter").get_attribute("value") or -1)


def _file(number: int) -> str:
    return f"/dossiers/{number}/modifier"


def _officers_carry(started: Browser, house: House, pairs: Path) -> str:
    """It is started by the command, and two sign on the page: what the page says then."""
    house.command("partner", "migrate", "nord", "neuf", "--map", pairs, "--by", house.user("odile"))
    assert _signs(started, house, "odile").startswith("Signed. Nobody is changed")
    return _signs(started, house, "olga")


def _signs(started: Browser, house: House, login: str) -> str:
    officer = Visitor(started, house, login)
    officer.sign_in("nord")
    assert officer.goes("/.gateway/migrations") == 401
    officer.types()
    officer.page.locator("button[name=sign]").click()
    officer.page.locator("input[name=code]").wait_for()
    officer.types(step=1)
    officer.page.locator(".done[role=status]:not([hidden])").wait_for()
    said = officer.page.locator(".done[role=status]").inner_text()
    officer.context.close()
    return said


def _story(started: Browser, house: House, pairs: Path) -> None:
    before = Visitor(started, house, "alice")
    before.sign_in("nord")
    assert before.goes(_file(7)) == 401
    before.types()
    assert before.sees_the_number()
    assert before.numbers_used() == 1

    assert "Signed: 1 people" in _officers_carry(started, house, pairs)
    assert before.goes(_file(8)) == 200  # until she confirms, she goes on by the old one

    after = Visitor(started, house, "alice")
    after.sign_in("neuf")
    for path in ("/recherche", _file(7), "/.gateway/account"):
        assert (path, after.goes(path)) == (path, 401)
    assert after.goes(_file(7)) == 401
    assert "has changed how it signs you in" in after.page.content()
    after.types(step=1)
    assert after.sees_the_number()
    assert after.goes(_file(9)) == 200
    assert after.sees_the_number()
    assert after.numbers_used() == 3

    before.sign_in("nord")  # what she had open there has ended
    assert before.page.locator("h1").inner_text() == "This account has been replaced"
    for one in (before, after):
        one.context.close()


def test_a_person_goes_on_by_a_new_provider_once_an_old_code_says_it_is_her(
    house: House,
    browser: Callable[..., Any],
    tmp_path: Path,
) -> None:
    (pairs := tmp_path / "pairs.csv").write_text("old_sub,new_sub\nn-1,alice@neuf\n")
    browser(_story, house, pairs)
    for partner in SUBS:
        report = house.command("report", "caller", house.user("alice", partner))
        assert (report["selector"]["user"], report["persons_by_class"]["sensitive"]) == (house.user("alice"), 3)
