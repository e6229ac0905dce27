"""People who are to be invited by letter, as a CSV says them. Pure: bytes in, people out.

Rules of this file:

1. All mistakes are told at once, each with its line and what to do; one mistake, and nothing of the file is taken.
"""

import csv
import io
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.factors.token_files import Mistake, Wrong

MOST_BYTES: Final = 4 * 1024 * 1024
MOST_PEOPLE: Final = 5_000
LONGEST: Final = 120
COLUMNS: Final = ("partner", "sub", "login", "name")
PRINTED_IN: Final = "cp1252"
"""What the fonts that every reader of PDF has can print."""
_PLAIN: Final = str.maketrans("łŁđĐħĦıĳ", "lLdDhHij")


@dataclass(frozen=True, slots=True)
class Invited:
    """One person of a file, and the line where they stand."""

    partner: str
    sub: str
    login: str
    name: str
    line: int


def read_people(content: bytes, partners: Collection[str]) -> tuple[tuple[Invited, ...], tuple[Mistake, ...]]:
    """The people of a CSV whose first line names ``COLUMNS``, in any order, and its mistakes."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        return (), (Mistake(line, "this is no text in UTF-8: save the file as CSV in UTF-8"),)
    delimiter = ";" if ";" in text.lstrip().partition("\n")[0] else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    people: dict[tuple[str, str], Invited] = {}
    mistakes: list[Mistake] = []
    names: Sequence[str] = ()
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not names:
                names = _heading(cells)
                continue
            try:
                one = _person(dict(zip(names, cells, strict=True)), partners, rows.line_num)
                before = people.setdefault((one.partner, one.sub), one)
                if before is not one:
                    raise Wrong(f"this person stands in line {before.line} already: take one out")
            except Wrong as wrong:
                mistakes.append(Mistake(rows.line_num, str(wrong)))
            except ValueError:
                words = f"there are {len(cells)} values for {len(names)} columns: correct the line"
                mistakes.append(Mistake(rows.line_num, words))
    except csv.Error:
        mistakes.append(Mistake(rows.line_num, "a quotation mark is not closed, or stands where none may: correct it"))
    except Wrong as wrong:
        mistakes.append(Mistake(rows.line_num, str(wrong)))
    if len(people) > MOST_PEOPLE:
        mistakes.append(Mistake(1, f"more than {MOST_PEOPLE} people: split the file"))
    if not people and not mistakes:
        mistakes.append(Mistake(1, "there is nobody in this file"))
    return tuple(people.values()), tuple(mistakes)


def printable(text: str) -> str:
    """The text in letters that can be printed, accents dropped where they cannot; raises ``Wrong``."""
    printed = ""
    for letter in unicodedata.normalize("NFC", text).translate(_PLAIN):
        for one in (letter, "".join(part for part in unicodedata.normalize("NFKD", letter) if part.isascii())):
            if one and one.isprintable() and one.encode(PRINTED_IN, "ignore").decode(PRINTED_IN) == one:
                printed += one
                break
        else:
            raise Wrong("the name or login has letters that cannot be printed: write it in Latin letters")
    return printed


def _heading(first: Sequence[str]) -> Sequence[str]:
    names = [cell.lower() for cell in first]
    if sorted(names) != sorted(COLUMNS):
        raise Wrong(f"the first line must name the columns: {','.join(COLUMNS)}")
    return names


def _person(said: dict[str, str], partners: Collection[str], line: int) -> Invited:
    empty = [name for name in COLUMNS if not said[name]]
    if empty:
        raise Wrong(f"{', '.join(empty)} is empty: fill it in")
    if any(len(value) > LONGEST for value in said.values()):
        raise Wrong(f"a value has more than {LONGEST} characters: correct it")
    if said["partner"] not in partners:
        raise Wrong("there is no such partner in partners.toml: correct it")
    return Invited(said["partner"], said["sub"], printable(said["login"]), printable(said["name"]), line)
