"""An application behind the gateway that says exactly what a test gives it, and keeps what it was asked."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from wire import dechunk

NOT_SCRIPTED = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Received:
    """One request as the application got it; ``raw`` is every byte of it."""

    raw: bytes
    body: bytes = b""

    @property
    def line(self) -> bytes:
        """The request line."""
        return self.raw.partition(b"\r\n")[0]

    @property
    def method(self) -> bytes:
        return self.line.split(b" ")[0]

    @property
    def target(self) -> bytes:
        return self.line.split(b" ")[1]

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Names and values with their bytes, in order."""
        lines = self.raw.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
        return [(name, value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)]

    def all(self, name: str) -> list[bytes]:
        """The values of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower().encode()]


class Exchange:
    """The application's side of one request. A script sends what it likes; at its end the connection goes on."""

    def __init__(self, connection: socket.socket, request: Received) -> None:
        self.connection = connection
        self.request = request
        self.close = False

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.connection.sendall(piece)

    def gone(self, timeout_s: float) -> bool:
        """Whether the gateway closes this connection within so many seconds."""
        self.connection.settimeout(timeout_s)
        try:
            return self.connection.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True


Script = Callable[[Exchange], None]


@dataclass
class ScriptedApplication:
    """Answers by path, each the bytes or the script that a test gave; ``received``: the requests, in order."""

    port: int = 0
    scripts: dict[bytes, Script] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    otherwise: Script | None = None

    def answers(self, path: str, *pieces: bytes, close: bool = False) -> None:
        """Answer requests for ``path`` with these bytes; ``close``: and end the connection."""

        def script(exchange: Exchange) -> None:
            exchange.send(*pieces)
            exchange.close = close

        self.scripts[path.encode("latin-1")] = script

    def runs(self, path: str, script: Script) -> None:
        """Answer requests for ``path`` by a script."""
        self.scripts[path.encode("latin-1")] = script

    def says(
        self, path: str, body: bytes, media_type: str = "application/json", *fields: str, status: int = 200
    ) -> None:
        """Answer requests for ``path`` with a document."""
        lines = [f"HTTP/1.1 {status} OK", f"Content-Type: {media_type}", f"Content-Length: {len(body)}", *fields]
        self.answers(path, "\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def asked(self, path: str) -> list[Received]:
        """The requests for a path."""
        wanted = path.encode("latin-1")
        return [one for one in self.received if one.target.partition(b"?")[0] == wanted]

    def serve(self, connection: socket.socket) -> None:
        """Serve one connection to its end."""
        with connection, contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            buffered = b""
            while True:
                request, buffered = self._request(connection, buffered)
                if request is None:
                    return
                exchange = Exchange(connection, request)
                script = self.scripts.get(request.target.partition(b"?")[0], self.otherwise)
                if script is None:
                    exchange.send(NOT_SCRIPTED)
                else:
                    script(exchange)
                if exchange.close:
                    return

    def _request(self, connection: socket.socket, data: bytes) -> tuple[Received | None, bytes]:
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65_536)
            if not piece:
                return None, b""
            data += piece
        head, _, data = data.partition(b"\r\n\r\n")
        request = Received(head + b"\r\n\r\n")
        self.received.append(request)
        if request.all("transfer-encoding"):
            while not dechunk(data)[1]:
                piece = connection.recv(65_536)
                if not piece:
                    return None, b""
                data += piece
            request.raw += data
            request.body = dechunk(data)[0]
            return request, b""
        length = int((request.all("content-length") or [b"0"])[0])
        while len(data) < length:
            piece = connection.recv(65_536)
            if not piece:
                return None, b""
            data += piece
        request.body = data[:length]
        request.raw += request.body
        return request, data[length:]


@contextlib.contextmanager
def scripted_application() -> Iterator[ScriptedApplication]:
    """A scripted application on a free port."""
    application = ScriptedApplication()
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    application.port = listening.getsockname()[1]

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=application.serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield application
    finally:
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)
