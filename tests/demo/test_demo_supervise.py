"""Programs under supervision: dead ones come back not too soon, and nobody else's process is ever signalled."""

import os
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.demo.supervise import RESTART_AFTER_S, Command, DidNotStart, Household, children

FOREVER = "import signal; print(flush=True); signal.pause()"
WITH_CHILD = (
    f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {FOREVER!r}]).pid, flush=True); " + FOREVER
)


@pytest.fixture
def command(tmp_path: Path) -> Callable[[str], Command]:
    return lambda code: Command("program", [sys.executable, "-c", code], tmp_path / "log", tmp_path)


def test_the_dead_come_back_after_two_seconds_and_not_before(command: Callable[[str], Command]) -> None:
    household, program = Household(), command(FOREVER)
    household.start(program)
    first = program.pid
    household.wait("program", lambda: program.log.stat().st_size > 0)
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert household.tend(100.0) == []
    assert household.tend(100.0 + RESTART_AFTER_S - 0.1) == []
    assert program.pid is None
    assert household.tend(100.0 + RESTART_AFTER_S) == ["program had ended by SIGKILL and was started again"]
    assert program.pid not in (None, first)
    household.stop()
    assert program.pid is None


def test_what_a_dead_program_left_running_is_ended_with_it(command: Callable[[str], Command]) -> None:
    household, program = Household(), command(WITH_CHILD)
    household.start(program)
    household.wait("program", lambda: len(program.log.read_text().split()) > 0)
    left = int(program.log.read_text().split()[0])
    assert left in children(program.pid)
    watch = os.pidfd_open(left)
    os.kill(program.pid, signal.SIGKILL)
    os.waitid(os.P_PID, program._process.pid, os.WEXITED | os.WNOWAIT)
    assert program.pid is None
    assert select.select([watch], [], [], 10)[0]
    os.close(watch)


def test_a_number_that_was_given_back_is_never_signalled(
    command: Callable[[str], Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = command("pass")
    program.start()
    os.waitid(os.P_PID, program._process.pid, os.WEXITED | os.WNOWAIT)
    assert program.pid is None
    signalled: list[int] = []
    for name in ("kill", "killpg"):
        monkeypatch.setattr(os, name, lambda pid, _number: signalled.append(pid))
    program.stop()
    assert program.pid is None
    assert signalled == []


def test_a_program_that_ends_at_once_is_told_with_its_last_words(command: Callable[[str], Command]) -> None:
    household = Household()
    household.start(command("raise SystemExit('no such database')"))
    with pytest.raises(DidNotStart, match="no such database"):
        household.wait("program", lambda: False)
