"""What a proof costs: CPU of the gateway and of the store for each code of a generator that is accepted.

    python -m tests.bench.step_up [--people 2000] [--connections 32]

The rig and its cores are those of ``tests.bench.metered``, without wrk: the client is this program, on core 1. As many
people as told have a generator and a token each; each sends one code, of that moment, to ``/.gateway/step-up/totp``.
A tenth more go before them, uncounted. Every write is synced, in the store and in the ledger.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx2
import pyotp

from gateway.keyring import KeyRing
from gateway.stores.connection import Store
from gateway.stores.factors import Factors
from tests.bench.metered import LOAD_CORE, PROXY_CORE, Figures, table
from tests.bench.rig import Rig, cpu_us, rig, token_of

AT_ONCE = 200

Generator = tuple[str, str]
"""A token, and the secret (base 32) of its user's generator."""


async def people(rig_: Rig, number: int) -> list[Generator]:
    """So many users, each with a token and a generator."""
    keyring = KeyRing.load(rig_.folder / "config" / "keys")
    store = await Store.connect(rig_.store.url, timeout_s=60)
    factors = Factors(store, keyring)

    async def one(name: str) -> Generator:
        secret = pyotp.random_base32()
        await factors.enrol_totp(keyring.user_id(rig_.issuer, name), pyotp.TOTP(secret).byte_secret())
        return await token_of(store, keyring, rig_.issuer, name), secret

    found: list[Generator] = []
    for start in range(0, number, AT_ONCE):
        names = [f"bench-{at}" for at in range(start, min(number, start + AT_ONCE))]
        found += await asyncio.gather(*map(one, names))
    await store.close()
    return found


async def confirm(rig_: Rig, asking: Sequence[Generator], connections: int) -> None:
    """Everybody sends a code. Raises ``RuntimeError`` where one is not accepted."""
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    url, waiting = f"http://127.0.0.1:{rig_.gateway_port}/.gateway/step-up/totp", iter(asking)

    async def send(client: httpx2.AsyncClient) -> None:
        for token, secret in waiting:
            headers = {"Host": rig_.host, "Authorization": f"Bearer {token}"}
            answer = await client.post(url, json={"code": pyotp.TOTP(secret).now()}, headers=headers)
            if answer.status_code != 200:
                raise RuntimeError(f"a code was not accepted: {answer.status_code} {answer.text}")

    async with httpx2.AsyncClient(limits=limits, timeout=30, trust_env=False) as client:
        await asyncio.gather(*(send(client) for _ in range(connections)))


def run(number: int, connections: int, folder: str | None) -> list[str]:
    """The lines of the table."""
    with tempfile.TemporaryDirectory(prefix="gb", dir=folder) as directory, \
         rig(Path(directory), PROXY_CORE, LOAD_CORE) as rig_:  # fmt: skip
        everybody = asyncio.run(people(rig_, number + number // 10))
        store = rig_.store.pid or 0
        asyncio.run(confirm(rig_, everybody[number:], connections))
        gateway_us, store_us, begun = cpu_us(rig_.gateway), cpu_us(store), time.monotonic()
        asyncio.run(confirm(rig_, everybody[:number], connections))
        clock_s = time.monotonic() - begun
        gateway_us, store_us = cpu_us(rig_.gateway) - gateway_us, cpu_us(store) - store_us
    return table({"a code": [Figures(gateway_us / number, store_us / number, number / clock_s)]}, [])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=2_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--folder", help="where the temporary folder is made (the ledger and the store write there)")
    chosen = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    for line in run(chosen.people, chosen.connections, chosen.folder):
        print(line)


if __name__ == "__main__":
    main()
