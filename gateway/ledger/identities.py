"""Whom each identity stands for, as the ledger says: what a new one took before it was carried is its user's too.

A record lists everybody of a migration before the store is asked; whom the store then leaves out (the steps of
``stores/lua/identity_carry.lua``), this leaves out as well. Nothing here asks the store: a report needs none.
"""

import mmap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from gateway.ledger.files import chain_names
from gateway.ledger.verify import Verification, walk

_CARRIED: Final = b'"event":"carried"'


def users_of(directory: Path, keys: Mapping[str, bytes]) -> dict[str, str]:
    """The user of every new identity. Raises OSError when the ledger cannot be read.

    Where nobody was ever carried no seal is read for it.
    """
    if not any(_has(directory / name.file, _CARRIED) for name in chain_names(directory)):
        return {}
    said = [
        record
        for record in walk(directory, keys, Verification())
        if record.get("kind") == "identity" and record.get("event") in ("carried", "confirmed")
    ]
    return _replayed(sorted(said, key=lambda record: float(record["now"])))


def named(record: dict[str, Any], users: Mapping[str, str]) -> dict[str, Any]:
    """The record, with the user for whom its caller stands."""
    caller = record.get("caller") or {}
    user = users.get(caller.get("user") or "")
    return record if user is None else {**record, "caller": {**caller, "user": user}}


def _replayed(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    users, before, after, confirmed = dict[str, str](), dict[str, str](), dict[str, str](), set[str]()
    for record in records:
        if record["event"] == "confirmed":
            confirmed.add(str(record["identity"]))
            continue
        for old, new, user in _pairs(record):
            free = new not in before and new not in after and after.get(old, new) == new
            settled = old not in before or old in confirmed
            if free and settled and users.get(old, old) == user:
                users[new], before[new], after[old] = user, old, new
    return users


def _pairs(record: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for old, new, user in record["pairs"]:
        yield str(old), str(new), str(user)


def _has(file: Path, words: bytes) -> bool:
    with file.open("rb") as opened:
        if not file.stat().st_size:
            return False
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(words) >= 0
