"""Where in a TOML file a setting stands, for messages: the standard parser keeps no positions."""

import re
from collections.abc import Iterator

_PART = r"[A-Za-z0-9_-]+|\"[^\"\n]*\"|'[^'\n]*'"
_NAME = rf"(?:{_PART})(?:\s*\.\s*(?:{_PART}))*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_NAME})\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(rf"\s*({_NAME})\s*=")
_TEXT = re.compile(r"\"\"\"|'''")

Path = tuple[str, ...]


def line_of(text: str, path: Path) -> int | None:
    """The 1-based line of the setting at ``path`` (table names, keys, list indices as decimal strings).

    The nearest enclosing table's line when the key itself is not there; ``None`` when not even that is found.
    """
    best: tuple[int, int] | None = None
    for number, at in _places(text):
        if path[: len(at)] == at and (best is None or len(at) > best[0]):
            best = (len(at), number)
    return best[1] if best else None


def _places(text: str) -> Iterator[tuple[int, Path]]:
    """Every table and key with its line and path."""
    latest: dict[Path, int] = {}
    here: Path = ()
    inside = ""
    for number, line in enumerate(text.split("\n"), 1):
        was_inside, inside = inside, _open_text(line, inside)
        if was_inside:
            continue
        if header := _HEADER.match(line):
            parts = _parts(header[2])
            here = _indexed(parts[:-1], latest)
            here = (*here, parts[-1])
            if header[1] == "[[":
                latest[here] = latest.get(here, -1) + 1
                here = (*here, str(latest[here]))
            yield number, here
        elif key := _KEY.match(line):
            yield number, (*here, *_parts(key[1]))


def _indexed(parts: Path, latest: dict[Path, int]) -> Path:
    """A table's path, with the index of the newest element where a part of it is an array of tables."""
    at: Path = ()
    for part in parts:
        at = (*at, part)
        if at in latest:
            at = (*at, str(latest[at]))
    return at


def _parts(name: str) -> Path:
    return tuple(part.strip("\"'") for part in re.findall(_PART, name))


def _open_text(line: str, inside: str) -> str:
    """The quotes of the text of several lines that is open at the end of ``line``."""
    for match in _TEXT.finditer(line):
        if not inside:
            inside = match[0]
        elif match[0] == inside:
            inside = ""
    return inside
