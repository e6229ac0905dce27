"""A person's account over sockets: what was opened told in words, sessions ended, changes posted to the operator."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from stack import CODES_OPEN_ALL, Account, Stack, running_stack, until
from wire import Answer

from gateway.edge.cookies import SESSION
from gateway.stores.sessions import Sessions

SECRET = b"a secret of the operator's, and long"
RECORD, OPENED = "/api/demandeurs/7", "files under special protection"
PAGE = (("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Site", "same-origin"))
FORM = ("Content-Type", "application/x-www-form-urlencoded")


class Told(NamedTuple):
    signature: str
    body: bytes


class Listener(ThreadingHTTPServer):
    """The operator's address; keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Telling)
        self.told: list[Told] = []


class _Telling(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.told.append(Told(self.headers["x-gateway-signature"], body))  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with Listener() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def told(demo: tuple[str, Path], listener: Listener, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway of two workers that posts changes to ``listener``."""
    secret = tmp_path_factory.mktemp("notify") / "secret"
    secret.write_bytes(SECRET + b"\n")
    url = f"http://127.0.0.1:{listener.server_address[1]}/told"
    notify = f'[notify]\nurl = "{url}"\nsecret_file = "{secret}"\n'
    changes = {"policy.toml": CODES_OPEN_ALL}
    with running_stack(demo[0], workers=2, changes=changes, more={"gateway.toml": notify}) as running:
        yield running


def session_of(stack: Stack, account: Account) -> tuple[str, str]:
    """The header of a session of the account's person."""
    issuer = stack.settings.partners[account.partner].issuer
    who = {"issuer": issuer, "sub": account.sub, "partner": account.partner, "name": "Zoé", "login": account.sub}
    opened = Sessions(stack.thread.store, stack.keyring).open(**who, network="192.0.2.0/24", browser="Firefox")
    return "Cookie", f"{SESSION}={stack.thread.call(opened)}"


def page(stack: Stack, path: str, session: tuple[str, str]) -> str:
    return stack.ask(path, None, session, ("Accept-Language", "en"), *PAGE).body.decode()


def post(stack: Stack, path: str, session: tuple[str, str], body: bytes = b"") -> Answer:
    return stack.ask(path, None, session, FORM, *PAGE, method="POST", body=body)


def test_what_was_opened_is_told_on_the_account_page_and_where_one_is_asked_to_confirm(told: Stack) -> None:
    account = told.account()
    mine = session_of(told, account)
    assert "Nothing since yesterday" in page(told, "/.gateway/account", mine)
    assert told.step_up(account).status == 200
    until(lambda: told.get(RECORD, account).status == 200, what="every worker to hear of the confirmation")

    def shown() -> bool:
        return OPENED in page(told, "/.gateway/account", mine)

    until(shown, what="the figures in the store")
    asked = told.ask(RECORD, None, mine, ("Accept-Language", "en"), *PAGE)
    said = asked.body.decode()
    assert asked.status == 401 and "Since you signed in" in said and "Firefox · 192.0.2.0/24" in said
    assert "Token Zoé Tést" in said and OPENED in said


def renewed(answer: Answer) -> tuple[str, str]:
    """The cookie with which its person goes on."""
    (cookie,) = [one for one in answer.all("set-cookie") if one.startswith(b"__Host-gateway=")]
    return "Cookie", cookie.decode().partition(";")[0]


def test_a_session_that_was_ended_asks_in_vain_at_every_worker(told: Stack) -> None:
    account = told.account()
    mine, other = session_of(told, account), session_of(told, account)
    assert told.ask("/recherche?q=MARTIN", None, other).status == 200
    done = post(told, "/.gateway/account/end", mine, b"which=others")
    assert done.status == 303
    mine = renewed(done)

    def ended() -> bool:
        return all(told.ask("/recherche?q=MARTIN", None, other).status == 401 for _ in range(10))

    until(ended, what="every worker to hear of the end")
    assert told.get("/recherche?q=MARTIN", account).status == 401
    assert told.ask("/recherche?q=MARTIN", None, mine).status == 200


def test_a_change_is_posted_once_signed_and_names_nobody(told: Stack, listener: Listener) -> None:
    account = told.account()
    session = session_of(told, account)
    pressed = post(told, "/.gateway/not-me", session)
    assert pressed.status == 200
    session = renewed(pressed)

    def of_account() -> list[Told]:
        return [one for one in listener.told if account.user in one.body.decode()]

    (one,) = until(of_account, what="the message")
    said = json.loads(one.body)
    assert (said["kind"], said["user"], said["partner"]) == ("not_me", account.user, account.partner)
    assert set(said) == {"id", "kind", "user", "partner", "time", "reference"} and len(said["reference"]) == 7
    assert one.signature == f"sha256={hmac.new(SECRET, one.body, hashlib.sha256).hexdigest()}"
    assert account.sub not in one.body.decode() and "Zoé" not in json.dumps(said, ensure_ascii=False)
    assert "You said that it was not you" in page(told, "/.gateway/account", session)
