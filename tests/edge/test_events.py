"""Events that a partner pushes (RFC 8935): whom they may name, and how each is answered."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import orjson
import pytest
import pytest_asyncio
from joserfc import jws
from joserfc.jwk import ECKey

from gateway.core.signals import EVENT_TYP, LOGGED_OUT, LOGOUT_TYP, SESSION_REVOKED, VERIFICATION
from gateway.edge.partner import Endpoints, Partner

from .conftest import ISSUER, SUB, House

EVENTS, LOGOUT = "/.gateway/events/agency", "/.gateway/back-channel-logout/agency"
SUBJECT = {"format": "iss_sub", "iss": ISSUER, "sub": SUB}
UNHEARD_OF = "https://schemas.example/event-type/moved-house"
_NUMBERS = itertools.count(1)


def _key() -> ECKey:
    return ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": "k1"})


@dataclass
class Transmitter:
    """A partner that signs whatever a test wants it to."""

    client: httpx2.AsyncClient
    now: float
    key: ECKey = field(default_factory=_key)

    def signed(
        self, kind: str, subject: object, key: ECKey | None = None, typ: str = EVENT_TYP, **changes: object
    ) -> str:
        claims: Mapping[str, Any] = {
            "iss": ISSUER,
            "aud": "gateway",
            "iat": int(self.now),
            "jti": f"j{next(_NUMBERS)}",
            "sub_id": subject,
            "events": {kind: {"event_timestamp": int(self.now)}},
        }
        header = {"alg": "ES256", "kid": "k1", "typ": typ}
        return jws.serialize_compact(header, orjson.dumps({**claims, **changes}), key or self.key)

    async def push(self, token: str) -> httpx2.Response:
        return await self.client.post(
            EVENTS, content=token.encode(), headers={"content-type": "application/secevent+jwt"}
        )


@pytest_asyncio.fixture
async def transmitter(house: House) -> AsyncIterator[Transmitter]:
    """The partner whose person Alice is, and its published key."""
    key = _key()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = orjson.dumps({"keys": [key.as_dict(private=False)]})
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    at = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    endpoints = Endpoints(f"{at}/authorize", f"{at}/token", f"{at}/jwks")
    try:
        async with house.client(Partner("agency", "Agence", ISSUER, "gateway", "s", endpoints=endpoints)) as client:
            yield Transmitter(client, house.clock.now(), key)
    finally:
        server.close()


async def session(house: House, sid: str) -> dict[str, str]:
    who = {"issuer": ISSUER, "sub": SUB, "partner": "agency", "name": "Alice", "login": "alice"}
    return {"cookie": f"__Host-gateway={await house.sessions.open(**who, sid=sid)}"}


async def test_a_complex_subject_ends_the_session_that_it_names_and_no_other(
    house: House, transmitter: Transmitter
) -> None:
    one, other = await session(house, "sid-1"), await session(house, "sid-2")
    subject = {"format": "complex", "user": SUBJECT, "session": {"format": "opaque", "id": "sid-1"}}
    assert (await transmitter.push(transmitter.signed(SESSION_REVOKED, subject))).status_code == 202
    assert await house.caller(one) is None and await house.caller(other) is not None


async def test_a_logout_by_a_long_name_of_a_session_ends_that_and_no_other(
    house: House, transmitter: Transmitter
) -> None:
    sid = "s" * 4_095
    one, other = await session(house, sid + "1"), await session(house, sid + "2")
    claims = {"sid": sid + "1", "exp": int(transmitter.now) + 60}
    token = transmitter.signed(LOGGED_OUT, None, typ=LOGOUT_TYP, **claims)
    assert (await transmitter.client.post(LOGOUT, data={"logout_token": token})).status_code == 200
    assert await house.caller(one) is None and await house.caller(other) is not None


@pytest.mark.parametrize(
    "subject",
    [
        {"format": "email", "email": "alice@agency.example"},
        {"format": "opaque", "id": SUB},
        {"format": "iss_sub", "iss": "https://other.example", "sub": SUB},
    ],
    ids=["email", "opaque", "another issuer's"],
)
async def test_who_is_not_named_by_issuer_and_subject_is_nobody_to_end(
    house: House, transmitter: Transmitter, subject: dict[str, str]
) -> None:
    here = await session(house, "sid-1")
    answer = await transmitter.push(transmitter.signed(SESSION_REVOKED, subject))
    assert (answer.status_code, answer.json()["err"]) == (400, "invalid_request")
    assert answer.headers["content-type"] == "application/json" and answer.json()["description"]
    assert await house.caller(here) is not None


@pytest.mark.parametrize("kind", [VERIFICATION, UNHEARD_OF])
async def test_a_question_whether_we_hear_and_an_unknown_event_are_acknowledged(
    house: House, transmitter: Transmitter, kind: str
) -> None:
    here = await session(house, "sid-1")
    answer = await transmitter.push(transmitter.signed(kind, {"format": "opaque", "id": "stream-1"}))
    assert (answer.status_code, answer.content) == (202, b"")
    assert await house.caller(here) is not None


async def test_an_event_that_comes_again_is_acknowledged_and_ends_nothing_more(
    house: House, transmitter: Transmitter
) -> None:
    token = transmitter.signed(SESSION_REVOKED, SUBJECT)
    assert (await transmitter.push(token)).status_code == 202
    since = await session(house, "sid-3")
    assert (await transmitter.push(token)).status_code == 202
    assert await house.caller(since) is not None
    assert len([one for one in house.ledger if one["kind"] == "signal"]) == 1


async def test_each_refusal_has_the_error_that_is_meant(house: House, transmitter: Transmitter) -> None:
    wrong = {
        transmitter.signed(SESSION_REVOKED, SUBJECT, iss="https://other.example"): "invalid_issuer",
        transmitter.signed(SESSION_REVOKED, SUBJECT, aud="other"): "invalid_audience",
        transmitter.signed(SESSION_REVOKED, SUBJECT, key=_key()): "invalid_key",
        transmitter.signed(SESSION_REVOKED, SUBJECT, iat=int(transmitter.now) - 8 * 86_400): "invalid_request",
        "none": "invalid_request",
    }
    for token, error in wrong.items():
        answer = await transmitter.push(token)
        assert (answer.status_code, answer.json()["err"]) == (400, error)
    assert not [one for one in house.ledger if one["kind"] == "signal"]
