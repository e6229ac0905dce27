"""A session used from somewhere else: one confirmation, then it is known there; what was confirmed before waits."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import Account, Stack, running_stack
from wire import Answer

from gateway.core.places import places_of
from gateway.edge.cookies import SESSION
from gateway.stores.sessions import Sessions

FIREFOX, CHROME = "Mozilla/5.0 Firefox/140.0", "Mozilla/5.0 Chrome/140.0 Safari/537.36"
HOME, AWAY, HOUSE = "192.0.2.10", "198.51.100.7", "10.1.2.3"
LIST = "/api/demandeurs?taille=3"


@pytest.fixture(scope="module")
def placed(demo: tuple[str, Path]) -> Iterator[Stack]:
    changes = {
        "trusted_proxies = []": 'trusted_proxies = ["127.0.0.1"]',
        "house_networks = []": 'house_networks = ["10.0.0.0/8"]',
    }
    with running_stack(demo[0], workers=2, changes={"gateway.toml": changes}) as running:
        yield running


class Browser:
    """Somebody's session, used from wherever a test says."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.account = stack, stack.account()
        sessions = Sessions(stack.thread.store, stack.keyring)
        account: Account = self.account
        issuer = stack.settings.partners[account.partner].issuer
        opened = sessions.open(
            issuer=issuer,
            sub=account.sub,
            partner=account.partner,
            name="Zoé",
            login="zoe",
            places=places_of(HOME, FIREFOX),
        )
        self.cookie = stack.thread.call(opened)

    def send(self, target: str, address: str = HOME, agent: str = FIREFOX, body: bytes | None = None) -> Answer:
        fields = [
            ("Cookie", f"__Host-gateway={self.cookie}"),
            ("X-Forwarded-For", address),
            ("User-Agent", agent),
            ("Sec-Fetch-Site", "same-origin"),
            ("Content-Type", "application/json"),
        ]
        answer = self.stack.ask(target, None, *fields, method="POST" if body else "GET", body=body)
        for value in answer.all("set-cookie"):
            name, _, said = value.decode().partition(";")[0].partition("=")
            self.cookie = said if name == SESSION else self.cookie
        return answer

    def confirm(self, address: str = HOME, agent: str = FIREFOX, offset: int = 0) -> Answer:
        body = json.dumps({"code": self.account.code(offset)}).encode()
        return self.send("/.gateway/step-up/totp", address, agent, body)


@pytest.fixture
def browser(placed: Stack) -> Browser:
    return Browser(placed)


@pytest.mark.parametrize(("address", "agent"), [(AWAY, FIREFOX), (HOME, CHROME), (AWAY, CHROME)])
def test_a_new_network_or_browser_costs_one_confirmation(browser: Browser, address: str, agent: str) -> None:
    assert browser.send(LIST).status == 200
    refused = browser.send(LIST, address, agent)
    assert (refused.status, refused.reason) == (401, "proof_required")
    assert browser.confirm(address, agent).status == 200
    assert browser.send(LIST, address, agent).status == 200
    assert browser.send(LIST).status == 200


def test_the_houses_own_networks_are_everywhere_at_home(browser: Browser) -> None:
    assert browser.send(LIST, HOUSE).status == 200


def test_the_same_network_is_the_same_place(browser: Browser) -> None:
    assert browser.send(LIST, "192.0.2.200").status == 200


def test_what_was_confirmed_at_home_changes_nothing_from_elsewhere(browser: Browser) -> None:
    assert browser.confirm().status == 200
    for target in ("/.gateway/enrol/webauthn/options", "/.gateway/recovery/codes"):
        assert browser.send(target, AWAY, body=b"{}").status == 401
    assert browser.send("/.gateway/enrol/webauthn/options", body=b"{}").status == 200


def test_the_page_says_why_now_in_both_languages(placed: Stack, browser: Browser) -> None:
    for language, words in (("fr", "sur un réseau"), ("en", "on a network")):
        fields = [
            ("Cookie", f"__Host-gateway={browser.cookie}"),
            ("X-Forwarded-For", AWAY),
            ("User-Agent", FIREFOX),
            ("Sec-Fetch-Mode", "navigate"),
            ("Accept-Language", language),
        ]
        page = placed.ask("/recherche?q=MARTIN", None, *fields)
        assert (page.status, words.encode() in page.body) == (401, True)


def test_a_token_is_used_from_anywhere(placed: Stack) -> None:
    account = placed.account()
    for address in (HOME, AWAY):
        assert placed.get(LIST, account, ("X-Forwarded-For", address)).status == 200
