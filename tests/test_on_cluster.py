"""The whole gateway on a Redis Cluster of three shards: what it lets through, and what the loss of one does to it."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_cluster import Shards, clustered
from redis_servers import folder
from shard_loss import PEOPLE, lose_one, stack_on
from stack import Stack, demo_application

from gateway.demo.ready import SAMPLES, single_persons
from gateway.demo.theft import steal
from gateway.stores import keys, places

A_PERSON = SAMPLES["person"]


@pytest.fixture(scope="module")
def shards() -> Iterator[Shards]:
    with folder() as directory, clustered(directory, replicas=1) as made:
        yield made


@pytest.fixture(scope="module")
def demo() -> Iterator[tuple[str, Path]]:
    with demo_application(1_000) as running:
        yield running


@pytest.fixture(scope="module")
def stack(shards: Shards, demo: tuple[str, Path]) -> Iterator[Stack]:
    with stack_on(shards.url, demo[0]) as running:
        yield running


@pytest.fixture(scope="module")
def ids(demo: tuple[str, Path]) -> tuple[int, ...]:
    return single_persons(demo[1])


def command(stack: Stack, *words: str) -> dict:
    said = [sys.executable, "-m", "gateway", *words, "--config", str(stack.directory), "--json"]
    return json.loads(subprocess.run(said, capture_output=True, check=True, timeout=60).stdout)


def test_a_record_needs_a_code_and_a_second_look_costs_nothing(stack: Stack, ids: tuple[int, ...]) -> None:
    account = stack.account()
    target = A_PERSON.replace("{id}", str(ids[0]))
    assert stack.get(target, account).status == 401
    assert stack.step_up(account).status == 200
    assert [stack.get(target, account).status for _ in range(3)] == [200, 200, 200]
    assert stack.used(account, "sensitive-hour") == 1


def test_a_thief_with_a_fresh_code_gets_what_one_code_opens(stack: Stack, ids: tuple[int, ...]) -> None:
    account = stack.account()
    url = f"http://{stack.host}"
    theft = asyncio.run(steal(url, account.token, account.secret, A_PERSON, ids))
    assert (theft.asked, theft.taken, theft.others) == (300, 40, {"proof_required": 260})
    assert command(stack, "report", "caller", account.user)["persons"] == 40
    assert stack.used(account, "sensitive-hour") == 40


def test_what_a_user_takes_is_counted_for_everyone_too(stack: Stack, ids: tuple[int, ...]) -> None:
    account, everyone = stack.account(), keys.budget("everyone:-:sensitive:3600")
    stack.step_up(account)

    def counted() -> int:
        return stack.thread.call(stack.thread.store.call("ZCARD", everyone, place=places.place_of("everyone")))

    before = counted()
    for number in ids[-5:]:
        assert stack.get(A_PERSON.replace("{id}", str(number)), account).status == 200
    assert counted() == before + 5


def test_the_loss_of_a_shard_gives_nobody_more_and_hides_nothing(
    stack: Stack, shards: Shards, ids: tuple[int, ...]
) -> None:
    loss = lose_one(stack, shards, places.LINKS, ids)
    assert (loss.persons_over_budget, loss.answers_without_record) == (0, 0)
    assert loss.refused_meanwhile > 0
    assert loss.given + loss.counted_too_many <= PEOPLE * 40
