"""One demo for all journeys."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_demo import CHROMIUM, CI, RunningDemo, demo_in

# Where continuous integration runs, a missing browser is a failure; elsewhere its stories are not collected.
_STORIES = ("browser", "accessible", "migration", "outside", "three_partners", "word")
collect_ignore = [] if CI or CHROMIUM else [f"test_journey_{story}.py" for story in _STORIES]


@pytest.fixture(scope="session")
def running() -> Iterator[RunningDemo]:
    """A demo with four workers; whoever needs a person of their own asks it for one."""
    folder = Path(tempfile.mkdtemp(prefix="j", dir="/tmp"))
    try:
        with demo_in(folder) as demo:
            yield demo
    finally:
        shutil.rmtree(folder, ignore_errors=True)
