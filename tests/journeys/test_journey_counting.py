"""However it is asked, and by however many hands: exactly so many persons, and the ledger knows which."""

import json

from running_demo import WORKERS, RunningDemo, at_once

LIMIT = 60


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
    assert set(report["person_hashes"]) == running.hashes(got)
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
    # A whole record has a field of the highest class (health), a list names people only.
    assert (report["persons_by_class"]["restricted"], report["persons_by_class"]["internal"]) == (LIMIT, 350)


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
