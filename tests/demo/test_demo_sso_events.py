"""The partner's provider takes events of its client alone, once each, and answers with the error that is meant."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
import orjson
import pytest
import pytest_asyncio

from gateway.core.events import frozen
from gateway.demo.sso_signals import Heard, Listener, NotHeard
from gateway.edge.partner import Events
from gateway.edge.transmitter import Transmitter
from gateway.keyring import KeyRing

NOW = 1_800_000_000.0
ISSUER, GATEWAY, AUDIENCE = "https://sso.example", "https://gate.example", "agency"


@pytest_asyncio.fixture
async def published(keyring: KeyRing) -> AsyncIterator[str]:
    """The address of the gateway's keys."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = orjson.dumps(keyring.jwks())
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
    finally:
        server.close()


def listener(jwks_uri: str) -> Listener:
    signals = {"issuer": GATEWAY, "jwks_uri": jwks_uri, "audience": AUDIENCE}
    return Listener(ISSUER, [{"client_id": "gateway", "signals": signals}], lambda: NOW)


def signed(keyring: KeyRing, *, issuer: str = GATEWAY, audience: str = AUDIENCE, **changes: object) -> bytes:
    """A session-revoked of subject 42."""
    claims: Mapping[str, Any] = frozen(ISSUER, "42", NOW, "j")[1]
    return Transmitter("agency", Events("", audience), issuer, keyring.assertion_key).signed({**claims, **changes})


async def test_a_revoked_session_is_heard_once(keyring: KeyRing, published: str) -> None:
    here = listener(published)
    assert await here.hear(signed(keyring)) == Heard("session-revoked", "42")
    assert await here.hear(signed(keyring)) == Heard("session-revoked", None)


async def test_somebody_of_another_issuer_is_nobody_here(keyring: KeyRing, published: str) -> None:
    elsewhere = {"format": "iss_sub", "iss": "https://other.example", "sub": "42"}
    assert await listener(published).hear(signed(keyring, sub_id=elsewhere)) == Heard("session-revoked", None)


async def test_each_wrong_has_its_error(
    keyring: KeyRing, published: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stranger = KeyRing.create(tmp_path_factory.mktemp("stranger") / "ring")
    assertion = b".".join([b"eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9", *signed(keyring).split(b".")[1:]])
    wrong = {
        "invalid_issuer": signed(keyring, issuer="https://thief.example"),
        "invalid_audience": signed(keyring, audience="other"),
        "invalid_key": signed(stranger),
    }
    for err, token in wrong.items():
        heard = await listener(published).hear(token)
        assert isinstance(heard, NotHeard) and heard.err == err
    for token in (b"none", b"a.b.c", assertion, signed(keyring, events={}), signed(keyring, iat=int(NOW) - 8 * 86_400)):
        heard = await listener(published).hear(token)
        assert isinstance(heard, NotHeard) and heard.err == "invalid_request"


async def test_without_the_keys_it_is_to_come_again(keyring: KeyRing) -> None:
    with pytest.raises(httpx2.HTTPError):
        await listener("http://127.0.0.1:1/").hear(signed(keyring))
