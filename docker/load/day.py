"""An agency's day and morning: what each kind of client does, as Locust users.

Advisers in a browser sign in and confirm first (the morning), then search and open the same files again and again, as
people do. Programs list, ask for records and look at their limits. A partner's program finds people by number and asks
with the handle. One client exports; one thief takes whatever it can.
"""

import http.client
import json
import random
import re
import time
from collections import Counter
from urllib.parse import urlencode, urlsplit

from locust import FastHttpUser, between, constant_throughput, task
from locust.contrib.fasthttp import FastResponse
from locust.exception import StopUser
from people import Person
from taken import Taken, used

NAMES = ("MARTIN", "BERNARD", "DURAND", "MOREAU", "LEFEVRE", "GARCIA", "ROUX", "FOURNIER", "MULLER", "CORDIER")
SESSION = "__Host-gateway"
BUDGETS = ("internal-hour", "sensitive-hour")
COOKIE = re.compile(r"((?:__Host-)?[A-Za-z0-9_-]+)=([^;]*)")

PARTS: dict[str, list[Person]] = {}
"""Who plays what; filled before the users start."""

TAKEN = Taken()
COUNTED: dict[str, tuple[int, int]] = {}
"""What the budgets said at the end: login to persons, and to those with a number in clear."""
PLAYED: list["Client"] = []
FAULTS: Counter[str] = Counter()
"""What broke in the clients themselves, and how often."""


class NotSignedIn(Exception):
    """A step of signing in was answered otherwise than it should be."""


class Client(FastHttpUser):
    """One person's client. ``part``: which of ``PARTS`` it takes its person from."""

    abstract = True
    part = ""
    network_timeout = 60.0
    connection_timeout = 10.0

    def on_start(self) -> None:
        self.person = PARTS[self.part].pop()
        self.headers = {"Authorization": f"Bearer {self.person.token}"}
        self.random = random.Random(self.person.place)
        self.begin()
        PLAYED.append(self)

    def begin(self) -> None:
        self.confirm()

    def confirm(self) -> None:
        """One code, once."""
        code = {"code": self.person.code()}
        self.ask("morning: confirm", "/.gateway/step-up/totp", method="POST", json=code)

    def ask(
        self, name: str, path: str, *, method: str = "GET", may: tuple[int, ...] = (), **more: object
    ) -> bytes | None:
        """The body of a 200 answer. ``may``: other statuses that are no error here."""
        headers = {**self.headers, **more.pop("headers", {})}  # type: ignore[dict-item]
        asked = self.client.request(
            method, path, name=name, headers=headers, allow_redirects=False, catch_response=True, **more
        )
        with asked as answer:
            self.renewed(answer)
            if answer.status_code == 200:
                answer.success()
                return answer.content or b""
            if answer.status_code in may:
                answer.success()
            else:
                answer.failure(f"{answer.status_code} {(answer.content or b'')[:120]!r}")
            return None

    def renewed(self, answer: FastResponse) -> None:
        """A session's cookie is renewed now and then."""
        for field in answer.headers.getlist("Set-Cookie") if answer.headers else ():
            if (found := COOKIE.match(field)) and found[1] == SESSION:
                self.headers["Cookie"] = f"{SESSION}={found[2]}"

    def count(self) -> None:
        """Ask what the budgets count now."""
        body = self.ask("(check) budgets", "/.gateway/budget")
        if body is not None:
            budgets = json.loads(body)["budgets"]
            COUNTED[self.person.login] = (used(budgets, BUDGETS[0]), used(budgets, BUDGETS[1]))


class InBrowser(Client):
    """An adviser's browser."""

    part = "browser"
    wait_time = between(0.5, 2.5)

    def begin(self) -> None:
        started = time.perf_counter()
        cookies: dict[str, str] = {}
        try:
            self._sign_in(cookies)
            fault = None
        except NotSignedIn as one:
            fault = one
        took_ms = (time.perf_counter() - started) * 1000
        self.environment.events.request.fire(
            request_type="GET",
            name="morning: sign-in, whole",
            response_time=took_ms,
            response_length=0,
            exception=fault,
        )
        if fault is not None:
            raise StopUser from fault
        origin = self.host.rstrip("/")
        self.headers = {"Cookie": f"{SESSION}={cookies[SESSION]}", "Origin": origin, "Sec-Fetch-Site": "same-origin"}
        self.confirm()

    def _sign_in(self, cookies: dict[str, str]) -> None:
        """Leave for the partner's provider, type the password, come back."""
        there = self._step("GET", f"/.gateway/sign-in/{self.person.partner}", cookies)
        typed = urlencode({"login": self.person.login, "password": self.person.password})
        back = self._step("POST", there, {}, typed, {"Origin": self.person.issuer})
        self._step("GET", urlsplit(back).path + "?" + urlsplit(back).query, cookies)
        if SESSION not in cookies:
            raise NotSignedIn("there is no session")

    def _step(
        self, method: str, url: str, cookies: dict[str, str], data: str = "", more: dict[str, str] | None = None
    ) -> str:
        headers = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html", **(more or {})}
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        if data:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        name = "morning: provider" if url.startswith("http") else "morning: sign-in"
        asked = self.client.request(
            method, url, name=name, headers=headers, data=data or None, allow_redirects=False, catch_response=True
        )
        with asked as answer:
            if answer.status_code != 303:
                answer.failure(f"{answer.status_code}")
                raise NotSignedIn(f"{url.partition('?')[0]}: {answer.status_code}")
            answer.success()
            for field in answer.headers.getlist("Set-Cookie"):
                if found := COOKIE.match(field):
                    cookies[found[1]] = found[2]
            return answer.headers["Location"]

    @task(6)
    def search(self) -> None:
        name = NAMES[self.person.place % len(NAMES)]
        body = self.ask("search (HTML)", f"/recherche?q={name}", headers={"Sec-Fetch-Mode": "navigate"})
        if body is not None:
            TAKEN.found(self.person.login, body)

    @task(6)
    def suggest(self) -> None:
        name = NAMES[(self.person.place + 1) % len(NAMES)]
        body = self.ask("suggestions (JSON)", f"/recherche/suggestions?q={name}")
        if body is not None:
            TAKEN.listed(self.person.login, body)

    @task(10)
    def open_file(self) -> None:
        number = self.random.choice(self.person.records)
        body = self.ask("record (HTML)", f"/dossiers/{number}", headers={"Sec-Fetch-Mode": "navigate"})
        if body is not None:
            TAKEN.page(self.person.login, number, body)

    @task(3)
    def first_page(self) -> None:
        self.ask("nobody's page (HTML)", "/recherche", headers={"Sec-Fetch-Mode": "navigate"})


class Program(Client):
    """A program with its owner's token."""

    part = "program"
    wait_time = between(0.2, 1.0)

    @task(10)
    def record(self) -> None:
        body = self.ask("record (JSON)", f"/api/demandeurs/{self.random.choice(self.person.records)}")
        if body is not None:
            TAKEN.record(self.person.login, body)

    @task(3)
    def listing(self) -> None:
        body = self.ask("list of 50 (JSON)", f"/api/demandeurs?page={self.person.place + 1}&taille=50")
        if body is not None:
            TAKEN.listed(self.person.login, body)

    @task(1)
    def limits(self) -> None:
        self.ask("one's limits", "/.gateway/budget")


class PartnerProgram(Client):
    """A partner's program: finds people by number, asks with the handle; some numbers are nobody's."""

    part = "partner"
    wait_time = between(0.3, 1.2)
    _FIND = "/rechercher-usager/v2/usagers/par-numero-francetravail"

    def begin(self) -> None:
        self.confirm()
        self.known: list[tuple[int, str]] = []
        self.missed = 0
        body = self.ask("list of 20 (JSON)", f"/api/demandeurs?page={self.person.place * 5 + 7}&taille=20")
        if body is not None:
            TAKEN.listed(self.person.login, body)
            self.known = [(row["id"], row["numeroFranceTravail"]) for row in json.loads(body)["demandeurs"]]

    @task(8)
    def ask_by_handle(self) -> None:
        if not self.known:
            return
        number, registration = self.random.choice(self.known)
        body = self.ask("find by number", self._FIND, method="POST", json={"numeroFranceTravail": registration})
        handle = json.loads(body)["jetonUsager"] if body is not None else None
        if not handle:
            return
        headers = {"ft-jeton-usager": handle}
        if self.ask("contract, by handle", "/contrat-usager/v2/contrat", headers=headers) is not None:
            TAKEN.named(self.person.login, number, clear=False)
        path = "/informations-administratives/v1/usager"
        if self.ask("civil status, by handle", path, headers=headers) is not None:
            TAKEN.named(self.person.login, number, clear=True)

    @task(1)
    def miss(self) -> None:
        if self.missed < 15:
            self.missed += 1
            asked = {"numeroFranceTravail": f"0000{self.person.place:03d}{self.missed:04d}"}
            self.ask("nobody has this number", self._FIND, method="POST", json=asked)


class NotAnswered(Exception):
    """An export was refused with something else than a limit."""


class Exporter(Client):
    """Exports everybody, and gets what its limits let through; read to the last whole row."""

    part = "exporter"
    wait_time = between(3, 6)

    @task
    def export(self) -> None:
        url = urlsplit(self.host)
        started, fault, body = time.perf_counter(), None, b""
        connection = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=60)
        try:
            connection.request("GET", "/exports/demandeurs.csv", headers=self.headers)
            answer = connection.getresponse()
            try:
                body = answer.read()
            except http.client.IncompleteRead as stopped:
                body = stopped.partial
            if answer.status == 200:
                TAKEN.exported(self.person.login, body)
            elif answer.status != 429:
                raise NotAnswered(f"{answer.status} {body[:120]!r}")
        except (OSError, http.client.HTTPException, NotAnswered) as one:
            fault = one
        finally:
            connection.close()
        self.environment.events.request.fire(
            request_type="GET",
            name="export (CSV)",
            response_time=(time.perf_counter() - started) * 1000,
            response_length=len(body),
            exception=fault,
        )


class Thief(Client):
    """Has somebody's token and one fresh code, and takes one file after the other at 15 a second."""

    part = "thief"
    wait_time = constant_throughput(15)
    refused = 0

    def begin(self) -> None:
        self.confirm()
        self.next = 0

    @task
    def steal(self) -> None:
        everybody = [record for client in PLAYED for record in client.person.records]
        number = everybody[self.next % len(everybody)]
        self.next += 1
        body = self.ask("(thief) record", f"/api/demandeurs/{number}", may=(401, 403, 429))
        if body is None:
            Thief.refused += 1
        else:
            TAKEN.record(self.person.login, body)
