"""What was lately refused to one user, for those who look after them: read from the ledger's end, quickly, no seals.

`gateway user show` reads the whole ledger and every seal; a page cannot wait for that.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.ledger.files import chain_names
from gateway.ledger.format import open_line

MOST: Final = 10
TAIL_BYTES: Final = 1024 * 1024
NEWEST_CHAINS: Final = 32


@dataclass(frozen=True, slots=True)
class PastRefusal:
    """A refusal that happened; ``at``: Unix seconds."""

    at: float
    reference: str
    reason: str


class History:
    """The end of each of the newest chains in this machine's ledger."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def refusals(self, user: str) -> tuple[PastRefusal, ...]:
        """The last of them, the newest first; older ones may be further back. Raises OSError."""
        return await asyncio.to_thread(_refusals, self._directory, user)


def _refusals(directory: Path, user: str) -> tuple[PastRefusal, ...]:
    files = [directory / name.file for name in chain_names(directory)]
    newest = sorted(files, key=lambda one: -one.stat().st_mtime)[:NEWEST_CHAINS]
    found = [one for path in newest for line in _tail(path) if (one := _refusal(line, user)) is not None]
    return tuple(sorted(found, key=lambda one: -one.at)[:MOST])


def _tail(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return file.read(TAIL_BYTES).split(b"\n")


def _refusal(line: bytes, user: str) -> PastRefusal | None:
    opened = open_line(line) if user.encode() in line else None
    if opened is None:
        return None
    record = opened.record
    if (record.get("caller") or {}).get("user") != user or record.get("verdict") not in ("refusal", "challenge"):
        return None
    return PastRefusal(record["now"], str(record.get("ref") or ""), str(record.get("reason") or ""))
