"""Sends what waits to somebody outside: the operator's own address, or a partner that is told of its people.

Rules of this file:

1. Nothing waits for it: what fails is tried again by its queue.
2. What answers is believed by its status alone, and where that says no, by the error's code; a redirect is a failure.
3. Who refuses a message is asked again a few times, for a wrong key or token may be put right; then it is given up.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import httpx2

from gateway.edge.partner_http import CappedTransport

TIMEOUT_S = 5.0
MOST_REFUSALS = 6
_log = logging.getLogger("gateway.edge")


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Why a message did not arrive; ``refused``: its receiver understood it and does not want it."""

    why: str
    refused: bool = False


class Waiting(Protocol):
    """A message that waits to be sent, and whether this try is the last."""

    @property
    def body(self) -> bytes: ...

    @property
    def last(self) -> bool: ...


class Queue(Protocol):
    """Messages that wait; one that was taken comes again unless it is ``done``."""

    async def take(self) -> Waiting | None: ...

    async def refused(self, body: bytes) -> int: ...

    async def done(self, body: bytes) -> None: ...


class Receiver(Protocol):
    """Somebody to whom messages are sent. ``name``: as the log calls them."""

    @property
    def name(self) -> str: ...

    async def deliver(self, body: bytes) -> Undelivered | None: ...

    async def arrived(self, body: bytes) -> None: ...

    async def given_up(self, body: bytes, why: str) -> None: ...


async def deliver_due(queue: Queue, receiver: Receiver) -> int:
    """Try everything that is due, one after the other; how many arrived. Raises ``StoreUnavailable``."""
    arrived = 0
    while (waiting := await queue.take()) is not None:
        failed = await receiver.deliver(waiting.body)
        if failed is None:
            await receiver.arrived(waiting.body)
            await queue.done(waiting.body)
            arrived += 1
        elif waiting.last or (failed.refused and await queue.refused(waiting.body) >= MOST_REFUSALS):
            await receiver.given_up(waiting.body, failed.why)
            await queue.done(waiting.body)
        else:
            _log.warning("%s: a message did not arrive and is tried again: %s", receiver.name, failed.why)
    return arrived


async def post(url: str, body: bytes, headers: Mapping[str, str]) -> httpx2.Response | Undelivered:
    """Whatever answers a message, else why nobody did."""
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            httpx2.AsyncClient(
                transport=CappedTransport(),
                timeout=httpx2.Timeout(TIMEOUT_S),
                follow_redirects=False,
                trust_env=False,
            ) as client,
        ):
            return await client.post(url, content=body, headers=dict(headers))
    except Exception as fault:  # whatever is wrong there, this worker goes on
        return Undelivered(type(fault).__name__)
