"""The commands that the README names run as it says, with little to do."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LITTLE = {"sizes": ("--advisers", "1"), "slow_sockets": ("--scale", "0.001", "--seconds", "1")}


@pytest.mark.parametrize(("name", "told"), [("sizes", "| 60000 | in proportion |"), ("slow_sockets", "PSS, MB: ")])
def test_command_of_the_readme_runs(name: str, told: str) -> None:
    found = re.search(rf"`PYTHONPATH=(\S+) python (-m tests\.bench\.{name})`", (ROOT / "README.md").read_text())
    assert found
    command = [sys.executable, *shlex.split(found[2]), *LITTLE[name]]
    ran = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": found[1]}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert told in ran.stdout
