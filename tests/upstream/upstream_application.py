"""An application behind, byte for byte as a test scripts it: a raw TCP server."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from gateway.core.decide import Permit, Standing, permit
from gateway.upstream import Answer, Deadlines, Origin, Request, Upstream

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HOST = (b"Host", b"app.example")


class Connection:
    """The application's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def rest(self) -> bytes:
        """Everything up to the end of the connection, however it ends."""
        received = b""
        try:
            while data := await self.reader.read(65_536):
                received += data
        except ConnectionError:
            pass
        return received


Script = Callable[[Connection], Awaitable[Any]]


class Application:
    """Runs one script per connection, the last one again and again; a script's end closes its connection."""

    def __init__(self, scripts: tuple[Script, ...]) -> None:
        self.scripts = scripts
        self.port = 0
        self.accepted = 0
        self.closed: list[asyncio.Event] = []
        self.errors: list[BaseException] = []
        self.tasks: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self.scripts[min(self.accepted, len(self.scripts) - 1)]
        self.accepted += 1
        self.closed.append(asyncio.Event())
        task = asyncio.ensure_future(self.run(script, Connection(reader, writer), self.closed[-1]))
        self.tasks.add(task)

    async def run(self, script: Script, connection: Connection, closed: asyncio.Event) -> None:
        try:
            await script(connection)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass  # the connector has gone
        except Exception as error:
            self.errors.append(error)
        finally:
            closed.set()
            connection.writer.close()


@asynccontextmanager
async def application(*scripts: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Application]:
    app = Application(scripts)
    server = await asyncio.start_server(app.accept, "127.0.0.1", 0, ssl=tls)
    app.port = server.sockets[0].getsockname()[1]
    try:
        yield app
    finally:
        server.close()
        for task in app.tasks:
            task.cancel()
        await asyncio.gather(*app.tasks, return_exceptions=True)
    assert not app.errors, app.errors


@asynccontextmanager
async def connector(app: Application, **changes: Any) -> AsyncIterator[Upstream]:
    origin = {"scheme": "http", "host": "127.0.0.1", "port": app.port, **changes}
    upstream = Upstream(Origin(**origin))
    try:
        yield upstream
    finally:
        await upstream.aclose()


def replies(*answers: bytes) -> Script:
    """One answer per request, then the end."""

    async def script(connection: Connection) -> None:
        for answer in answers:
            await connection.head()
            await connection.send(answer)

    return script


async def always_ok(connection: Connection) -> None:
    while True:
        await connection.head()
        await connection.send(OK)


def permit_for(target: bytes, method: bytes = b"GET") -> Permit:
    return permit(method, target, Standing())


def request(
    method: bytes = b"GET",
    *,
    headers: tuple[tuple[bytes, bytes], ...] = (HOST,),
    body: AsyncIterator[bytes] | None = None,
    length: int | None = None,
) -> Request:
    return Request(method, b"/", headers, body, length)


async def send(
    upstream: Upstream,
    what: Request | None = None,
    *,
    target: bytes = b"/",
    deadlines: Deadlines | None = None,
    pinned: str | None = None,
    whose: str | None = None,
    before: Callable[[], Awaitable[None]] | None = None,
) -> Answer:
    deadlines = deadlines or Deadlines()
    return await upstream.forward(
        permit_for(target), what or request(), deadlines, pinned=pinned, whose=whose, before=before
    )


async def whole(answer: Answer) -> bytes:
    body = b""
    while piece := await answer.read():
        body += piece
    await answer.close()
    return body


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
