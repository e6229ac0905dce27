"""Health, readiness and metrics, from what the workers said of themselves."""

import http.client
import json
import os
import socket
import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.admin import RELOAD_HEADER, STATE_FRESH_S, Handler, State, listen, states, write_state
from gateway.config import Mistake
from gateway.reloading import Taken

ME = os.getpid()


def say(folder: Path, pid: int, *, ready: bool = True, why: str = "", ago_s: float = 0) -> None:
    state = {"state": {"ready": ready, "why": why}, "at": time.monotonic() - ago_s}
    (folder / f"worker-{pid}.json").write_text(json.dumps(state))


def test_a_worker_s_word_is_read_back(tmp_path: Path) -> None:
    for said in (
        State(False, "the ledger cannot be written"),
        State(True, "", "it was emptied", 2, "a policy that is not taken yet"),
    ):
        write_state(tmp_path, said)
        assert states(tmp_path, frozenset({ME})) == {ME: said}
    assert [path.name for path in tmp_path.iterdir()] == [f"worker-{ME}.json"]


def test_who_has_said_nothing_is_starting_and_who_is_dead_counts_no_more(tmp_path: Path) -> None:
    say(tmp_path, 1)
    assert states(tmp_path, frozenset({2})) == {2: State(False, "starting", behind="starting")}


def test_who_has_been_silent_is_not_ready(tmp_path: Path) -> None:
    say(tmp_path, 1, ago_s=STATE_FRESH_S + 7)
    say(tmp_path, 2, ago_s=STATE_FRESH_S / 2)
    assert states(tmp_path, frozenset({1, 2})) == {1: State(False, "silent for 10 s"), 2: State(True)}


def test_a_broken_word_is_none(tmp_path: Path) -> None:
    (tmp_path / "worker-1.json").write_text("{")
    assert states(tmp_path, frozenset({1})) == {1: State(False, "starting", behind="starting")}


WORKERS: set[int] = set()
RELOADS: list[Taken] = []
"""What became of a reload, the last of which is told."""


@pytest.fixture
def workers() -> Iterator[set[int]]:
    yield WORKERS
    WORKERS.clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("said")


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    server: ThreadingHTTPServer = listen("127.0.0.1", 0, folder, lambda: frozenset(WORKERS), lambda: RELOADS[-1])
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def get(port: int, path: str, method: str = "GET") -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path)
    answer = connection.getresponse()
    found = answer.status, answer.headers.get_content_type(), answer.read()
    connection.close()
    return found


def ready(port: int) -> tuple[int, Any]:
    status, _, body = get(port, "/readyz")
    return status, json.loads(body)


def test_it_is_alive_whatever_the_workers_say(port: int) -> None:
    assert get(port, "/healthz") == (200, "text/plain", b"alive\n")


def test_it_is_ready_when_every_worker_is(port: int, folder: Path, workers: set[int]) -> None:
    workers.update({1, 2})
    say(folder, 1)
    say(folder, 2, ready=False, why="the store does not answer")
    rest = {"store": "", "generation": 0, "behind": "", "ending": False, "conversations": 0, "partners": {}}
    lost = {"pid": 2, "ready": False, "why": "the store does not answer", **rest}
    said = [{"pid": 1, "ready": True, "why": "", **rest}, lost]
    assert ready(port) == (503, {"ready": False, "workers": said})
    say(folder, 2)
    assert ready(port)[0] == 200


def test_where_the_store_is_away_it_can_answer_and_is_not_well(port: int, folder: Path, workers: set[int]) -> None:
    workers.add(1)
    state = {"ready": True, "store": "the store does not answer"}
    (folder / "worker-1.json").write_text(json.dumps({"state": state, "at": time.monotonic()}))
    assert ready(port)[0] == 200
    status, _, body = get(port, "/healthz/deep")
    said = json.loads(body)
    assert (status, said["well"], said["workers"][0]["store"]) == (503, False, "the store does not answer")


def test_without_a_worker_it_is_not_ready(port: int) -> None:
    assert ready(port) == (503, {"ready": False, "workers": []})


def test_metrics_are_prometheus_text_of_all_workers(port: int) -> None:
    status, kind, _ = get(port, "/metrics")
    assert (status, kind) == (200, "text/plain")


@pytest.mark.parametrize("path", ["/", "/ready", "/metrics/../healthz", "/healthz?x"])
def test_there_is_nothing_else(port: int, path: str) -> None:
    assert get(port, path)[0] == 404


@pytest.mark.parametrize(("method", "path", "status"), [("DELETE", "/healthz", 501), ("POST", "/healthz", 404)])
def test_nothing_can_be_changed(port: int, method: str, path: str, status: int) -> None:
    assert get(port, path, method)[0] == status


@pytest.mark.parametrize(
    ("taken", "status", "said"),
    [
        (Taken("5e"), 200, {"mistakes": [], "waiting": []}),
        (Taken("5e", waiting={7: "starting"}), 503, {"mistakes": [], "waiting": [{"pid": 7, "why": "starting"}]}),
        (
            Taken("5e", (Mistake("policy.toml", 3, "classes", "is missing"),)),
            422,
            {
                "mistakes": [{"file": "policy.toml", "line": 3, "rule": "classes", "message": "is missing"}],
                "waiting": [],
            },
        ),
    ],
    ids=["in force", "a worker lags", "a mistake"],
)
def test_what_became_of_a_reload_is_told(port: int, taken: Taken, status: int, said: dict[str, object]) -> None:
    RELOADS.append(taken)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("POST", "/reload", headers={RELOAD_HEADER: "1"})
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == (status, {"policy": "5e", **said})
    connection.close()


def test_a_taken_port_is_said_so(port: int, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", port, tmp_path, frozenset, lambda: RELOADS[-1])


def test_who_asks_and_goes_away_before_the_answer_is_no_fault(tmp_path: Path) -> None:
    asking, asked = socket.socketpair()
    asking.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
    asking.close()
    with asked:
        Handler(tmp_path, lambda: frozenset({ME}), lambda: RELOADS[-1], asked, ("127.0.0.1", 1), None)
