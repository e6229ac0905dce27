"""Whose subject becomes which, as a CSV says it for a migration. Pure: bytes in, pairs out.

Rules of this file:

1. Nothing that the file says of a person is ever repeated in a message.
2. All mistakes are told at once, each with its line and what to do; one mistake, and nothing of the file is taken.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.factors.token_files import Mistake, Wrong

MOST_BYTES: Final = 4 * 1024 * 1024
MOST_PAIRS: Final = 5_000
LONGEST: Final = 255
"""Characters of a subject: OpenID Connect Core, section 2."""
COLUMNS: Final = ("old_sub", "new_sub")


@dataclass(frozen=True, slots=True)
class Renamed:
    """One person: the subject before and after, and the line where they stand."""

    old: str
    new: str
    line: int


def read_pairs(content: bytes, *, one_issuer: bool) -> tuple[tuple[Renamed, ...], tuple[Mistake, ...]]:
    """The pairs of a CSV whose first line names ``COLUMNS``, in either order, and its mistakes.

    ``one_issuer``: both subjects are of the same issuer.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        return (), (Mistake(line, "this is no text in UTF-8: save the file as CSV in UTF-8"),)
    pairs: list[Renamed] = []
    mistakes: list[Mistake] = []
    try:
        for line, cells in _rows(text):
            if isinstance(cells, Wrong):
                mistakes.append(Mistake(line, str(cells)))
            else:
                pairs.append(Renamed(*cells, line))
    except Wrong as wrong:
        return (), (Mistake(1, str(wrong)),)
    mistakes += _twice(pairs, one_issuer=one_issuer)
    if len(pairs) > MOST_PAIRS:
        mistakes.append(Mistake(pairs[MOST_PAIRS].line, f"more than {MOST_PAIRS} people: split the file here"))
    if not pairs and not mistakes:
        mistakes.append(Mistake(1, "there is nobody in this file"))
    return tuple(pairs), tuple(sorted(mistakes, key=lambda one: one.line))


def _rows(text: str) -> Iterator[tuple[int, tuple[str, str] | Wrong]]:
    """Each line with its old and its new subject, or what is wrong with it. Raises ``Wrong`` for the heading."""
    delimiter = ";" if ";" in text.lstrip().partition("\n")[0] else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: Sequence[str] = ()
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not names:
                names = [cell.lower() for cell in cells]
                if sorted(names) != sorted(COLUMNS):
                    raise Wrong(f"the first line must name the columns: {','.join(COLUMNS)}")
                continue
            yield rows.line_num, _subjects(names, cells)
    except csv.Error:
        words = "a quotation mark is not closed, or stands where none may, or a value has no end: correct it"
        yield rows.line_num, Wrong(words)


def _subjects(names: Sequence[str], cells: Sequence[str]) -> tuple[str, str] | Wrong:
    if len(cells) != len(names):
        return Wrong(f"there are {len(cells)} values for {len(names)} columns: correct the line")
    said = dict(zip(names, cells, strict=True))
    for name in COLUMNS:
        if not said[name]:
            return Wrong(f"{name} is empty: fill it in, or take the line out")
        if len(said[name]) > LONGEST or not said[name].isprintable():
            return Wrong(f"{name} is no subject: at most {LONGEST} characters that can be printed")
    return said["old_sub"], said["new_sub"]


def _twice(pairs: Sequence[Renamed], *, one_issuer: bool) -> Iterator[Mistake]:
    old: dict[str, int] = {}
    new: dict[str, int] = {}
    for one in pairs:
        if one.old in old:
            yield Mistake(one.line, f"this old_sub stands in line {old[one.old]} already: take one out")
        elif one.new in new:
            yield Mistake(one.line, f"this new_sub stands in line {new[one.new]} already: two people cannot become one")
        elif one_issuer and one.old == one.new:
            yield Mistake(one.line, "old_sub and new_sub are the same: nothing changes, take the line out")
        old.setdefault(one.old, one.line)
        new.setdefault(one.new, one.line)
    for one in pairs:
        if one_issuer and one.old != one.new and one.old in new:
            words = f"this old_sub is the new_sub of line {new[one.old]}: give it to nobody else while it is somebody's"
            yield Mistake(one.line, words)
