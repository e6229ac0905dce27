"""Two gateways with ledgers of their own on one store: lost budgets are counted anew from both, or from none."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
import wire
from persons import as_json, record
from scripted_application import ScriptedApplication, scripted_application
from stack import CODES_OPEN_ALL, Account, Stack, free_ports, running_stack, serving, until
from wire import Answer

from gateway.config import Settings, load
from gateway.stores import keys

RAW = """
[applications.raw]
hosts = ["raw.test"]
upstream = "{upstream}"
"""
LIMIT = 60


@dataclass(frozen=True)
class Two:
    """The gateway of a stack, and a second one."""

    one: Stack
    other: Settings
    app: ScriptedApplication

    def ask(self, port: int, account: Account, first: int, count: int) -> Answer:
        """So many people's records through one of them."""
        self.app.says("/two", as_json([record(number) for number in range(first, first + count)]), "application/json")
        return wire.send(port, wire.request("/two", "raw.test", account.bearer))

    def rebuild(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Count anew at the first."""
        command = [sys.executable, "-m", "gateway", "budget", "rebuild", "--config", str(self.one.directory), *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    def well(self) -> bool:
        """Whether both are."""
        ports = (self.one.settings.gateway.admin.port, self.other.gateway.admin.port)
        return all(_status(port) == 200 for port in ports)


def _status(port: int) -> int:
    return wire.send(port, wire.request("/healthz/deep", f"127.0.0.1:{port}")).status


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    """Both are well before each test but the last."""
    with scripted_application() as app, running_before(app) as one:
        second = one.directory.parent / "second"
        shutil.copytree(one.directory, second, ignore=shutil.ignore_patterns("ledger"))
        ports = zip((one.port, one.settings.gateway.admin.port), free_ports(2), strict=True)
        text = (second / "gateway.toml").read_text()
        for old, new in ports:
            text = text.replace(f"\nport = {old}", f"\nport = {new}")
        (second / "gateway.toml").write_text(text.replace('\nnode = "gateway"', '\nnode = "second"'))
        other = load(second)
        with serving(other, second.parent / "second.log"):
            yield Two(one, other, app)


def running_before(app: ScriptedApplication) -> AbstractContextManager[Stack]:
    upstream = f"http://127.0.0.1:{app.port}"
    more = {"gateway.toml": RAW.format(upstream=upstream)}
    return running_stack(upstream, changes={"policy.toml": CODES_OPEN_ALL}, more=more)


def ledger_of(settings: Settings) -> Path:
    return settings.path(settings.gateway.ledger.directory)


def test_nobody_is_forgotten_whom_another_gateway_gave(two: Two, tmp_path: Path) -> None:
    somebody = two.one.account(max_persons=1_000)
    assert two.one.step_up(somebody).status == 200
    port = two.other.gateway.listen.port
    assert two.ask(port, somebody, 0, 40).status == 200
    until(
        lambda: "second" in (ledger_of(two.one.settings) / "store-ledgers.json").read_text(), what="word of the second"
    )

    names = two.one.thread.call(two.one.thread.store.call("KEYS", "b:*"))
    lost = (keys.EPOCH, keys.SEQUENCE, keys.LEDGERS, *names)
    two.one.thread.call(two.one.thread.store.call("DEL", *lost))
    until(lambda: _status(two.other.gateway.admin.port) == 503, what="word of the loss")
    refused = two.rebuild()
    assert refused.returncode == 1 and "second" in refused.stderr and "--ledger" in refused.stderr

    old = tmp_path / "old"
    shutil.copytree(ledger_of(two.other), old)
    done = two.rebuild("--ledger", str(old))
    assert done.returncode == 0, done.stderr
    until(two.well, what="both gateways' taking up again")
    assert two.one.used(somebody, "sensitive-hour") == 40
    assert two.ask(two.one.port, somebody, 100, LIMIT - 40 + 1).status == 429
    assert two.ask(port, somebody, 100, LIMIT - 40).status == 200


def test_a_gateway_that_was_counted_from_an_old_copy_stays_shut(two: Two, tmp_path: Path) -> None:
    somebody = two.one.account(max_persons=1_000)
    assert two.one.step_up(somebody).status == 200
    port = two.other.gateway.listen.port
    assert two.ask(port, somebody, 0, 1).status == 200
    old = tmp_path / "old"
    shutil.copytree(ledger_of(two.other), old)
    assert two.ask(port, somebody, 1, 30).status == 200
    two.one.thread.call(two.one.thread.store.call("DEL", keys.EPOCH))
    assert two.rebuild("--ledger", str(old)).returncode == 0
    until(lambda: _status(two.one.settings.gateway.admin.port) == 200, what="the first's taking up again")
    assert two.ask(port, somebody, 0, 1).status == 503
    assert two.rebuild("--force", "--ledger", str(ledger_of(two.other))).returncode == 0
    until(two.well, what="both gateways' taking up again")
    assert two.one.used(somebody, "sensitive-hour") == 31


def test_two_that_have_one_name_and_two_ledgers_are_told_so(two: Two) -> None:
    third = two.one.directory.parent / "third"
    shutil.copytree(two.other.directory, third, ignore=shutil.ignore_patterns("ledger"))
    text = (third / "gateway.toml").read_text()
    for old, new in zip((two.other.gateway.listen.port, two.other.gateway.admin.port), free_ports(2), strict=True):
        text = text.replace(f"\nport = {old}", f"\nport = {new}")
    (third / "gateway.toml").write_text(text)
    log = third.parent / "third.log"
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(third), "--die-with-parent"]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            until(lambda: "is called 'second' too" in log.read_text(), what="word of the name")
            assert _status(load(third).gateway.admin.port) == 503
        finally:
            process.terminate()


def test_a_gateway_whose_ledger_is_lost_for_good_is_left_out_by_name(two: Two) -> None:
    two.one.thread.call(two.one.thread.store.call("DEL", keys.EPOCH))
    assert two.rebuild().returncode == 1
    done = two.rebuild("--without", "second")
    assert done.returncode == 0, done.stderr
    assert "second" not in (ledger_of(two.one.settings) / "store-ledgers.json").read_text()
    assert _status(two.other.gateway.admin.port) == 503
