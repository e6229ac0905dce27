"""The number of a person, asked for by a program: without a confirmation, with one, and when it is used up."""

import json
import re

import wire
from running_demo import RunningDemo, at_once
from stack import demo_application, running_stack, until
from wire import Answer


def test_without_a_confirmation_no_byte_of_the_number_leaves(running: RunningDemo) -> None:
    caller = running.caller()
    asked = f"/api/demandeurs/{running.ids[0]}"
    for accept in ("application/json", "text/html", "application/xml"):
        for target in (asked, f"{asked}.xml", f"/dossiers/{running.ids[0]}/modifier"):
            answer = running.ask(caller, target, ("Accept", accept))
            assert answer.status == 401
            assert running.seen(answer.raw) == set()
    challenge = running.ask(caller, asked).one("www-authenticate") or ""
    assert challenge.startswith("Bearer ")
    values = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    # RFC 9470, section 3.
    assert values["error"] == "insufficient_user_authentication"
    assert (values["acr_values"], values["max_age"]) == ("webauthn totp", "14400")
    assert values["step_up_uri"].startswith(running.gateway)
    assert running.report(caller)["persons"] == 0


def test_a_code_opens_the_record_and_works_once(running: RunningDemo) -> None:
    caller, number = running.caller(), running.ids[1]
    code = running.code(caller)
    confirmed = wire.send(running.port, running.confirmation(caller, code))
    assert confirmed.status == 200
    assert json.loads(confirmed.body)["proof"]["fresh_for_s"]["sensitive"] > 14_000
    record = running.ask(caller, f"/api/demandeurs/{number}")
    assert record.status == 200
    assert json.loads(record.body)["nir"] == running.nirs[number]
    again = wire.send(running.port, running.confirmation(caller, code))
    assert (again.status, again.reason) == (403, "code_used")
    elsewhere = wire.send(running.port, running.confirmation(running.another_token(caller), code))
    assert (elsewhere.status, elsewhere.reason) == (403, "code_used")


def test_one_code_posted_a_hundred_times_at_once_succeeds_once(running: RunningDemo) -> None:
    caller = running.caller()
    answers = at_once(running.port, [running.confirmation(caller, running.code(caller))] * 100)
    assert [answer.status for answer in answers].count(200) == 1
    # A used code counts as one failed try, however often it comes.
    assert {answer.reason for answer in answers if answer.status != 200} == {"code_used"}


def test_after_so_many_persons_a_confirmation_is_asked_for_again(running: RunningDemo) -> None:
    caller = running.caller(max_persons=2)
    assert running.step_up(caller).status == 200
    numbers = running.ids[10:13]
    answers = [running.ask(caller, f"/api/demandeurs/{number}") for number in numbers]
    assert [answer.status for answer in answers] == [200, 200, 401]
    assert running.seen(answers[2].raw) == set()
    assert answers[2].reason == "proof_required"
    # Whom it has opened stays open, at every worker; and every worker hears of the next confirmation.
    again = at_once(running.port, [running.record(caller, numbers[0])] * 40)
    assert {answer.status for answer in again} == {200}
    assert running.step_up(caller, 1).status == 200
    opened = at_once(running.port, [running.record(caller, numbers[2])] * 40)
    assert {answer.status for answer in opened} == {200}
    assert running.used(caller)["sensitive-hour"] == 3


def test_after_its_time_a_confirmation_is_asked_for_again() -> None:
    sensitive = '[classes.sensitive]\nproof = ["webauthn", "totp"]\nmax_age = "{}"'
    short = {"policy.toml": {sensitive.format("4h"): sensitive.format("2s")}}
    with demo_application() as (upstream, _), running_stack(upstream, changes=short) as stack:
        caller = stack.account()
        assert stack.step_up(caller, -1).status == 200
        assert stack.get("/api/demandeurs/1", caller).status == 200
        refused: list[Answer] = []

        def is_over() -> bool:
            refused.append(stack.get("/api/demandeurs/1", caller))
            return refused[-1].status != 200

        until(is_over, what="the end of the confirmation")
        answer = refused[-1]
        assert (answer.status, answer.reason) == (401, "proof_required")
        assert stack.step_up(caller).status == 200
        assert stack.get("/api/demandeurs/1", caller).status == 200
