"""The demo in containers: what is made once, before its services start, and who then plays in it.

`python -m gateway.demo.containers prepare` fills the volumes of `docker/compose.yaml`, once: the configuration and its
keys, the store's accounts, both partners' people, the certificate of the partners' inner address, the population.
`… cast` enrols people and issues tokens once the store answers, and says what to open and type.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import secrets
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from gateway.config import load
from gateway.config.store import StoreAddress
from gateway.demo import cast, certificate, population, ready, tour
from gateway.demo.ready import Pids, Ready, ReadyPartner
from gateway.initialise import DEMO_MARK, PARTNER_IDS, write_configuration
from gateway.ports import StoreUnavailable
from gateway.stores.acl import CLOSED_DEFAULT, rights
from gateway.stores.connection import Store

GATEWAY: Final = "http://localhost:8080"
INNER: Final = "partners"
"""The partners' host name between containers: HAProxy, with TLS, for no secret crosses a network in clear."""
PORTS: Final = {"relais-emploi": 8002, "cap-insertion": 8003}
INNER_PORTS: Final = {"relais-emploi": 8442, "cap-insertion": 8443}
SIGNALS: Final = "http://proxy:8081"
"""Where providers tell that somebody's access ended."""
STORE: Final = "redis://redis:6379"
COLLEAGUES: Final = {"relais-emploi": 18, "cap-insertion": 30}
"""How many more people of each partner there are than the demo's: an agency. The first has 24 seats."""
STEPS: Final = 7
"""How many steps of the tour are the same in containers."""


@dataclass(frozen=True, slots=True)
class Volumes:
    """Where the services' folders are mounted; each service sees its own alone."""

    config: Path
    store: Path
    partners: Path
    proxy: Path
    application: Path
    told: Path

    @classmethod
    def of(cls, root: Path, config: Path) -> Volumes:
        """The volumes under ``root`` beside the configuration's."""
        return cls(config, *(root / name for name in ("store", "partners", "proxy", "application", "told")))


ACCOUNTS: Final = {
    "gateway": rights(),
    "replica": "-@all +psync +replconf +ping",
    "sentinel": "allchannels -@all +multi +slaveof +replicaof +ping +exec +subscribe +config|rewrite +role +publish"
    " +info +client|setname +client|kill +script|kill",
    "operator": "~* &* +@all",
}
"""Who may do what at the store's servers: the gateway, a replica, a sentinel, whoever joins servers to a cluster."""
SENTINEL: Final = """port 26379
protected-mode no
dir /data
sentinel monitor gateway 172.16.251.11 6379 2
sentinel auth-user gateway sentinel
sentinel auth-pass gateway {password}
sentinel down-after-milliseconds gateway 2000
sentinel failover-timeout gateway 10000
"""
"""A sentinel's file; the primary's address is that of compose.sentinel.yaml."""


def everybody() -> tuple[cast.Adviser, ...]:
    """The people beside the demo's usual."""
    return tuple(one for partner, number in COLLEAGUES.items() for one in cast.colleagues(partner, number))


def store_accounts(passwords: Mapping[str, str]) -> str:
    """Redis' ACL file, with passwords by their hashes; as ``health`` everybody may ask for a sign of life."""
    return f"user default {CLOSED_DEFAULT}\nuser health on nopass -@all +ping\n" + "".join(
        f"user {name} on #{hashlib.sha256(passwords[name].encode()).hexdigest()} {rules}\n"
        for name, rules in ACCOUNTS.items()
    )


def _write_store_files(folder: Path, passwords: Mapping[str, str]) -> None:
    """What the servers of the store read, and with them those who replicate, watch and join them; for their group."""
    replication = f"masteruser replica\nmasterauth {passwords['replica']}\n"
    sentinel = SENTINEL.format(password=passwords["sentinel"])
    files = {
        "users.acl": store_accounts(passwords),
        "replication.conf": replication,
        "sentinel.conf": sentinel,
        "operator.password": passwords["operator"],
    }
    for name, text in files.items():
        (folder / name).touch(mode=0o640)
        (folder / name).chmod(0o640)
        (folder / name).write_text(text, "ascii")


def changes(proxies: str, store: str) -> Mapping[str, Mapping[str, str]]:
    """What is different from the example's files between containers."""
    partners = {}
    for at, name in enumerate(PARTNER_IDS):
        issuer, inner = f"http://localhost:{PORTS[name]}", f"https://{INNER}:{INNER_PORTS[name]}"
        ends = {"authorization": f"{issuer}/authorize", "token": f"{inner}/token", "jwks": f"{inner}/jwks"}
        written = ", ".join(f'{end} = "{url}"' for end, url in ends.items())
        partners[f'issuer = "http://127.0.0.1:{8002 + at}"'] = f'issuer = "{issuer}"\nendpoints = {{ {written} }}'
    return {
        "gateway.toml": {
            '[listen]\naddress = "127.0.0.1"': '[listen]\naddress = "0.0.0.0"',
            'from outside\naddress = "127.0.0.1"': 'from outside\naddress = "0.0.0.0"',
            "\ntrusted_proxies = []": f'\ntrusted_proxies = ["{proxies}"]',
            '\nurl = "redis://127.0.0.1:6379"': f'\nurl = "{store}"',
            '\n# user = "gateway" ': '\nuser = "gateway" ',
            '\n# password_file = "store.password"': '\npassword_file = "store.password"',
            '\ndirectory = "ledger"': '\ndirectory = "/var/lib/gateway/ledger"',
            '"http://127.0.0.1:8001"': '"http://application:8001"',
        },
        "partners.toml": partners,
    }


def prepare(volumes: Volumes, persons: int, proxies: str, store: str = STORE) -> None:
    """Fill the volumes. What is whole stays as it is; what a stop left half-made is made anew.

    :raises OSError, AlreadyThere: there is a configuration that this did not make
    """
    database = volumes.application / "population.db"
    if (volumes.config / DEMO_MARK).exists():
        if database.exists():
            return
        for left in volumes.config.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    passwords = {account: secrets.token_urlsafe(32) for account in ACCOUNTS}
    write_configuration(volumes.config, changes(proxies, store))
    (volumes.config / DEMO_MARK).touch()
    _write_private(volumes.config / "store.password", passwords["gateway"].encode())
    _write_store_files(volumes.store, passwords)
    authority, pair = certificate.made_for(INNER)
    (volumes.config / "partners-ca.pem").write_bytes(authority)
    _write_private(volumes.proxy / "partners.pem", pair)
    for name in PARTNER_IDS:
        told = cast.provider_file(name, cast.partner_secret(volumes.config, name), GATEWAY, SIGNALS, everybody())
        _write_private(volumes.partners / f"{name}.json", told.encode())
    population.build(database, persons)  # at the end and in one step: it says that all is there


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


async def until_whole(address: StoreAddress, within_s: float = 60) -> None:
    """Wait until the store takes what is written: of one that has just begun, replicas may be on their way.

    :raises StoreUnavailable: it is not whole within ``within_s``
    """
    given_up_at = time.monotonic() + within_s
    while doubt := await _doubt(address):
        if time.monotonic() >= given_up_at:
            raise StoreUnavailable(doubt)
        await asyncio.sleep(0.2)


async def _doubt(address: StoreAddress) -> str:
    """Why the store is not whole; empty where it is."""
    try:
        store = await Store.connect(address)
    except StoreUnavailable as fault:
        return str(fault)
    try:
        return store.doubt
    finally:
        await store.close()


def enter(volumes: Volumes) -> Ready:
    """Enrol everybody and issue the tokens, once; the ready file says who.

    :raises StoreUnavailable, ConfigurationError:
    """
    settings = load(volumes.config)
    asyncio.run(until_whole(settings.store))
    ids = ready.single_persons(volumes.application / "population.db")
    partners = tuple(ReadyPartner(name, f"http://localhost:{PORTS[name]}") for name in PARTNER_IDS)
    users, tokens = asyncio.run(cast.enter(settings, everybody()))
    told = Ready(GATEWAY, "", "", str(volumes.config), partners, users, tokens, ids)
    ready.write(volumes.told / "ready.json", told.as_json(Pids((), (), (), ())))
    return told


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m gateway.demo.containers", description=__doc__)
    arguments.add_argument("what", choices=("prepare", "cast"))
    arguments.add_argument("--persons", type=int, default=int(os.environ.get("PERSONS", "100000")))
    arguments.add_argument("--root", type=Path, default=Path("/srv/demo"), help="the folder of the volumes")
    arguments.add_argument("--proxies", default=os.environ.get("PROXIES", "127.0.0.1"), help="HAProxy's network")
    arguments.add_argument("--store", default=os.environ.get("STORE", STORE), help="the store's address")
    given = arguments.parse_args()
    volumes = Volumes.of(given.root, Path(os.environ.get("GATEWAY_CONFIG", "config")))
    if given.what == "prepare":
        prepare(volumes, given.persons, given.proxies, given.store)
    elif not (volumes.told / "ready.json").exists():
        tour.show_steps(Console(file=sys.stdout, width=120), tour.steps(enter(volumes))[:STEPS])


if __name__ == "__main__":
    main()
