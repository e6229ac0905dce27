"""The connector to the legacy application behind: byte-exact, streaming both ways, and distrustful of answers.

Nothing is forwarded without a permit, and the target sent is the permit's, byte for byte.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from math import inf

from gateway.core.decide import Permit
from gateway.upstream.connection import Connection
from gateway.upstream.exchange import Deadlines, Exchange
from gateway.upstream.message import Headers, Request, ResponseReader, UpstreamFault, request_head
from gateway.upstream.pool import Origin, Pool
from gateway.upstream.shares import Shares, ShareTaken
from gateway.upstream.websocket import UpstreamRefusedUpgrade, UpstreamWebSocket, open_websocket

__all__ = [
    "Answer",
    "Deadlines",
    "Origin",
    "Request",
    "ShareTaken",
    "Upstream",
    "UpstreamFault",
    "UpstreamRefusedUpgrade",
    "UpstreamWebSocket",
]

_REPEATABLE = frozenset({b"GET", b"HEAD", b"OPTIONS"})


class Answer:
    """One response, its body still streaming. Read it to the end or close it: only then is its connection free.

    `headers` are as received: order, repeats, names and value bytes. `content_length` is the announced one, also
    where there is no body (HEAD, 304). `close_delimited`: the end of the body is the end of the connection, so that
    a truncated body cannot be told from a whole one.

    `read` gives the next piece of the body without its framing (content codings stay), b"" at the end; it raises
    UpstreamFault, or what the request's body raised.
    """

    __slots__ = (
        "_exchange", "close_delimited", "content_length", "has_body", "headers", "http_version", "read", "reason",
        "status",
    )  # fmt: skip

    def __init__(self, exchange: Exchange) -> None:
        reader = exchange.reader
        self._exchange = exchange
        self.read = exchange.read
        self.status = reader.status
        self.reason = reader.reason
        self.headers = reader.headers
        self.http_version = "1.1" if reader.minor_version else "1.0"
        self.content_length = reader.content_length
        self.has_body = reader.has_body
        self.close_delimited = reader.close_delimited

    @property
    def buffered_bytes(self) -> int:
        """What has arrived and is not read yet."""
        return self._exchange.buffered_bytes

    @property
    def arrived(self) -> bool:
        """Whether the next read has nothing to wait for."""
        return self._exchange.arrived

    @property
    def held_back(self) -> bool:
        """Whether the application has to wait until more is read."""
        return self._exchange.held_back

    async def close(self) -> None:
        """Give the connection back if all is drained, else drop it. Idempotent; ends our sending too."""
        await self._exchange.close()


class Upstream:
    """One application behind. Raises OSError (ssl.SSLError included) for unusable certificate files."""

    def __init__(self, origin: Origin) -> None:
        self._pool = Pool(origin)
        self._uploads = asyncio.Semaphore(max(1, origin.max_connections // 2))
        self._shares = Shares(origin.max_connections)

    @contextlib.asynccontextmanager
    async def uploading(self, deadlines: Deadlines) -> AsyncIterator[None]:
        """Around the exchange of a request whose body is still on its way.

        Such get half of the connections: clients that stall leave the others to who asks. Raises UpstreamFault.
        """
        try:
            async with asyncio.timeout(deadlines.connect_s):
                await self._uploads.acquire()
        except TimeoutError as error:
            raise UpstreamFault("upstream_timeout", "too many uploads at once") from error
        try:
            yield
        finally:
            self._uploads.release()

    async def forward(
        self,
        permit: Permit,
        request: Request,
        deadlines: Deadlines,
        *,
        pinned: str | None = None,
        whose: str | None = None,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> Answer:
        """Send the request; the answer once its head is there, while the body may still be on its way up.

        `pinned` names a connection-bound login: it has a connection of its own. `whose`: one user, who holds half of
        the connections at most, so that who does not read leaves the others to others. `before` is awaited once there
        is a connection, however long that took: if it raises, nothing is sent. Raises UpstreamFault, ShareTaken,
        ValueError for a request that must not be sent, or whatever `before` or the body raised.
        """
        method, body, length = request.method, request.body, request.content_length
        head = request_head(method, permit.target, request.headers, length=length, body=body is not None)
        loop = asyncio.get_running_loop()
        now = loop.time()
        total_at = inf if deadlines.total_s is None else now + deadlines.total_s
        connect_by = min(total_at, now + deadlines.connect_s)
        fresh = False
        while True:
            connection = await self._connection(pinned, whose, fresh=fresh, connect_by=connect_by)
            if before is not None:
                try:
                    await before()
                except BaseException:  # also a client that has gone: nothing was sent, and the next one can use it
                    connection.end(clean=True)
                    raise
            exchange = Exchange(connection, ResponseReader(method), deadlines, loop, total_at)
            try:
                await exchange.head(head, body, length)
            except UpstreamFault:
                if fresh or body is not None or method not in _REPEATABLE or not exchange.went_stale:
                    raise
                fresh, connect_by = True, min(total_at, loop.time() + deadlines.connect_s)
            else:
                return Answer(exchange)

    async def _connection(self, pinned: str | None, whose: str | None, *, fresh: bool, connect_by: float) -> Connection:
        if whose is not None:
            await self._shares.take(whose, connect_by)
        try:
            connection = None if fresh or pinned is not None else self._pool.take()
            if connection is None:
                connection = await self._pool.acquire(pinned, fresh=fresh, connect_by=connect_by)
        except BaseException:
            if whose is not None:
                self._shares.give_back(whose)
            raise
        if whose is not None:
            connection.freed = partial(self._shares.give_back, whose)
        return connection

    async def websocket(
        self, permit: Permit, headers: Headers, subprotocols: tuple[str, ...], deadlines: Deadlines
    ) -> UpstreamWebSocket:
        """Open a WebSocket. Raises UpstreamRefusedUpgrade, UpstreamFault, or ValueError (see `forward`)."""
        return await open_websocket(self._pool, permit.target, headers, subprotocols, deadlines)

    async def aclose(self) -> None:
        """Drop every connection; later requests get `upstream_unreachable`."""
        await self._pool.aclose()
