"""A configuration of one's own for each test, and the command line as people call it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.initialise import write_configuration


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command answered."""

    status: int
    out: str
    err: str


Gateway = Callable[..., Ran]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    directory = tmp_path / "config"
    write_configuration(directory)
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
