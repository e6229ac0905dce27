"""What is remembered of an answer so that it can be sealed, and when it is not."""

import asyncio
from typing import Any

import pytest
from small_application import small_application, small_passage

from gateway import sealing
from gateway.core.reasons import Reason, Refusal
from gateway.means import Room
from gateway.passage import Credential, Passage
from gateway.ports import StoreUnavailable
from gateway.sealing import Taped, seal
from gateway.stores.halved import LARGEST_BYTES
from gateway.upstream import UpstreamFault

ASKED = Refusal(Reason.PROOF_REQUIRED)


class Given:
    """An answer that comes in these pieces; an exception is raised, ``None`` never ends."""

    def __init__(self, *pieces: bytes | BaseException | None, status: int = 200) -> None:
        self.status = status
        self.headers: list[tuple[bytes, bytes]] = [(b"content-type", b"application/pdf")]
        self.has_body = True
        self.content_length: int | None = None
        self.arrived = True
        self.closed = False
        self._pieces = list(pieces)

    async def read(self) -> bytes:
        piece = self._pieces.pop(0) if self._pieces else b""
        if piece is None:
            await asyncio.Event().wait()
        if isinstance(piece, BaseException):
            raise piece
        return piece or b""

    async def close(self) -> None:
        self.closed = True


class Kept:
    """A place to keep things, or a reason why not."""

    def __init__(self, named: tuple[str, str] | BaseException | None = ("id", "half")) -> None:
        self.named = named
        self.half: str | None = None

    async def keep(self, user: str, credential_id: str, answer: Any, half: str | None) -> tuple[str, str] | None:
        self.half = half
        if isinstance(self.named, BaseException):
            raise self.named
        return self.named

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


@pytest.fixture
def passage() -> Passage:
    app = small_application()
    made = small_passage([], app, route=app.policy.routes["jobs"][0], path="/records/1", method="POST")
    made.executed = True
    made.credential = Credential("session", "cookie")
    return made


async def test_what_was_read_and_what_is_left_are_one(passage: Passage) -> None:
    taped = Taped(Given(b"a", b"b", b"c"), Room(100))
    assert await taped.read() == b"a"
    assert await taped.whole() == b"abc"


async def test_room_is_given_back(passage: Passage) -> None:
    room = Room(3)
    given = Given(b"abc")
    taped = Taped(given, room)
    await taped.read()
    assert not room.take(1)
    await taped.close()
    assert room.take(3) and given.closed


@pytest.mark.parametrize(
    ("pieces", "room"),
    [
        ((b"x" * LARGEST_BYTES, b"x"), LARGEST_BYTES * 2),
        ((b"abc", b"d"), 3),
        ((b"abc", UpstreamFault("upstream_truncated", "")), 100),
        ((b"abc", None), 100),
    ],
    ids=["too large", "no room", "broken", "endless"],
)
async def test_what_cannot_be_had_whole_is_not_sealed(
    passage: Passage, monkeypatch: pytest.MonkeyPatch, pieces: tuple[Any, ...], room: int
) -> None:
    monkeypatch.setattr(sealing, "REST_S", 0.01)
    left = Room(room)
    taped = Taped(Given(*pieces), left)
    assert await seal(passage, taped, ASKED, Kept()) is ASKED
    await taped.close()
    assert left.take(room)


@pytest.mark.parametrize("named", [None, StoreUnavailable("full")])
async def test_a_full_store_seals_nothing(passage: Passage, named: BaseException | None) -> None:
    assert await seal(passage, Taped(Given(b"a"), Room(9)), ASKED, Kept(named)) is ASKED
    assert passage.own_cookie is None


@pytest.mark.parametrize(
    "refusal", [None, Refusal(Reason.BUDGET_EXHAUSTED), Refusal(Reason.TOO_MANY_PERSONS), Refusal(Reason.FROZEN)]
)
async def test_what_no_confirmation_opens_is_not_sealed(passage: Passage, refusal: Refusal | None) -> None:
    assert await seal(passage, Taped(Given(b"a"), Room(9)), refusal, Kept()) is refusal


async def test_what_was_only_read_or_has_begun_is_not_sealed(passage: Passage) -> None:
    assert await seal(passage, Given(b"a"), ASKED, Kept()) is ASKED
    assert await seal(passage, Taped(Given(b"a", status=204), Room(9)), ASKED, Kept()) is ASKED
    passage.started = True
    assert await seal(passage, Taped(Given(b"a"), Room(9)), ASKED, Kept()) is ASKED


async def test_a_browser_gets_its_half_in_a_cookie(passage: Passage) -> None:
    kept = Kept()
    refusal = await seal(passage, Taped(Given(b"a"), Room(9)), ASKED, kept)
    assert refusal is not None
    assert (refusal.reason, refusal.pick_up) == (Reason.CONTENT_WITHHELD, "/.gateway/answers?id=id")
    assert kept.half is None
    assert passage.own_cookie is not None and b"half" in passage.own_cookie[1]


async def test_a_token_is_its_own_half(passage: Passage) -> None:
    passage.credential = Credential("token", "gwt_x")
    kept = Kept()
    await seal(passage, Taped(Given(b"a"), Room(9)), ASKED, kept)
    assert kept.half == "gwt_x"
    assert passage.own_cookie is None
