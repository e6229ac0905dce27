"""A proof made for one answer opens that answer, once, and nobody more than was said; one of age 0 opens any, once."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from stack import Account, Stack, running_stack
from wire import Answer

from gateway.stores import keys

EXPORT = "/exports/sante.csv?limite=100"
ONCE = '[classes.personal]\nproof = ["totp"]\nmax_age = 0\n'
FEW = """[[routes]]
name = "export-few"
application = "emploi"
path = "/exports/sante.csv"
query = ["peu"]
class = "restricted"
at_most = 7

"""
CHANGES = {
    'proof = ["webauthn"]   ': 'proof = ["webauthn", "totp"]   ',
    '[[routes]]\nname = "export-health"': f'{FEW}[[routes]]\nname = "export-health"',
    'path = "/dossiers/{id}"\n': 'path = "/dossiers/{id}"\nwithout = "challenge"\n',
}


@pytest.fixture(scope="module")
def bound(demo: tuple[str, Path]) -> Iterator[Stack]:
    """A gateway where a code makes bound proofs, and personal content asks for a proof each time."""
    with running_stack(demo[0], workers=2, changes={"policy.toml": CHANGES}, more={"policy.toml": ONCE}) as running:
        yield running


@pytest.fixture
def adviser(bound: Stack) -> Account:
    return bound.account()


def asked(answer: Answer, most: int | None) -> str:
    """The name of the challenge that an answer is."""
    problem = json.loads(answer.body)
    assert (answer.status, answer.reason, problem.get("limit")) == (401, "proof_required", most)
    name: str = problem["challenge"]
    assert f"step-up?code={name}" in (answer.one("www-authenticate") or "")
    return name


def confirm(stack: Stack, account: Account, name: str | None, offset: int = 0) -> Answer:
    said = {"code": account.code(offset)} | ({"challenge": name} if name else {})
    kind = ("Content-Type", "application/json")
    return stack.ask("/.gateway/step-up/totp", account, kind, method="POST", body=json.dumps(said).encode())


def rows(answer: Answer) -> int:
    return len(re.findall(rb"^\d+;", answer.body, re.MULTILINE))


def test_it_opens_the_answer_that_was_confirmed_once(bound: Stack, adviser: Account) -> None:
    name = asked(bound.get(EXPORT, adviser), 60)
    assert asked(bound.get(EXPORT, adviser), 60) == name
    said = confirm(bound, adviser, name)
    assert set(json.loads(said.body)["proof"]["fresh_for_s"]) == {"restricted"}
    for other in ("/exports/sante.csv?limite=99", "/exports/sante.csv"):
        asked(bound.get(other, adviser), 60)
    assert bound.ask(EXPORT, adviser, method="HEAD").status == 401
    released = bound.get(EXPORT, adviser)
    assert (released.status, rows(released)) == (200, 60)
    assert released.body.rstrip().rpartition(b"\n")[2].startswith(b"gateway:")
    assert bound.get(EXPORT, adviser).status in (401, 429)
    assert bound.used(adviser, "sensitive-hour") == 60


def test_a_hundred_requests_at_once_have_it_once(bound: Stack, adviser: Account) -> None:
    few = "/exports/sante.csv?limite=3"
    assert confirm(bound, adviser, asked(bound.get(few, adviser), 60)).status == 200
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: bound.get(few, adviser), range(100)))
    assert sorted(answer.status for answer in answers) == [200] + [401] * 99
    assert sum(rows(answer) for answer in answers) == 3


def test_the_route_says_how_many_persons_one_answer_takes(bound: Stack, adviser: Account) -> None:
    many = "/exports/sante.csv?limite=100&peu"
    assert confirm(bound, adviser, asked(bound.get(many, adviser), 7)).status == 200
    released = bound.get(many, adviser)
    assert (rows(released), b"answer_exceeds_proof" in released.body) == (7, True)
    # Who was counted before is free in every budget, and one answer takes no more for that.
    assert confirm(bound, adviser, asked(bound.get(many, adviser), 7), 1).status == 200
    assert rows(bound.get(many, adviser)) == 7
    assert bound.used(adviser, "sensitive-hour") == 7


def test_it_waits_as_long_as_its_class_says(bound: Stack, adviser: Account) -> None:
    assert confirm(bound, adviser, asked(bound.get(EXPORT, adviser), 60)).status == 200
    store, name = bound.thread.store, keys.proofs(adviser.token_id)
    (held,) = bound.thread.call(store.call("HGETALL", name)).items()
    old = json.loads(held[1])
    old["verified_at"] -= 601
    bound.thread.call(store.call("HSET", name, held[0], json.dumps(old)))
    asked(bound.get(EXPORT, adviser), 60)


def test_it_covers_whom_a_header_names(bound: Stack, adviser: Account) -> None:
    route = "/orientationusager/v1/lectureOrientation"
    one, other = (("ft-jeton-usager", f"jeton-{number:030d}") for number in (1, 2))
    assert confirm(bound, adviser, asked(bound.get(route, adviser, one), 60)).status == 200
    asked(bound.get(route, adviser, other), 60)
    assert bound.get(route, adviser, one).status == 400


def test_another_token_of_the_same_person_has_no_use_of_it(bound: Stack, adviser: Account) -> None:
    other = bound.another_token(adviser)
    name = asked(bound.get(EXPORT, adviser), 60)
    assert confirm(bound, other, name).status == 404
    assert confirm(bound, adviser, name).status == 200
    asked(bound.get(EXPORT, other), 60)


def test_a_strangers_name_is_unknown_and_burns_no_code(bound: Stack, adviser: Account) -> None:
    name = asked(bound.get(EXPORT, adviser), 60)
    stranger = bound.account()
    assert json.loads(confirm(bound, stranger, name).body)["type"].endswith("step_up_code_unknown")
    assert confirm(bound, stranger, None).status == 200


def test_a_proof_without_a_name_opens_nothing_that_is_bound(bound: Stack, adviser: Account) -> None:
    said = json.loads(confirm(bound, adviser, None).body)
    assert set(said["proof"]["fresh_for_s"]) == {"sensitive", "personal"}
    asked(bound.get(EXPORT, adviser), 60)


def test_a_bound_proof_changes_no_factors_and_opens_nothing_else(bound: Stack, adviser: Account) -> None:
    assert confirm(bound, adviser, asked(bound.get(EXPORT, adviser), 60)).status == 200
    assert bound.get("/api/demandeurs/5", adviser).status == 401


def test_a_proof_of_age_0_opens_one_answer(bound: Stack, adviser: Account) -> None:
    note = "/dossiers/{}/note"
    first = bound.get(note.format(5), adviser)
    assert (first.status, "challenge" in json.loads(first.body)) == (401, False)
    assert confirm(bound, adviser, None).status == 200
    assert bound.get(note.format(5), adviser).status == 200
    for again in (5, 6):
        assert bound.get(note.format(again), adviser).status == 401


def test_a_hundred_requests_at_once_have_a_proof_of_age_0_once(bound: Stack, adviser: Account) -> None:
    assert confirm(bound, adviser, None).status == 200
    targets = [f"/dossiers/{number}/note" for number in range(20, 120)]
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda target: bound.get(target, adviser), targets))
    assert sorted(answer.status for answer in answers) == [200] + [401] * 99


def test_what_is_found_in_the_answer_is_confirmed_for_that_answer(bound: Stack, adviser: Account) -> None:
    page = ("Accept", "application/json")
    assert confirm(bound, adviser, None).status == 200
    name = asked(bound.get("/dossiers/9", adviser, page), 60)
    assert confirm(bound, adviser, name, 1).status == 200
    shown = bound.get("/dossiers/9", adviser, page)
    assert (shown.status, b"xMASKx" in shown.body) == (200, False)
    record = bound.record_of(shown, "answer")
    assert (record["proof"]["kind"], max(one["c"] for one in record["persons"])) == ("totp", "restricted")
    assert bound.get("/dossiers/9", adviser, page).status == 401


def test_five_are_open_and_the_sixth_ends_the_first(bound: Stack, adviser: Account) -> None:
    names = [asked(bound.get(f"/exports/sante.csv?limite={number}", adviser), 60) for number in range(1, 7)]
    assert confirm(bound, adviser, names[0]).status == 404
    assert confirm(bound, adviser, names[1]).status == 200


def test_a_machine_is_asked_for_nothing(bound: Stack) -> None:
    machine = replace(bound.account(kind="machine"), secret="")
    assert json.loads(bound.get(EXPORT, machine).body)["type"].endswith("mandate_required")
