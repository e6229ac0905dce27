"""A gateway that passes on something huge does not keep it."""

from pathlib import Path

import wire
from running_demo import Caller, RunningDemo

# More than everything that may be kept, so that whoever keeps it is seen.
HUGE_MB = 1_000
MOST_KEPT_KB = 64 * 1024


def _kb(pid: int, name: str) -> int:
    """A figure of proc(5)'s status."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise LookupError(name)


class Growth:
    """By how much the gateway's processes grow at most, together, from now on."""

    def __init__(self, demo: RunningDemo) -> None:
        pids = demo.told["pids"]
        self.pids: list[int] = [*pids["gateway"], *pids["workers"]]
        for pid in self.pids:
            # proc(5): 5 resets the peak of the resident set.
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        self.before = {pid: _kb(pid, "VmRSS") for pid in self.pids}

    def kb(self) -> int:
        return sum(_kb(pid, "VmHWM") - self.before[pid] for pid in self.pids)


def _download(demo: RunningDemo, caller: Caller) -> int:
    asked = wire.request(f"/telechargements/{HUGE_MB}", demo.host, caller.bearer)
    with wire.connect(demo.port) as connection:
        connection.sendall(asked)
        head, room, size = b"", bytearray(1024 * 1024), 0
        while b"\r\n\r\n" not in head:
            head += connection.recv(65_536)
        assert head.startswith(b"HTTP/1.1 200 "), head
        size = len(head.partition(b"\r\n\r\n")[2])
        while received := connection.recv_into(room):
            size += received
        return size


def _upload(demo: RunningDemo, caller: Caller) -> wire.Answer:
    length = ("Content-Length", str(HUGE_MB * 1_000_000))
    piece = bytes(1_000_000)
    with wire.connect(demo.port) as connection:
        connection.sendall(wire.request("/depots/huge.bin", demo.host, caller.bearer, length, method="PUT"))
        for _ in range(HUGE_MB):
            connection.sendall(piece)
        received = b""
        while more := connection.recv(65_536):
            received += more
        return wire.parse(received)


def test_a_huge_download_is_not_kept(running: RunningDemo) -> None:
    caller = running.caller()
    growth = Growth(running)
    assert _download(running, caller) == HUGE_MB * 1_000_000
    assert growth.kb() <= MOST_KEPT_KB


def test_a_huge_upload_is_not_kept(running: RunningDemo) -> None:
    caller = running.caller()
    growth = Growth(running)
    answer = _upload(running, caller)
    assert (answer.status, answer.body) == (200, b'{"octets":%d}' % (HUGE_MB * 1_000_000))
    assert growth.kb() <= MOST_KEPT_KB
