"""A partner's way to us behind the browser: where it tells of logouts, and how a person signs out there."""

import asyncio
import re

import httpx2
from edge.conftest import ORIGIN

from gateway.edge.sso import with_query

from .browsing import Browser

LOGOUT = "/.gateway/back-channel-logout"
FORM = {"content-type": "application/x-www-form-urlencoded"}


class Address:
    """Where the partner calls us; hands each call on to the pages in this process. ``told``: bodies with statuses."""

    def __init__(self, pages: httpx2.AsyncClient) -> None:
        self._pages = pages
        self.told: list[tuple[bytes, int]] = []

    async def call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        assert length and head.startswith(f"POST {LOGOUT}/agency ".encode())
        body = await reader.readexactly(int(length[1]))
        self.told.append((body, await self.again(body)))
        writer.write(f"HTTP/1.1 {self.told[-1][1]} Told\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async def again(self, body: bytes, partner: str = "agency") -> int:
        """The status with which the pages answer."""
        return (await self._pages.post(f"{LOGOUT}/{partner}", content=body, headers=FORM)).status_code


async def sign_out_there(browser: Browser, issuer: str, client_id: str) -> None:
    """What a person does at the partner itself, who knows nothing of us."""
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        metadata = (await http.get(f"{issuer}/.well-known/openid-configuration")).json()
    query = {"client_id": client_id, "post_logout_redirect_uri": f"{ORIGIN}/.gateway/signed-out"}
    await browser.at_the_partner(with_query(metadata["end_session_endpoint"], query))
