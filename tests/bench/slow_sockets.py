"""What ordinary requests notice of clients that are slow on purpose: they connect, and then do nothing or too little.

    PYTHONPATH=tests python -m tests.bench.slow_sockets [--scale 1] [--seconds 60] [--again]

Needs redis-server and 12,000 open files. It sets up store, gateway (two workers) and the demo's application itself, on
loopback. While a crowd of 2,000 silent, 2,000 half-header and 2,000 half-body sockets, 200 readers that read nothing
and 5,000 idle WebSockets stands for a minute, somebody with a fresh code opens records at a steady rate, each on a
connection of its own. Told are, for each 10 seconds, how many were answered and how long that took; how many of each
kind the gateway cut; and the memory (PSS) of all of the gateway's processes.

``--again``: whoever is cut comes again at once.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import math
import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from stack import Account, Stack, demo_application, running_stack

from gateway.demo.ready import single_persons
from tests.bench.rig import processes_of

CROWD = {"silent": 2_000, "half header": 2_000, "half body": 2_000, "stalled reader": 200, "websocket": 5_000}
SLICE_S = 10.0
PER_SECOND = 20
PERSONS = 20
CLIENT_ADDRESSES = [f"127.0.0.{last}" for last in range(2, 10)]
"""Each has ports of its own."""

OPENING_AT_ONCE = 200
OPENS_WITHIN_S = 30.0
SMALL_BUFFER_BYTES = 4_096
ESTABLISHED = 1
"""A connection's state in Linux's ``struct tcp_info``."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of slow client begins. ``answered``: it waits for this before it does nothing; ``reads``: at all."""

    opening: bytes = b""
    answered: bytes = b""
    reads: bool = True


@dataclass(slots=True)
class Told:
    """What became of one kind of slow clients: how many stood, were cut by the gateway, and never came in."""

    opened: int = 0
    cut: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """One ordinary request: when it was due (seconds since the crowd was let in), how long it took, its status."""

    due_s: float
    took_s: float
    status: int


def kinds(host: str, token: str) -> dict[str, Kind]:
    """What each kind of slow client sends."""
    who = f"Host: {host}\r\nAuthorization: Bearer {token}\r\n"
    handshake = (
        f"GET /ws/dossiers HTTP/1.1\r\n{who}Connection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    body = f"PUT /depots/lent HTTP/1.1\r\n{who}Content-Type: application/octet-stream\r\nContent-Length: 1000\r\n\r\n"
    return {
        "silent": Kind(),
        "half header": Kind(f"GET /api/agences HTTP/1.1\r\n{who}Accept: */".encode()),
        "half body": Kind(body.encode() + b"x" * 10),
        "stalled reader": Kind(f"GET /telechargements/20 HTTP/1.1\r\n{who}\r\n".encode(), reads=False),
        "websocket": Kind(handshake.encode(), b"101 "),
    }


class Crowd:
    """Slow clients of all kinds, in a process of their own: they must not take time from what is measured."""

    def __init__(self, port: int, crowd: Mapping[str, int], kinds: Mapping[str, Kind], *, again: bool) -> None:
        self._port = port
        self._crowd = crowd
        self._kinds = kinds
        self._again = again
        self._addresses = itertools.cycle(CLIENT_ADDRESSES)
        self.told = {name: Told() for name in crowd}

    async def stand(self, seconds: float) -> dict[str, Told]:
        """Come all together, stand for so long, and go."""
        self._gate = asyncio.Semaphore(OPENING_AT_ONCE)
        clients = [
            asyncio.create_task(self._client(self._kinds[name], self.told[name]))
            for name, number in self._crowd.items()
            for _ in range(number)
        ]
        await asyncio.sleep(seconds)
        for one in clients:
            one.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        return self.told

    async def _client(self, kind: Kind, told: Told) -> None:
        while True:
            with socket.socket() as connection:
                try:
                    async with self._gate, asyncio.timeout(OPENS_WITHIN_S):
                        await self._open(connection, kind)
                except OSError:  # TimeoutError among them
                    told.failed += 1
                else:
                    told.opened += 1
                    await _cut(connection, reads=kind.reads)
                    told.cut += 1
            if not self._again:
                return

    async def _open(self, connection: socket.socket, kind: Kind) -> None:
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        if not kind.reads:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
        connection.bind((next(self._addresses), 0))
        await loop.sock_connect(connection, ("127.0.0.1", self._port))
        if kind.opening:
            await loop.sock_sendall(connection, kind.opening)
        if kind.answered and kind.answered not in await loop.sock_recv(connection, 4_096):
            raise ConnectionRefusedError("another answer")


async def _cut(connection: socket.socket, *, reads: bool) -> None:
    """Wait until the gateway cuts a connection; who reads nothing looks once a second whether it is broken."""
    loop = asyncio.get_running_loop()
    if reads:
        with contextlib.suppress(OSError):
            while await loop.sock_recv(connection, 65_536):
                pass
        return
    while connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED:  # noqa: ASYNC110
        await asyncio.sleep(1)


def crowd(port: int, numbers: Mapping[str, int], host: str, token: str, seconds: float, again: bool) -> dict[str, Told]:
    """Let a crowd stand before the gateway: for a process of its own."""
    raise_open_files()
    return asyncio.run(Crowd(port, numbers, kinds(host, token), again=again).stand(seconds))


def raise_open_files() -> None:
    """As many open files as the system allows; who is started afterwards has them too."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def pss_bytes(parent: int) -> int:
    """Proportional set size of a process tree: pages that several processes share count once altogether."""
    texts = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in processes_of(parent))
    return sum(int(line.split()[1]) for text in texts for line in text.splitlines() if line.startswith("Pss:")) * 1024


class Memory:
    """The most memory that a process tree had while this ran, looked at every second."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.before = self.peak = pss_bytes(parent)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(1):
            self.peak = max(self.peak, pss_bytes(self._parent))


def ordinary(ask: Callable[[int], int], seconds: float) -> list[Answered]:
    """Ask ``PER_SECOND`` times a second, whatever becomes of it; time counts from when a request was due."""
    begun = time.monotonic()

    def one(number: int) -> Answered:
        due_s = number / PER_SECOND
        try:
            status = ask(number)
        except (OSError, ValueError, AssertionError):  # no answer, or no whole one
            status = 0
        return Answered(due_s, time.monotonic() - begun - due_s, status)

    asked: list[Future[Answered]] = []
    with ThreadPoolExecutor(512) as pool:
        for number in range(int(seconds * PER_SECOND)):
            time.sleep(max(0.0, begun + number / PER_SECOND - time.monotonic()))
            asked.append(pool.submit(one, number))
    return [one.result() for one in asked]


def percentile(times: Sequence[float], share: float) -> float:
    """The least of ``times`` that at least ``share`` of them do not exceed."""
    return sorted(times)[math.ceil(len(times) * share) - 1]


def slices(answers: Sequence[Answered]) -> Iterator[str]:
    """A row for each slice of time."""
    yield "| from, s | requests | not answered with 200 | p50, ms | p99, ms | most, ms |"
    yield "|--:" * 6 + "|"
    for index, group in itertools.groupby(answers, lambda one: int(one.due_s // SLICE_S)):
        part = list(group)
        times = [one.took_s * 1000 for one in part]
        failed = Counter(one.status for one in part if one.status != 200)
        cells = (
            f"{index * SLICE_S:.0f}",
            f"{len(part)}",
            ", ".join(f"{number} × {status}" for status, number in sorted(failed.items())) or "0",
            f"{percentile(times, 0.5):.0f}",
            f"{percentile(times, 0.99):.0f}",
            f"{max(times):.0f}",
        )
        yield "| " + " | ".join(cells) + " |"


@dataclass(frozen=True, slots=True)
class Report:
    """What was seen. ``before_bytes``, ``peak_bytes`` and ``after_bytes``: PSS of the gateway's processes."""

    answers: Sequence[Answered]
    told: Mapping[str, Told]
    before_bytes: int
    peak_bytes: int
    after_bytes: int

    def lines(self) -> Iterator[str]:
        """Tables of it."""
        yield from slices(self.answers)
        yield ""
        yield "| slow clients | stood | cut by the gateway | never came in |"
        yield "|---" + "|--:" * 3 + "|"
        for name, one in self.told.items():
            yield f"| {name} | {one.opened} | {one.cut} | {one.failed} |"
        yield ""
        before, peak, after = (one / 1e6 for one in (self.before_bytes, self.peak_bytes, self.after_bytes))
        yield f"PSS, MB: before {before:.0f}, most {peak:.0f}, after {after:.0f}"


def run(numbers: Mapping[str, int], seconds: float, *, again: bool = False, connections: int = 256) -> Report:
    """Let the crowd stand, and ask beside it. ``connections``: of each worker to the application, for requests."""
    raise_open_files()
    more = {"gateway.toml": {"\nassist = true": f"\nmax_connections = {connections}\nassist = true"}}
    with demo_application() as (upstream, database), running_stack(upstream, workers=2, changes=more) as stack:
        who, slow = stack.account(), stack.account()
        if stack.step_up(who).status != 200:
            raise RuntimeError("the code was not accepted: the gateway's log says why")
        persons = single_persons(database)[:PERSONS]
        with Memory(stack.process.pid) as memory, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as beside:
            standing = beside.submit(crowd, stack.port, numbers, stack.host, slow.token, seconds, again)
            answers = ordinary(lambda number: _opened(stack, who, persons[number % len(persons)]), seconds)
            told = standing.result()
        return Report(answers, told, memory.before, memory.peak, pss_bytes(stack.process.pid))


def _opened(stack: Stack, who: Account, person: int) -> int:
    answer = stack.get(f"/api/demandeurs/{person}", who)
    return answer.status if answer.complete and json.loads(answer.body) else 0


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1, help="so many times the crowd")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--again", action="store_true")
    chosen = parser.parse_args()
    numbers = {name: math.ceil(number * chosen.scale) for name, number in CROWD.items()}
    for line in run(numbers, chosen.seconds, again=chosen.again).lines():
        print(line)


if __name__ == "__main__":
    main()
