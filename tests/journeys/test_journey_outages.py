"""What breaks in the middle of an answer: nothing leaves uncharged or unrecorded, and everything comes back.

Each story compares three accounts of it: the numbers in the bytes that a client received, the limits used, the ledger.
"""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import wire
from running_demo import Caller, RunningDemo, at_once
from stack import until
from wire import Answer

LIMIT = 60
SEEN_FIRST = 5


class Events:
    """A stream of persons, one at a time, read as it comes."""

    def __init__(self, demo: RunningDemo, caller: Caller) -> None:
        self.demo = demo
        self.received = b""
        self.connection = wire.connect(demo.port)
        target = "/evenements?intervalle_ms=40"
        self.connection.sendall(wire.request(target, demo.host, caller.bearer))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while piece := self.connection.recv(65_536):
                self.received += piece
        self._ended.set()

    def persons(self) -> set[int]:
        return self.demo.seen(self.received)

    def flows(self) -> None:
        """Some have come, and it goes on."""
        until(lambda: len(self.persons()) >= SEEN_FIRST, what="the first persons")

    def ended(self) -> Answer:
        """All of it, once it has ended."""
        assert self._ended.wait(wire.PATIENCE_S), "the stream goes on"
        self._thread.join()
        return wire.parse(self.received)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.connection.close()


@contextmanager
def events(demo: RunningDemo, caller: Caller) -> Iterator[Events]:
    stream = Events(demo, caller)
    try:
        stream.flows()
        yield stream
    finally:
        stream.close()


def works(demo: RunningDemo, caller: Caller, number: int) -> bool:
    """Whether a record is answered with its number."""
    try:
        answer = demo.ask(caller, f"/api/demandeurs/{number}")
    except OSError:
        return False
    return answer.status == 200 and demo.seen(answer.raw) == {number}


def one_of(demo: RunningDemo, received: set[int]) -> int:
    """Somebody of these whose record names nobody else: to read it again is free."""
    return min(received & set(demo.ids))


def accounts_agree(demo: RunningDemo, caller: Caller, received: set[int]) -> None:
    """Whoever was received is charged and recorded; whoever was charged may have been on the way."""
    report = demo.report(caller)
    assert demo.missing(received, report["person_hashes"]) == set()
    used = demo.used(caller)["sensitive-hour"]
    assert len(received) <= report["persons"] <= used <= LIMIT


def died_and_came_back(demo: RunningDemo, name: str, dead: int) -> None:
    """Wait until the demo has another process for one that was killed, in the ready file, and all is ready."""

    def renewed() -> bool:
        pids = demo.told["pids"][name]
        return bool(pids) and dead not in pids

    until(renewed, what=f"another {name}")
    until(demo.is_ready, what="the gateway's readiness")


def test_a_store_that_hangs_lets_nothing_out(running: RunningDemo) -> None:
    caller = running.proven(max_persons=LIMIT)
    before = running.told["pids"]
    (store,) = before["store"]
    with events(running, caller) as stream:
        os.kill(store, signal.SIGSTOP)
        try:
            until(lambda: running.told["pids"] == before and _is_stopped(store), what="the stop")
            answers = at_once(running.port, [running.record(caller, number) for number in running.ids[400:440]])
            ended = stream.ended()
        finally:
            os.kill(store, signal.SIGCONT)
        assert {(answer.status, answer.reason) for answer in answers} == {(503, "store_unavailable")}
        assert running.seen(*(answer.raw for answer in answers)) == set()
        assert not ended.complete
        received = stream.persons()
    until(lambda: works(running, caller, one_of(running, received)), what="an answer")
    accounts_agree(running, caller, received)
    assert running.told["pids"] == before


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_a_store_that_is_killed_forgets_nothing(running: RunningDemo) -> None:
    caller = running.proven(max_persons=LIMIT)
    (store,) = running.told["pids"]["store"]
    numbers = running.ids[500:520]
    taken = at_once(running.port, [running.record(caller, number) for number in numbers])
    assert [answer.status for answer in taken] == [200] * len(numbers)
    with events(running, caller) as stream:
        os.kill(store, signal.SIGKILL)
        ended = stream.ended()
        answers = at_once(running.port, [running.record(caller, number) for number in running.ids[520:560]])
        assert {(answer.status, answer.reason) for answer in answers} == {(503, "store_unavailable")}
        assert not ended.complete
        received = stream.persons() | set(numbers)
        assert running.seen(*(answer.raw for answer in answers)) == set()
    died_and_came_back(running, "store", store)
    until(lambda: works(running, caller, numbers[0]), what="an answer")
    accounts_agree(running, caller, received)
    used = running.used(caller)["sensitive-hour"]
    assert [running.ask(caller, f"/api/demandeurs/{number}").status for number in numbers] == [200] * len(numbers)
    assert running.used(caller)["sensitive-hour"] == used


def test_an_application_that_is_killed_ends_its_answers_visibly(running: RunningDemo) -> None:
    caller = running.proven(max_persons=LIMIT)
    (upstream,) = running.told["pids"]["upstream"]
    with events(running, caller) as stream:
        os.kill(upstream, signal.SIGKILL)
        ended = stream.ended()
        refused = running.ask(caller, f"/api/demandeurs/{running.ids[0]}")
        assert (refused.status, refused.reason) == (502, "upstream_unreachable")
        assert not ended.complete
        received = stream.persons()
    accounts_agree(running, caller, received)
    died_and_came_back(running, "upstream", upstream)
    until(lambda: works(running, caller, one_of(running, received)), what="an answer")
    assert running.used(caller)["sensitive-hour"] == len(received)


def test_a_worker_that_is_killed_takes_nothing_with_it(running: RunningDemo) -> None:
    caller, other = running.proven(max_persons=LIMIT), running.proven(max_persons=LIMIT)
    requests = [running.record(other, number) for number in running.ids[600 : 600 + LIMIT]]
    with events(running, caller) as stream, ThreadPoolExecutor(1) as thread:
        worker = running.worker_of(stream.connection)
        many = thread.submit(at_once, running.port, requests)
        until(lambda: running.used(other)["sensitive-hour"], what="the first of many answers")
        os.kill(worker, signal.SIGKILL)
        ended = stream.ended()
        assert not ended.complete
        received = stream.persons()
        received_by_other = running.seen(*(answer.raw for answer in many.result()))
    until(lambda: works(running, caller, one_of(running, received)), what="an answer")
    accounts_agree(running, caller, received)
    died_and_came_back(running, "workers", worker)
    accounts_agree(running, caller, received)
    accounts_agree(running, other, received_by_other)
    assert running.command("ledger", "verify")["intact"]
