"""One watch for all conversations of a worker: each caller asked about once, and each of their conversations ended."""

import asyncio

import pytest

from gateway.core.reasons import Reason, Refusal
from gateway.edge.credentials import Credential
from gateway.ports import StoreUnavailable
from gateway.watching import AT_ONCE, Watch

REVOKED = Refusal(Reason.TOKEN_REVOKED)
AWAY = StoreUnavailable("away")
QUESTION_S = 0.3
"""How long each question takes, by the clock of a test about the store's silence."""


class Asked:
    """Asks about one caller, and counts how often."""

    def __init__(self, *answers: Refusal | Exception | None) -> None:
        self.answers = list(answers)
        self.count = 0
        self.ever = asyncio.Event()

    async def __call__(self) -> Refusal | None:
        self.count += 1
        self.ever.set()
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds follow each other without a pause."""
    monkeypatch.setattr("gateway.watching.ROUND_S", 0.0)


def conversations(watch: Watch, count: int, asked: Asked, name: str = "one") -> list[asyncio.Task[Refusal | None]]:
    return [asyncio.create_task(watch.over(Credential("token", name), asked)) for _ in range(count)]


async def test_one_question_ends_all_conversations_of_a_caller() -> None:
    asked = Asked(REVOKED)
    assert await asyncio.gather(*conversations(Watch(), 1_000, asked)) == [REVOKED] * 1_000
    assert asked.count == 1


async def test_others_stay_until_the_server_ends() -> None:
    watch, nobody = Watch(), Asked()
    others = conversations(watch, 3, nobody, "another")
    await asyncio.gather(*conversations(watch, 3, Asked(None, REVOKED)))
    assert not any(one.done() for one in others)
    watch.end()
    assert await asyncio.gather(*others) == [None] * 3
    assert await watch.over(Credential("token", "late"), nobody) is None


async def test_more_callers_than_are_asked_about_at_once_are_all_asked_about() -> None:
    watch = Watch()
    over = [conversations(watch, 1, Asked(REVOKED), str(number))[0] for number in range(2 * AT_ONCE + 1)]
    assert set(await asyncio.gather(*over)) == {REVOKED}


@pytest.mark.parametrize(
    "answers",
    [[AWAY, AWAY, REVOKED], [AWAY, AWAY, None, AWAY, AWAY, REVOKED]],
    ids=["at first", "before and after an answer"],
)
async def test_silent_conversation_outlives_a_store_that_does_not_say_for_a_moment(
    answers: list[Refusal | Exception | None],
) -> None:
    asked = Asked(*answers)
    over = conversations(Watch(lambda: asked.count * QUESTION_S), 2, asked)
    assert await asyncio.gather(*over) == [REVOKED] * 2
    assert asked.count == len(answers)


@pytest.mark.parametrize("answers", [[], [None]], ids=["never", "at first"])
async def test_store_that_says_nothing_for_longer_ends_it(answers: list[Refusal | Exception | None]) -> None:
    asked = Asked(*answers, AWAY, AWAY, AWAY, AWAY, REVOKED)
    (over,) = conversations(Watch(lambda: asked.count * QUESTION_S), 1, asked)
    gone = await over
    assert gone is not None
    assert (gone.reason, asked.count) == (Reason.STORE_UNAVAILABLE, 4)


async def test_store_that_says_nothing_ends_also_those_about_whom_it_was_not_asked_yet() -> None:
    callers = 10 * AT_ONCE
    asked = Asked(*[AWAY] * callers)
    watch = Watch(lambda: asked.count * QUESTION_S)
    over = await asyncio.gather(*(conversations(watch, 1, asked, str(number))[0] for number in range(callers)))
    assert {gone.reason for gone in over if gone} == {Reason.STORE_UNAVAILABLE}
    assert asked.count < callers


async def test_fault_of_ours_ends_it() -> None:
    (over,) = conversations(Watch(), 1, Asked(KeyError("ours")))
    gone = await over
    assert gone is not None
    assert gone.reason is Reason.INTERNAL_FAULT


async def test_conversation_that_ended_is_not_asked_about_and_a_later_one_is() -> None:
    watch, first = Watch(), Asked()
    (one,) = conversations(watch, 1, first)
    await first.ever.wait()
    one.cancel()
    await asyncio.wait([one])
    count = first.count
    assert await asyncio.gather(*conversations(watch, 1, Asked(None, None, REVOKED))) == [REVOKED]
    assert first.count == count
