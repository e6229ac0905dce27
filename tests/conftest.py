"""A private store for the whole run, emptied between tests, and a clock that moves only when told to."""

import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import hypothesis
import pytest
import pytest_asyncio
from held_clock import HeldClock

from gateway.keyring import KeyRing
from gateway.stores.connection import Store
from gateway.stores.embedded import EmbeddedStore

# A hundred at once, on a machine that does other things too, are no fault of the store's.
PATIENCE_S = 20.0

hypothesis.settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("untimed")


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing.create(tmp_path_factory.mktemp("keys") / "ring")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[EmbeddedStore]:
    directory = Path(tempfile.mkdtemp(prefix="gs"))
    server = EmbeddedStore(directory)
    server.start()
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def _store_socket(redis_server: EmbeddedStore) -> Path:
    return redis_server.socket_path


@pytest.fixture
def redis_socket(_store_socket: Path) -> Path:
    """The socket of the run's store, emptied."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(_store_socket))
        connection.sendall(b"FLUSHALL\r\n")
        assert connection.recv(64).startswith(b"+OK")
    return _store_socket


@pytest_asyncio.fixture
async def store(redis_socket: Path) -> AsyncIterator[Store]:
    connected = await Store.connect(f"unix://{redis_socket}", timeout_s=PATIENCE_S)
    yield connected
    await connected.close()


@pytest_asyncio.fixture
async def four_stores(redis_socket: Path) -> AsyncIterator[list[Store]]:
    """What four workers hold: connections of their own to one store."""
    async with AsyncExitStack() as ends:
        connected = []
        for _ in range(4):
            connected.append(await Store.connect(f"unix://{redis_socket}", timeout_s=PATIENCE_S))
            ends.push_async_callback(connected[-1].close)
        yield connected
