"""«This was not me»: a thief's running export ends, its owner works on."""

import asyncio

import wire
from running_demo import PARTNER, RunningDemo
from stack import until

from gateway.commands.ledger_access import desk
from gateway.config import load
from gateway.edge.cookies import SESSION
from gateway.stores.sessions import Sessions

EVENTS = "/evenements?intervalle_ms=50"


def sign_in(demo: RunningDemo, login: str) -> str:
    """A session of this user, as signing in at the partner opens it."""
    settings = load(demo.config)
    issuer = settings.partners[PARTNER].issuer

    async def open_one() -> str:
        async with desk(settings) as at_desk:
            sessions = Sessions(at_desk.store, at_desk.keys)
            return await sessions.open(issuer=issuer, sub=login, partner=PARTNER, name=login, login=login)

    cookie = asyncio.run(open_one())
    demo.secrets[cookie] = "session"
    return cookie


def test_the_thiefs_stream_ends_and_the_owner_works_on(running: RunningDemo) -> None:
    thief = running.proven()
    cookie = sign_in(running, thief.login)
    owner = ("Cookie", f"{SESSION}={cookie}")
    with wire.connect(running.port) as stream:
        stream.sendall(wire.request(EVENTS, running.host, thief.bearer))
        assert stream.recv(4096).startswith(b"HTTP/1.1 200")
        same = ("Sec-Fetch-Site", "same-origin")
        press = wire.request("/.gateway/not-me", running.host, owner, same, method="POST", body=b"")
        pressed = wire.send(running.port, press)
        assert pressed.status == 200
        last = wire.rest(stream)
    assert b"event: gateway" in last and b"token_revoked" in last
    assert not last.endswith(b"0\r\n\r\n")

    # The owner goes on with a new cookie; a copy of the old one, wherever it is, does not.
    (renewed,) = [one.decode().partition(";")[0] for one in pressed.all("set-cookie") if SESSION.encode() in one]
    running.secrets[renewed.partition("=")[2]] = "session"
    until(lambda: running.ask(None, "/recherche?q=MARTIN", owner).status == 401, what="the end of the old cookie")
    owner = ("Cookie", renewed)
    assert running.ask(None, "/recherche?q=MARTIN", owner).status == 200

    def closed() -> bool:
        answer = running.ask(None, f"/api/demandeurs/{running.ids[400]}", owner)
        return (answer.status, answer.reason) == (403, "closed_by_person")

    until(closed, what="every worker to hear of the closing")
    until(lambda: running.ask(thief, "/recherche?q=MARTIN").status == 401, what="the end of the thief's token")
    assert running.command("user", "reopen", thief.login)["closed"] is False

    def open_again() -> bool:
        again = running.ask(None, f"/api/demandeurs/{running.ids[400]}", owner)
        return (again.status, again.reason) == (401, "proof_required")

    until(open_again, what="every worker to hear of the reopening")
