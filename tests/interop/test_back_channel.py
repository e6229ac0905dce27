"""Who signs out at a provider that is not ours is signed out here, by its signed word alone."""

import asyncio
import re
from collections.abc import AsyncIterator

import httpx2
import pytest_asyncio
from edge.conftest import ORIGIN, House

from gateway.edge.sso import with_query

from .browsing import Browser
from .conftest import Counterpart, outside

LOGOUT = "/.gateway/back-channel-logout/agency"
FORM = {"content-type": "application/x-www-form-urlencoded"}


class Address:
    """Where the partner calls us; hands each call on to the pages in this process. ``told``: bodies with statuses."""

    def __init__(self, pages: httpx2.AsyncClient) -> None:
        self._pages = pages
        self.told: list[tuple[bytes, int]] = []

    async def call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        assert length and head.startswith(f"POST {LOGOUT} ".encode())
        body = await reader.readexactly(int(length[1]))
        self.told.append((body, await self.again(body)))
        writer.write(f"HTTP/1.1 {self.told[-1][1]} Told\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async def again(self, body: bytes) -> int:
        """The status with which the pages answer."""
        return (await self._pages.post(LOGOUT, content=body, headers=FORM)).status_code


@pytest_asyncio.fixture
async def address(house: House, counterpart: Counterpart) -> AsyncIterator[Address]:
    async with house.client(counterpart.partner) as pages:
        made = Address(pages)
        async with await asyncio.start_server(made.call, "127.0.0.1", counterpart.port):
            yield made


async def sign_out_there(browser: Browser, counterpart: Counterpart) -> None:
    """What a person does at the partner itself, who knows nothing of us."""
    async with outside() as http:
        metadata = (await http.get(f"{counterpart.issuer}/.well-known/openid-configuration")).json()
    query = {"client_id": counterpart.client_id, "post_logout_redirect_uri": f"{ORIGIN}/.gateway/signed-out"}
    await browser.at_the_partner(with_query(metadata["end_session_endpoint"], query))


async def test_signing_out_there_ends_the_session_here(
    browser: Browser, house: House, counterpart: Counterpart, address: Address
) -> None:
    await browser.sign_in()
    assert await browser.caller(house) is not None
    await sign_out_there(browser, counterpart)
    assert [status for _, status in address.told] == [200]
    assert await browser.caller(house) is None


async def test_it_does_not_end_what_began_in_another_browser(
    browser: Browser, another: Browser, house: House, counterpart: Counterpart, address: Address
) -> None:
    await browser.sign_in()
    await another.sign_in()
    await sign_out_there(browser, counterpart)
    assert await browser.caller(house) is None and await another.caller(house) is not None


async def test_its_word_counts_once(browser: Browser, counterpart: Counterpart, address: Address) -> None:
    await browser.sign_in()
    await sign_out_there(browser, counterpart)
    ((body, status),) = address.told
    assert (status, await address.again(body)) == (200, 400)
