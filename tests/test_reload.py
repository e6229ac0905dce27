"""A new policy in running workers: no process ends, no request fails, and a bad one changes nothing."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wire
from stack import Account, Stack, demo_application, running_stack, until
from traffic import Hammer, Stream, admin

from gateway.admin import RELOAD_HEADER
from gateway.edge.cookies import SESSION
from gateway.stores.sessions import Sessions

WORKERS = 2
HOUR = 'name = "sensitive-hour"\nscope = "user"\nclass = "sensitive"\npersons = '
RECORD = "/api/demandeurs/1"
MANY = 16
"""Connections enough for every worker to get some."""


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with demo_application() as (upstream, _), running_stack(upstream, workers=WORKERS) as stack:
        yield stack


@pytest.fixture
def stack(running: Stack) -> Iterator[Stack]:
    """The running gateway, and its files as they were afterwards."""
    kept = {path: path.read_text() for path in running.directory.glob("*.toml")}
    yield running
    for path, text in kept.items():
        path.write_text(text)
    assert reload(running)[0] == 200


def reload(stack: Stack) -> tuple[int, Any]:
    status, said = admin(stack, "POST", "/reload", **{RELOAD_HEADER: "1"})
    return status, json.loads(said)


def reload_command(stack: Stack) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "reload", "--config", str(stack.directory)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "300"})


def change(stack: Stack, name: str, old: str, new: str) -> None:
    path = stack.directory / name
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))


def hourly(stack: Stack, persons: int) -> None:
    """Another number of persons an hour, in the file."""
    path = stack.directory / "policy.toml"
    before, _, after = path.read_text().partition(HOUR)
    path.write_text(before + HOUR + str(persons) + after[after.index("\n") :])


def limits(stack: Stack, account: Account) -> set[int]:
    """The limit an hour that many connections are told."""
    said = [json.loads(stack.get("/.gateway/budget", account).body)["budgets"] for _ in range(MANY)]
    return {one["limit"] for budgets in said for one in budgets if one["name"] == "sensitive-hour"}


def workers(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(admin(stack, "GET", "/readyz")[1])["workers"]
    return found


def pids(stack: Stack) -> set[int]:
    return {one["pid"] for one in workers(stack)}


def test_a_new_policy_holds_in_every_worker_and_no_process_ends(stack: Stack) -> None:
    account, before = stack.account(), pids(stack)
    hourly(stack, 61)
    said = reload_command(stack)
    assert (said.returncode, limits(stack, account), pids(stack)) == (0, {61}, before)
    assert "is in force" in said.stdout


def test_every_worker_writes_the_policy_into_the_ledger_before_it_decides_by_it(stack: Stack) -> None:
    hourly(stack, 62)
    status, said = reload(stack)
    fresh = [one for one in stack.records() if one["kind"] == "policy" and one["policy"] == said["policy"]]
    assert (status, [one["reason"] for one in fresh]) == (200, ["reload"] * WORKERS)
    kept = stack.settings.path(stack.settings.gateway.ledger.directory) / "policies" / f"{said['policy']}.toml"
    assert kept.read_text() == (stack.directory / "policy.toml").read_text()


def test_no_request_fails_and_a_stream_goes_on(stack: Stack) -> None:
    accounts = [stack.account() for _ in range(4)]
    assert {stack.step_up(one).status for one in accounts} == {200}
    listener = stack.account()
    with (
        Stream(stack, listener, "/evenements?intervalle_ms=400") as stream,
        Hammer(stack.port, stack.host, accounts, RECORD) as hammer,
    ):
        for persons in range(70, 74):
            hourly(stack, persons)
            assert reload(stack)[0] == 200
            stream.flows_on()
        until(lambda: hammer.answered > 200 or hammer.failed, what="two hundred answers")
    assert hammer.failed == []


def test_a_stream_that_began_before_is_counted_by_the_new_limits(stack: Stack) -> None:
    with Stream(stack, stack.account(), "/evenements?intervalle_ms=100") as stream:
        with (stack.directory / "policy.toml").open("a") as policy:
            policy.write(LITTLE)
        assert reload(stack)[0] == 200
        assert stream.over.wait(wire.PATIENCE_S)
    assert b"budget_exhausted" in stream.received


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('[fields.identite]\nclass = "internal"', '[fields.identite]\nclass = "sensitive"'),
        ('path = "/evenements"\n', 'path = "/evenements"\nmask = ["identite"]\n'),
    ],
    ids=["what a field is", "what a route masks"],
)
def test_a_stream_that_began_before_is_read_and_masked_by_the_new_policy(stack: Stack, old: str, new: str) -> None:
    with Stream(stack, stack.account(), "/evenements?intervalle_ms=100") as stream:
        assert HIDDEN_NAME not in stream.received
        change(stack, "policy.toml", old, new)
        assert reload(stack)[0] == 200
        stream.flows_on()  # it may have been on its way
        stream.flows_on()
    assert HIDDEN_NAME in stream.received


def test_a_request_whose_body_was_still_coming_is_decided_by_the_new_policy(stack: Stack) -> None:
    account, policy = stack.account(), stack.directory / "policy.toml"
    text = policy.read_text()
    policy.write_text(text + CLOSING)
    assert reload(stack)[0] == 200
    kind, length = ("Content-Type", "text/plain"), ("Content-Length", "2")
    assert stack.ask("/closing", account, kind, method="POST", body=b"ab").status == 404  # the application has no such
    with wire.connect(stack.port) as connection:
        connection.sendall(wire.request("/closing", stack.host, account.bearer, kind, length, method="POST") + b"a")
        policy.write_text(text + CLOSING + "deny = true\n")
        assert reload(stack)[0] == 200
        connection.sendall(b"b")
        answer = wire.parse(wire.rest(connection))
    assert (answer.status, answer.reason) == (403, "denied_by_rule")


def test_a_stream_whose_route_is_closed_ends(stack: Stack) -> None:
    path = 'path = "/evenements"\n'
    with Stream(stack, stack.account(), "/evenements?intervalle_ms=100") as stream:
        change(stack, "policy.toml", path, path + "deny = true\n")
        assert reload(stack)[0] == 200
        assert stream.over.wait(wire.PATIENCE_S)
    assert b"denied_by_rule" in stream.received


HIDDEN_NAME = b'"nom": "x'
CLOSING = """
[[routes]]
name = "closing"
application = "emploi"
path = "/closing"
methods = ["POST"]
class = "internal"
"""
LITTLE = """
[[budgets]]
name = "internal-half-hour"
scope = "user"
class = "internal"
persons = 3
per = "30m"
"""


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("policy.toml", 'unreadable = "sensitive"', 'unreadable = "secret"', "policy.toml:7: unreadable"),
        ("policy.toml", "[classes.sensitive]", "[classes.sensitive", "policy.toml:"),
        ("partners.toml", "\nissuer", "\nissuers", "partners.toml:"),
        ("gateway.toml", "worker_bytes", "worker_byte", "gateway.toml:"),
    ],
    ids=["a value", "no toml", "a partner", "a setting"],
)
def test_with_a_mistake_the_old_one_stays_and_the_mistake_is_named(
    stack: Stack, name: str, old: str, new: str, said: str
) -> None:
    before = limits(stack, account := stack.account())
    hourly(stack, 63)
    path = stack.directory / name
    if old not in path.read_text():
        path.write_text(path.read_text() + f"\n[reading]\n{new} = 1\n")
    else:
        path.write_text(path.read_text().replace(old, new, 1))
    status, told = reload(stack)
    assert status == 422
    assert any(f"{one['file']}:{one['line']}: {one['rule']}".startswith(said) for one in told["mistakes"])
    assert limits(stack, account) == before


def test_what_waits_for_a_restart_is_refused_and_said_so(stack: Stack) -> None:
    before = limits(stack, account := stack.account())
    hourly(stack, 64)
    change(stack, "gateway.toml", f"\nworkers = {WORKERS}", f"\nworkers = {WORKERS + 1}")
    told = reload_command(stack)
    assert (told.returncode, limits(stack, account)) == (1, before)
    line = (stack.directory / "gateway.toml").read_text().splitlines().index(f"workers = {WORKERS + 1}") + 1
    said = f"gateway.toml:{line}: listen.workers: has changed, and waits for a restart"
    assert said in told.stdout
    assert said in stack.said()


def test_a_worker_that_starts_anew_loads_what_the_others_decide_by(stack: Stack) -> None:
    account = stack.account()
    hourly(stack, 65)
    assert reload(stack)[0] == 200
    (stack.directory / "policy.toml").write_text("half an edi")
    killed, *_ = sorted(pids(stack))
    os.kill(killed, signal.SIGKILL)
    until(lambda: _renewed(stack, killed), what="a new worker")
    assert limits(stack, account) == {65}


def _renewed(stack: Stack, killed: int) -> bool:
    try:
        found = workers(stack)
    except OSError:
        return False
    return len(found) == WORKERS and killed not in {one["pid"] for one in found} and all(one["ready"] for one in found)


def test_a_hangup_does_the_same_and_says_it_in_the_log(stack: Stack) -> None:
    account, before = stack.account(), pids(stack)
    hourly(stack, 66)
    stack.process.send_signal(signal.SIGHUP)
    until(lambda: limits(stack, account) == {66}, what="the new limit")
    until(lambda: "is in force" in stack.said(), what="a word in the log")
    assert pids(stack) == before


def test_people_of_a_partner_that_is_gone_are_nobody(stack: Stack) -> None:
    account = stack.account()
    assert stack.get("/.gateway/budget", account).status == 200
    without(stack, account.partner)
    assert {stack.get(RECORD, account).status for _ in range(MANY)} == {401}


def test_a_session_is_over_for_good_once_its_partner_was_gone(stack: Stack) -> None:
    account, kept = stack.account(), {path: path.read_text() for path in stack.directory.glob("*.toml")}
    sessions, issuer = Sessions(stack.thread.store, stack.keyring), stack.settings.partners[account.partner].issuer

    def sign_in() -> tuple[str, str]:
        who = {"issuer": issuer, "sub": account.sub, "partner": account.partner, "name": "n", "login": account.sub}
        return ("Cookie", f"{SESSION}={stack.thread.call(sessions.open(**who))}")

    def answers(cookie: tuple[str, str]) -> set[int]:
        return {stack.get("/.gateway/budget", None, cookie).status for _ in range(MANY)}

    before = sign_in()
    assert answers(before) == {200}
    without(stack, account.partner)
    assert answers(before) == {401}
    for path, text in kept.items():
        path.write_text(text)
    assert reload(stack)[0] == 200
    until(lambda: answers(before) == {401}, what="the second in which workers have heard of it")
    assert answers(sign_in()) == {200}
    assert stack.get("/.gateway/budget", account).status == 200  # a token of ours is the operator's to revoke


def without(stack: Stack, partner: str) -> None:
    """Let another partner stand where this one stood."""
    policy, partners = stack.directory / "policy.toml", stack.directory / "partners.toml"
    policy.write_text(policy.read_text().replace(partner, "another-one"))
    partners.write_text(partners.read_text().replace(f"partners.{partner}", "partners.another-one"))
    assert reload(stack)[0] == 200


@pytest.mark.parametrize(("method", "path"), [("POST", "/reload"), ("POST", "/readyz"), ("GET", "/reload")])
def test_no_page_of_a_browser_can_ask_for_it(stack: Stack, method: str, path: str) -> None:
    assert admin(stack, method, path)[0] == 404


def test_where_no_gateway_runs_the_command_says_where_it_looked(tmp_path: Path) -> None:
    from gateway.initialise import write_configuration

    write_configuration(tmp_path / "config", {"gateway.toml": {"\nport = 9090": "\nport = 1"}})
    command = [sys.executable, "-m", "gateway", "reload", "--config", str(tmp_path / "config")]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 2
    assert "no gateway answers at 127.0.0.1:1 ([admin] of gateway.toml)" in told.stderr
