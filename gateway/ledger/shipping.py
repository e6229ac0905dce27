"""Closed files of a ledger, compressed and handed on: what is elsewhere too cannot be erased with the machine.

Rules of this file:

1. Only a file that its slot has left behind is handed on: it never changes again. The newest of each slot stays.
2. The file itself stays where it is, for reports and `ledger verify`; a mark beside it says that it was handed on.
3. A command that fails is run again at the next time; nothing is marked before it has ended with 0.
"""

import fcntl
import gzip
import hashlib
import itertools
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Final

from gateway.ledger.files import chain_names, write_whole

LONGEST_S: Final = 3600
"""How long one command may take."""

_PLACE: Final = "{file}"


@dataclass(frozen=True, slots=True)
class Shipped:
    """What became of one file: handed on, or why not."""

    file: str
    fault: str = ""


def waiting(directory: Path) -> list[Path]:
    """Closed files that were not handed on yet, in the order of writing."""
    found = []
    for _, chains in itertools.groupby(chain_names(directory), attrgetter("slot_name")):
        *closed, _ = chains
        found += [directory / one.file for one in closed if not (directory / f"{one.stem}.shipped").exists()]
    return found


def ship(directory: Path, command: Sequence[str]) -> Iterator[Shipped]:
    """Hand on what waits: ``command`` is run for each, with the compressed file's path where it says ``{file}``.

    Raises ``OSError``: a disk that is full, or a command that is not there.
    """
    with (directory / "shipping.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another is at it
        yield from (_ship(path, command) for path in waiting(directory))


def _ship(path: Path, command: Sequence[str]) -> Shipped:
    packed = path.with_name(f"{path.name}.gz")
    try:
        with path.open("rb") as plain, gzip.open(packed, "wb") as file:
            shutil.copyfileobj(plain, file, 1024 * 1024)
        fault = _run([part.replace(_PLACE, str(packed)) for part in command])
        if not fault:
            with packed.open("rb") as kept:
                digest = hashlib.file_digest(kept, "sha256").hexdigest()
            write_whole(path.with_suffix(".shipped"), f"{digest}  {packed.name}\n".encode())
    finally:
        packed.unlink(missing_ok=True)
    return Shipped(path.name, fault)


def _run(command: Sequence[str]) -> str:
    """Why a command did not succeed; nothing where it did."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=LONGEST_S, check=False)
    except subprocess.TimeoutExpired:
        return f"{command[0]} did not end within {LONGEST_S} s"
    if ran.returncode == 0:
        return ""
    said = ran.stderr.strip().splitlines()[-1:] or ["it said nothing"]
    return f"{command[0]} ended with {ran.returncode}: {said[0]}"
