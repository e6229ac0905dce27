"""A lost telephone: a printed code goes a little way, the found telephone all of it."""

import asyncio
import json

import wire
from running_demo import PARTNER, Caller, RunningDemo
from wire import Answer

from gateway.commands.ledger_access import desk
from gateway.config import load
from gateway.stores.recovery import RecoveryCodes

CODES_MAY_TAKE = 10


def print_codes(demo: RunningDemo, caller: Caller) -> tuple[str, ...]:
    """What the account page shows once."""

    settings = load(demo.config)
    user = demo.keyring.user_id(settings.partners[PARTNER].issuer, caller.login)

    async def issue() -> tuple[str, ...]:
        async with desk(settings) as at_desk:
            return await RecoveryCodes(at_desk.store, at_desk.keys).issue(user)

    codes = asyncio.run(issue())
    for code in codes:
        demo.secrets[code] = "recovery code"
    return codes


def recover(demo: RunningDemo, caller: Caller, code: str) -> Answer:
    body, kind = json.dumps({"code": code}).encode(), ("Content-Type", "application/json")
    request = wire.request("/.gateway/step-up/recovery", demo.host, caller.bearer, kind, method="POST", body=body)
    return wire.send(demo.port, request)


def test_a_recovery_code_opens_ten_files_and_the_telephone_all_that_it_did(running: RunningDemo) -> None:
    caller = running.caller()
    codes = print_codes(running, caller)
    numbers = [number for number in running.ids if number > 350][:12]
    assert wire.send(running.port, running.record(caller, numbers[0])).status == 401

    assert recover(running, caller, codes[0]).status == 200
    answers = [wire.send(running.port, running.record(caller, number)) for number in numbers]
    assert [answer.status for answer in answers] == [200] * CODES_MAY_TAKE + [429] * 2
    assert running.seen(*(answer.raw for answer in answers)) == set(numbers[:CODES_MAY_TAKE])
    assert json.loads(answers[-1].body)["budget"] == "cooling-remote"
    assert wire.send(running.port, running.record(caller, numbers[0])).status == 200

    again = recover(running, caller, codes[0])
    assert (again.status, again.reason) == (403, "code_rejected")
    assert recover(running, caller, codes[1]).status == 200
    assert wire.send(running.port, running.record(caller, numbers[-1])).status == 429
    assert running.report(caller)["persons"] == CODES_MAY_TAKE

    assert running.step_up(caller).status == 200
    assert wire.send(running.port, running.record(caller, numbers[-1])).status == 200
    assert running.report(caller)["persons"] == CODES_MAY_TAKE + 1
