"""One demo for all journeys, and what two of them need besides: a gateway with limits of their own."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_demo import RunningDemo, demo_in


@pytest.fixture(scope="session")
def running() -> Iterator[RunningDemo]:
    """A demo with four workers; whoever needs a person of their own asks it for one."""
    folder = Path(tempfile.mkdtemp(prefix="j", dir="/tmp"))
    try:
        with demo_in(folder) as demo:
            yield demo
    finally:
        shutil.rmtree(folder, ignore_errors=True)
