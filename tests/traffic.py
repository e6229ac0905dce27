"""What goes through a gateway while something is done to it: many short requests, one long answer."""

import contextlib
import http.client
import socket
import threading
from collections.abc import Sequence

import wire
from stack import Account, Stack, until


def admin(stack: Stack, method: str, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", stack.settings.gateway.admin.port, timeout=wire.PATIENCE_S)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


class Hammer:
    """Requests without a pause on connections that are kept alive, counted by what became of them."""

    def __init__(self, port: int, host: str, accounts: Sequence[Account], target: str) -> None:
        self.answered = 0
        self.failed: list[object] = []
        self._port, self._host, self._target, self._over = port, host, target, False
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(one,)) for one in accounts]

    def __enter__(self) -> "Hammer":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        for thread in self._threads:
            thread.join()

    def _ask(self, account: Account) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=wire.PATIENCE_S)
        headers = {"Host": self._host, **dict([account.bearer])}
        while not self._over:
            try:
                connection.request("GET", self._target, headers=headers)
                answer = connection.getresponse()
                answer.read()
                failed = () if answer.status == 200 and not answer.will_close else (answer.status,)
            except (OSError, http.client.HTTPException) as fault:
                failed = (fault,)
                connection.close()
            with self._lock:
                self.answered += not failed
                self.failed += failed
        connection.close()


class Stream:
    """A stream of persons by somebody's request, read as it comes."""

    def __init__(self, stack: Stack, account: Account, target: str) -> None:
        self.received, self.over = b"", threading.Event()
        self._connection = wire.connect(stack.port)
        self._connection.sendall(wire.request(target, stack.host, account.bearer))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Stream":
        until(lambda: self.events() > 1, what="the first events")
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._connection.close()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while piece := self._connection.recv(65_536):
                self.received += piece
        self.over.set()

    def events(self) -> int:
        return self.received.count(b"data:")

    def flows_on(self) -> None:
        before = self.events()
        until(lambda: self.events() > before or self.over.is_set(), what="the next event")
        assert not self.over.is_set(), self.received[-500:]
