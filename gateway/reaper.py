"""Shuts down connections that ask nothing: the server never closes them, and each takes one of its places.

Rules of this file:

1. A connection with a request in flight is never cut, however long its application takes.
2. A connection that has asked nothing is cut once nothing was received or sent on it for ``silent_s``; once it is
   ``kept_alive_s`` old in any case, so that one byte now and then (an HTTP/2 PING) does not hold its place.
3. After its last request a connection is cut once nothing was received or sent on it for ``kept_alive_s``.
4. A descriptor may be closed and given to another socket at any time: everything asked of a socket and the cut are
   asked of one duplicate, and what is remembered is remembered by inode.
"""

import asyncio
import os
import resource
import socket
import stat
import struct
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

SCAN_S = 1.0
USER_TIMEOUT_S = 30
"""How long sent bytes may stay unacknowledged before the kernel gives a connection up (RFC 5482)."""

_DESCRIPTORS = "/proc/self/fd"
_CHUNK = 256
_IDLE = struct.Struct("=I4xI")
_IDLE_OFFSET = 44
"""Of ``tcpi_last_data_sent`` and ``tcpi_last_data_recv`` in Linux's ``struct tcp_info`` (milliseconds).

Both count from the handshake on a connection that never sent or received.
"""
_INFO_BYTES = _IDLE_OFFSET + _IDLE.size

Peer = tuple[str, int]


@dataclass(slots=True)
class _Connection:
    """One accepted connection: since when it is known, and when it is worth the next look (monotonic seconds)."""

    peer: Peer
    since: float
    due: float


class Reaper:
    """Watches the connections that this process accepted on ``port``. One per worker; Linux only (else it is idle).

    ``silent_s``: for a connection that has asked nothing; ``kept_alive_s``: for one whose requests are finished.
    """

    def __init__(self, port: int, silent_s: float = 10.0, kept_alive_s: float = 30.0, scan_s: float = SCAN_S) -> None:
        self._port = port
        self._silent_s = silent_s
        self._kept_alive_s = kept_alive_s
        self._scan_s = scan_s
        self._in_flight: dict[Peer, int] = {}
        self._finished: dict[Peer, float] = {}
        self._connections: dict[int, _Connection | None] = {}
        self._placeholder = socket.socket(socket.AF_UNIX)
        # AF_INET6 has room for every address; the kernel fills in the true family.
        self._duplicate = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, fileno=os.dup(self._placeholder.fileno()))

    def enter(self, peer: Sequence[object] | None) -> None:
        """A request of ``peer`` (a scope's ``client``) begins."""
        key = _key(peer)
        self._in_flight[key] = self._in_flight.get(key, 0) + 1

    def leave(self, peer: Sequence[object] | None) -> None:
        """A request of ``peer`` is finished: call it exactly once for each ``enter``, with the same peer."""
        key = _key(peer)
        self._finished[key] = time.monotonic()
        left = self._in_flight.pop(key) - 1
        if left:
            self._in_flight[key] = left

    async def run(self) -> None:
        """Scan until cancelled; afterwards there is no scanning any more."""
        try:
            while sys.platform == "linux":
                await self.scan()
                await asyncio.sleep(self._scan_s)
        finally:
            self._duplicate.close()
            self._placeholder.close()

    async def scan(self) -> int:
        """Look once at every connection, giving way to others now and then; how many were cut."""
        before = set(self._finished)
        seen: dict[int, _Connection | None] = {}
        cut = 0
        for index, descriptor in enumerate(_descriptors()):
            if index % _CHUNK == _CHUNK - 1:
                await asyncio.sleep(0)
            inode = _socket_inode(descriptor)
            if inode is None:
                continue
            known = self._connections.get(inode)
            if inode in self._connections and (known is None or time.monotonic() < known.due):
                seen[inode] = known
                continue
            with suppress(OSError), self._duplicated(descriptor) as connection:
                if _socket_inode(connection.fileno()) != inode:
                    continue
                seen[inode] = known = known or self._met(connection)
                cut += known is not None and self._cut_or_wait(known, connection)
        self._connections = seen
        alive = {connection.peer for connection in seen.values() if connection is not None}
        for peer in before - alive:
            self._finished.pop(peer, None)
        return cut

    @contextmanager
    def _duplicated(self, descriptor: int) -> Iterator[socket.socket]:
        """The socket behind a descriptor, held for the moment; no descriptor is needed that might not be left."""
        os.dup2(descriptor, self._duplicate.fileno(), inheritable=False)
        try:
            yield self._duplicate
        finally:
            os.dup2(self._placeholder.fileno(), self._duplicate.fileno(), inheritable=False)

    def _met(self, connection: socket.socket) -> _Connection | None:
        """A socket seen for the first time; ``None`` when it is no connection accepted on the port."""
        peer = self._peer(connection)
        if peer is None:
            return None
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_S * 1000)
        now = time.monotonic()
        return _Connection(peer, now, now)

    def _cut_or_wait(self, known: _Connection, connection: socket.socket) -> bool:
        left_s = self._left_s(known, connection)
        known.due = time.monotonic() + left_s
        if left_s > 0:
            return False
        connection.shutdown(socket.SHUT_RDWR)
        return True

    def _peer(self, connection: socket.socket) -> Peer | None:
        address = connection.getsockname()
        if not isinstance(address, tuple) or len(address) < 2 or address[1] != self._port:
            return None
        try:
            return _key(connection.getpeername())
        except OSError:  # the listener, or a connection that is gone already
            return None

    def _left_s(self, known: _Connection, connection: socket.socket) -> float:
        """How long this connection may stay as it is: not positive when it is to be cut now.

        Idle time counts from the first sight at most: a request may have waited long to be accepted.
        """
        if known.peer in self._in_flight:
            return min(self._silent_s, self._kept_alive_s)
        now = time.monotonic()
        age_s = now - known.since
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
        sent_ms, received_ms = _IDLE.unpack_from(info, _IDLE_OFFSET)
        idle_s: float = min(sent_ms / 1000, received_ms / 1000, age_s)
        finished = self._finished.get(known.peer)
        if finished is not None:
            return self._kept_alive_s - min(idle_s, now - finished)
        return min(self._silent_s - idle_s, self._kept_alive_s - age_s)


def _key(peer: Sequence[object] | None) -> Peer:
    if not peer:
        return ("", 0)
    address, port = peer[0], peer[1]
    return (address if isinstance(address, str) else str(address), port if isinstance(port, int) else int(str(port)))


def _descriptors() -> Iterable[int]:
    try:
        return [int(name) for name in os.listdir(_DESCRIPTORS)]  # noqa: PTH208  (iterdir takes more than twice as long)
    except OSError:  # none is left to list the others with
        return range(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _socket_inode(descriptor: int) -> int | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_ino if stat.S_ISSOCK(status.st_mode) else None
