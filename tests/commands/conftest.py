"""A configuration of one's own for each test, and the command line as people call it."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.__main__ import main
from gateway.config import load
from gateway.initialise import write_configuration
from gateway.keyring import KeyRing
from gateway.ledger import Ledger
from gateway.ledger.verify import Verification, walk


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command answered."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)


Gateway = Callable[..., Ran]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The example, as `gateway init` writes it."""
    directory = tmp_path / "config"
    write_configuration(directory)
    return directory


@pytest.fixture
def live(tmp_path: Path, redis_socket: Path) -> Path:
    """The example over the run's store."""
    directory = tmp_path / "config"
    change = {"gateway.toml": {'"redis://127.0.0.1:6379"': f'"unix://{redis_socket}"'}}
    write_configuration(directory, change)
    return directory


@pytest.fixture
def gateway(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """Run ``gateway`` with these arguments in this process."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        try:
            main([str(argument) for argument in arguments])
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        said = capsys.readouterr()
        return Ran(status, said.out, said.err)

    return run


def records(config: Path) -> list[dict[str, Any]]:
    """Everything in the ledger of a configuration."""
    keys = KeyRing.load(config / "keys").ledger_keys()
    return list(walk(config / "ledger", keys, Verification()))


def write_records(config: Path, *written: dict[str, object], now: float = 1_800_000_000.0) -> None:
    """Put records into the ledger of a configuration, as a worker would."""

    async def work() -> None:
        keys = KeyRing.load(config / "keys")
        ledger = await Ledger.open(config / "ledger", "gateway", keys.ledger_key(), keys.ledger_kid, now=now)
        for at, record in enumerate(written):
            await ledger.append(record, now=now + at)
        await ledger.aclose()

    run(work())


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run in a loop of its own."""
    return asyncio.run(work)


def user_id(config: Path, sub: str, partner: str = "relais-emploi") -> str:
    """The id that a user of the example's partner has."""
    issuer = load(config).partners[partner].issuer
    return KeyRing.load(config / "keys").user_id(issuer, sub)
