"""However it is asked, and by however many hands: exactly so many persons, and the ledger knows which."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import pytest
import wire
from running_demo import WORKERS, RunningDemo, at_once
from stack import CODES_OPEN_ALL, Account, Stack, demo_application, running_stack
from wire import Answer

from gateway.demo.ready import single_persons

LIMIT = 60
NUMBERS = 1_000


def test_five_hundred_at_once_over_three_tokens_take_exactly_the_limit(running: RunningDemo) -> None:
    first = running.caller()
    tokens = [first, running.another_token(first), running.another_token(first)]
    # In this order each code is good even where a step ends in between.
    for offset, token in zip((-1, 0, 1), tokens, strict=True):
        assert running.step_up(token, offset).status == 200
    numbers = [number for number in running.ids if number > 350][:500]
    asked = [(number, tokens[at % 3]) for at, number in enumerate(numbers)]

    answers = at_once(running.port, [running.record(token, number) for number, token in asked])

    got = {number: token for (number, token), answer in zip(asked, answers, strict=True) if answer.status == 200}
    assert len(got) == LIMIT
    assert running.seen(*(answer.raw for answer in answers)) == set(got)
    refused = [answer for answer in answers if answer.status != 200]
    assert {(answer.status, answer.reason) for answer in refused} == {(429, "budget_exhausted")}
    assert running.used(first)["sensitive-hour"] == LIMIT
    report = running.report(first)
    assert report["persons"] == LIMIT
    assert running.missing(got, report["person_hashes"]) == set()
    assert running.workers_that_answered(report["callers"][0]["user"]) == WORKERS

    again = at_once(running.port, [running.record(token, number) for number, token in got.items()])
    assert [answer.status for answer in again] == [200] * LIMIT
    assert running.used(first)["sensitive-hour"] == LIMIT

    listed = running.ask(first, running.list)
    people = json.loads(listed.body)["demandeurs"]
    assert (listed.status, len(people)) == (200, 350)
    assert running.seen(listed.raw) == set()
    more = at_once(running.port, [running.record(first, one["id"]) for one in people[:20]])
    assert {(answer.status, answer.reason) for answer in more} == {(429, "budget_exhausted")}
    report = running.report(first)
    assert report["persons"] == LIMIT + 350
    # Health stays masked in what a code opens: the number is the highest class that left; a list names people only.
    assert (report["persons_by_class"]["sensitive"], report["persons_by_class"]["internal"]) == (LIMIT, 350)


def test_spouse_and_children_count_each(running: RunningDemo) -> None:
    caller = running.proven()
    with running.sqlite() as rows:
        number, children = rows.execute(
            "SELECT id_demandeur, count(*) FROM enfant JOIN conjoint USING (id_demandeur)"
            " GROUP BY id_demandeur HAVING count(*) > 1 ORDER BY 1 LIMIT 1"
        ).fetchone()
    family = json.loads(running.ask(caller, f"/api/demandeurs/{number}").body)
    assert len(family["enfants"]) == children
    assert running.used(caller)["sensitive-hour"] == 2 + children
    assert running.report(caller)["persons"] == 2 + children


def test_a_curriculum_vitae_is_one_person_whatever_its_size(running: RunningDemo) -> None:
    caller = running.proven()
    document = running.ask(caller, f"/dossiers/{running.ids[0]}/cv.pdf")
    assert document.status == 200
    assert len(document.body) > 200_000
    assert document.body.startswith(b"%PDF-1.4")
    assert running.used(caller)["sensitive-hour"] == 1


@dataclass(frozen=True)
class Roomy:
    """A gateway whose limits are far away. ``nirs``: of everybody behind it; ``singles``: ids of who has no family."""

    stack: Stack
    upstream: str
    nirs: dict[int, str]
    singles: tuple[int, ...]

    def proven(self) -> Account:
        account = self.stack.account(max_persons=5_000)
        assert self.stack.step_up(account).status == 200
        return account

    def nir(self, caller: Account, number: int) -> str:
        """The number that a caller reads in somebody's record."""
        answer = self.stack.get(f"/api/demandeurs/{number}", caller)
        assert answer.status == 200
        said: str = json.loads(answer.body)["nir"]
        return said

    def asked(self, requests: Sequence[bytes], side_by_side: int) -> list[Answer]:
        parts = [requests[start : start + side_by_side] for start in range(0, len(requests), side_by_side)]
        return [answer for part in parts for answer in at_once(self.stack.port, part)]


@pytest.fixture(scope="module")
def roomy() -> Iterator[Roomy]:
    limit = 'name = "{}-{}"\nscope = "user"\nclass = "{}"\npersons = {}\n'
    demo = {("sensitive", "hour"): 60, ("sensitive", "day"): 150, ("sensitive", "month"): 900}
    demo |= {("personal", "hour"): 100, ("personal", "day"): 250}
    changes = {
        limit.format(klass, window, klass, persons): limit.format(klass, window, klass, 5_000)
        for (klass, window), persons in demo.items()
    }
    changes |= CODES_OPEN_ALL
    with demo_application(1_500) as (upstream, database):
        with closing(sqlite3.connect(database)) as rows:
            nirs = dict(rows.execute("SELECT id, nir FROM demandeur"))
        with running_stack(upstream, changes={"policy.toml": changes}) as stack:
            yield Roomy(stack, upstream, nirs, single_persons(database))


def test_a_note_with_a_thousand_numbers_is_a_thousand_persons_and_links_none(roomy: Roomy) -> None:
    stack, writer, people = roomy.stack, max(roomy.nirs), roomy.singles[:3]
    mentioned = [roomy.nirs[one] for one in people]
    mentioned += [nir for one, nir in roomy.nirs.items() if one not in (*people, writer)][: NUMBERS - len(people)]
    host = roomy.upstream.removeprefix("http://")
    kind = ("Content-Type", "application/json")
    body = json.dumps({"note": "Vus ensemble : " + ", ".join(mentioned)}).encode()
    written = wire.request(f"/api/demandeurs/{writer}", host, kind, method="PUT", body=body)
    assert wire.send(int(host.rpartition(":")[2]), written).status == 200

    caller = roomy.proven()
    note = stack.get(f"/dossiers/{writer}/note", caller)
    assert (note.status, all(nir in note.body.decode() for nir in mentioned)) == (200, True)
    assert stack.used(caller, "sensitive-hour") == NUMBERS
    # Each of them is still somebody of their own, counted already; whose note it is was not among them.
    assert [roomy.nir(caller, one) for one in people] == mentioned[:3]
    assert stack.used(caller, "sensitive-hour") == NUMBERS
    assert stack.get(f"/dossiers/{writer}/cv.pdf", caller).status == 200
    assert stack.used(caller, "sensitive-hour") == NUMBERS + 1


def test_answers_that_name_nobody_are_as_many_persons_as_were_asked_about(roomy: Roomy) -> None:
    stack, caller = roomy.stack, roomy.proven()
    with_json = ("Content-Type", "application/json")
    listed = [
        one
        for page in (1, 2)
        for one in json.loads(stack.get(f"/api/demandeurs?page={page}&taille=500", caller).body)["demandeurs"]
    ]
    assert len(listed) == NUMBERS
    search = "/rechercher-usager/v2/usagers/par-numero-francetravail"
    bodies = [json.dumps({"numeroFranceTravail": one["numeroFranceTravail"]}).encode() for one in listed]
    asked = [wire.request(search, stack.host, caller.bearer, with_json, method="POST", body=body) for body in bodies]
    # A search counts as a miss until it has found somebody: fewer at a time than there are misses in an hour.
    found = roomy.asked(asked, side_by_side=10)
    assert {answer.status for answer in found} == {200}
    handles = [json.loads(answer.body)["jetonUsager"] for answer in found]
    assert len(set(handles)) == NUMBERS
    # Whoever was listed, then searched for by number, is one person.
    assert (stack.used(caller, "internal-hour"), stack.used(caller, "sensitive-hour")) == (NUMBERS, 0)

    asked = [
        wire.request("/donnees-rqth/v1/rqth", stack.host, caller.bearer, ("ft-jeton-usager", handle))
        for handle in handles
    ]
    answers = roomy.asked(asked, side_by_side=250)
    assert {tuple(json.loads(answer.body)) for answer in answers} == {("rqth",)}
    assert stack.used(caller, "sensitive-hour") == NUMBERS
    # The handle stood for that very person: the record behind it is nobody else's.
    one = roomy.singles[0]
    assert roomy.nir(caller, one) == roomy.nirs[one]
    assert (stack.used(caller, "internal-hour"), stack.used(caller, "sensitive-hour")) == (NUMBERS, NUMBERS)
