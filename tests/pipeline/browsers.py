"""One person's browser before the scripted application: a session, cookies, forms."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import wire
from persons import RAW
from stack import Account, Stack, until
from wire import Answer

from gateway.edge.cookies import SESSION
from gateway.stores import keys
from gateway.stores.sessions import Sessions

PROMISE_S = 1.0
JSON = ("Content-Type", "application/json")


@dataclass
class Browser:
    """One person's browser."""

    stack: Stack
    account: Account
    cookies: dict[str, str]
    site: str = "same-origin"

    def ask(
        self,
        target: str,
        *fields: tuple[str, str],
        method: str = "GET",
        body: bytes | None = None,
        after: bytes = b"",
    ) -> Answer:
        """One request; ``after``: what follows its head, framed by its fields."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        raw = wire.request(
            target, RAW, ("Cookie", cookie), ("Sec-Fetch-Site", self.site), *fields, method=method, body=body
        )
        answer = wire.send(self.stack.port, raw + after)
        for one in answer.all("set-cookie"):
            name, _, value = one.decode().partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def family(self) -> str:
        """The session family."""
        digest = self.stack.keyring.token_hash(self.cookies[SESSION])
        family: bytes = self.stack.thread.call(self.stack.thread.store.call("HGET", keys.session(digest), "family"))
        return family.decode()

    def expire(self, field: str) -> None:
        """Let the session end by time: ``seen`` or ``expires_at`` long ago."""
        name = keys.family(self.family())
        self.stack.thread.call(self.stack.thread.store.call("HSET", name, field, "1.0"))

    def sign_in_again(self) -> None:
        """A new session of the same person in this browser."""
        self.cookies[SESSION] = browser_of(self.stack, self.account).cookies[SESSION]

    def confirm(self) -> None:
        """Confirm with the code of now."""
        body = json.dumps({"code": self.account.code()}).encode()
        assert self.ask("/.gateway/step-up/totp", JSON, method="POST", body=body).status == 200


def browser_of(stack: Stack, account: Account, agency: str = "") -> Browser:
    """A browser in which somebody is signed in."""
    issuer = stack.settings.partners[account.partner].issuer
    opening = Sessions(stack.thread.store, stack.keyring).open(
        issuer=issuer, sub=account.sub, partner=account.partner, name="Zoé Tést", login=account.sub, agency=agency
    )
    return Browser(stack, account, {SESSION: stack.thread.call(opening)})


def the_promise_is_due(meanwhile: Callable[[], None] = lambda: None) -> None:
    """Come back when whoever was ended just now is out by all means."""
    due = time.monotonic() + PROMISE_S

    def over() -> bool:
        meanwhile()
        return time.monotonic() >= due

    until(over, what="the second of the promise")
