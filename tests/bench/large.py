"""What large answers cost: an export of persons who are all new, and a download that is passed through unread.

    python -m tests.bench.large [--persons 100000] [--megabytes 1024]

Needs what ``tests.bench.metered`` needs, without wrk. The gateway has core 0 to itself and one worker; application,
store and client share core 1. Told are

- the export: persons and megabytes a second of the gateway's own CPU time, and of the clock; the store's CPU for each
  person; how long its calls took (by its slow log): once with four limits, once with all of the example policy;
- the download: by how much the gateway's resident memory grew (the most seen, looked at every 20 ms).
"""

import argparse
import asyncio
import os
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.stores.connection import Store
from tests.bench.rig import BUDGETS_OF_FOUR, Rig, cpu_us, processes_of, rig

PROXY_CORE, LOAD_CORE = 0, 1
FIRST_ID = 1_000_001
HEADER = "id;numero_francetravail;nir;nom;prenom;date_naissance;code_postal;ville;telephone;email;situation\r\n"


@dataclass(frozen=True, slots=True)
class Export:
    """One export as it came: seconds of the clock and of CPU, and how long the store's calls took, microseconds."""

    persons: int
    received_bytes: int
    clock_s: float
    gateway_s: float
    store_s: float
    calls_us: Sequence[int]

    def line(self, limits: str) -> str:
        """A row of the table."""
        ordered = sorted(self.calls_us)
        cells = (
            limits,
            f"{self.persons}",
            f"{self.persons / self.gateway_s:.0f}",
            f"{self.received_bytes / 1e6 / self.gateway_s:.2f}",
            f"{self.persons / self.clock_s:.0f}",
            f"{self.store_s * 1e6 / self.persons:.1f}",
            f"{statistics.median(ordered) / 1000:.1f}",
            f"{ordered[int(len(ordered) * 0.99)] / 1000:.1f}",
            f"{ordered[-1] / 1000:.1f}",
        )
        return "| " + " | ".join(cells) + " |"


def rows(persons: int) -> Iterator[str]:
    """Lines of an export as the register gives it, each with another person; numbers with their keys."""
    for number in range(FIRST_ID, FIRST_ID + persons):
        nir = 1_910_251_000_000 + number % 100_000 * 10 + number // 100_000 % 10
        yield (
            f"{number};8256{number};{nir}{97 - nir % 97:02d};CORDIER;Hugues;1991-10-03;51100;Reims;0612345678;"
            "hugues.cordier@courriel.example;inscrit\r\n"
        )


def fetch(rig_: Rig, path: str) -> int:
    """Read an answer to its end; how many bytes came. Raises ``RuntimeError`` where it is no whole 200."""
    with socket.create_connection(("127.0.0.1", rig_.gateway_port)) as connection:
        fields = (f"Host: {rig_.host}", f"Authorization: Bearer {rig_.token}", "Connection: close")
        connection.sendall("\r\n".join((f"GET {path} HTTP/1.1", *fields, "", "")).encode())
        received, tail, first = 0, b"", b""
        while piece := connection.recv(1 << 20):
            first = first or piece[:400]
            received += len(piece)
            tail = (tail + piece)[-200:]
    chunked = b"chunked" in first.lower()
    if not first.startswith(b"HTTP/1.1 200") or (chunked and not tail.endswith(b"0\r\n\r\n")) or b"gateway:" in tail:
        raise RuntimeError(f"no whole answer: {first!r} … {tail!r}")
    return received


async def _calls(url: str, *command: str | int) -> Any:
    store = await Store.connect(url, timeout_s=30)
    try:
        return await store.call(*command)
    finally:
        await store.close()


def export(rig_: Rig, persons: int) -> Export:
    """Export ``persons`` new persons."""
    folder = rig_.files / "exports"
    folder.mkdir()
    with (folder / "demandeurs.csv").open("w") as file:
        file.write(HEADER)
        file.writelines(rows(persons))
    for setting, value in (("slowlog-log-slower-than", 0), ("slowlog-max-len", 1_000_000)):
        asyncio.run(_calls(rig_.store.url, "CONFIG", "SET", setting, value))
    asyncio.run(_calls(rig_.store.url, "SLOWLOG", "RESET"))
    store = rig_.store.pid or 0
    gateway_us, store_us, begun = cpu_us(rig_.gateway), cpu_us(store), time.monotonic()
    received = fetch(rig_, "/exports/demandeurs.csv")
    clock_s = time.monotonic() - begun
    gateway_us, store_us = cpu_us(rig_.gateway) - gateway_us, cpu_us(store) - store_us
    told = asyncio.run(_calls(rig_.store.url, "SLOWLOG", "GET", 100_000))
    calls = [duration_us for _, _, duration_us, command, *_ in told if command[0] == b"EVALSHA"]
    return Export(persons, received, clock_s, gateway_us / 1e6, store_us / 1e6, calls)


def resident_bytes(parent: int) -> int:
    """Resident memory of a process tree."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in processes_of(parent))
    return pages * os.sysconf("SC_PAGE_SIZE")


def download(rig_: Rig, megabytes: int) -> tuple[int, float, float]:
    """Download so many megabytes: by how many bytes memory grew, seconds of the clock, seconds of the gateway's CPU."""
    folder = rig_.files / "telechargements"
    folder.mkdir()
    with (folder / str(megabytes)).open("wb") as file:
        file.truncate(megabytes << 20)
    before = most = resident_bytes(rig_.gateway)
    ended = threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.02):
            most = max(most, resident_bytes(rig_.gateway))

    watching = threading.Thread(target=watch)
    watching.start()
    cpu, begun = cpu_us(rig_.gateway), time.monotonic()
    try:
        received = fetch(rig_, f"/telechargements/{megabytes}")
    finally:
        ended.set()
        watching.join()
    if received < megabytes << 20:
        raise RuntimeError(f"{received} bytes of {megabytes} MB came")
    return most - before, time.monotonic() - begun, (cpu_us(rig_.gateway) - cpu) / 1e6


def run(persons: int, megabytes: int, folder: str | None) -> Iterator[str]:
    """The lines of the tables, as they are measured."""
    heads = ("limits", "persons", "persons/CPU s", "MB/CPU s", "persons/s", "store's CPU µs a person")
    yield "| " + " | ".join((*heads, "call ms: median", "p99", "most")) + " |"
    yield "|---" + "|--:" * 8 + "|"
    for limits, budgets in (("four", BUDGETS_OF_FOUR), ("the example's", None)):
        with tempfile.TemporaryDirectory(prefix="gb", dir=folder) as directory, \
             rig(Path(directory), PROXY_CORE, LOAD_CORE, budgets) as rig_:  # fmt: skip
            yield export(rig_, persons).line(limits)
            if budgets is None:
                grown, clock_s, gateway_s = download(rig_, megabytes)
                yield ""
                yield (
                    f"{megabytes} MB unread: {megabytes / clock_s:.0f} MB/s, {gateway_s * 1e6 / megabytes:.0f} µs of "
                    f"CPU a MB, memory grew by {grown / 1e6:.1f} MB"
                )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=int, default=100_000)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--folder", help="where the temporary folder is made (the ledger and the store write there)")
    chosen = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    for line in run(chosen.persons, chosen.megabytes, chosen.folder):
        print(line, flush=True)


if __name__ == "__main__":
    main()
