"""Persons of other agencies: limits of their own, a reason once a day; records that are of no use any more."""

import itertools
import json
import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from browsers import Browser, browser_of
from conftest import GATEWAY, ROUTES
from persons import Raw, as_json, nir, record
from scripted_application import ScriptedApplication
from stack import CODES_OPEN_ALL, Account, Stack, least_privilege, running_stack
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from wire import Answer

HERE, THERE = "75001", "69001"
WHY = "remplace Zoé à Lyon"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
NAVIGATES = ("Sec-Fetch-Mode", "navigate")
_PATHS, _PEOPLE = itertools.count(1), itertools.count(1)


@pytest.fixture(scope="module")
def stack(app: ScriptedApplication, demo: tuple[str, object]) -> Iterator[Stack]:
    changes = {"policy.toml": {**CODES_OPEN_ALL, **least_privilege()}}
    more = {"gateway.toml": GATEWAY.format(scripted=f"http://127.0.0.1:{app.port}"), "policy.toml": ROUTES}
    with running_stack(demo[0], changes=changes, more=more) as running:
        yield running


@pytest.fixture
def raw(stack: Stack, app: ScriptedApplication) -> Raw:
    return Raw(stack, app, f"/outside{next(_PATHS)}")


@pytest.fixture
def adviser(stack: Stack) -> Account:
    """Somebody of the agency ``HERE``, with a fresh proof."""
    account = stack.account(max_persons=1_000, agency=HERE)
    assert stack.step_up(account).status == 200
    return account


def person(agency: str | None, **more: object) -> dict[str, object]:
    told = {} if agency is None else {"agence": agency}
    return record(next(_PEOPLE), **told, **more)


def because(text: str | bytes = WHY) -> tuple[str, str | bytes]:
    return "Gateway-Reason", text.encode() if isinstance(text, str) else text


def test_who_is_inside_leaves_without_a_word(raw: Raw, adviser: Account, stack: Stack) -> None:
    raw.says(as_json(person(HERE)))
    answer = raw.ask(adviser)
    assert answer.status == 200
    assert "out" not in stack.record_of(answer)["persons"][0]
    assert (stack.used(adviser, "sensitive-hour"), stack.used(adviser, "outside-hour")) == (1, 0)


def test_of_who_is_outside_a_reason_is_asked_and_nothing_leaves(raw: Raw, adviser: Account, stack: Stack) -> None:
    one = person(THERE)
    raw.says(as_json(one))
    answer = raw.ask(adviser)
    assert (answer.status, answer.reason) == (403, "reason_required")
    assert str(one["nir"]).encode() not in answer.body
    assert (stack.used(adviser, "sensitive-hour"), stack.used(adviser, "outside-hour")) == (0, 0)
    assert stack.record_of(answer)["asked"] == 1


def test_the_reason_is_in_the_ledger_nowhere_else_and_asked_once(raw: Raw, adviser: Account, stack: Stack) -> None:
    raw.says(as_json(person(THERE)))
    answer = raw.ask(adviser, because())
    assert answer.status == 200
    assert stack.record_of(answer)["why"] == WHY
    assert stack.record_of(answer)["persons"][0]["out"] == 1
    assert raw.received[-1].all("gateway-reason") == []
    assert raw.ask(adviser).status == 200
    assert WHY not in stack.said()
    assert (stack.used(adviser, "sensitive-hour"), stack.used(adviser, "outside-hour")) == (1, 1)


def test_a_reason_never_travels_on_where_none_was_asked(raw: Raw, adviser: Account, stack: Stack) -> None:
    for there in (raw, raw.under("unread")):
        there.says(b"{}")
        assert there.ask(adviser, because()).status == 200
        assert there.received[-1].all("gateway-reason") == []


def test_a_number_in_a_reason_is_not_written_down(raw: Raw, adviser: Account, stack: Stack) -> None:
    one = person(THERE)
    raw.says(as_json(one))
    answer = raw.ask(adviser, because(f"about {one['nir']}, of Lyon"))
    assert answer.status == 200
    assert str(one["nir"]) not in str(stack.records())


@pytest.mark.parametrize("said", ["short", "x" * 501, b"bell \x07 and a few more"])
def test_what_is_no_reason_opens_nothing(raw: Raw, adviser: Account, said: str | bytes) -> None:
    raw.says(as_json(person(THERE)))
    assert raw.ask(adviser, because(said)).status in (400, 403)


def test_names_of_other_agencies_ask_nothing(raw: Raw, adviser: Account, stack: Stack) -> None:
    raw.says(as_json([{"id": next(_PEOPLE), "nom": "A", "agence": THERE} for _ in range(30)]))
    assert raw.ask(adviser).status == 200
    assert stack.used(adviser, "outside-hour") == 0


def test_a_caller_of_no_agency_is_asked_of_everybody(raw: Raw, stack: Stack) -> None:
    account = stack.account()
    assert stack.step_up(account).status == 200
    raw.says(as_json(person(HERE)))
    assert raw.ask(account).reason == "reason_required"


def test_beyond_the_hour_s_limit_whoever_is_inside_still_leaves(raw: Raw, adviser: Account, stack: Stack) -> None:
    raw.says(as_json([person(THERE) for _ in range(15)]))
    assert raw.ask(adviser, because()).status == 200
    raw.says(as_json(person(THERE)))
    refused = raw.ask(adviser, because())
    assert (refused.status, json.loads(refused.body)["budget"]) == (429, "outside-hour")
    raw.says(as_json(person(HERE)))
    assert raw.ask(adviser).status == 200
    assert stack.used(adviser, "outside-hour") == 15


def test_one_reason_serves_a_whole_export(raw: Raw, adviser: Account, stack: Stack) -> None:
    people = [person(THERE if number % 4 == 3 else HERE) for number in range(40)]
    rows = "".join(f"{one['nir']};{one['nom']};{one['agence']}\r\n" for one in people)
    raw.says(f"nir;nom;agence\r\n{rows}".encode(), "text/csv; charset=utf-8")
    refused = raw.ask(adviser)
    assert (refused.status, refused.reason) == (403, "reason_required")
    answer = raw.ask(adviser, because())
    assert answer.status == 200
    assert answer.body.count(b"\r\n") == 41
    (written,) = [one for one in stack.records(answer.one("x-request-id")) if one.get("persons")]
    assert (written["why"], sum(one.get("out", 0) for one in written["persons"])) == (WHY, 10)


def test_an_export_that_has_begun_stops_where_a_reason_is_missing(raw: Raw, adviser: Account) -> None:
    rows = [f"{next(_PEOPLE)};Nom;{HERE};" for _ in range(250)] + [f"{next(_PEOPLE)};Nom;{THERE};a@b.example"]
    pieces = ["id;nom;agence;email", *rows]
    raw.says("\r\n".join(pieces).encode(), "text/csv; charset=utf-8")
    answer = raw.ask(adviser)
    assert answer.status == 200
    assert answer.body.count(f";{HERE};".encode()) >= 199
    assert b"gateway: reason_required" in answer.body
    assert b"a@b.example" not in answer.body
    assert not answer.complete


def test_an_export_stops_at_the_limit_of_those_outside(raw: Raw, adviser: Account) -> None:
    rows = "".join(f"{person(THERE)['nir']};{THERE}\r\n" for _ in range(20))
    raw.says(f"nir;agence\r\n{rows}".encode(), "text/csv; charset=utf-8")
    answer = raw.ask(adviser, because())
    assert answer.body.count(f";{THERE}".encode()) == 15
    assert b"gateway: budget_exhausted" in answer.body


def test_a_conversation_needs_its_reason_from_the_start(adviser: Account, stack: Stack) -> None:
    at = f"ws://localhost:{stack.port}/ws/dossiers"
    with connect(at, additional_headers=[adviser.bearer]) as client:
        client.send('{"id": 3}')
        notice = client.recv(timeout=10)
        assert "reason_required" in str(notice)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    with connect(at, additional_headers=[adviser.bearer, ("Gateway-Reason", "replaces Zoe of Lyon")]) as client:
        client.send('{"id": 3}')
        assert json.loads(client.recv(timeout=10))["id"] == 3
    assert "replaces Zoe of Lyon" in [one.get("why") for one in stack.records()]


def test_what_is_executed_needs_the_reason_before_it_is_forwarded(raw: Raw, adviser: Account, stack: Stack) -> None:
    there = raw.under("sensitive")
    there.says(b'{"done": true}')
    body = urlencode({"nir": nir(next(_PEOPLE))}).encode()
    refused = there.ask(adviser, FORM, method="POST", body=body)
    assert (refused.status, refused.reason) == (403, "reason_required")
    assert not there.received
    done = there.ask(adviser, FORM, because(), method="POST", body=body)
    assert done.status == 200
    assert [one["why"] for one in stack.records(done.one("x-request-id")) if one["kind"] == "execution"] == [WHY]


def test_who_was_seen_inside_is_so_in_a_file_that_nobody_can_read(raw: Raw, adviser: Account, stack: Stack) -> None:
    number = next(_PEOPLE)
    there = Raw(raw.stack, raw.app, f"/file/{number}")
    there.says(b"%PDF-1.7 ...", "application/pdf")
    assert there.ask(adviser).reason == "reason_required"
    raw.says(as_json({"id": number, "nom": "A", "agence": HERE}))
    assert raw.ask(adviser).status == 200
    assert there.ask(adviser).status == 200
    assert stack.used(adviser, "outside-hour") == 0


def test_a_dormant_record_is_masked_and_no_code_of_the_day_opens_it(raw: Raw, stack: Stack) -> None:
    account = stack.account(agency=HERE)
    raw.says(as_json(person(HERE, courriel="a@b.example", dateFin="1999-01-01")))
    answer = raw.ask(account)
    assert answer.status == 200
    assert b"a@b.example" not in answer.body
    assert b"1999-01-01" not in answer.body
    assert "dormant" in stack.record_of(answer)["persons"][0]["masked"]
    assert stack.step_up(account).status == 200
    proven = raw.ask(account)
    assert b"a@b.example" in proven.body
    assert stack.record_of(proven)["persons"][0]["c"] == "restricted"


def test_the_demo_s_own_page_says_whose_agency_its_person_is(stack: Stack, demo: tuple[str, object]) -> None:
    account = stack.account(max_persons=1_000)
    assert stack.step_up(account).status == 200
    for number in range(1, 40):
        shown = stack.get(f"/api/demandeurs/{number}", account, because())
        said = json.loads(shown.body) if shown.status == 200 else {}
        if said.get("agence") and not said.get("conjoint") and not said.get("enfants"):
            break
    mine = stack.account(agency=said["agence"])
    assert stack.step_up(mine).status == 200
    for page in (f"/dossiers/{number}", f"/api/demandeurs/{number}", f"/api/demandeurs/{number}.xml"):
        answer = stack.get(page, mine)
        assert answer.status == 200, page
        assert not any(one.get("out") for one in stack.record_of(answer)["persons"]), page


# In a browser


@pytest.fixture
def browser(stack: Stack) -> Browser:
    browser = browser_of(stack, stack.account(max_persons=1_000), agency=HERE)
    browser.confirm()
    return browser


def flow_of(page: Answer) -> str:
    found = re.search(rb'name="flow" value="([^"]+)"', page.body)
    assert found is not None, page.body
    return found[1].decode()


def say(browser: Browser, flow: str, why: str, *fields: tuple[str, str]) -> Answer:
    body = urlencode({"flow": flow, "why": why}).encode()
    return browser.ask("/.gateway/reason", FORM, NAVIGATES, *fields, method="POST", body=body)


def test_the_page_asks_in_place_and_goes_on(raw: Raw, browser: Browser, stack: Stack) -> None:
    one = person(THERE)
    raw.says(as_json(one))
    page = browser.ask(raw.path + "?x=1", NAVIGATES)
    assert page.status == 403
    assert str(one["nir"]).encode() not in page.body
    answer = say(browser, flow_of(page), WHY)
    assert (answer.status, answer.one("location")) == (303, raw.path + "?x=1")
    shown = browser.ask(raw.path + "?x=1", NAVIGATES)
    assert shown.status == 200
    assert stack.record_of(shown)["why"] == WHY


def test_a_reason_typed_for_one_page_opens_no_other(raw: Raw, browser: Browser) -> None:
    raw.says(as_json(person(THERE)))
    say(browser, flow_of(browser.ask(raw.path, NAVIGATES)), WHY)
    assert browser.ask(raw.path + "?other", NAVIGATES).status == 403


def test_too_short_a_reason_is_asked_again_in_place(raw: Raw, browser: Browser) -> None:
    raw.says(as_json(person(THERE)))
    flow = flow_of(browser.ask(raw.path, NAVIGATES))
    again = say(browser, flow, "<b>no")
    assert again.status == 403
    assert b"&lt;b&gt;no" in again.body
    assert say(browser, flow_of(again), WHY).status == 303


def test_a_question_is_answered_once(raw: Raw, browser: Browser) -> None:
    raw.says(as_json(person(THERE)))
    flow = flow_of(browser.ask(raw.path, NAVIGATES))
    assert say(browser, flow, WHY).status == 303
    assert say(browser, flow, WHY).status == 403


def test_another_site_s_page_answers_nothing(raw: Raw, browser: Browser) -> None:
    raw.says(as_json(person(THERE)))
    flow = flow_of(browser.ask(raw.path, NAVIGATES))
    browser.site = "cross-site"
    assert say(browser, flow, WHY).status == 403
    browser.site = "same-origin"
    assert browser.ask(raw.path, NAVIGATES).status == 403


def test_another_s_question_is_not_answered(raw: Raw, browser: Browser, stack: Stack) -> None:
    raw.says(as_json(person(THERE)))
    flow = flow_of(browser.ask(raw.path, NAVIGATES))
    other = browser_of(stack, stack.account(), agency=HERE)
    assert say(other, flow, WHY).status == 403


def test_a_form_is_kept_while_the_reason_is_asked(raw: Raw, browser: Browser) -> None:
    there = raw.under("sensitive")
    there.says(as_json({"done": True}))
    body = urlencode({"nir": nir(next(_PEOPLE))}).encode()
    page = browser.ask(there.path, FORM, NAVIGATES, method="POST", body=body)
    assert page.status == 403
    assert not there.received
    location = say(browser, flow_of(page), WHY).one("location")
    assert location is not None
    assert location.startswith("/.gateway/kept?id=")
    sends = f"gateway-kept={location.partition('?id=')[2]}".encode()
    sent = browser.ask(there.path, FORM, NAVIGATES, method="POST", body=sends)
    assert sent.status == 200
    assert len(there.received) == 1


def test_a_call_of_a_page_s_script_gets_the_problem(raw: Raw, browser: Browser) -> None:
    raw.says(as_json(person(THERE)))
    assert browser.ask(raw.path, ("Sec-Fetch-Mode", "cors")).reason == "reason_required"
