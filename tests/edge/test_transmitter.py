"""Events to a partner: signed with the key that we publish, tried again or given up by what the partner answers."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from gateway.core.events import verification
from gateway.core.signals import SESSION_REVOKED
from gateway.edge.partner import Events, Partner
from gateway.edge.partner_check import walk
from gateway.edge.sending import MOST_REFUSALS, deliver_due
from gateway.edge.transmitter import Told, Transmitter
from gateway.stores import keys
from gateway.stores.freezes import Freezes
from gateway.stores.sending import WAITS_S, Sending

from .conftest import ISSUER, ORIGIN, SUB, House

ACCEPTED = b"202 Accepted\r\n\r\n"
LATER = WAITS_S[-1]


def refusal(error: str) -> bytes:
    body = orjson.dumps({"err": error, "description": "<b>no"})
    return b"400 Bad Request\r\nContent-Type: application/json\r\n\r\n" + body


@dataclass
class Endpoint:
    """What came to a partner's endpoint, and what it answers."""

    url: str = ""
    answer: bytes = ACCEPTED
    heads: list[bytes] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def said(self, house: House) -> list[dict[str, object]]:
        """What the tokens say, each verified with our published keys."""
        published = KeySet.import_key_set(house.keyring.jwks())
        return [orjson.loads(jws.deserialize_compact(one, published, ["ES256"]).payload) for one in self.tokens]


@asynccontextmanager
async def listening() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        endpoint.heads.append(head)
        endpoint.tokens.append((await reader.readexactly(size)).decode())
        first, _, rest = endpoint.answer.partition(b"\r\n")
        writer.write(b"HTTP/1.1 " + first + b"\r\nConnection: close\r\n" + rest)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    endpoint.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"
    try:
        yield endpoint
    finally:
        server.close()


@dataclass
class Line:
    """From a freeze to the partner."""

    house: House
    queue: Sending

    def to(self, url: str, token: str = "") -> Told:
        events = Events(url, "https://agency.example/events", token)
        transmitter = Transmitter("agency", events, ORIGIN, self.house.keyring.assertion_key)
        return Told(transmitter, self.house.records, self.house.clock)

    async def deliver(self, receiver: Told) -> int:
        return await deliver_due(self.queue, receiver)

    def records(self, kind: str) -> list[dict[str, object]]:
        return [one for one in self.house.ledger if one["kind"] == kind]


@pytest.fixture
async def line(house: House) -> Line:
    """Alice has signed in and was frozen: two signals wait."""
    await house.sign_in()
    freezes = Freezes(house.store, house.keyring, frozenset({"agency"}))
    await freezes.freeze("user", house.user, by="o", reason="r", now=house.clock.now())
    queue = Sending(house.store, house.clock, name=keys.signals_to("agency"), for_ever=True)
    return Line(house, queue)


async def test_a_partner_is_told_by_tokens_that_our_published_keys_verify(line: Line) -> None:
    async with listening() as endpoint:
        assert await line.deliver(line.to(endpoint.url)) == 2
    for one in endpoint.said(line.house):
        assert (one["iss"], one["aud"]) == (ORIGIN, "https://agency.example/events")
        assert one["sub_id"] == {"format": "iss_sub", "iss": ISSUER, "sub": SUB}
    assert SESSION_REVOKED in [next(iter(one["events"])) for one in endpoint.said(line.house)]  # type: ignore[call-overload]
    head = endpoint.heads[0].lower()
    assert b"content-type: application/secevent+jwt" in head and b"authorization" not in head
    header = jws.extract_compact(endpoint.tokens[0].encode()).headers()
    assert header["typ"] == "secevent+jwt"


async def test_what_was_taken_is_in_the_ledger_and_waits_no_more(line: Line) -> None:
    async with listening() as endpoint:
        await line.deliver(line.to(endpoint.url))
    told = line.records("signal")
    assert sorted(str(one["event"]) for one in told) == ["risk-level-change", "session-revoked"]
    assert {one["verdict"] for one in told} == {"delivered"}
    assert await line.queue.waiting() == 0


async def test_a_bearer_token_goes_with_it_where_the_endpoint_asks_for_one(line: Line) -> None:
    async with listening() as endpoint:
        await line.deliver(line.to(endpoint.url, "s3cret"))
    assert b"authorization: bearer s3cret" in endpoint.heads[0].lower()


@pytest.mark.parametrize(
    "head",
    [
        b"503 Busy\r\n\r\n",
        b"500 Oops\r\n\r\n",
        b"404 Not Found\r\n\r\n",
        b"302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
        b"400 Bad Request\r\n\r\nno such host",
        b"no http",
    ],
    ids=["503", "500", "404", "302", "400 of a proxy", "no http"],
)
async def test_what_is_no_refusal_is_tried_for_ever_by_the_same_id(line: Line, head: bytes) -> None:
    async with listening() as endpoint:
        endpoint.answer = head
        for _ in range(3 * MOST_REFUSALS):
            assert await line.deliver(line.to(endpoint.url)) == 0
            line.house.clock.forward(LATER)
        endpoint.answer = ACCEPTED
        assert await line.deliver(line.to(endpoint.url)) == 2
    assert len({one["jti"] for one in endpoint.said(line.house)}) == 2
    assert line.records("alarm") == []


async def test_nobody_there_loses_nothing(line: Line) -> None:
    for _ in range(10):
        assert await line.deliver(line.to("http://127.0.0.1:1/")) == 0
        line.house.clock.forward(LATER)
    assert await line.queue.waiting() == 2


async def test_a_refusal_is_told_and_given_up_after_a_few_with_an_alarm(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening() as endpoint:
        endpoint.answer = refusal("invalid_audience")
        for _ in range(MOST_REFUSALS - 1):
            await line.deliver(line.to(endpoint.url))
            line.house.clock.forward(LATER)
        assert await line.queue.waiting() == 2 and line.records("alarm") == []
        with caplog.at_level(logging.ERROR, "gateway.edge"):
            await line.deliver(line.to(endpoint.url))
    assert await line.queue.waiting() == 0
    assert {(one["reason"], one["error"]) for one in line.records("alarm")} == {
        ("signal_not_taken", "invalid_audience")
    }
    assert any("tell them yourself" in said for said in caplog.messages)


async def test_what_is_put_right_before_is_taken(line: Line) -> None:
    async with listening() as endpoint:
        endpoint.answer = refusal("authentication_failed")
        await line.deliver(line.to(endpoint.url))
        line.house.clock.forward(LATER)
        endpoint.answer = ACCEPTED
        assert await line.deliver(line.to(endpoint.url)) == 2


async def test_words_of_the_partner_s_own_are_not_repeated(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as endpoint:
        endpoint.answer = refusal("<script>")
        await line.deliver(line.to(endpoint.url))
    assert "an error of its own" in caplog.text and "<script>" not in caplog.text and "<b>no" not in caplog.text


@pytest.mark.parametrize(
    ("answer", "verdict", "words"),
    [
        (ACCEPTED, "right", "takes a verification event"),
        (refusal("invalid_audience"), "wrong", "correct events.audience"),
        (refusal("of its own"), "wrong", "ask who runs the endpoint"),
        (b"404 Not Found\r\n\r\n", "wrong", "status 404"),
    ],
    ids=["taken", "audience", "another error", "404"],
)
async def test_partner_check_says_whether_events_are_taken(
    house: House, partner: Partner, answer: bytes, verdict: str, words: str
) -> None:
    async with listening() as endpoint:
        endpoint.answer = answer
        transmitter = Transmitter("agency", Events(endpoint.url, "a"), ORIGIN, house.keyring.assertion_key)
        *_, step = await walk(partner, f"{ORIGIN}/.gateway/callback/agency", 1_800_000_000.0, transmitter)
    assert (step.what, step.verdict) == ("events", verdict) and words in step.words


async def test_a_verification_is_a_token_like_the_others(line: Line) -> None:
    events = Events("http://127.0.0.1:1/", "a")
    signed = Transmitter("agency", events, ORIGIN, line.house.keyring.assertion_key).signed(
        verification("gateway", 1.0, "j")
    )
    published = KeySet.import_key_set(line.house.keyring.jwks())
    assert orjson.loads(jws.deserialize_compact(signed, published, ["ES256"]).payload)["jti"] == "j"
