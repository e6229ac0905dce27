"""One demo program as one process: Granian embedded in an event loop, ended at once by SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import traceback
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

#: What an open connection (an event stream, a download) may delay the end.
_GRACE_S = 0.5


def port_is_free(host: str, port: int) -> bool:
    """Whether nobody listens there. Granian shares ports, so that two programs would answer in turn."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


async def fault(_request: Request, error: Exception) -> Response:
    """Answer 500 and say where it happened; never what was in the request, which may be somebody's number."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    sys.stderr.write(f"fault: {type(error).__name__} in {frame.name}, line {frame.lineno}\n")
    return PlainTextResponse("Erreur interne", 500)


async def _serve(app: Any, host: str, port: int) -> None:
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=60_000),
        backlog=2_048,
        log_enabled=False,
    )
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.stop()  # type: ignore[no-untyped-call]  # Granian leaves it untyped
        loop.call_later(_GRACE_S, os._exit, 0)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await server.serve()


def serve(app: Any, host: str, port: int) -> None:
    """Serve an ASGI application (lifespan unused) until SIGTERM or SIGINT; exits with 1 where the port is taken."""
    if not port_is_free(host, port):
        sys.exit(f"{host}:{port} is already in use")
    asyncio.run(_serve(app, host, port))
