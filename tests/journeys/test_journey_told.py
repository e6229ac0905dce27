"""Whom we freeze, their partner ends too: signalled in the same step, whoever of us is dead at that moment."""

import asyncio
import json
import os
import signal
import socket
import urllib.parse
from collections.abc import Iterator

import httpx2
import pytest
from running_demo import PARTNER, RunningDemo
from stack import until

from gateway.commands.ledger_access import desk
from gateway.config import load
from gateway.demo.cast import ADVISERS
from gateway.stores.sessions import Sessions

SACHA = next(one for one in ADVISERS if one.login == "sacha")


class AtTheirPartner:
    """Sacha's browser, as their partner's provider sees it."""

    def __init__(self, demo: RunningDemo) -> None:
        issuer = next(one["issuer"] for one in demo.told["partners"] if one["id"] == PARTNER)
        asked = {
            "client_id": "gateway",
            "redirect_uri": f"{demo.gateway}/.gateway/callback/{PARTNER}",
            "response_type": "code",
            "scope": "openid",
            "state": "s",
            "code_challenge": "c" * 43,
            "code_challenge_method": "S256",
        }
        self._address = f"{issuer}/authorize?{urllib.parse.urlencode(asked)}"
        self._browser = httpx2.Client(trust_env=False, timeout=60)

    def sign_in(self) -> None:
        answer = self._browser.post(self._address, data={"login": SACHA.login, "password": SACHA.password})
        assert answer.status_code == 303

    def look(self) -> httpx2.Response:
        return self._browser.get(self._address)

    def close(self) -> None:
        self._browser.close()


@pytest.fixture
def sacha(running: RunningDemo) -> Iterator[AtTheirPartner]:
    """Signed in at the partner's, and known here."""
    settings = load(running.config)

    async def come() -> str:
        async with desk(settings) as at_desk:
            sessions = Sessions(at_desk.store, at_desk.keys)
            who = {"issuer": settings.partners[PARTNER].issuer, "sub": SACHA.sub, "partner": PARTNER}
            return await sessions.open(**who, name=SACHA.name, login=SACHA.login)

    running.secrets[asyncio.run(come())] = "session"
    there = AtTheirPartner(running)
    there.sign_in()
    assert there.look().status_code == 303
    try:
        yield there
    finally:
        there.close()
        running.command("unfreeze", "user", "sacha")


def is_ended(there: AtTheirPartner) -> bool:
    answer = there.look()
    return answer.status_code == 200 and "Your session was ended" in answer.text


def test_who_is_frozen_here_is_signed_out_at_their_partner_and_shown_why(
    running: RunningDemo, sacha: AtTheirPartner
) -> None:
    assert running.command("freeze", "user", "sacha")["told"] == PARTNER
    until(lambda: is_ended(sacha), what="the end of the session at the partner's")
    until(lambda: {"risk-level-change", "session-revoked"} <= delivered(running), what="both in the ledger")
    sacha.sign_in()
    assert sacha.look().status_code == 303


def test_a_freeze_while_the_gateway_is_dead_is_told_by_the_next_one(
    running: RunningDemo, sacha: AtTheirPartner
) -> None:
    pids = running.told["pids"]
    for pid in (*pids["gateway"], *pids["workers"]):
        os.kill(pid, signal.SIGKILL)
    until(lambda: nobody_listens(running), what="the end of every worker")
    running.command("freeze", "user", "sacha")
    until(lambda: is_ended(sacha), what="the end of the session at the partner's")
    until(running.is_ready, what="the gateway")


def nobody_listens(demo: RunningDemo) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", demo.port)) != 0


def delivered(demo: RunningDemo) -> set[str]:
    """The events that the ledger says were delivered."""
    lines = [line for file in (demo.config / "ledger").rglob("*.jsonl") for line in file.read_bytes().splitlines()]
    records = map(json.loads, lines)
    return {one["event"] for one in records if one["kind"] == "signal" and one.get("verdict") == "delivered"}
