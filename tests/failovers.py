"""Failovers under load: what every client received against its limit and the ledger, and how long nothing went on.

``python tests/failovers.py 10`` runs ten and prints a table. Each time several people read records at full speed until
their hour's limit is used up. In the middle of it the store's primary is killed, and started again once the sentinels
have promoted its replica, as its container would be; every other time it hangs, and goes on as a primary that knows
nothing of the other until the sentinels tell it.
"""

import contextlib
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from redis_servers import Watched, folder, wait_for, watched
from stack import CODES_OPEN_ALL, Account, Stack, demo_application, running_stack, until

from gateway.demo.ready import single_persons

LIMIT = 60
"""Of the example policy: persons of the class ``sensitive`` in an hour, for one user."""
PEOPLE = 6
THREADS_EACH = 2
KILLED_AFTER = 60
"""So many records were received by all people together when the primary is killed."""


@dataclass
class Client:
    """One user, who reads records until nothing opens any more. ``received``: person to the requests it came with."""

    account: Account
    received: dict[int, list[str]] = field(default_factory=dict)
    unavailable: int = 0


@dataclass(frozen=True)
class Round:
    """One failover. Seconds are counted from the killing."""

    promoted_s: float
    went_on_s: float
    unavailable: int
    most_received: int
    over_limit: int
    without_record: int
    not_counted: int


class Load:
    """The people of one round, at work in threads."""

    def __init__(self, stack: Stack, nirs: dict[int, str], numbers: Sequence[int]) -> None:
        self.clients = [Client(self._proven(stack)) for _ in range(PEOPLE)]
        self.killed_at = float("inf")
        self.went_on_at = float("inf")
        self._stack = stack
        self._nirs = nirs
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._read, args=(client, numbers[at::THREADS_EACH]))
            for client in self.clients
            for at in range(THREADS_EACH)
        ]

    @staticmethod
    def _proven(stack: Stack) -> Account:
        account = stack.account(max_persons=5_000)
        answer = stack.step_up(account)
        assert answer.status == 200, answer.raw
        return account

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join()

    @property
    def received(self) -> int:
        return sum(len(client.received) for client in self.clients)

    def _read(self, client: Client, numbers: Sequence[int]) -> None:
        """Ask for one person after the other; whoever is refused while the store fails over is not asked for again."""
        refused = 0
        for number in numbers:
            sent_at = time.monotonic()
            answer = self._stack.get(f"/api/demandeurs/{number}", client.account)
            with self._lock:
                if self._nirs[number][:13].encode() in answer.raw:
                    refused = 0
                    client.received.setdefault(number, []).append(answer.one("x-request-id") or "")
                    if sent_at > self.killed_at:
                        self.went_on_at = min(self.went_on_at, time.monotonic())
                elif answer.status == 503:
                    client.unavailable += 1
                else:
                    refused += 1
            if refused > 3:
                return
            if answer.status == 503:
                time.sleep(0.05)


@dataclass(frozen=True)
class Place:
    """A gateway behind which everything runs."""

    stack: Stack
    group: Watched
    nirs: dict[int, str]
    numbers: Sequence[int]

    def fail_over(self, *, hang: bool = False) -> Round:
        """Take the primary away under load, and look afterwards at who has received what."""
        wait_for(self.group.settled, "the sentinels")
        first = self.group.primary
        with Load(self.stack, self.nirs, self.numbers) as load:
            until(lambda: load.received >= KILLED_AFTER, what="the load")
            (first.suspend if hang else first.kill)()
            load.killed_at = time.monotonic()
            until(lambda: self.group.primary is not first, what="the promotion")
            promoted_at = time.monotonic()
            if hang:
                first.resume()
            else:
                self.group.bring_back(first)
        return self._round(load, promoted_at - load.killed_at)

    def _round(self, load: Load, promoted_s: float) -> Round:
        recorded = {one["request_id"] for one in self.stack.records() if one["kind"] == "answer" and one["persons"]}
        requests = [one for client in load.clients for made in client.received.values() for one in made]
        counted = [self.stack.used(client.account, "sensitive-hour") for client in load.clients]
        received = [len(client.received) for client in load.clients]
        return Round(
            promoted_s,
            load.went_on_at - load.killed_at,
            sum(client.unavailable for client in load.clients),
            max(received),
            sum(max(0, one - LIMIT) for one in received),
            sum(request not in recorded for request in requests),
            sum(max(0, one - used) for one, used in zip(received, counted, strict=True)),
        )


@contextlib.contextmanager
def place() -> Iterator[Place]:
    """Application, store behind sentinels, and a gateway of two workers."""
    with folder() as directory, watched(directory) as group, demo_application(1_500) as (upstream, database):
        with contextlib.closing(sqlite3.connect(database)) as rows:
            nirs = dict(rows.execute("SELECT id, nir FROM demandeur"))
        with running_stack(upstream, workers=2, changes={"policy.toml": CODES_OPEN_ALL}, store_url=group.url) as stack:
            yield Place(stack, group, nirs, single_persons(database))


HEAD = ("", "primary", "promoted s", "works again s", "503", "most persons", "over the limit", "without record")


def row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def main(times: int) -> None:
    print(row(*HEAD, "not counted"), row(*["--:"] * 9), sep="\n")
    with place() as at:
        for number in range(1, times + 1):
            hang = number % 2 == 0
            one = at.fail_over(hang=hang)
            seconds = (f"{value:.1f}" for value in (one.promoted_s, one.went_on_s))
            counts = (one.unavailable, one.most_received, one.over_limit, one.without_record, one.not_counted)
            print(row(number, "hung" if hang else "killed", *seconds, *counts), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
