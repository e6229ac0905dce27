"""`gateway demo` as a stranger runs it: up in one command, one request of each sample, and nothing left behind."""

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pyotp
import pytest

from gateway.demo.supervise import children

ROOT = Path(__file__).parents[2]
LONGEST_S = 90.0


class Demo:
    """A running `gateway demo` with a folder for its temporary files."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.ready_file = folder / "ready.json"
        command = [sys.executable, "-m", "gateway", "demo", "--port", "0", "--ready-file", self.ready_file, *arguments]
        with (folder / "out").open("wb") as out:
            environment = {**os.environ, "TMPDIR": str(folder)}
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, env=environment)

    def until(self, done: Callable[[], bool]) -> None:
        """Look until something is so; fails with the demo's own words when it ends first."""
        deadline = time.monotonic() + LONGEST_S
        with pidfd(self.process.pid) as end:
            while not done():
                ended = select.select([end], [], [], 0.05)[0]
                if ended or time.monotonic() > deadline:
                    pytest.fail((self.folder / "out").read_text())

    def ready(self) -> dict[str, Any]:
        self.until(self.ready_file.exists)
        return orjson.loads(self.ready_file.read_bytes())

    def family(self) -> list[int]:
        """Every process below this one, and itself."""
        found, below = [], [self.process.pid]
        while below:
            found += below
            below = [child for parent in below for child in children(parent)]
        return found

    def end(self, number: int) -> list[int]:
        """Send a signal and wait until every process of it is gone; those that stay."""
        family = self.family()
        watched = {pid: os.pidfd_open(pid) for pid in family}
        self.process.send_signal(number)
        deadline = time.monotonic() + 30
        stay = []
        for pid, watch in watched.items():
            # Our own child must be waited for, or it stays as a zombie; a pidfd is readable for those too.
            if not select.select([watch], [], [], max(0.0, deadline - time.monotonic()))[0]:
                stay.append(pid)
            os.close(watch)
        self.process.wait()
        return stay

    def folders(self) -> list[str]:
        return [path.name for path in self.folder.iterdir() if path.is_dir()]


class pidfd:  # noqa: N801  (a context manager named as the thing it opens)
    def __init__(self, pid: int) -> None:
        self.number = os.pidfd_open(pid)

    def __enter__(self) -> int:
        return self.number

    def __exit__(self, *_: object) -> None:
        os.close(self.number)


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="d", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def demo(folder: Path) -> Iterator[Callable[..., Demo]]:
    started: list[Demo] = []

    def start(*arguments: str) -> Demo:
        started.append(Demo(folder, *arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.terminate()
            one.process.wait(30)


def test_one_request_of_each_sample_and_nothing_left_behind(demo: Callable[..., Demo]) -> None:
    running = demo("--persons", "2000")
    told = running.ready()
    samples, pids = told["samples"], told["pids"]
    assert len(samples["ids"]) >= 1_000
    assert sorted(pids["workers"]) == children(pids["gateway"][0])
    users = [one["user"] for one in told["tokens"]]
    assert users[0] == users[1] == users[2] != users[3]
    headers = {"authorization": f"Bearer {told['tokens'][0]['token']}"}
    with httpx2.Client(base_url=told["gateway"], headers=headers, timeout=120, trust_env=False) as client:
        person = samples["person"].replace("{id}", str(samples["ids"][0]))
        assert client.get(samples["public"]).status_code == 200
        assert len(client.get(samples["list"]).json()["demandeurs"]) == 350
        assert client.get(samples["search"].replace("{q}", "MARTIN")).status_code == 200
        challenged = client.get(person)
        assert challenged.status_code == 401
        assert "insufficient_user_authentication" in challenged.headers["www-authenticate"]
        code = pyotp.TOTP(told["users"][0]["totp_secret"]).now()
        assert client.post("/.gateway/step-up/totp", json={"code": code}).status_code == 200
        assert len(client.get(person).json()["nir"]) == 15
        with pytest.raises(httpx2.RemoteProtocolError), client.stream("GET", samples["export"]) as export:
            rows: list[str] = []
            rows.extend(export.iter_lines())  # what came before the cut stays in the list
        # The header, the hour's 60 persons (the one seen before is among them, and free), and the notice.
        assert len(rows) == 62
        assert rows[-1].startswith("gateway:")
    assert httpx2.get(f"{told['admin']}/healthz/deep", trust_env=False).status_code == 200
    assert httpx2.get(told["upstream"] + person, trust_env=False).status_code == 200
    assert running.end(signal.SIGTERM) == []
    assert running.process.returncode == 0
    assert running.folders() == []
    assert not running.ready_file.exists()


def test_a_demo_stopped_while_it_builds_leaves_nothing(demo: Callable[..., Demo]) -> None:
    running = demo("--persons", "2000000")
    running.until(lambda: any(running.folder.glob("gw-*/.population*")))
    assert running.end(signal.SIGTERM) == []
    assert running.folders() == []


def test_a_demo_that_is_killed_leaves_nothing_either(demo: Callable[..., Demo]) -> None:
    running = demo("--persons", "2000")
    running.ready()
    assert running.end(signal.SIGKILL) == []
    assert running.folders() == []


def test_what_dies_comes_back_and_the_ready_file_follows(demo: Callable[..., Demo]) -> None:
    running = demo("--persons", "2000")
    before = running.ready()["pids"]
    for name in ("store", "upstream", "gateway"):
        os.kill(before[name][0], signal.SIGKILL)

    def renewed() -> bool:
        pids = orjson.loads(running.ready_file.read_bytes())["pids"]
        return all(pids[name] and not set(pids[name]) & set(before[name]) for name in before)

    running.until(renewed)
    told = orjson.loads(running.ready_file.read_bytes())

    def answers() -> bool:
        try:
            return httpx2.get(f"{told['admin']}/healthz/deep", trust_env=False).status_code == 200
        except httpx2.HTTPError:
            return False

    running.until(answers)


def test_the_thief_is_stopped_at_the_limit_and_the_ledger_agrees(folder: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "gateway", "demo", "--port", "0", "--persons", "2000", "--theft", "--json"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        check=True,
    )
    drawn = orjson.loads(ran.stdout)
    assert (drawn["taken"], drawn["reported"], drawn["asked"]) == (60, 60, 300)
    assert drawn["stopped_by"]["budget"] == "sensitive-hour"
    assert list(folder.iterdir()) == []
