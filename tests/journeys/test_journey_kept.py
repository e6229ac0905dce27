"""A form interrupted by a question is sent once after the answer, by who filled it in and nobody else."""

import asyncio
import json
import re
import urllib.request

import pytest
import wire
from running_demo import PARTNER, Caller, RunningDemo, at_once
from wire import Answer

from gateway.commands.ledger_access import desk
from gateway.config import load
from gateway.edge.cookies import SESSION
from gateway.stores.sessions import Sessions

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
NAVIGATES = ("Sec-Fetch-Mode", "navigate")
SAME = ("Sec-Fetch-Site", "same-origin")


class Browser:
    """One person's browser: its cookies, and forms it sends."""

    def __init__(self, demo: RunningDemo, caller: Caller) -> None:
        self.demo, self.caller = demo, caller
        settings = load(demo.config)
        issuer = settings.partners[PARTNER].issuer

        async def open_one() -> str:
            async with desk(settings) as at_desk:
                sessions, login = Sessions(at_desk.store, at_desk.keys), caller.login
                return await sessions.open(issuer=issuer, sub=login, partner=PARTNER, name=login, login=login)

        self.cookies = {SESSION: asyncio.run(open_one())}

    def request(self, target: str, *fields: tuple[str, str], method: str = "GET", body: bytes | None = None) -> bytes:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return wire.request(target, self.demo.host, ("Cookie", cookie), NAVIGATES, *fields, method=method, body=body)

    def send(self, target: str, *fields: tuple[str, str], method: str = "GET", body: bytes | None = None) -> Answer:
        answer = wire.send(self.demo.port, self.request(target, *fields, method=method, body=body))
        for value in answer.all("set-cookie"):
            key, _, said = value.decode().partition(";")[0].partition("=")
            self.cookies[key] = said
            if said and key.startswith(SESSION):  # the others are no secrets, and what is taken away has no value
                self.demo.secrets[said] = "cookie"
        return answer

    def post(self, target: str, body: bytes, kind: str = FORM, site: str = "same-origin") -> Answer:
        return self.send(target, ("Content-Type", kind), ("Sec-Fetch-Site", site), method="POST", body=body)

    def send_kept(self, target: str, location: str, site: str = "same-origin") -> Answer:
        """Press the button of the page at ``location``."""
        return self.post(target, sending(location), site=site)

    def confirm(self, page: Answer) -> str:
        """Type the code into the page without script; where the person is sent on to."""
        flow = re.search(rb'name="flow" value="([^"]+)"', page.body)
        assert flow is not None
        body = f"code={self.demo.code(self.caller)}&flow={flow[1].decode()}".encode()
        answer = self.post("/.gateway/step-up/totp", body)
        assert answer.status == 303, answer.body
        (location,) = answer.all("location")
        return location.decode()


def sending(location: str) -> bytes:
    """What the page at ``location`` sends."""
    return f"gateway-kept={location.partition('?id=')[2]}".encode()


def executed(demo: RunningDemo) -> int:
    """Requests with an unsafe method that the application has seen."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{demo.upstream}/compteur") as answer:
        said: int = json.load(answer)["requetes_non_sures"]
        return said


def form_of(number: int, demo: RunningDemo) -> bytes:
    return f"nir={demo.nirs[number]}&telephone=0199000000".encode()


def multipart_of(number: int, demo: RunningDemo) -> bytes:
    part = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    return part % (b"nir", demo.nirs[number].encode()) + part % (b"telephone", b"0199000001") + b"--b--\r\n"


@pytest.mark.parametrize(("kind", "at"), [(FORM, 500), (MULTIPART, 501)])
def test_an_interrupted_form_is_sent_once(running: RunningDemo, kind: str, at: int) -> None:
    browser, number = Browser(running, running.caller()), running.ids[at]
    target = f"/dossiers/{number}/modifier"
    body = form_of(number, running) if kind is FORM else multipart_of(number, running)
    before = executed(running)
    asked = browser.post(target, body, kind)
    assert asked.status == 401 and running.seen(asked.raw) == set()
    assert executed(running) == before

    location = browser.confirm(asked)
    page = browser.send(location)
    assert page.status == 200 and target.encode() in page.body and str(len(body)).encode() in page.body
    assert executed(running) == before

    assert f'action="{target}"'.encode() in page.body
    send = browser.request(target, SAME, ("Content-Type", FORM), method="POST", body=sending(location))
    answers = at_once(running.port, [send] * 100)
    assert executed(running) == before + 1
    sent = [answer for answer in answers if answer.status < 400]
    assert len(sent) == 1
    assert {answer.status for answer in answers} - {sent[0].status} == {404}
    assert browser.send(location).status == 404


def test_nobody_else_and_no_other_site_sends_it(running: RunningDemo) -> None:
    owner, number = Browser(running, running.caller()), running.ids[502]
    before = executed(running)
    target = f"/dossiers/{number}/modifier"
    location = owner.confirm(owner.post(target, form_of(number, running)))
    for site in ("cross-site", "same-site", "none"):
        assert owner.send_kept(target, location, site).status == 403
    thief = Browser(running, running.caller())
    thief.cookies |= {name: value for name, value in owner.cookies.items() if "kept" in name}
    assert thief.send_kept(target, location).status == 404
    halfless = Browser(running, owner.caller)
    halfless.cookies[SESSION] = owner.cookies[SESSION]
    assert halfless.send_kept(target, location).status == 404
    assert executed(running) == before
    assert owner.send_kept(target, location).status < 400
    assert executed(running) == before + 1


def refused_save(browser: Browser, number: int) -> Answer:
    """A save that the application refuses: its answer is the form again, with the number in a field."""
    return browser.post(f"/dossiers/{number}/modifier", b"telephone=none")


def test_the_answer_of_what_was_done_waits_for_the_confirmation(running: RunningDemo) -> None:
    browser, number = Browser(running, running.caller()), running.ids[505]
    before = executed(running)
    withheld = refused_save(browser, number)
    assert withheld.status == 409
    assert running.seen(withheld.raw) == set()
    assert executed(running) == before + 1
    link = re.search(rb'href="(/\.gateway/answers\?id=[^"]+)"', withheld.body)
    assert link is not None
    pick_up = link[1].decode()
    asked = browser.send(pick_up)
    assert (asked.status, running.seen(asked.raw)) == (401, set())
    assert browser.confirm(asked) == pick_up

    answers = at_once(running.port, [browser.request(pick_up)] * 100)
    opened = [answer for answer in answers if answer.status == 409]
    assert len(opened) == 1
    assert running.nirs[number].encode() in opened[0].body
    assert {answer.status for answer in answers} <= {409, 404, 503}
    assert browser.send(pick_up).status == 404
    assert executed(running) == before + 1


def test_nobody_else_opens_the_answer_of_what_was_done(running: RunningDemo) -> None:
    owner, number = Browser(running, running.caller()), running.ids[506]
    withheld = refused_save(owner, number)
    link = re.search(rb'href="(/\.gateway/answers\?id=[^"]+)"', withheld.body)
    assert link is not None
    thief = Browser(running, running.caller())
    thief.cookies |= {name: value for name, value in owner.cookies.items() if "kept" in name}
    assert thief.send(link[1].decode()).status == 404
    same_person = Browser(running, owner.caller)
    same_person.cookies |= {name: value for name, value in owner.cookies.items() if "kept" in name}
    assert same_person.send(link[1].decode()).status == 404
    assert owner.send(link[1].decode()).status == 401


@pytest.mark.parametrize(("site", "size"), [("cross-site", 100), ("same-site", 100), ("same-origin", 1_100_000)])
def test_what_cannot_be_kept_is_not_and_the_page_says_so(running: RunningDemo, site: str, size: int) -> None:
    browser, number = Browser(running, running.caller()), running.ids[503]
    body = form_of(number, running)
    asked = browser.post(f"/dossiers/{number}/modifier", body.ljust(size, b"+"), site=site)
    assert not any("kept" in name for name in browser.cookies)
    assert b'name="flow"' not in asked.body
    assert asked.status in (401, 413) and (b"not sent" in asked.body or asked.status == 413)


def test_what_was_kept_is_decided_anew_when_it_is_sent(running: RunningDemo) -> None:
    browser, number = Browser(running, running.caller()), running.ids[504]
    before = executed(running)
    asked = browser.post(f"/dossiers/{number}/modifier", form_of(number, running))
    location = re.search(rb'data-next="([^"]+)"', asked.body)
    assert location is not None
    again = browser.send_kept(f"/dossiers/{number}/modifier", location[1].decode())
    assert again.status == 401
    assert executed(running) == before
