"""A partner's word ends what runs: at the moment it comes, on every worker: exports, event streams and WebSockets."""

import asyncio
import json
import socket
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sized
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import pyotp
import pytest
import wire
from running_demo import PERSONS, WORKERS, RunningDemo
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from gateway.commands.ledger_access import desk
from gateway.config import load
from gateway.demo.cast import ADVISERS, Adviser
from gateway.edge.cookies import SESSION
from gateway.stores.sessions import Sessions

EVENTS = "/evenements?intervalle_ms=50"
EXPORT = "/exports/demandeurs.csv?intervalle_ms=250"
LIMIT = 40  # of one proof
MOST_TRIES = 200


@dataclass
class Stream:
    """An answer that goes on, from its first person."""

    connection: socket.socket
    begun: bytes

    def whole(self) -> bytes:
        return self.begun + wire.rest(self.connection)

    def close(self) -> None:
        self.connection.close()


One = TypeVar("One", Stream, ClientConnection)


def _adviser(login: str) -> Adviser:
    return next(one for one in ADVISERS if one.login == login)


SACHA, INES = _adviser("sacha"), _adviser("ines")


def _tell(event: str) -> Callable[[RunningDemo, Adviser], None]:
    """What an administrator at the partner's does."""

    def tell(demo: RunningDemo, who: Adviser) -> None:
        issuer = next(one["issuer"] for one in demo.told["partners"] if one["id"] == who.partner)
        secret = (demo.config / "keys" / f"partner-{who.partner}.secret").read_text("ascii").strip()
        form = {"login": who.login, "event": event, "client_id": "gateway", "client_secret": secret}
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{issuer}/signal", data=urllib.parse.urlencode(form).encode()) as answer:
            assert json.load(answer) == {"status": 200 if event == "logout" else 202}

    return tell


def _freeze(demo: RunningDemo, who: Adviser) -> None:
    demo.command("freeze", "partner", who.partner)


WORDS = {
    "logout": (_tell("logout"), SACHA),
    "session-revoked": (_tell("session-revoked"), SACHA),
    "credential-change": (_tell("credential-change"), INES),  # for a day she can export little
    "partner-freeze": (_freeze, SACHA),
}


def _signed_in(demo: RunningDemo, who: Adviser) -> str:
    """The cookie of somebody who has just signed in and confirmed."""
    settings = load(demo.config)

    async def come() -> str:
        async with desk(settings) as at_desk:
            sessions = Sessions(at_desk.store, at_desk.keys)
            known = {"issuer": settings.partners[who.partner].issuer, "sub": who.sub, "partner": who.partner}
            return await sessions.open(**known, name=who.name, login=who.login)

    first = asyncio.run(come())
    secret = demo.command("user", "enrol", who.login, "--partner", who.partner)["totp_secret"]
    fields = [("Cookie", f"{SESSION}={first}"), ("Origin", demo.gateway), ("Sec-Fetch-Site", "same-origin")]
    code = pyotp.TOTP(secret).at(int(time.time()))
    demo.secrets |= {first: "session", secret: "code generator", code: "code"}
    body = json.dumps({"code": code}).encode()
    asked = wire.request(
        "/.gateway/step-up/totp",
        demo.host,
        *fields,
        ("Content-Type", "application/json"),
        method="POST",
        body=body,
    )
    answer = wire.send(demo.port, asked)
    assert answer.status == 200, answer.raw
    (cookie,) = [one for one in answer.all("set-cookie") if one.startswith(SESSION.encode())]
    new = cookie.partition(b"=")[2].partition(b";")[0].decode()
    demo.secrets[new] = "session"
    return f"{SESSION}={new}"


@dataclass
class Running:
    """What one person has open: one of each kind at every worker."""

    demo: RunningDemo
    cookie: str
    open: ExitStack
    events: dict[int, Stream] = field(default_factory=dict)
    exports: dict[int, Stream] = field(default_factory=dict)
    sockets: dict[int, ClientConnection] = field(default_factory=dict)

    def begin(self) -> None:
        """Open connections until every worker has one of each; those that came to the same worker are closed again."""
        for _ in self._until_full(self.sockets):
            connection = self.open.enter_context(wire.connect(self.demo.port))
            headers = {"Cookie": self.cookie, "Origin": self.demo.gateway}
            address = f"ws://{self.demo.host}/ws/dossiers"
            opened = self.open.enter_context(connect(address, sock=connection, additional_headers=headers))
            self._keep(self.sockets, connection, opened)
        for held, target in ((self.events, EVENTS), (self.exports, EXPORT)):
            for _ in self._until_full(held):
                connection = self.open.enter_context(wire.connect(self.demo.port))
                connection.sendall(wire.request(target, self.demo.host, ("Cookie", self.cookie)))
                begun = connection.recv(4096)
                assert begun.startswith(b"HTTP/1.1 200"), target
                while not self.demo.seen(begun):
                    begun += connection.recv(4096)
                self._keep(held, connection, Stream(connection, begun))

    def _until_full(self, held: Sized) -> Iterator[None]:
        for _ in range(MOST_TRIES):
            if len(held) == WORKERS:
                return
            yield
        raise AssertionError("a worker gets no connection")

    def _keep(self, held: dict[int, One], connection: socket.socket, one: One) -> None:
        if held.setdefault(self.demo.worker_of(connection), one) is not one:
            one.close()


@contextmanager
def running_at_every_worker(demo: RunningDemo, who: Adviser) -> Iterator[Running]:
    with ExitStack() as stack:
        running = Running(demo, _signed_in(demo, who), stack)
        running.begin()
        yield running


@pytest.mark.parametrize("word", WORDS)
def test_what_runs_ends_with_the_partners_word_at_every_worker(running: RunningDemo, word: str) -> None:
    say, who = WORDS[word]
    try:
        with running_at_every_worker(running, who) as all_of_it:
            say(running, who)
            events = [one.whole() for one in all_of_it.events.values()]
            exports = [one.whole() for one in all_of_it.exports.values()]
            codes = [_closed(one) for one in all_of_it.sockets.values()]
        reason = b"frozen" if say is _freeze else b"no_caller"
        assert codes == [1008] * WORKERS
        for one in events:
            assert b'event: gateway\ndata: {"reason": "%b"' % reason in one and not one.endswith(b"0\r\n\r\n")
        for export in exports:
            *_, last = export.rstrip(b"\r\n").splitlines()
            assert last.startswith(b"gateway: %b;" % reason) and not export.endswith(b"0\r\n\r\n")
            assert 0 < len(running.seen(export)) < LIMIT < PERSONS
    finally:
        if word == "partner-freeze":
            running.command("unfreeze", "partner", who.partner)


def _closed(one: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            one.recv(timeout=wire.PATIENCE_S)
    return closed.value.rcvd.code if closed.value.rcvd else None
