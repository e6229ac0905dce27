"""A partner's word ends what runs: at the moment it comes, on every worker, streams and WebSockets too."""

import asyncio
import json
import urllib.parse
import urllib.request
from collections.abc import Callable

import pytest
import wire
from running_demo import PARTNER, RunningDemo
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from gateway.commands.ledger_access import desk
from gateway.config import load
from gateway.edge.cookies import SESSION
from gateway.stores.sessions import Sessions

EVENTS = "/evenements?intervalle_ms=50"
LOGIN, SUB = "theo", "re-4713"


def _tell(demo: RunningDemo, event: str) -> None:
    """What an administrator at the partner's does."""
    issuer = next(one["issuer"] for one in demo.told["partners"] if one["id"] == PARTNER)
    secret = (demo.config / "keys" / f"partner-{PARTNER}.secret").read_text("ascii").strip()
    form = {"login": LOGIN, "event": event, "client_id": "gateway", "client_secret": secret}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{issuer}/signal", data=urllib.parse.urlencode(form).encode()) as answer:
        assert json.load(answer) == {"status": 200 if event == "logout" else 202}


def _freeze(demo: RunningDemo) -> None:
    demo.command("freeze", "partner", PARTNER)


WORDS: dict[str, Callable[[RunningDemo], None]] = {
    "logout": lambda demo: _tell(demo, "logout"),
    "session-revoked": lambda demo: _tell(demo, "session-revoked"),
    "credential-change": lambda demo: _tell(demo, "credential-change"),
    "partner-freeze": _freeze,
}


def _sign_in(demo: RunningDemo) -> str:
    settings = load(demo.config)
    issuer = settings.partners[PARTNER].issuer

    async def open_one() -> str:
        async with desk(settings) as at_desk:
            sessions = Sessions(at_desk.store, at_desk.keys)
            return await sessions.open(issuer=issuer, sub=SUB, partner=PARTNER, name=LOGIN, login=LOGIN)

    cookie = asyncio.run(open_one())
    demo.secrets[cookie] = "session"
    return cookie


@pytest.mark.parametrize("word", WORDS)
def test_what_runs_ends_with_the_partners_word(running: RunningDemo, word: str) -> None:
    cookie = ("Cookie", f"{SESSION}={_sign_in(running)}")
    headers = {"Cookie": cookie[1], "Origin": running.gateway}
    address = f"ws://{running.host}/ws/dossiers"
    try:
        with wire.connect(running.port) as stream, connect(address, additional_headers=headers, proxy=None) as socket:
            stream.sendall(wire.request(EVENTS, running.host, cookie))
            assert stream.recv(4096).startswith(b"HTTP/1.1 200")
            WORDS[word](running)
            last = wire.rest(stream)
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    socket.recv(timeout=10)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008
        assert b"event: gateway" in last and not last.endswith(b"0\r\n\r\n")
    finally:
        if word == "partner-freeze":
            running.command("unfreeze", "partner", PARTNER)
