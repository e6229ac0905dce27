"""Hosts' addresses, looked up so that a name which nobody answers for holds up no other.

The event loop's own look-ups share four threads, and a look-up that was given up keeps its thread: with one server of
the store gone, and its name with it, an application's name would wait behind it. Here a name is looked up once at a
time, in a thread of its own, and all who want it wait for that.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from ipaddress import ip_address
from typing import Any


class Hosts:
    """Look-ups under way. ``look_up``: as ``socket.getaddrinfo``."""

    def __init__(self, look_up: Callable[..., Sequence[Any]] = socket.getaddrinfo) -> None:
        self._look_up = look_up
        self._under_way: dict[str, Future[tuple[str, ...]]] = {}
        self._lock = threading.Lock()

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The addresses of ``host`` in the order to try them; raises ``OSError`` where it has none."""
        if _is_address(host):
            return (host,)
        with self._lock:
            found = self._under_way.get(host)
            if found is None:
                found = self._under_way[host] = Future()
                found.set_running_or_notify_cancel()  # from now on nobody who stops waiting ends it for the others
                threading.Thread(target=self._find, args=(host, found), name=f"look-up of {host}", daemon=True).start()
        return await asyncio.wrap_future(found)

    def _find(self, host: str, found: Future[tuple[str, ...]]) -> None:
        try:
            told = self._look_up(host, None, type=socket.SOCK_STREAM)
            addresses = tuple(dict.fromkeys(str(address[0]) for *_, address in told))
        except Exception as fault:
            self._forget(host)
            found.set_exception(fault)
        else:
            self._forget(host)
            found.set_result(addresses)

    def _forget(self, host: str) -> None:
        with self._lock:
            del self._under_way[host]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


HOSTS = Hosts()
"""Of this process: whoever connects to a name shares its look-up."""
