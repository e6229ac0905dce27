"""Whatever is raised at whatever call of the path, nothing of the application's answer leaves after it."""

import asyncio
import copy
import dataclasses
import logging
from collections.abc import AsyncIterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from persons import RAW, Raw, as_json, nir, record
from stack import Account, Stack

from gateway import upstream
from gateway.app import App
from gateway.ledger import LedgerUnavailable
from gateway.ports import StoreUnavailable
from gateway.serve import RUN_VARIABLE
from gateway.upstream import Answer, Upstream

MARK = b"of-the-application"
MOST_CALLS = 200


class Fault:
    """Raises at the nth awaited call of any door, and remembers that it did."""

    def __init__(self, raised: type[BaseException], at: int) -> None:
        self.raised = raised
        self.left = at
        self.happened = False

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.happened = True
            raise self.raised("injected")


class Faulty:
    """A real part whose methods may raise first: before they have done anything, or after they have."""

    def __init__(self, part: Any, fault: Fault, *, after: bool) -> None:
        self._part = part
        self._fault = fault
        self._after = after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        return self._awaited(found) if asyncio.iscoroutinefunction(found) else found

    def _awaited(self, found: Any) -> Any:
        async def call(*arguments: Any, **named: Any) -> Any:
            if not self._after:
                self._fault.step()
            result = await found(*arguments, **named)
            if self._after:
                self._fault.step()
            return Faulty(result, self._fault, after=self._after) if isinstance(result, Answer) else result

        return call

    async def __call__(self, *arguments: Any) -> Any:
        return await self._part(*arguments)


@dataclasses.dataclass
class Exchange:
    """One request through the path in this process: what was sent, and how much of it before the fault."""

    sent: list[MutableMapping[str, Any]]
    before_the_fault: int

    @property
    def late(self) -> bytes:
        """What was sent after the fault."""
        return b"".join(repr(message).encode() for message in self.sent[self.before_the_fault :])

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"]) if self.sent else 0


@pytest_asyncio.fixture
async def gateway(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[App]:
    """The gateway in this process, over the same store and ledger."""
    monkeypatch.setenv(RUN_VARIABLE, str(tmp_path))
    app, ending, started = App(stack.settings), asyncio.Event(), asyncio.Event()
    events = iter((None, ending))

    async def receive() -> MutableMapping[str, Any]:
        event = next(events)
        if event is not None:
            await event.wait()
        return {"type": "lifespan"}

    async def send(message: MutableMapping[str, Any]) -> None:
        started.set()

    life = asyncio.create_task(app({"type": "lifespan"}, receive, send))
    async with asyncio.timeout(10):
        await started.wait()
        while app.pipeline is None:  # noqa: ASYNC110  (it tells nobody)
            await asyncio.sleep(0)
    yield app
    ending.set()
    await life


async def passed(gateway: App, fault: Fault, raw: Raw, who: Account, method: str, body: bytes, after: bool) -> Exchange:
    """Send one request through the path, every door of which may raise."""
    assert gateway.pipeline is not None
    pipeline = copy.copy(gateway.pipeline)
    doors = pipeline.doors
    faulty = {
        one.name: Faulty(getattr(doors, one.name), fault, after=after)
        for one in dataclasses.fields(doors)
        if one.name not in ("pages", "metrics")
    }
    pipeline.doors = dataclasses.replace(doors, **faulty)
    upstreams = {
        host: dataclasses.replace(one, upstream=Faulty(one.upstream, fault, after=after))
        for host, one in pipeline.served.by_host.items()
    }
    pipeline.served = dataclasses.replace(pipeline.served, by_host=upstreams)
    exchange = Exchange([], 0)
    incoming = [{"type": "http.request", "body": body, "more_body": False}]
    waiting = asyncio.Event()

    async def receive() -> MutableMapping[str, Any]:
        if incoming:
            return incoming.pop()
        await waiting.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        exchange.sent.append(message)
        exchange.before_the_fault += not fault.happened

    name, value = who.bearer
    headers = [(b"host", RAW.encode()), (name.lower().encode(), value.encode())]
    if body:
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    scope = {
        "type": "http",
        "method": method,
        "path": raw.path,
        "raw_path": raw.path.encode(),
        "query_string": b"",
        "headers": headers,
        "http_version": "1.1",
        "client": ("127.0.0.1", 1),
    }
    try:
        await pipeline(scope, receive, send)
    except asyncio.CancelledError:
        assert fault.raised is asyncio.CancelledError
    return exchange


def script(raw: Raw, kind: str) -> tuple[Raw, str, bytes]:
    """What the application says, and how it is asked."""
    mark = MARK.decode()
    match kind:
        case "document":
            raw.says(as_json(record(51, mark=mark)))
        case "public":
            raw.says(as_json({"mark": mark}))
        case "stream":
            rows = "".join(f"{number};Nom;{mark}\r\n" for number in range(60_000, 60_450))
            raw.says(b"id;nom;mark\r\n" + rows.encode(), "text/csv")
        case "unreadable":
            raw.says(b"%PDF-1.4 " + MARK * 100, "application/pdf")
        case "image":
            raw.says(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + MARK * 200, "image/png")
        case "saved":
            there = raw.under("save")
            there.says(as_json(record(52, mark=mark)))
            return there, "POST", b'{"a":1}'
        case _:
            there = raw.under("find")
            there.says(as_json({"jetonUsager": None, "mark": mark}))
            return there, "POST", as_json({"nir": nir(53)})
    return raw, "GET", b""


FAULTS = (RuntimeError, StoreUnavailable, LedgerUnavailable, asyncio.CancelledError)


@pytest.mark.parametrize("raised", FAULTS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", ["document", "public", "stream", "unreadable", "image", "saved", "search"])
async def test_nothing_of_the_application_leaves_after_a_fault(
    gateway: App,
    raw: Raw,
    proven: Account,
    kind: str,
    after: bool,
    raised: type[BaseException],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)
    raw, method, body = script(raw, kind)
    for at in range(1, MOST_CALLS):
        fault = Fault(raised, at)
        exchange = await passed(gateway, fault, raw, proven, method, body, after)
        if not fault.happened:
            break
        assert MARK not in exchange.late, at
        if not exchange.before_the_fault:
            assert exchange.status == 0 or exchange.status >= 400 or kind == "saved", at
    assert not fault.happened, "the path has more calls than were tried"
    assert at >= 4


def test_the_parts_that_raise_are_the_paths_own() -> None:
    """An ``Upstream`` gives its answer from ``forward``: the answer's own calls raise as well."""
    assert asyncio.iscoroutinefunction(Upstream.forward)
    assert asyncio.iscoroutinefunction(upstream.exchange.Exchange.read)
