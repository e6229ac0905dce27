"""Connections that ask nothing are cut by a real server; those with a request in flight never are."""

import contextlib
import datetime
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from websockets.sync.client import connect

SERVER = Path(__file__).with_name("reaper_server.py")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
Connect = Callable[[], socket.socket]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(silent_s: float, kept_alive_s: float, *certificate: Path) -> Iterator[Connect]:
    port = free_port()
    arguments = [sys.executable, SERVER, str(port), str(silent_s), str(kept_alive_s), *certificate]
    opened: list[socket.socket] = []

    def connected() -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", port), timeout=10))
        return opened[-1]

    with subprocess.Popen([str(argument) for argument in arguments]) as server:
        try:
            wait_listening(connected)
            yield connected
        finally:
            for one in opened:
                one.close()
            server.terminate()


def wait_listening(connected: Connect) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with contextlib.suppress(ConnectionRefusedError):
            connected().close()
            return
    raise TimeoutError("the server does not listen")


@pytest.fixture(scope="module")
def quick() -> Iterator[Connect]:
    """Cuts what is silent for 0.3 s, and what is idle after a request only when the test is long over."""
    with serving(0.3, 60) as connected:
        yield connected


def wait_cut(connection: socket.socket) -> None:
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(4096):
            pass


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    finally:
        connection.settimeout(10)


def asked(connection: socket.socket, path: str) -> None:
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def answered(connection: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += (byte := connection.recv(1))
        assert byte, "it was cut"
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    body = b""
    while len(body) < length:
        body += (piece := connection.recv(length - len(body)))
        assert piece, "it was cut"
    return body


@pytest.mark.parametrize(
    "sent",
    [b"", b"P", PREFACE, b"GET / HTTP/1.1\r\nHost: x\r\nAccept:"],
    ids=["silent", "one byte", "HTTP/2 preface", "half a head"],
)
def test_connection_that_asks_nothing_is_cut(quick: Connect, sent: bytes) -> None:
    connection = quick()
    connection.sendall(sent)
    wait_cut(connection)


def test_request_that_waits_for_its_application_is_not_cut(quick: Connect) -> None:
    waiting, silent = quick(), quick()
    asked(waiting, "/held")
    for _ in range(3):
        wait_cut(silent)
        silent = quick()
    assert is_open(waiting)
    other = quick()
    asked(other, "/release")
    answered(other)
    assert answered(waiting) == b"done"


def test_second_request_of_a_connection_is_not_cut_either(quick: Connect) -> None:
    waiting, silent = quick(), quick()
    asked(waiting, "/")
    answered(waiting)
    asked(waiting, "/held")
    wait_cut(silent)
    other = quick()
    asked(other, "/release")
    answered(other)
    assert answered(waiting) == b"done"


def test_idle_websocket_is_not_cut(quick: Connect) -> None:
    peer, silent = quick(), quick()
    with connect("ws://x/", sock=peer) as websocket:
        wait_cut(silent)
        websocket.send("?")
        assert websocket.recv() == "still here"


def test_connection_after_a_request_outlives_a_silent_one(quick: Connect) -> None:
    finished, silent = quick(), quick()
    asked(finished, "/")
    assert answered(finished) == b"done"
    wait_cut(silent)
    assert is_open(finished)
    asked(finished, "/")
    assert answered(finished) == b"done"


def test_connection_after_a_request_is_cut_at_last() -> None:
    with serving(0.2, 0.6) as connected:
        finished = connected()
        asked(finished, "/")
        answered(finished)
        wait_cut(finished)


def test_bytes_that_ask_nothing_do_not_keep_a_connection() -> None:
    ping = b"\0\0\x08\x06\0\0\0\0\0" + bytes(8)
    with serving(0.3, 0.6) as connected:
        connection = connected()
        connection.sendall(PREFACE)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            until = time.monotonic() + 20
            while connection.recv(4096):
                connection.sendall(ping)
                assert time.monotonic() < until, "it is kept for ever"


def test_connection_has_the_user_timeout(quick: Connect) -> None:
    connection = quick()
    asked(connection, "/user-timeouts")
    assert answered(connection) == b"30000"


@pytest.fixture
def tls_files(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    files[0].write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


def test_bare_tls_handshake_is_cut(tls_files: tuple[Path, Path]) -> None:
    context = ssl.create_default_context(cafile=tls_files[0])
    with serving(0.3, 60, *tls_files) as connected, contextlib.ExitStack() as opened:
        finished, silent = (
            opened.enter_context(context.wrap_socket(connected(), server_hostname="localhost")) for _ in range(2)
        )
        asked(finished, "/")
        assert answered(finished) == b"done"
        with contextlib.suppress(ssl.SSLError):
            wait_cut(silent)
        asked(finished, "/")
        assert answered(finished) == b"done"
