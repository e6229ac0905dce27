"""What every command shares: its options, its two ways of answering (for people, for machines), its one way to fail."""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn

import orjson
import typer
from rich.console import Console
from rich.table import Table

from gateway.factors.token_files import Mistake

NO, CANNOT = 1, 2
"""Exit statuses: the answer is no; it could not be done."""

ConfigOption = Annotated[
    Path,
    typer.Option("--config", envvar="GATEWAY_CONFIG", help="The folder of the three files.", show_default=True),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer with one JSON value, for scripts.")]
DEFAULT_CONFIG = Path("config")

_PIPE_WIDTH = 200
_COPIED = frozenset({"id", "user", "limit", "name", "reference"})
"""Columns that people copy: never cut or wrapped."""

_UNITS_S = {"m": 60, "h": 3600, "d": 86_400}


class CommandFailed(Exception):
    """An expected fault: one line on the standard error, and an exit status."""

    def __init__(self, message: str, status: int = CANNOT) -> None:
        super().__init__(message)
        self.status = status


def fail(message: str, status: int = CANNOT) -> NoReturn:
    """End the command with one line on the standard error."""
    raise CommandFailed(message, status)


def console() -> Console:
    """Where people read. Made at each use: tests and pipes replace the standard output."""
    fixed = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, soft_wrap=True, width=None if fixed else _PIPE_WIDTH)


def say(text: str) -> None:
    """One line for people, with rich's markup."""
    console().print(text)


def escaped(text: str) -> str:
    """Text in which no bracket is rich's markup."""
    return text.replace("[", r"\[")


def content_of(file: Path, most_bytes: int) -> bytes:
    """A file, whole; ends the command where it cannot be read, or is larger."""
    try:
        with file.open("rb") as opened:
            content = opened.read(most_bytes + 1)
    except OSError as fault:
        fail(f"{file}: {fault.strerror}")
    if len(content) > most_bytes:
        fail(f"{file} has more than {most_bytes} bytes: split it")
    return content


def tell_mistakes(file: Path, mistakes: Sequence[Mistake], json: bool, *, counted: str, done: str) -> NoReturn:
    """Every mistake with its line, and the end of the command; ``counted`` is what there is none of now."""
    if json:
        told = [{"file": str(file), "line": one.line, "message": one.text} for one in mistakes]
        emit({counted: 0, "mistakes": told})
    else:
        for one in mistakes:
            say(escaped(f"{file}:{one.line}: {one.text}"))
    fail(f"{done}; to correct: {len(mistakes)}", NO)


def emit(value: object) -> None:
    """One JSON value on the standard output."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode() + "\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for people."""
    grid = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    for index, column in enumerate(columns):
        longest = max((len(row[index]) for row in cells), default=0)
        copied = column in _COPIED
        grid.add_column(column, no_wrap=copied, min_width=longest if copied else None)
    for row in cells:
        grid.add_row(*row)
    console().print(grid)


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Names and values, one a line; empty values are left out."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value not in (None, "", [], ()):
            grid.add_row(name, str(value))
    console().print(grid)


def at(seconds: float | None) -> str:
    """A time for people, in UTC."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def span(seconds: float | None) -> str:
    """A duration for people: its largest whole unit."""
    if seconds is None:
        return ""
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = round(seconds / size, 1)
            return f"{number:g} {word}{'' if number == 1 else 's'}"
    return f"{seconds:g} seconds"


def duration_s(text: str) -> int:
    """``2h``, ``30m`` or ``7d`` in seconds."""
    match = re.fullmatch(r"(\d{1,6})\s*([mhd])", text.strip())
    if not match:
        fail(f"{text!r} is no duration: write it like 30m, 2h or 7d")
    return int(match[1]) * _UNITS_S[match[2]]


def moment(text: str, *, now: float) -> float:
    """A time in Unix seconds: a date, a date with time (UTC unless it says otherwise), or a duration before ``now``."""
    match = re.fullmatch(r"(\d{1,6})\s*([mhd])", text.strip())
    if match:
        return now - int(match[1]) * _UNITS_S[match[2]]
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        fail(f"{text!r} is no time: write 2026-03-31, 2026-03-31T18:00 or, for the time before now, 30m, 2h, 7d")
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def end_of(text: str) -> float:
    """Until the end of a day, in Unix seconds (UTC); a date with a time is that time."""
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        fail(f"{text!r} is no date: write it like 2026-03-31")
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (when + timedelta(days=1) if len(text.strip()) == 10 else when).timestamp()


def as_text(value: Any) -> str:
    """A list of words in one cell."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple | set | frozenset) else str(value)
