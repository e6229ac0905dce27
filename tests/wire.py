"""HTTP/1.1 as bytes on a socket: requests written by hand, answers taken apart strictly."""

import contextlib
import json
import socket
from dataclasses import dataclass

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Answer:
    """An answer as it came. ``complete``: its framing says that nothing of it is missing."""

    raw: bytes
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    complete: bool

    def all(self, name: str) -> list[bytes]:
        """The values of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower().encode()]

    def one(self, name: str) -> str | None:
        """The value of a header that may stand once."""
        values = self.all(name)
        assert len(values) < 2, (name, values)
        return values[0].decode("latin-1") if values else None

    @property
    def reason(self) -> str:
        """The gateway's reason where the answer is its own refusal, else nothing."""
        if b"json" not in (self.one("content-type") or "").encode():
            return ""
        try:
            said = json.loads(self.body)
        except ValueError:
            return ""
        kind = said.get("type", "") if isinstance(said, dict) else ""
        return kind.rpartition("urn:gateway:problem:")[2] if "urn:gateway:problem:" in str(kind) else ""


def request(
    target: str | bytes,
    host: str,
    *fields: tuple[str, str | bytes],
    method: str = "GET",
    body: bytes | None = None,
    version: str = "1.1",
) -> bytes:
    """A request's bytes; a body gets a Content-Length, and the connection is to be closed after the answer."""
    raw = target if isinstance(target, bytes) else target.encode("latin-1")
    lines = [f"{method} ".encode() + raw + f" HTTP/{version}".encode(), b"Host: " + host.encode()]
    for name, value in fields:
        lines.append(name.encode("latin-1") + b": " + (value if isinstance(value, bytes) else value.encode("latin-1")))
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"Connection: close", b"", b""]) + (body or b"")


def connect(port: int) -> socket.socket:
    """A connection to the gateway."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def send(port: int, raw: bytes, *, head: bool = False) -> Answer:
    """Send a request's bytes and read to the end of the connection."""
    with connect(port) as connection:
        with contextlib.suppress(OSError):  # refused before all of it was read: the answer says why
            connection.sendall(raw)
        return parse(rest(connection), head=head)


def rest(connection: socket.socket) -> bytes:
    """Everything up to the end of the connection, however it ends."""
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65_536):
            received += piece
    return bytes(received)


def parse(raw: bytes, *, head: bool = False) -> Answer:
    """Take an answer apart; interim answers before it are left out. ``head``: it answers a HEAD request."""
    begin, _, after = raw.partition(b"\r\n\r\n")
    lines = begin.split(b"\r\n")
    if not lines[0].startswith(b"HTTP/1."):
        return Answer(raw, 0, (), b"", False)
    status = int(lines[0].split(b" ")[1])
    if status < 200:
        return parse(after, head=head)
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(b":") for line in lines[1:]))
    bare = Answer(raw, status, headers, after, True)
    if head or status in (204, 304):
        return bare
    if b"chunked" in [value.lower() for value in bare.all("transfer-encoding")]:
        body, complete = dechunk(after)
    else:
        length = bare.one("content-length")
        body, complete = after, length is None or int(length) == len(after)
    return Answer(raw, status, headers, body, complete)


def dechunk(data: bytes) -> tuple[bytes, bool]:
    """The content of a chunked body and whether its last chunk came."""
    content = bytearray()
    while True:
        line, end, data = data.partition(b"\r\n")
        if not end:
            return bytes(content), False
        size = int(line.partition(b";")[0], 16)
        if size == 0:
            return bytes(content), True
        content += data[:size]
        if len(data) < size + 2:
            return bytes(content), False
        data = data[size + 2 :]
