"""Whose data an answer is, and what it costs whom."""

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
import wire
from persons import RAW, Raw, as_json, nir, record
from stack import Account, Stack

from gateway.core.assurance import Mandate
from gateway.core.extraction import Class


def jeton(number: int) -> str:
    return f"jeton-{number:020d}-abcdef"


def asks(raw: Raw, account: Account, number: int) -> wire.Answer:
    raw.says(b'{"rqth": true}')
    return raw.ask(account, ("ft-jeton-usager", jeton(number)))


def test_answers_that_name_nobody_are_the_persons_that_were_asked_for(raw: Raw, proven: Account) -> None:
    there = raw.under("rqth")
    for number in range(30):
        assert asks(there, proven, number).status == 200
    assert raw.stack.used(proven, "sensitive-hour") == 30


def test_the_same_person_asked_for_twice_is_one(raw: Raw, proven: Account) -> None:
    there = raw.under("rqth")
    for _ in range(3):
        assert asks(there, proven, 7).status == 200
    assert raw.stack.used(proven, "sensitive-hour") == 1


def test_a_person_header_given_twice_names_nobody(raw: Raw, proven: Account) -> None:
    there = raw.under("rqth")
    there.says(b'{"rqth": true}')
    for _ in range(2):
        there.ask(proven, ("ft-jeton-usager", jeton(1)), ("FT_Jeton_Usager", jeton(2)))
    assert raw.stack.used(proven, "sensitive-hour") == 2


def find(raw: Raw, account: Account, number: int, minted: str | None) -> wire.Answer:
    raw.says(as_json({"codeRetour": "S001" if minted else "S002", "jetonUsager": minted}))
    body = as_json({"nir": nir(number)})
    return raw.ask(account, ("Content-Type", "application/json"), method="POST", body=body)


def test_a_token_that_a_search_minted_stands_for_the_person_sought(raw: Raw, proven: Account) -> None:
    minted = f"m-{secrets.token_hex(16)}"
    assert find(raw.under("find"), proven, 501, minted).status == 200
    raw.says(as_json(record(501)))
    raw.ask(proven)
    there = raw.under("rqth")
    there.says(b'{"rqth": true}')
    assert there.ask(proven, ("ft-jeton-usager", minted)).status == 200
    assert raw.stack.used(proven, "sensitive-hour") == 1


def test_a_search_that_finds_nobody_is_a_miss(raw: Raw, proven: Account) -> None:
    there = raw.under("find")
    for number in range(3):
        assert find(there, proven, 600 + number, None).status == 200
    assert raw.stack.used(proven, "misses-hour") == 3


def test_misses_have_an_end(raw: Raw, proven: Account) -> None:
    there = raw.under("find")
    statuses = [find(there, proven, 700 + number, None).status for number in range(21)]
    assert statuses == [200] * 20 + [429]


def test_a_search_that_finds_somebody_is_no_miss(raw: Raw, proven: Account) -> None:
    find(raw.under("find"), proven, 502, f"m-{secrets.token_hex(16)}")
    assert raw.stack.used(proven, "misses-hour") == 0


def test_a_list_counts_every_row_and_frees_no_number(raw: Raw, proven: Account) -> None:
    raw.says(as_json([{"id": number, "nom": f"N{number}"} for number in range(8_000, 8_100)]))
    assert raw.ask(proven).status == 200
    assert raw.stack.used(proven, "internal-hour") == 100
    assert raw.stack.used(proven, "sensitive-hour") == 0


def test_a_note_full_of_numbers_is_as_many_persons(raw: Raw, proven: Account) -> None:
    raw.says(as_json({"note": " ".join(nir(number) for number in range(800, 840))}))
    assert raw.ask(proven).status == 200
    assert raw.stack.used(proven, "sensitive-hour") == 40


def test_a_spouse_and_children_are_persons(raw: Raw, proven: Account) -> None:
    family = {**record(901), "conjoint": record(902), "enfants": [record(903), record(904)]}
    raw.says(as_json(family))
    raw.ask(proven)
    assert raw.stack.used(proven, "sensitive-hour") == 4


def test_an_answer_beyond_the_limit_is_refused_whole(raw: Raw, proven: Account) -> None:
    raw.says(as_json([record(number) for number in range(61)]))
    answer = raw.ask(proven)
    assert answer.status in (403, 429)
    assert nir(0).encode() not in answer.raw
    assert raw.stack.used(proven, "sensitive-hour") == 0


def test_two_tokens_of_one_person_draw_on_one_limit(raw: Raw, proven: Account) -> None:
    other = raw.stack.another_token(proven, max_persons=60)
    assert raw.stack.step_up(other, 1).status == 200
    raw.says(as_json([record(number) for number in range(60)]))
    assert raw.ask(proven).status == 200
    raw.says(as_json(record(99)))
    assert raw.ask(other).status == 429


def test_parallel_requests_never_take_one_person_more(raw: Raw, proven: Account) -> None:
    def one(number: int) -> int:
        path = f"{raw.path}/{number}"
        raw.app.says(path, as_json(record(30_000 + number)))
        return raw.stack.ask(path, proven, host=RAW).status

    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(one, range(80)))
    assert statuses.count(200) == 60
    assert statuses.count(429) == 20
    assert raw.stack.used(proven, "sensitive-hour") == 60


def test_a_proof_has_an_end(raw: Raw, stack: Stack) -> None:
    """Beyond the persons of one proof the number is masked again; a new code opens it."""
    account = stack.account(max_persons=2)
    stack.step_up(account)
    seen = []
    for number in range(3):
        raw.says(as_json(record(1_100 + number)))
        seen.append(nir(1_100 + number).encode() in raw.ask(account).body)
    assert seen == [True, True, False]
    assert stack.step_up(account, 1).status == 200
    assert nir(1_102).encode() in raw.ask(account).body


def test_the_same_code_twice_is_refused(stack: Stack, somebody: Account) -> None:
    assert stack.step_up(somebody).status == 200
    answer = stack.step_up(somebody)
    assert (answer.status, answer.reason) == (403, "code_used")


def machine(stack: Stack) -> Account:
    return stack.account(kind="machine")


def test_a_machine_without_a_mandate_reaches_no_number(raw: Raw, stack: Stack) -> None:
    there = raw.under("sensitive")
    answer = there.ask(machine(stack))
    assert (answer.status, answer.reason) == (403, "mandate_required")
    assert not there.received


def test_a_machine_confirms_nothing(stack: Stack) -> None:
    answer = stack.step_up(machine(stack))
    assert (answer.status, answer.reason) == (403, "machine_token")


@pytest.fixture
def mandated(stack: Stack) -> Account:
    account = machine(stack)
    until_s = stack.thread.store.clock.now() + 3_600
    stack.mandate(account, Mandate(Class.SENSITIVE, 5, 86_400, until_s, "officer"))
    return account


def test_a_mandate_opens_as_many_persons_as_it_says(raw: Raw, mandated: Account) -> None:
    there = raw.under("sensitive")
    statuses = []
    for number in range(7):
        there.says(as_json(record(1_200 + number)))
        statuses.append(there.ask(mandated).status)
    assert statuses == [200] * 5 + [429] * 2


def test_a_mandate_opens_no_class_above_its_own(raw: Raw, mandated: Account) -> None:
    raw.says(as_json({"id": 5, "rqth": True}))
    answer = raw.ask(mandated)
    assert b"true" not in answer.body


def test_unknown_callers_are_counted_not_recorded(raw: Raw) -> None:
    answer = raw.stack.ask(raw.path, None, host=RAW)
    assert raw.stack.records(answer.one("x-request-id")) == []
