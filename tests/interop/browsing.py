"""A browser without scripts: cookies, redirects and forms, at the gateway (in this process) and outside."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx2
from edge.conftest import ORIGIN, House

from gateway.core.assurance import Caller
from gateway.edge.cookies import SESSION

MOST_STEPS = 12
"""Redirects and forms between leaving for a partner and being back."""


@dataclass
class Form:
    """The first form of a page. ``fields``: name to value; ``kinds``: name to kind of input."""

    action: str = ""
    id: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)

    @property
    def asks(self) -> bool:
        return "password" in self.kinds.values()

    def filled(self, login: str, password: str) -> dict[str, str]:
        """What is sent by whoever types this; the rest is as the page has it."""
        typed = {"password": password, "text": login, "email": login}
        return self.fields | {name: typed[kind] for name, kind in self.kinds.items() if kind in typed}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.form: Form | None = None
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and self.form is None:
            self.form, self._inside = Form(given.get("action", ""), given.get("id", "")), True
        elif tag in ("input", "button") and self.form and given.get("name"):
            ours = self._inside or (self.form.id and given.get("form") == self.form.id)
            kind = given.get("type", "text" if tag == "input" else "submit").lower()
            second = kind == "submit" and "submit" in self.form.kinds.values()
            if ours and not second and kind != "checkbox":
                self.form.fields[given["name"]] = given.get("value", "")
                self.form.kinds[given["name"]] = kind

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "form"


def form_of(page: str) -> Form | None:
    """The first form of a page, with the first of its buttons."""
    reader = _Reader()
    reader.feed(page)
    return reader.form


class Browser:
    """One person's browser. ``typed``: how many times a password was typed at the partner."""

    def __init__(self, pages: httpx2.AsyncClient, outside: httpx2.AsyncClient, login: str, password: str) -> None:
        self._pages = pages
        self._outside = outside
        self._who = (login, password)
        self.cookies: dict[str, str] = {}
        self.typed = 0

    @property
    def session(self) -> str:
        return self.cookies.get(SESSION, "")

    async def caller(self, house: House) -> Caller | None:
        """Whom our cookie names, if anybody."""
        return await house.caller({"cookie": f"{SESSION}={self.session}"})

    async def get(self, target: str) -> httpx2.Response:
        """One page of the gateway."""
        return await self._ask("GET", target, {"sec-fetch-mode": "navigate"})

    async def post(self, target: str) -> httpx2.Response:
        """A button of the gateway's own pages."""
        return await self._ask("POST", target, {"sec-fetch-mode": "navigate", "sec-fetch-site": "same-origin"})

    async def _ask(self, method: str, target: str, headers: dict[str, str]) -> httpx2.Response:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await self._pages.request(method, target, headers=headers | {"cookie": cookie})
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.split(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    async def leave(self, target: str = "/.gateway/sign-in") -> str:
        """Begin to sign in; the address at the partner."""
        answer = await self.get(target)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def at_the_partner(self, address: str) -> str:
        """Do there what a person does; the target at the gateway that the partner sends them back to, not opened."""
        answer = await self._outside.get(address)
        for _ in range(MOST_STEPS):
            here = str(answer.url)
            if answer.is_redirect:
                onward = urljoin(here, answer.headers["location"])
                if onward.startswith(f"{ORIGIN}/"):
                    return onward.removeprefix(ORIGIN)
                answer = await self._outside.get(onward)
                continue
            form = form_of(answer.text)
            assert form is not None, f"{urlsplit(here).path}: {answer.status_code} {answer.text[:400]}"
            self.typed += form.asks
            answer = await self._outside.post(urljoin(here, form.action), data=form.filled(*self._who))
        raise AssertionError("the partner sends nobody back")

    async def status_there(self, address: str) -> int:
        """How the partner answers to an address, nothing being typed."""
        return (await self._outside.get(address)).status_code

    async def sign_in(self, target: str = "/.gateway/sign-in") -> httpx2.Response:
        """All of it; the gateway's answer to who comes back."""
        return await self.get(await self.at_the_partner(await self.leave(target)))


def changed(address: str, **parameters: str | None) -> str:
    """An address with other parameters; ``None``: without."""
    parts = urlsplit(address)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | parameters
    kept = {name: value for name, value in query.items() if value is not None}
    return parts._replace(query=urlencode(kept)).geturl()


def said(address: str, name: str) -> str:
    """The one value of a parameter."""
    (value,) = parse_qs(urlsplit(address).query)[name]
    return value


async def refused(answer: httpx2.Response, browser: Browser, house: House) -> str:
    """Why nobody was signed in, as the operator reads it."""
    assert answer.status_code == 403 and not browser.session
    record = house.ledger[-1]
    assert (record["kind"], record["reason"]) == ("sign_in", "sign_in_failed")
    return str(record["detail"])
