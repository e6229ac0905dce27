"""A name that nobody answers for holds up no other, and is asked for once."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from gateway.hosts import Hosts


class Server:
    """What answers for names: for ``slow`` only once it may."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.may_answer = threading.Event()

    def look_up(self, host: str, port: None, *, type: int) -> Sequence[Any]:  # noqa: A002  (getaddrinfo's name)
        self.asked[host] += 1
        if host == "slow":
            self.may_answer.wait()
        return socket.getaddrinfo("127.0.0.1" if host == "slow" else host, port, type=type)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.may_answer.set()


async def test_a_name_is_given_its_addresses(server: Server) -> None:
    assert "127.0.0.1" in await Hosts(server.look_up).addresses("localhost")


async def test_an_address_is_not_looked_up(server: Server) -> None:
    hosts = Hosts(server.look_up)
    assert [await hosts.addresses(one) for one in ("192.0.2.1", "::1")] == [("192.0.2.1",), ("::1",)]
    assert not server.asked


async def test_a_hundred_who_want_a_slow_name_hold_up_no_other_and_ask_once(server: Server) -> None:
    hosts = Hosts(server.look_up)
    waiting = [asyncio.create_task(hosts.addresses("slow")) for _ in range(100)]
    await asyncio.sleep(0)
    assert "127.0.0.1" in await hosts.addresses("localhost")
    assert server.asked["slow"] == 1
    server.may_answer.set()
    assert await asyncio.gather(*waiting) == [("127.0.0.1",)] * 100


async def test_who_stops_waiting_does_not_end_the_look_up_of_others(server: Server) -> None:
    hosts = Hosts(server.look_up)
    first, second = (asyncio.create_task(hosts.addresses("slow")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    server.may_answer.set()
    assert (await second, server.asked["slow"]) == (("127.0.0.1",), 1)


async def test_a_name_that_there_is_not_is_a_fault_each_time_it_is_asked_for(server: Server) -> None:
    hosts = Hosts(server.look_up)
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await hosts.addresses("nobody.invalid")
    assert server.asked["nobody.invalid"] == 2
