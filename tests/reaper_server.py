"""A server with a reaper around a tiny application, in a process of its own: PORT SILENT_S KEPT_ALIVE_S [CERT KEY]."""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from granian.constants import Interfaces
from granian.server import Server

from gateway.reaper import Reaper

PORT, SILENT_S, KEPT_ALIVE_S = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
CERTIFICATE = [Path(argument) for argument in sys.argv[4:]]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
started: list[asyncio.Task[None]] = []
held: asyncio.Queue[asyncio.Event] = asyncio.Queue()
reaper = Reaper(PORT, SILENT_S, KEPT_ALIVE_S, scan_s=SILENT_S / 4)


def user_timeouts() -> str:
    """The TCP user timeout of every connection accepted on the port, in milliseconds."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        if entry.is_socket():
            with socket.socket(fileno=socket.dup(int(entry.name))) as one:
                if one.family == socket.AF_INET and one.getsockname()[1] == PORT and is_connected(one):
                    found.add(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
    return ",".join(map(str, sorted(found)))


def is_connected(one: socket.socket) -> bool:
    try:
        one.getpeername()
    except OSError:
        return False
    return True


async def application(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        started.append(asyncio.create_task(reaper.run()))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    reaper.enter(scope["client"])
    try:
        await (conversation if scope["type"] == "websocket" else answer)(scope, receive, send)
    finally:
        reaper.leave(scope["client"])


async def conversation(scope: Message, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.send", "text": "still here"})


async def answer(scope: Message, receive: Receive, send: Send) -> None:
    body = b"done"
    if scope["path"] == "/held":
        released = asyncio.Event()
        held.put_nowait(released)
        await released.wait()
    elif scope["path"] == "/release":
        (await held.get()).set()
    elif scope["path"] == "/user-timeouts":
        await reaper.scan()
        body = user_timeouts().encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    names: dict[str, Any] = dict(zip(("ssl_cert", "ssl_key"), CERTIFICATE, strict=False))
    server = Server("app", "127.0.0.1", PORT, interface=Interfaces.ASGI, workers=1, log_enabled=False, **names)
    server.serve(target_loader=lambda _: application)


if __name__ == "__main__":
    main()
