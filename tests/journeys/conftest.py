"""One demo and one browser for all journeys."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright
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


@pytest.fixture(scope="session")
def browser() -> Iterator[Callable[..., Any]]:
    """Runs something with a browser, in a thread of its own: playwright has a loop that is not the tests'.

    A story opens contexts of its own, which share nothing (cookies, storage, connections) with another's.
    """
    assert CHROMIUM is not None, "chromium is not installed"
    with ThreadPoolExecutor(1) as thread:
        driver = thread.submit(lambda: sync_playwright().start()).result()
        started: Browser = thread.submit(
            lambda: driver.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--no-proxy-server"]
            )
        ).result()
        yield lambda work, *given: thread.submit(work, started, *given).result()
        thread.submit(started.close).result()
        thread.submit(driver.stop).result()
