"""Exactly how many of other agencies leave the real gateway of two workers, to a thief and to a replacement."""

import itertools
from collections.abc import Iterator

import pytest
from persons import RAW, Raw, as_json, nir, record
from scripted_application import ScriptedApplication
from stack import CODES_OPEN_ALL, Account, Stack, at_once, least_privilege, running_stack

from gateway.stores import keys

HERE, THERE = "75001", "69001"
WHY = ("Gateway-Reason", "remplace une collègue de Lyon".encode())
_NUMBERS = itertools.count(70_000)


@pytest.fixture(scope="module")
def stack(app: ScriptedApplication) -> Iterator[Stack]:
    upstream = f"http://127.0.0.1:{app.port}"
    policy = {**CODES_OPEN_ALL, **least_privilege(), "max_persons = 40\n": "max_persons = 400\n"}
    application = f'[applications.raw]\nhosts = ["{RAW}"]\nupstream = "{upstream}"\n'
    changes, more = {"policy.toml": policy}, {"gateway.toml": application}
    with running_stack(upstream, workers=2, changes=changes, more=more) as running:
        yield running


@pytest.fixture
def adviser(stack: Stack) -> Account:
    """Somebody of the agency ``HERE``, with a fresh proof."""
    account = stack.account(max_persons=1_000, agency=HERE)
    assert stack.step_up(account).status == 200
    return account


def file_of(stack: Stack, app: ScriptedApplication, agency: str) -> tuple[Raw, bytes]:
    """A file of somebody of an agency whom nobody has seen, and the number in it."""
    number = next(_NUMBERS)
    raw = Raw(stack, app, f"/file-of{number}")
    raw.says(as_json(record(number, agence=agency)))
    return raw, nir(number).encode()


def test_a_thief_with_an_adviser_s_token_takes_forty_of_other_agencies_a_day(
    stack: Stack, app: ScriptedApplication, adviser: Account
) -> None:
    def takes(_: int) -> bool:
        raw, number = file_of(stack, app, THERE)
        return number in raw.ask(adviser, WHY).body

    hour = keys.budget(f"user:{adviser.user}:personal:out:3600")
    taken = []
    for _ in range(4):
        taken.append(sum(at_once(takes, range(40))))
        assert stack.thread.call(stack.thread.store.call("DEL", hour)) == (taken[-1] > 0)  # as if an hour had passed
    assert taken == [15, 15, 10, 0]


def test_a_replacement_with_a_quarter_of_other_agencies_gives_fifteen_reasons_and_is_refused_nothing(
    stack: Stack, app: ScriptedApplication, adviser: Account
) -> None:
    def opened(number: int) -> list[tuple[int, str]]:
        raw, clear = file_of(stack, app, THERE if number % 4 == 0 else HERE)
        answers = [raw.ask(adviser)]
        if answers[0].status == 403:
            answers += [raw.ask(adviser, WHY), raw.ask(adviser)]
        assert clear in answers[-1].body
        return [(answer.status, answer.reason) for answer in answers]

    said = at_once(opened, range(60))
    asked = [(403, "reason_required"), (200, ""), (200, "")]
    assert said == [asked if number % 4 == 0 else [(200, "")] for number in range(60)]
    assert stack.used(adviser, "outside-day") == 15
