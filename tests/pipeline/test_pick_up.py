"""The answer of what was done waits for a confirmation: for whom it is, once, decided as if it came now."""

import contextlib
import json
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from browsers import Browser, browser_of
from persons import RAW, Raw, as_json, nir, record
from stack import Account, Stack, free_ports, serving, until
from wire import Answer

from gateway.config import Settings, load
from gateway.edge.cookies import SESSION
from gateway.stores.closures import Closures
from gateway.stores.freezes import Freezes

JSON = ("Content-Type", "application/json")
NAVIGATES = ("Sec-Fetch-Mode", "navigate")
PDF = b"%PDF-1.4" + bytes(5_000)
PERSONS = 8
"""In so many bytes that nobody reads."""


def post(there: Raw, account: Account) -> Answer:
    """Do something whose answer cannot be read, nor masked."""
    there.says(PDF, "application/pdf", "X-Invoice: 7", status=201)
    return there.ask(account, JSON, method="POST", body=b"{}")


def pick_up_of(withheld: Answer) -> str:
    assert withheld.reason == "content_withheld", withheld.raw
    pick_up: str = json.loads(withheld.body)["pick_up_uri"]
    return pick_up


def get(raw: Raw, target: str, account: Account, *fields: tuple[str, str]) -> Answer:
    return raw.stack.ask(target, account, *fields, host=RAW)


def test_it_opens_once_after_the_confirmation_and_the_request_was_done_once(raw: Raw, somebody: Account) -> None:
    there = raw.under("save")
    withheld = post(there, somebody)
    assert (withheld.status, b"%PDF" in withheld.raw) == (201, False)
    pick_up = pick_up_of(withheld)
    for _ in range(2):
        asked = get(raw, pick_up, somebody)
        assert (asked.status, asked.reason) == (401, "proof_required")
    assert raw.stack.step_up(somebody).status == 200
    answer = get(raw, pick_up, somebody)
    assert (answer.status, answer.body, answer.one("x-invoice")) == (201, PDF, "7")
    assert answer.one("cache-control") == "no-store"
    again = get(raw, pick_up, somebody)
    assert (again.status, again.reason) == (404, "answer_gone")
    assert len(there.received) == 1


def test_it_is_charged_and_recorded_when_it_is_picked_up(raw: Raw, somebody: Account) -> None:
    withheld = post(raw.under("save"), somebody)
    assert raw.stack.record_of(withheld, "refusal")["sealed"] is True
    assert raw.stack.step_up(somebody).status == 200
    assert raw.stack.used(somebody, "sensitive-hour") == 0
    answer = get(raw, pick_up_of(withheld), somebody)
    assert raw.stack.used(somebody, "sensitive-hour") == PERSONS
    recorded = raw.stack.record_of(answer)
    assert (recorded["kind"], recorded["verdict"], recorded["unnamed"]) == ("answer", "release", PERSONS)
    assert (recorded["method"], recorded["route"], recorded["status"]) == ("POST", "save", 201)
    assert recorded["picked_up"] == withheld.one("x-gateway-reference")


def test_of_a_hundred_that_pick_it_up_one_gets_it_and_it_is_charged_once(raw: Raw, somebody: Account) -> None:
    pick_up = pick_up_of(post(raw.under("save"), somebody))
    assert raw.stack.step_up(somebody).status == 200
    answers: list[Answer] = []

    def ask() -> None:
        answers.append(get(raw, pick_up, somebody))

    threads = [threading.Thread(target=ask) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.body for one in answers if one.status == 201] == [PDF]
    assert {one.status for one in answers} <= {201, 404, 503}
    assert raw.stack.used(somebody, "sensitive-hour") == PERSONS


def test_a_number_in_a_header_waits_too(raw: Raw, somebody: Account) -> None:
    there = raw.under("save")
    location = f"/dossiers/{nir(61)}"
    there.says(b"", "text/html", f"Location: {location}", status=303)
    withheld = there.ask(somebody, JSON, method="POST", body=b"{}")
    assert nir(61).encode() not in withheld.raw
    raw.stack.step_up(somebody)
    answer = get(raw, pick_up_of(withheld), somebody)
    assert (answer.status, answer.one("location")) == (303, location)


def test_what_a_policy_masks_is_masked_in_place_and_nothing_waits(raw: Raw, somebody: Account) -> None:
    there = raw.under("save")
    there.says(as_json(record(62)))
    answer = there.ask(somebody, JSON, method="POST", body=b"{}")
    assert (answer.status, answer.reason) == (200, "")
    assert nir(62).encode() not in answer.raw


@pytest.mark.parametrize("persons", [3, 45])
def test_a_stream_that_waits_is_a_stream_again(raw: Raw, somebody: Account, persons: int) -> None:
    there = raw.under("extract")
    rows = [f"{nir(70 + number)};Nom{number}\r\n" for number in range(persons)]
    there.says(("nir;nom\r\n" + "".join(rows)).encode(), "text/csv; charset=utf-8")
    withheld = there.ask(somebody, JSON, method="POST", body=b"{}")
    assert nir(70).encode() not in withheld.raw
    assert raw.stack.step_up(somebody).status == 200
    answer = get(raw, pick_up_of(withheld), somebody)
    # One confirmation is good for 40 persons: the rest would be a question, which a stream that has begun cannot ask.
    assert answer.body.count(b";Nom") == min(persons, 40)
    assert answer.complete is (persons < 40)
    assert raw.stack.used(somebody, "sensitive-hour") == min(persons, 40)
    assert get(raw, pick_up_of(withheld), somebody).reason == "answer_gone"
    assert len(there.received) == 1


def test_what_no_confirmation_opens_is_not_sealed(raw: Raw) -> None:
    machine = raw.stack.account(kind="machine")
    withheld = post(raw.under("save"), machine)
    assert withheld.reason == "content_withheld"
    assert "pick_up_uri" not in json.loads(withheld.body)


@pytest.mark.parametrize(("size", "sealed"), [(1024 * 1024, True), (1024 * 1024 + 1, False)])
def test_what_is_too_large_is_withheld_and_gone(raw: Raw, somebody: Account, size: int, sealed: bool) -> None:
    there = Raw(raw.stack, raw.app, f"/attach/{12_345_678_901 + size}")
    there.says(PDF.ljust(size, b"\0"), "application/pdf")
    withheld = there.ask(somebody, JSON, method="POST", body=b"{}")
    assert (withheld.status, withheld.reason) == (200, "content_withheld")
    assert ("pick_up_uri" in json.loads(withheld.body)) is sealed
    if sealed:
        raw.stack.step_up(somebody)
        assert len(get(raw, pick_up_of(withheld), somebody).body) == size


def test_a_credential_has_five_waiting_and_no_more(raw: Raw, somebody: Account) -> None:
    there = raw.under("save")
    waiting = ["pick_up_uri" in json.loads(post(there, somebody).body) for _ in range(6)]
    assert waiting == [True] * 5 + [False]


def test_only_get_picks_up(raw: Raw, somebody: Account) -> None:
    pick_up = pick_up_of(post(raw.under("save"), somebody))
    raw.stack.step_up(somebody)
    assert raw.stack.ask(pick_up, somebody, host=RAW, method="POST", body=b"").status == 405
    assert raw.stack.ask(pick_up, somebody, host=RAW, method="HEAD").status == 405
    assert get(raw, pick_up, somebody).status == 201


@pytest.mark.parametrize("query", ["", "?id=", "?id=a&id=b", "?id=a&b=1&c=2&d=3&e=4", "?id=%00"])
def test_a_strange_address_is_no_pick_up(raw: Raw, proven: Account, query: str) -> None:
    assert get(raw, f"/.gateway/answers{query}", proven).status in (400, 404)


# -- What a thief could do with it --


def test_another_token_of_the_same_person_gets_nothing_and_takes_nothing(raw: Raw, somebody: Account) -> None:
    pick_up = pick_up_of(post(raw.under("save"), somebody))
    other = raw.stack.another_token(somebody)
    assert raw.stack.step_up(other).status == 200
    assert get(raw, pick_up, other).reason == "answer_gone"
    raw.stack.step_up(somebody, 1)
    assert get(raw, pick_up, somebody).status == 201


def test_another_person_gets_nothing(raw: Raw, somebody: Account, proven: Account) -> None:
    pick_up = pick_up_of(post(raw.under("save"), somebody))
    assert get(raw, pick_up, proven).reason == "answer_gone"
    assert b"%PDF" not in get(raw, pick_up, proven).raw


def test_nobody_gets_nothing(raw: Raw, somebody: Account) -> None:
    pick_up = pick_up_of(post(raw.under("save"), somebody))
    assert raw.stack.ask(pick_up, None, host=RAW).status == 401


def test_another_application_of_the_house_does_not_serve_it(raw: Raw, somebody: Account) -> None:
    pick_up = pick_up_of(post(raw.under("save"), somebody))
    raw.stack.step_up(somebody)
    assert raw.stack.ask(pick_up, somebody, host="replaced.test").reason == "answer_gone"
    assert raw.stack.ask(pick_up, somebody, host="nowhere.test").status == 400


def test_a_frozen_person_gets_it_only_once_they_are_free(raw: Raw, somebody: Account) -> None:
    pick_up = pick_up_of(post(raw.under("save"), somebody))
    raw.stack.step_up(somebody)
    freezes = Freezes(raw.stack.thread.store, raw.stack.keyring)
    raw.stack.thread.call(freezes.freeze("user", somebody.user, by="officer", reason="test", now=1.0))
    until(lambda: get(raw, pick_up, somebody).reason == "frozen", what="the freeze")
    raw.stack.thread.call(freezes.unfreeze("user", somebody.user, now=2.0))
    answer = until(lambda: (one := get(raw, pick_up, somebody)).status == 201 and one, what="the end of the freeze")
    assert answer.body == PDF


def test_a_revoked_token_gets_nothing(raw: Raw, somebody: Account) -> None:
    pick_up = pick_up_of(post(raw.under("save"), somebody))
    raw.stack.step_up(somebody)
    raw.stack.revoke(somebody)
    until(lambda: raw.stack.get("/.gateway/budget", somebody).reason == "token_revoked", what="the revocation")
    assert get(raw, pick_up, somebody).reason == "token_revoked"


def test_a_used_up_limit_refuses_it_and_it_stays(raw: Raw) -> None:
    account = raw.stack.account(max_persons=1_000)
    pick_up = pick_up_of(post(raw.under("save"), account))
    raw.stack.step_up(account)
    raw.app.says("/sixty", as_json([record(30_000 + number) for number in range(60)]))
    assert raw.stack.ask("/sixty", account, host=RAW).status == 200
    for _ in range(2):
        answer = get(raw, pick_up, account)
        assert (answer.status, answer.reason) == (429, "budget_exhausted")
        assert b"%PDF" not in answer.raw


def test_nothing_of_it_is_in_ledger_or_log(raw: Raw, somebody: Account) -> None:
    there = raw.under("save")
    secret = b"%PDF-1.4 a-most-secret-invoice"
    there.says(secret, "application/pdf")
    pick_up = pick_up_of(there.ask(somebody, JSON, method="POST", body=b"{}"))
    raw.stack.step_up(somebody)
    assert get(raw, pick_up, somebody).body == secret
    told = raw.stack.said() + json.dumps(raw.stack.records())
    assert "a-most-secret-invoice" not in told
    assert pick_up.partition("=")[2] not in told


# -- When the policy has changed meanwhile --


@pytest.fixture(scope="module")
def elsewhere(stack: Stack) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="gwp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def with_policy(stack: Stack, folder: Path, old: str, new: str) -> Iterator[Stack]:
    """The same house under another policy."""
    shutil.copytree(stack.directory, folder)
    port, admin = free_ports(2)
    changes = {
        "gateway.toml": {
            f"port = {stack.port}\n": f"port = {port}\n",
            f"port = {stack.admin.rpartition(':')[2]}": f"port = {admin}",
        },
        "policy.toml": {old: new},
    }
    for name, pairs in changes.items():
        text = (folder / name).read_text("utf-8")
        for before, after in pairs.items():
            assert before in text, (name, before)
            text = text.replace(before, after)
        (folder / name).write_text(text, "utf-8")
    settings: Settings = load(folder)
    with serving(settings, folder / "log") as process:
        yield replace(stack, directory=folder, settings=settings, process=process, log=folder / "log")


DENIED = ('path = "/save/{rest:*}"\n', 'path = "/save/{rest:*}"\ndeny = true\n', 403, "denied_by_rule")
ONLY_KEYS = ('[classes.sensitive]\nproof = ["webauthn", "totp"]', '[classes.sensitive]\nproof = ["webauthn"]')


@pytest.mark.parametrize(("old", "new", "status", "reason"), [DENIED, (*ONLY_KEYS, 401, "proof_required")])
def test_the_policy_of_the_pick_up_decides(
    raw: Raw, elsewhere: Path, old: str, new: str, status: int, reason: str
) -> None:
    account = raw.stack.account()
    pick_up = pick_up_of(post(raw.under("save"), account))
    raw.stack.step_up(account)
    with with_policy(raw.stack, elsewhere / reason, old, new) as changed:
        answer = get(Raw(changed, raw.app, raw.path), pick_up, account)
    assert (answer.status, answer.reason) == (status, reason)
    assert get(raw, pick_up, account).body == PDF


def test_where_a_class_binds_its_proofs_one_opens_this_pick_up_and_no_other(
    raw: Raw, somebody: Account, elsewhere: Path
) -> None:
    """The person confirms to open exactly this answer."""
    bound = ("[classes.sensitive]\n", "[classes.sensitive]\nbind = true\n")
    with with_policy(raw.stack, elsewhere / "bound", *bound) as changed:
        here = Raw(changed, raw.app, raw.path)
        pick_ups = [pick_up_of(post(here.under("save"), somebody)) for _ in range(2)]
        asked = get(here, pick_ups[0], somebody)
        assert (asked.status, asked.reason) == (401, "proof_required")
        typed = json.dumps({"code": somebody.code(), "challenge": json.loads(asked.body)["challenge"]}).encode()
        confirmed = changed.ask("/.gateway/step-up/totp", somebody, JSON, method="POST", body=typed)
        assert confirmed.status == 200, confirmed.body
        assert get(here, pick_ups[1], somebody).reason == "proof_required"
        assert get(here, pick_ups[0], somebody).body == PDF
        assert get(here, pick_ups[1], somebody).reason == "proof_required"


# -- In a browser --


@pytest.fixture
def browser(stack: Stack, somebody: Account) -> Browser:
    return browser_of(stack, somebody)


def submit(there: Raw, browser: Browser, *fields: tuple[str, str]) -> Answer:
    there.says(PDF, "application/pdf", status=201)
    form = ("Content-Type", "application/x-www-form-urlencoded")
    return browser.ask(there.path, form, NAVIGATES, *fields, method="POST", body=b"a=1")


def link_of(page: Answer) -> str:
    found = re.search(rb'href="(/\.gateway/answers\?id=[^"]+)"', page.body)
    assert found is not None, page.body
    return found[1].decode()


@pytest.mark.parametrize(("language", "word"), [("en", "Confirm and open it"), ("fr", "Confirmer et l&#39;ouvrir")])
def test_the_page_leads_through_the_confirmation_to_the_answer(
    raw: Raw, browser: Browser, language: str, word: str
) -> None:
    there = raw.under("save")
    page = submit(there, browser, ("Accept-Language", language))
    assert page.status == 201
    assert word.encode() in page.body
    pick_up = link_of(page)
    asked = browser.ask(pick_up, NAVIGATES)
    assert asked.status == 401
    assert b'data-after="reload"' in asked.body
    flow = re.search(rb'name="flow" value="([^"]+)"', asked.body)
    assert flow is not None
    form = ("Content-Type", "application/x-www-form-urlencoded")
    typed = f"code={browser.account.code()}&flow={flow[1].decode()}".encode()
    sent_on = browser.ask("/.gateway/step-up/totp", form, NAVIGATES, method="POST", body=typed)
    assert (sent_on.status, sent_on.one("location")) == (303, pick_up)
    answer = browser.ask(pick_up, NAVIGATES)
    assert (answer.status, answer.body) == (201, PDF)
    assert [value for name, value in browser.cookies.items() if "kept" in name] == [""]
    assert len(there.received) == 1


def test_the_half_of_the_key_is_in_the_browser_and_not_in_the_address(raw: Raw, browser: Browser) -> None:
    page = submit(raw.under("save"), browser)
    (half,) = (value for name, value in browser.cookies.items() if "kept" in name)
    assert half.encode() not in page.body
    (kept,) = (value for value in page.all("set-cookie"))
    assert b"HttpOnly" in kept and b"SameSite=Strict" in kept and b"Secure" in kept
    browser.confirm()
    bare = Browser(browser.stack, browser.account, {SESSION: browser.cookies[SESSION]})
    assert bare.ask(link_of(page)).reason == "answer_gone"
    assert browser.ask(link_of(page)).status == 201


def test_another_session_or_token_of_the_same_person_gets_nothing(raw: Raw, browser: Browser) -> None:
    pick_up = link_of(submit(raw.under("save"), browser))
    other = browser_of(browser.stack, browser.account)
    other.confirm()
    other.cookies |= {name: value for name, value in browser.cookies.items() if "kept" in name}
    assert other.ask(pick_up).reason == "answer_gone"
    assert raw.stack.step_up(browser.account, 1).status == 200
    assert get(raw, pick_up, browser.account).reason == "answer_gone"


def test_a_session_that_has_ended_gets_nothing(raw: Raw, browser: Browser) -> None:
    pick_up = link_of(submit(raw.under("save"), browser))
    browser.confirm()
    kept = dict(browser.cookies)
    assert browser.ask("/.gateway/sign-out", method="POST", body=b"").status == 200
    browser.cookies = kept
    until(lambda: browser.ask(pick_up).reason == "no_caller", what="the end of the session")


def test_who_has_closed_their_access_gets_nothing(raw: Raw, browser: Browser) -> None:
    pick_up = link_of(submit(raw.under("save"), browser))
    browser.confirm()
    closing = Closures(raw.stack.thread.store).not_me(browser.account.user, but=browser.family())
    raw.stack.thread.call(closing)
    until(lambda: browser.ask(pick_up).reason == "closed_by_person", what="the closing")
