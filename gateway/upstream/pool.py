"""The connections to one application: how many, which one next, and which never again."""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from gateway.hosts import HOSTS
from gateway.upstream.connection import Connection
from gateway.upstream.message import UpstreamFault

IDLE_S = 15.0
PINNED_IDLE_S = 120.0  # a connection-bound login is lost with its connection


@dataclass(frozen=True, slots=True)
class Origin:
    """One application behind. `ca_file` None: the system's authorities; `server_name` None: the host."""

    scheme: str
    host: str
    port: int
    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    server_name: str | None = None
    max_connections: int = 256


@dataclass(slots=True)
class _Pin:
    """The one connection of a connection-bound login; its exchanges take turns."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    connection: Connection | None = None


def _tls_context(origin: Origin) -> ssl.SSLContext | None:
    if origin.scheme == "http":
        return None
    if origin.scheme != "https":
        raise ValueError("an origin's scheme is http or https")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if origin.ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(origin.ca_file)
    if origin.client_cert is not None:
        context.load_cert_chain(origin.client_cert, origin.client_key)
    return context


class Pool:
    """Connections to one origin: the last used first, at most `max_connections`, a queue in order of arrival.

    A connection that was upgraded leaves its place to others: how many of those there are, the server's side bounds.
    """

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._tls = _tls_context(origin)
        self._idle: list[Connection] = []
        self._pins: dict[str, _Pin] = {}
        self._all: set[Connection] = set()
        self._open = 0
        self._upgraded: set[Connection] = set()
        self._queue: deque[asyncio.Future[Connection | None]] = deque()
        self._closed = False

    def take(self) -> Connection | None:
        """An idle connection, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_quiet():
                return connection
            connection.abort()
        return None

    async def acquire(self, pin: str | None, *, fresh: bool, connect_by: float) -> Connection:
        """A connection for one exchange, waiting until the loop's time `connect_by`.

        `fresh`: newly opened. Raises UpstreamFault (`upstream_unreachable`, `upstream_tls`, `upstream_timeout`).
        """
        try:
            async with asyncio.timeout_at(connect_by):
                if pin is not None:
                    return await self._acquire_pinned(pin)
                return await self._open_or_wait(fresh=fresh)
        except ssl.SSLError as error:
            raise UpstreamFault("upstream_tls", error.reason or "") from error
        except TimeoutError as error:
            raise UpstreamFault("upstream_timeout", "no connection within the deadline") from error
        except OSError as error:
            raise UpstreamFault("upstream_unreachable", error.strerror or "") from error

    def upgraded(self, connection: Connection) -> None:
        """A connection speaks another protocol until its end, which may be hours away."""
        if not connection.closed:
            self._upgraded.add(connection)
            self._give_place()

    def returned(self, connection: Connection) -> None:
        """After a clean exchange."""
        if self._closed:
            connection.abort()
        elif connection.pin is not None:
            self._rest_pinned(connection, connection.pin)
        else:
            connection.rest(IDLE_S)
            waiter = self._next_in_queue()
            if waiter is None:
                self._idle.append(connection)
            else:
                waiter.set_result(connection)

    def gone(self, connection: Connection) -> None:
        """Closed, by whichever side."""
        self._all.discard(connection)
        if connection in self._upgraded:
            self._upgraded.remove(connection)
            return
        if connection in self._idle:
            self._idle.remove(connection)
        if connection.pin is not None:
            pin = self._pins[connection.pin]
            pin.connection = None
            if connection.busy:
                self._end_turn(connection.pin, pin)
            elif pin.users == 0:
                del self._pins[connection.pin]
        self._give_place()

    async def aclose(self) -> None:
        """Drop every connection, used or not; whoever waits is told `upstream_unreachable`."""
        self._closed = True
        for waiter in self._queue:
            if not waiter.done():
                waiter.set_exception(UpstreamFault("upstream_unreachable", "shutting down"))
        self._queue.clear()
        for connection in list(self._all):
            connection.shut()
        await asyncio.sleep(0)  # lets the transports close

    # Opening and waiting

    async def _open_or_wait(self, *, fresh: bool) -> Connection:
        connection = None if fresh else self.take()
        if connection is not None:
            return connection
        if self._closed:
            raise UpstreamFault("upstream_unreachable", "shutting down")
        if self._open < self._origin.max_connections or self._evict():
            self._open += 1
            return await self._connect()
        connection = await self._in_queue()
        while connection is not None:
            if not fresh and connection.is_quiet():
                return connection
            if connection.closed:  # it ended on the way here, and its place has been given on
                return await self._open_or_wait(fresh=fresh)
            # Its place is wanted, not itself: the first in the queue gets it.
            waiter = asyncio.get_running_loop().create_future()
            self._queue.appendleft(waiter)
            connection.abort()
            connection = await self._in_queue(waiter)
        return await self._connect()

    async def _in_queue(self, waiter: "asyncio.Future[Connection | None] | None" = None) -> Connection | None:
        """Wait for a connection, or for the place of one (None)."""
        if waiter is None:
            waiter = asyncio.get_running_loop().create_future()
            self._queue.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._give_back(waiter.result())
            raise

    async def _connect(self) -> Connection:
        """Open a connection in a place already counted."""
        loop = asyncio.get_running_loop()
        connection = Connection(loop, self)
        self._all.add(connection)
        name = (self._origin.server_name or self._origin.host) if self._tls is not None else None
        try:
            addresses = await HOSTS.addresses(self._origin.host)
            for place, address in enumerate(addresses, 1):
                try:
                    await loop.create_connection(
                        lambda: connection, address, self._origin.port, ssl=self._tls, server_hostname=name
                    )
                    break
                except OSError as fault:
                    if place == len(addresses) or isinstance(fault, ssl.SSLError):
                        raise
        except BaseException:
            connection.abort()
            raise
        return connection

    def _give_back(self, connection: Connection | None) -> None:
        """A place in the queue came up for somebody who no longer waits."""
        if connection is not None:
            if not connection.closed:
                self.returned(connection)
        else:
            self._give_place()

    def _give_place(self) -> None:
        """The place of a connection is free: for the first in the queue."""
        waiter = self._next_in_queue()
        if waiter is None:
            self._open -= 1
        else:
            waiter.set_result(None)

    def _next_in_queue(self) -> asyncio.Future[Connection | None] | None:
        while self._queue:
            waiter = self._queue.popleft()
            if not waiter.done():
                return waiter
        return None

    def _evict(self) -> bool:
        """Close an idle connection to make room, rather one without a login."""
        if self._idle:
            self._idle[0].abort()
            return True
        for pin in self._pins.values():
            if pin.users == 0 and pin.connection is not None:
                pin.connection.abort()
                return True
        return False

    # Pinned connections

    async def _acquire_pinned(self, key: str) -> Connection:
        pin = self._pins.setdefault(key, _Pin())
        pin.users += 1
        try:
            await pin.turn.acquire()
        except BaseException:
            self._leave_pin(key, pin)
            raise
        if pin.connection is not None:
            if pin.connection.is_quiet():
                pin.connection.busy = True
                return pin.connection
            pin.connection.abort()
        try:
            connection = await self._open_or_wait(fresh=True)
        except BaseException:
            self._end_turn(key, pin)
            raise
        connection.pin, connection.busy = key, True
        pin.connection = connection
        if connection.closed:
            pin.connection = None
            self._end_turn(key, pin)
            raise UpstreamFault("upstream_unreachable", "the connection ended at once")
        return connection

    def _rest_pinned(self, connection: Connection, key: str) -> None:
        connection.busy = False
        connection.rest(PINNED_IDLE_S)
        pin = self._pins[key]
        self._end_turn(key, pin)
        if pin.users == 0 and self._queue:
            connection.abort()

    def _end_turn(self, key: str, pin: _Pin) -> None:
        pin.turn.release()
        self._leave_pin(key, pin)

    def _leave_pin(self, key: str, pin: _Pin) -> None:
        pin.users -= 1
        if pin.users == 0 and pin.connection is None:
            del self._pins[key]
