"""What a Redis Cluster's loss of a shard does to the gateway before it: primaries are killed under load, one by one.

``python tests/shard_loss.py --times 10`` prints a line of JSON for each loss, and what all came to. Needs redis-server.

For each loss some people get tokens and a fresh code each, and open one record after another. When all are at work one
primary is killed; the others promote its replica. Once everybody is at work again they go on until their limit stops
them. Then what they were given is compared with their limit and with the ledger.
"""

import argparse
import asyncio
import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from redis_cluster import Shards, clustered, in_step
from redis_servers import wait_for
from stack import Account, Stack, StoreThread, configure, demo_application, serving

from gateway.demo.ready import SAMPLES, single_persons
from gateway.keyring import KeyRing
from gateway.stores import places
from gateway.stores.cluster import SLOTS
from gateway.stores.embedded import EmbeddedStore

LIMIT = 40
"""Persons whose records one code opens: the example policy's."""

STOPS = (401, 429)
"""How a limit answers: another code, or later."""

PEOPLE = 6
PAUSE_S = 0.1
AT_WORK = 5
"""Records that everybody has opened before the loss."""

GIVES_UP_S = 60


@contextlib.contextmanager
def stack_on(store_url: str, upstream: str, *, workers: int = 2) -> Iterator[Stack]:
    """The gateway on a store that is there already."""
    folder = Path(tempfile.mkdtemp(prefix="gw"))
    with contextlib.ExitStack() as ending:
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        settings = configure(folder / "config", store_url, upstream, workers=workers)
        thread = StoreThread(store_url)
        ending.callback(thread.close)
        log = folder / "log"
        process = ending.enter_context(serving(settings, log))
        keyring = KeyRing.load(settings.path(settings.gateway.keys))
        yield Stack(folder / "config", settings, process, thread, EmbeddedStore(folder / "r"), log, keyring)


@dataclass
class Person:
    """One of those at work. ``answers``: seconds, status and request id of each; ``given``: whose record they got."""

    account: Account
    answers: list[tuple[float, int, str]] = field(default_factory=list)
    given: set[int] = field(default_factory=set)
    stopped: bool = False

    def first_since(self, moment: float) -> float | None:
        """When the first answer since then came that was an answer to what was asked, or the limit's."""
        return next((at for at, status, _ in self.answers if at > moment and status in (200, *STOPS)), None)


@dataclass(frozen=True)
class Loss:
    """What one loss came to."""

    killed: str
    seconds_until_all_worked: float
    given: int
    persons_over_budget: int
    answers_without_record: int
    refused_meanwhile: int
    counted_too_many: int


async def work(stack: Stack, people: Sequence[Person], ids: Sequence[int], lose: Any) -> tuple[float, float]:
    """Everybody at work over a loss until their limit stops them; when it was, and when all worked again."""
    url = f"http://127.0.0.1:{stack.port}"
    async with httpx2.AsyncClient(base_url=url, headers={"host": stack.host}, timeout=30, trust_env=False) as client:
        at_work = [asyncio.create_task(_open(client, one, ids)) for one in people]
        try:
            await _until(lambda: all(len(one.given) >= AT_WORK for one in people), "everybody at work")
            lost = time.monotonic()
            await asyncio.to_thread(lose)
            await _until(lambda: all(one.first_since(lost + 0.05) for one in people), "work goes on")
            again = max(one.first_since(lost + 0.05) or 0 for one in people)
            await _until(lambda: all(one.stopped for one in people), "everybody's limit")
        finally:
            for task in at_work:
                task.cancel()
            await asyncio.gather(*at_work, return_exceptions=True)
    return lost, again


async def _open(client: httpx2.AsyncClient, one: Person, ids: Sequence[int]) -> None:
    headers = dict([one.account.bearer])
    for number in ids:
        answer = await client.get(SAMPLES["person"].replace("{id}", str(number)), headers=headers)
        one.answers.append((time.monotonic(), answer.status_code, answer.headers["x-request-id"]))
        if answer.status_code == 200:
            one.given.add(number)
        one.stopped = one.stopped or answer.status_code in STOPS
        await asyncio.sleep(PAUSE_S)


async def _until(true: Any, what: str) -> None:
    deadline = time.monotonic() + GIVES_UP_S
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {GIVES_UP_S} s"
        await asyncio.sleep(0.02)


def lose_one(stack: Stack, shards: Shards, place: str, ids: Sequence[int]) -> Loss:
    """Kill who serves a place while people are at work, and start it again once all is over."""
    people = [Person(stack.account()) for _ in range(PEOPLE)]
    for one in people:
        assert stack.step_up(one.account).status == 200
    killed = shards.primary_of(SLOTS[place])
    lost, again = asyncio.run(work(stack, people, ids, killed.kill))
    recorded = {record.get("request_id") for record in stack.records()}
    answered = [request for one in people for _, status, request in one.answers if status == 200]
    counted = sum(stack.used(one.account, "sensitive-hour") for one in people)
    given = sum(len(one.given) for one in people)
    killed.start()
    wait_for(lambda: in_step(shards), "the cluster")
    return Loss(
        killed=place,
        seconds_until_all_worked=round(again - lost, 2),
        given=given,
        persons_over_budget=sum(max(0, len(one.given) - LIMIT) for one in people),
        answers_without_record=sum(request not in recorded for request in answered),
        refused_meanwhile=sum(status == 503 for one in people for _, status, _ in one.answers),
        counted_too_many=counted - given,
    )


def lost_places(times: int) -> list[str]:
    """Whose servers are lost, in turn: that of who people are, of the links, of everyone's budgets."""
    return [(places.HOME, places.LINKS, places.place_of("everyone"))[at % 3] for at in range(times)]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--times", type=int, default=10)
    arguments.add_argument("--node-timeout", type=float, default=1.0, help="seconds; Redis' own default is 15")
    given = arguments.parse_args()
    losses: list[Loss] = []
    with (
        tempfile.TemporaryDirectory(prefix="gr") as folder,
        clustered(Path(folder), replicas=1, node_timeout_s=given.node_timeout) as shards,
        demo_application(1_000) as (upstream, database),
        stack_on(shards.url, upstream) as stack,
    ):
        ids = single_persons(database)
        for place in lost_places(given.times):
            losses.append(lose_one(stack, shards, place, ids))
            print(json.dumps(asdict(losses[-1])), flush=True)
    seconds = sorted(one.seconds_until_all_worked for one in losses)
    print(
        json.dumps(
            {
                "losses": len(losses),
                "node_timeout_s": given.node_timeout,
                "persons_over_budget": sum(one.persons_over_budget for one in losses),
                "answers_without_record": sum(one.answers_without_record for one in losses),
                "seconds_until_all_worked": {
                    "least": seconds[0],
                    "median": seconds[len(seconds) // 2],
                    "most": seconds[-1],
                },
            }
        )
    )


if __name__ == "__main__":
    main()
