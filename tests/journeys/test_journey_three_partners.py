"""Three partners at once, whose providers all call their person the same: three persons, at three real browsers.

The demo's provider (``nord``), oidc-provider (``sud``) and one that lies to others (``ouest``) before one gateway.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyotp
import pytest
from edge import lying_provider
from edge.conftest import serving as process
from interop.conftest import Counterpart, folder_of, made_key
from interop.conftest import running as certified
from playwright.sync_api import Browser, BrowserContext, Page
from stack import CODES_OPEN_ALL, Stack, demo_application, free_ports, running_stack, until

from gateway.core.assurance import Caller
from gateway.edge.cookies import SESSION
from gateway.stores.callers import StoredCallers
from gateway.stores.factors import Factors

SUB, LOGIN, PASSWORD, SECRET = "sub-alice", "alice", "correct horse", "s:e c+ret"
PARTNERS = ("nord", "sud", "ouest")
EDIT = "/dossiers/7/modifier"
SIGNED_OUT_AT = {"nord": "**/.gateway/signed-out?state=*", "sud": "**/session/end?*", "ouest": "**/.gateway/sign-out"}
"""The last address of signing out: back here, where the partner asks whether one means it, or here alone."""
TABLE = """
[partners.{name}]
name = "Agence {name}"
issuer = "{issuer}"
client_id = "gateway"
client_secret_file = "three.secret"
"""


@dataclass
class House:
    """The gateway with its three partners. ``secrets``: of each partner's person's codes."""

    stack: Stack
    issuers: Mapping[str, str]
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def at(self) -> str:
        return f"http://localhost:{self.stack.port}"

    def user(self, partner: str) -> str:
        return self.stack.keyring.user_id(self.issuers[partner], SUB)

    def enrol(self) -> None:
        """Give each of the three a code generator of their own."""
        for partner in PARTNERS:
            self.secrets[partner] = pyotp.random_base32()
            raw = pyotp.TOTP(self.secrets[partner]).byte_secret()
            factors = Factors(self.stack.thread.store, self.stack.keyring)
            self.stack.thread.call(factors.enrol_totp(self.user(partner), raw))

    def caller(self, cookie: str) -> str | None:
        """The user whose session a cookie is, as the store says now."""
        found = self.stack.thread.call(StoredCallers(self.stack.thread.store, self.stack.keyring).by_session(cookie))
        return found.user if isinstance(found, Caller) else None


@pytest.fixture(scope="module")
def house(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    port, nord, sud, ouest = free_ports(4)
    site = f"http://localhost:{port}"
    issuers = {
        "nord": f"http://127.0.0.1:{nord}",
        "sud": f"http://127.0.0.1:{sud}",
        "ouest": f"http://127.0.0.1:{ouest}/honest",
    }
    users = tmp_path_factory.mktemp("nord") / "users.json"
    users.write_text(json.dumps(_users(site)))
    demo_sso = ("-m", "gateway.demo.sso", "--port", str(nord), "--issuer", issuers["nord"], "--users", str(users))
    liar = (str(Path(lying_provider.__file__)), "--port", str(ouest))
    ours = Counterpart(issuers["sud"], "gateway", SECRET, LOGIN, PASSWORD, SUB, key=made_key())
    with contextlib.ExitStack() as ending:
        ending.enter_context(process(nord, *demo_sso, "--die-with-parent"))
        ending.enter_context(process(ouest, *liar))
        ending.enter_context(certified(ours, folder_of(pytestconfig), sud, partner="sud", site=site, told=site))
        upstream, _ = ending.enter_context(demo_application())
        changes = {
            "gateway.toml": {"\nport = 8080": f"\nport = {port}", '"localhost:8080"': f'"localhost:{port}"'},
            "policy.toml": CODES_OPEN_ALL,
        }
        tables = "".join(TABLE.format(name=name, issuer=issuer) for name, issuer in issuers.items())
        more = {"partners.toml": tables, "three.secret": SECRET}
        stack = ending.enter_context(running_stack(upstream, workers=2, changes=changes, more=more))
        made = House(stack, issuers)
        made.enrol()
        yield made


def _users(site: str) -> Mapping[str, object]:
    person = {"login": LOGIN, "password": PASSWORD, "sub": SUB, "name": "Alice Nord", "email": "alice@agency.example"}
    client = {
        "client_id": "gateway",
        "client_secret": SECRET,
        "redirect_uris": [f"{site}/.gateway/callback/nord"],
        "post_logout_redirect_uris": [f"{site}/.gateway/signed-out"],
    }
    return {"users": [person], "clients": [client]}


@dataclass
class Visitor:
    """Somebody at a browser of their own."""

    house: House
    context: BrowserContext
    page: Page

    @classmethod
    def new(cls, started: Browser, house: House) -> "Visitor":
        context = started.new_context(locale="en-GB")
        context.set_default_timeout(60_000)
        return cls(house, context, context.new_page())

    @property
    def cookie(self) -> str:
        """The session's cookie; empty where there is none."""
        return next((one["value"] for one in self.context.cookies() if one["name"] == SESSION), "")

    @property
    def user(self) -> str | None:
        return in_a_thread(self.house.caller, self.cookie)

    def sign_in(self, partner: str, target: str = "/recherche") -> None:
        """Go somewhere, choose the partner, type there what it asks for; whom one is signed in as is seen after."""
        page = self.page
        page.goto(f"{self.house.at}{target}")
        with page.expect_navigation():
            page.get_by_role("link", name=f"Agence {partner}").click()
        if partner != "ouest":  # which asks for nothing
            page.locator("input[name=password], dl.facts, h1").first.wait_for()
            if page.locator("input[name=password]").count():
                page.fill("input[name=login]", LOGIN)
                page.fill("input[name=password]", PASSWORD)
                with page.expect_navigation():
                    page.press("input[name=password]", "Enter")
        page.wait_for_url(f"{self.house.at}/**")

    def asks(self) -> bool:
        """Whether the form with the number in clear asks for a confirmation first."""
        answer = self.page.goto(f"{self.house.at}{EDIT}")
        assert answer is not None and answer.status in (200, 401)
        return answer.status == 401

    def types(self, partner: str, step: int = 0) -> None:
        """The code that the partner's person has now, or of another step: each is good once."""
        code = pyotp.TOTP(self.house.secrets[partner]).at(int(time.time()) + 30 * step)
        self.page.fill("input[name=code]", code)
        self.page.press("input[name=code]", "Enter")

    def listed(self) -> list[str]:
        """The ids of the sessions on one's account page."""
        self.page.goto(f"{self.house.at}/.gateway/account")
        named = self.page.locator("form[action$='/account/end'] strong[id^=access-]")
        return [str(one.get_attribute("id")).removeprefix("access-") for one in named.all()]

    def ends(self, which: str) -> int:
        """Send the form that ends a session, whatever the page offers; the status that came of it."""
        send = "which => fetch('/.gateway/account/end', {method: 'POST', body: new URLSearchParams({which})})"
        return int(self.page.evaluate(f"which => ({send})(which).then(answer => answer.status)", which))

    def sign_out(self, partner: str) -> None:
        """Here, then where the partner's own way leads without a further click."""
        self.page.goto(f"{self.house.at}/.gateway/account")
        self.page.locator("form[action$='/sign-out'] button").click()
        self.page.wait_for_url(SIGNED_OUT_AT[partner])


def in_a_thread(work: Callable[..., Any], *given: object) -> Any:
    """Run what has a loop of its own beside playwright's."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work, *given).result()


def _alone(started: Browser, house: House, partner: str) -> list[object]:
    one, other = Visitor.new(started, house), next(name for name in PARTNERS if name != partner)
    one.sign_in(partner)
    met: list[object] = [one.user, one.asks()]
    one.types(other)
    one.page.get_by_role("alert").filter(has_text="The code is not right").wait_for()
    one.types(partner)
    one.page.locator("input[name=nir]").wait_for()
    one.sign_out(partner)
    one.page.goto(f"{house.at}{EDIT}")
    met += [one.cookie, one.page.url.startswith(f"{house.at}/.gateway/sign-in")]
    one.context.close()
    return met


@pytest.mark.parametrize("partner", PARTNERS)
def test_a_person_of_each_signs_in_confirms_with_their_own_code_and_signs_out(
    house: House,
    browser: Callable[..., Any],
    partner: str,
) -> None:
    assert browser(_alone, house, partner) == [house.user(partner), True, "", True]


def _together(started: Browser, house: House) -> list[object]:
    visitors = {partner: Visitor.new(started, house) for partner in PARTNERS}
    for partner, one in visitors.items():
        one.sign_in(partner)
    users = [house.user(partner) for partner in PARTNERS]

    def signed_in() -> list[str | None]:
        return [one.user for one in visitors.values()]

    assert signed_in() == users
    listed = {partner: set(one.listed()) for partner, one in visitors.items()}
    seen = sum(map(len, listed.values())) == len(set().union(*listed.values()))
    tried = [
        visitors[one].ends(which) for one in PARTNERS for other in PARTNERS if other != one for which in listed[other]
    ]
    untouched = signed_in() == users
    for one in visitors.values():
        one.ends("others")
    met: list[object] = [seen, len(tried) >= 6, untouched, signed_in() == users]
    # the certified provider's person signs out there, and it tells us so
    sud = visitors["sud"]
    there = f"{house.issuers['sud']}/session/end?client_id=gateway"
    sud.page.goto(there)
    sud.page.locator("button[name=logout]").click()
    cookie = sud.cookie
    in_a_thread(until, lambda: house.caller(cookie) is None)
    met.append([one.user for one in visitors.values()] == [users[0], None, users[2]])
    visitors["ouest"].sign_out("ouest")
    met.append([one.user for one in visitors.values()] == [users[0], None, None])
    for one in visitors.values():
        one.context.close()
    return met


def test_nobody_sees_or_ends_a_session_of_another_partner_s(
    house: House,
    browser: Callable[..., Any],
) -> None:
    assert browser(_together, house) == [True] * 6


def _one_after_another(started: Browser, house: House) -> list[object]:
    one = Visitor.new(started, house)
    one.sign_in("ouest")
    before = one.cookie
    assert one.asks()
    one.types("ouest", step=1)
    one.page.locator("input[name=nir]").wait_for()
    one.sign_out("ouest")
    one.sign_in("nord")
    met: list[object] = [one.user, one.asks(), in_a_thread(house.caller, before)]
    one.context.close()
    return met


def test_in_one_browser_nothing_of_one_partner_s_person_is_left_to_the_next_one_s(
    house: House,
    browser: Callable[..., Any],
) -> None:
    assert browser(_one_after_another, house) == [house.user("nord"), True, None]


def _astray(started: Browser, house: House, other: str) -> list[object]:
    one = Visitor.new(started, house)

    def leads_to(address: str) -> str:
        return one.context.request.get(address, max_redirects=0).headers["location"]

    back = leads_to(leads_to(f"{house.at}/.gateway/sign-in?partner=ouest"))
    one.page.goto(back.replace("/callback/ouest?", f"/callback/{other}?"))
    met: list[object] = [one.page.locator("h1").inner_text(), one.user]
    one.page.goto(back)  # and once astray it is good for nothing
    met += [one.page.locator("h1").inner_text(), one.user]
    one.context.close()
    return met


@pytest.mark.parametrize("other", ["nord", "sud"])
def test_what_one_partner_says_makes_nobody_a_person_of_another(
    house: House,
    browser: Callable[..., Any],
    other: str,
) -> None:
    assert browser(_astray, house, other) == ["Signing in did not work", None] * 2
    at_home = browser(_astray, house, "ouest")
    assert at_home[1] == house.user("ouest")
