"""The commands that the README names run as it says, with little to do."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LITTLE = {
    "sizes": ("--advisers", "1"),
    "slow_sockets": ("--scale", "0.001", "--seconds", "1"),
    "metered": ("--rounds", "1", "--seconds", "1", "--connections", "2", "--only", "nginx", "--only", "counted"),
    "large": ("--persons", "500", "--megabytes", "4"),
    "growth": ("--seconds", "1", "--connections", "2", "--callers", "2", "--taken", "10"),
    "step_up": ("--people", "10", "--connections", "2"),
}
TOLD = {
    "sizes": "| 60000 | in proportion |",
    "slow_sockets": "PSS, MB: ",
    "metered": "| gateway, counted |",
    "large": "4 MB unread: ",
    "growth": "| new, 10 persons taken |",
    "step_up": "| a code |",
}
NEEDS = {"metered": ("nginx", "wrk"), "large": ("nginx",), "growth": ("nginx", "wrk"), "step_up": ("nginx",)}
"""Programs without which a command is run where ``CI`` is set alone."""

RUNNABLE = [name for name in LITTLE if os.environ.get("CI") or all(map(shutil.which, NEEDS.get(name, ())))]


@pytest.mark.parametrize("name", RUNNABLE)
def test_command_of_the_readme_runs(name: str) -> None:
    found = re.search(rf"`(?:PYTHONPATH=(\S+) )?python (-m tests\.bench\.{name})`", (ROOT / "README.md").read_text())
    assert found
    command = [sys.executable, *shlex.split(found[2]), *LITTLE[name]]
    environment = {**os.environ, "PYTHONPATH": found[1] or ""}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert TOLD[name] in ran.stdout
