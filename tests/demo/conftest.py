"""The demo's programs, started once over a small population."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from demo_programs import PERSONS, SSO_USERS, Program, free_port, running

from gateway.demo.population import build


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("population") / "population.db"
    build(path, PERSONS)
    return path


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Iterator[Program]:
    """The employment application over a population of its own, which tests may change."""
    folder = tmp_path_factory.mktemp("application")
    own = folder / "population.db"
    build(own, PERSONS)
    with running("gateway.demo.application", free_port(), folder / "log", "--database", str(own)) as program:
        yield program


@pytest.fixture
def client(application: Program) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=application.url, trust_env=False, timeout=60) as connected:
        yield connected


@pytest.fixture(scope="session")
def rows(database: Path) -> Iterator[sqlite3.Connection]:
    """The population as built, for reading."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def sso(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder = tmp_path_factory.mktemp("sso")
    users = folder / "users.json"
    users.write_text(json.dumps(SSO_USERS), "utf-8")
    port = free_port()
    with running(
        "gateway.demo.sso", port, folder / "log", "--issuer", f"http://127.0.0.1:{port}", "--users", str(users)
    ) as program:
        yield program
