"""How the cost of a metered JSON record grows: with callers, and with persons that everybody together has taken.

    python -m tests.bench.growth [--seconds 3] [--connections 32] [--callers 1 100 10000] [--taken 10 1000 1000000]

The rig, its cores and what is counted are those of ``tests.bench.metered`` (which see; ``--lists`` there tells how cost
grows with the persons of one answer). Each caller has a token and a fresh proof of their own, and they ask in turn.
``taken``: so many persons are in each window of everybody before the first request, as if charged just now.
"""

import argparse
import asyncio
import secrets
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from gateway.keyring import KeyRing
from gateway.stores.connection import Store
from tests.bench.metered import FIRST_ID, LOAD_CORE, PROXY_CORE, Case, Figures, measure, table
from tests.bench.rig import Rig, rig, token_of

CALLERS = (1, 100, 10_000)
TAKEN = (10, 1_000, 100_000, 1_000_000)
AT_ONCE = 2_000


async def more_callers(rig_: Rig, number: int) -> list[str]:
    """Tokens of so many users, each with a fresh proof."""
    keyring, store = KeyRing.load(rig_.folder / "config" / "keys"), await Store.connect(rig_.store.url, timeout_s=60)
    tokens: list[str] = []
    for start in range(0, number, AT_ONCE // 10):
        names = [f"bench-{at}" for at in range(start, min(number, start + AT_ONCE // 10))]
        tokens += await asyncio.gather(*(token_of(store, keyring, rig_.issuer, name) for name in names))
    await store.close()
    return tokens


async def take(rig_: Rig, persons: int) -> int:
    """Put so many persons into each window of everybody; how many such windows there are."""
    store = await Store.connect(rig_.store.url, timeout_s=60)
    windows = await store.call("KEYS", "b:everyone*")
    for window in windows:
        there = await store.call("ZCARD", window)
        at_ms = int(store.clock.now() * 1000)
        missing = iter(range(max(0, persons - there)))
        while batch := list(islice(missing, AT_ONCE)):
            scored = [part for _ in batch for part in (at_ms, secrets.token_bytes(16))]
            await store.call("ZADD", window, *scored)
    await store.close()
    return len(windows)


def run(
    seconds: float, connections: int, callers: Sequence[int], taken: Sequence[int], folder: str | None
) -> list[str]:
    """The lines of the table: every case once, after a warming run."""
    measured: dict[str, list[Figures]] = {}
    first_new = FIRST_ID + 1_000

    def told(name: str, rig_: Rig, *, fixed: bool, tokens: Sequence[str] = ()) -> None:
        nonlocal first_new
        case = Case(name, rig_.gateway_port, rig_.gateway, fixed=fixed)
        for _ in range(2):
            figures, requests = measure(rig_, case, FIRST_ID if fixed else first_new, seconds, connections, tokens)
            first_new += 0 if fixed else requests + 10 * connections
        measured[name] = [figures]

    with tempfile.TemporaryDirectory(prefix="gb", dir=folder) as directory, \
         rig(Path(directory), PROXY_CORE, LOAD_CORE) as rig_:  # fmt: skip
        for number in callers:
            tokens = asyncio.run(more_callers(rig_, number))
            told(f"counted, {number:,} callers", rig_, fixed=True, tokens=tokens)
            told(f"new, {number:,} callers", rig_, fixed=False, tokens=tokens)
        for persons in taken:
            asyncio.run(take(rig_, persons))
            told(f"counted, {persons:,} persons taken", rig_, fixed=True)
            told(f"new, {persons:,} persons taken", rig_, fixed=False)
    return table(measured, [])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--callers", type=int, nargs="*", default=CALLERS)
    parser.add_argument("--taken", type=int, nargs="*", default=TAKEN, help="ascending")
    parser.add_argument("--folder", help="where the temporary folder is made (the ledger and the store write there)")
    chosen = parser.parse_args()
    for line in run(chosen.seconds, chosen.connections, chosen.callers, chosen.taken, chosen.folder):
        print(line)


if __name__ == "__main__":
    main()
