"""The ready file: what a script needs to know of a running demo, written in one step once all is up."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

SAMPLES: Final = {
    "public": "/",
    "person": "/api/demandeurs/{id}",
    "list": "/api/demandeurs?page=1&taille=350",
    "export": "/exports/demandeurs.csv",
    "search": "/recherche/suggestions?q={q}",
}
_MOST_IDS: Final = 5_000


@dataclass(frozen=True, slots=True)
class ReadyPartner:
    """A partner organisation and its provider."""

    id: str
    issuer: str


@dataclass(frozen=True, slots=True)
class ReadyUser:
    """Somebody who can sign in, and the secret of their codes (base 32)."""

    name: str
    partner: str
    login: str
    password: str
    totp_secret: str


@dataclass(frozen=True, slots=True)
class ReadyToken:
    """A token and the login of its user."""

    name: str
    token: str
    user: str


@dataclass(frozen=True, slots=True)
class Pids:
    """Process ids: the gateway's parent, its workers, the store, the application."""

    gateway: tuple[int, ...]
    workers: tuple[int, ...]
    store: tuple[int, ...]
    upstream: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything in the file but the process ids, which change when something dies."""

    gateway: str
    upstream: str
    admin: str
    config: str
    partners: tuple[ReadyPartner, ...]
    users: tuple[ReadyUser, ...]
    tokens: tuple[ReadyToken, ...]
    ids: tuple[int, ...]

    def as_json(self, pids: Pids) -> dict[str, Any]:
        """The object of the contract."""
        plain = asdict(self)
        ids = plain.pop("ids")
        order = ("gateway", "upstream", "admin", "config")
        return {
            **{name: plain.pop(name) for name in order},
            "pids": asdict(pids),
            **plain,
            "samples": {**SAMPLES, "ids": ids},
        }


def single_persons(database: Path, most: int = _MOST_IDS) -> tuple[int, ...]:
    """Ids whose record names one person: no spouse, no children. At most so many."""
    query = (
        "SELECT id FROM demandeur WHERE id NOT IN (SELECT id_demandeur FROM conjoint)"
        " AND id NOT IN (SELECT id_demandeur FROM enfant) ORDER BY id LIMIT ?"
    )
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        rows: Sequence[tuple[int]] = connection.execute(query, (most,)).fetchall()
    finally:
        connection.close()
    return tuple(row[0] for row in rows)


def write(file: Path, content: dict[str, Any]) -> None:
    """Put ``content`` at ``file`` in one step; the file is for its owner alone, for it holds secrets."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    partial.replace(file)
