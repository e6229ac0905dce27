"""Requests that do something: decided beforehand, done once, their result never lost and never a leak."""

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest
from persons import Raw, as_json, nir, record
from stack import Account, Stack

JSON = ("Content-Type", "application/json")


def exhaust(raw: Raw, account: Account, first: int) -> None:
    """Use up the sensitive limit of an hour: 60 persons."""
    raw.app.says("/many", as_json([record(first + number) for number in range(60)]))
    assert raw.stack.ask("/many", account, host="raw.test").status == 200
    assert raw.stack.used(account, "sensitive-hour") == 60


def test_a_number_in_the_answer_of_a_post_is_masked_and_the_post_done_once(raw: Raw, somebody: Account) -> None:
    there = raw.under("save")
    there.says(as_json({"saved": True, **record(31)}), status=201)
    answer = there.ask(somebody, JSON, method="POST", body=b'{"a":1}')
    assert answer.status == 201
    assert json.loads(answer.body)["saved"] is True
    assert nir(31).encode() not in answer.raw
    assert len(there.received) == 1
    assert raw.stack.record_of(answer)["executed"] is True


def test_a_number_in_the_answer_of_a_post_leaves_with_a_proof(raw: Raw, proven: Account) -> None:
    there = raw.under("save")
    there.says(as_json(record(32)))
    assert nir(32).encode() in there.ask(proven, JSON, method="POST", body=b"{}").body


def test_what_cannot_be_masked_in_the_answer_of_a_post_is_withheld(raw: Raw, somebody: Account) -> None:
    there = raw.under("save")
    there.says(b"%PDF-1.4" + bytes(5_000), "application/pdf", status=201)
    answer = there.ask(somebody, JSON, method="POST", body=b"{}")
    assert (answer.status, answer.reason) == (201, "content_withheld")
    assert b"%PDF" not in answer.raw
    assert len(there.received) == 1
    recorded = raw.stack.record_of(answer)
    assert (recorded["executed"], recorded["status"]) == (True, 201)


def test_a_post_to_a_classified_path_needs_its_proof_before_it_is_done(raw: Raw, somebody: Account) -> None:
    there = raw.under("sensitive")
    answer = there.ask(somebody, JSON, method="POST", body=b"{}")
    assert (answer.status, answer.reason) == (401, "proof_required")
    assert not there.received


def test_a_post_is_not_done_once_its_limit_is_used_up(raw: Raw, proven: Account) -> None:
    there = raw.under("sensitive")
    there.says(b"{}")
    exhaust(raw, proven, 10_000)
    answer = there.ask(proven, JSON, method="POST", body=b"{}")
    assert (answer.status, answer.reason) == (429, "budget_exhausted")
    assert not there.received


def test_a_post_of_a_lesser_class_is_done_though_a_limit_is_used_up(raw: Raw, proven: Account) -> None:
    there = raw.under("save")
    there.says(as_json(record(33)))
    exhaust(raw, proven, 10_100)
    answer = there.ask(proven, JSON, method="POST", body=b"{}")
    assert answer.status == 200
    assert nir(33).encode() not in answer.raw
    assert len(there.received) == 1


def test_a_revoked_caller_still_learns_what_became_of_a_post(raw: Raw, somebody: Account) -> None:
    there = raw.under("save")

    def script(exchange) -> None:  # type: ignore[no-untyped-def]  # a script of the application
        raw.stack.revoke(somebody)
        body = as_json(record(34))
        exchange.connection.settimeout(1.2)
        with contextlib.suppress(TimeoutError):  # past the second for which who asks is remembered
            exchange.connection.recv(1)
        exchange.send(
            b"HTTP/1.1 201 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        exchange.close = True

    there.runs(script)
    answer = there.ask(somebody, JSON, method="POST", body=b"{}")
    assert nir(34).encode() not in answer.raw
    assert answer.status == 201


@pytest.fixture(scope="module")
def ids(demo: tuple[str, Path]) -> list[int]:
    with sqlite3.connect(demo[1]) as database:
        return [number for (number,) in database.execute("SELECT id FROM demandeur ORDER BY id LIMIT 100")]


def cost(stack: Stack, ask: str, method: str, body: bytes | None, kind: str = "application/json") -> tuple[int, int]:
    """Persons with a number in clear that an account gets by one request, and how many it is charged."""
    account = stack.account(max_persons=1_000)
    assert stack.step_up(account).status == 200
    answer = stack.ask(ask, account, ("Content-Type", kind), method=method, body=body)
    got = answer.body.count(b'"nir"') - answer.body.count(b"xMASKx") if answer.status == 200 else 0
    return got, stack.used(account, "sensitive-hour")


def test_a_record_costs_one_by_get(stack: Stack, ids: list[int]) -> None:
    account = stack.account()
    stack.step_up(account)
    answer = stack.get(f"/api/demandeurs/{ids[0]}", account)
    assert answer.status == 200
    assert stack.used(account, "sensitive-hour") >= 1


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "PATCH", "GETS", "PROPFIND", "get", "OPTIONS", "SEARCH", "QUERY", "DELETE"]
)
def test_no_method_takes_more_than_get(stack: Stack, ids: list[int], method: str) -> None:
    target = f"/api/demandeurs/{ids[1]}"
    _, by_get = cost(stack, target, "GET", None)
    got, by_method = cost(stack, target, method, b"")
    assert got <= by_method
    assert by_method <= by_get


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "OPTIONS", "SEARCH", "get"])
@pytest.mark.parametrize(
    "query", ["?id={0}&id={1}&id={2}", "?id={0},{1},{2}", "?id={0}&ID={1}&id[]={2}", "?page=1&taille=3&id={0}"]
)
def test_doubled_and_listed_persons_are_each_counted(stack: Stack, ids: list[int], method: str, query: str) -> None:
    got, charged = cost(stack, "/api/demandeurs" + query.format(*ids[10:13]), method, None)
    assert got <= charged


@pytest.mark.parametrize("path", ["/api/demandeurs/{0}?id={1}&id={2}", "/api/demandeurs/{0}?ID={1}"])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_a_person_named_twice_is_never_cheaper(stack: Stack, ids: list[int], method: str, path: str) -> None:
    got, charged = cost(stack, path.format(*ids[20:23]), method, None)
    assert got <= charged


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", '{{"id": [{0}, {1}, {2}]}}'),
        ("application/json", '{{"id": "{0},{1}"}}'),
        ("application/x-www-form-urlencoded", "id={0}&id={1}&id={2}"),
        ("text/plain", '{{"id": [{0}, {1}]}}'),
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
def test_persons_asked_for_in_a_body_are_each_counted(
    stack: Stack, ids: list[int], method: str, kind: str, body: str
) -> None:
    got, charged = cost(stack, "/api/demandeurs", method, body.format(*ids[30:33]).encode(), kind)
    assert got <= charged
