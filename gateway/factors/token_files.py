"""Hardware tokens as their makers deliver them: a CSV of ours, here, or PSKC (``pskc``). Pure: bytes in, tokens out.

Rules of this file:

1. Nothing of a file's content but a serial number is ever repeated in a message: a column may hold what it should not.
2. All mistakes are told at once, each with its line and what to do; one mistake, and nothing of the file is taken.
"""

import base64
import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.factors.totp import ALGORITHMS, CODE_LENGTHS, PERIODS_S, Oath

MOST_BYTES: Final = 8 * 1024 * 1024
MOST_TOKENS: Final = 20_000
LEAST_SECRET, MOST_SECRET = 16, 128
"""Bytes; RFC 4226, section 4: at least 128 bits."""

COLUMNS: Final = ("serial", "secret", "algorithm", "digits", "period")
_SERIAL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._:/-]{0,62}[A-Za-z0-9])?")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a file, and the line where it stands."""

    serial: str
    oath: Oath
    line: int


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong in a line, and what to do."""

    line: int
    text: str


Read = tuple[tuple[Token, ...], tuple[Mistake, ...]]
"""The tokens of a file and its mistakes."""


class Wrong(Exception):
    """What is wrong with one token; the message says what to do."""


def read_csv(content: bytes) -> Read:
    """The tokens of a CSV, one a line; a heading names its columns, or they are ``COLUMNS``.

    Named, ``serial`` and ``secret`` (hex or base 32) must be there; ``algorithm``, ``digits`` and ``period`` need not.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        return (), (Mistake(line, "this is no text in UTF-8: save the file as CSV in UTF-8"),)
    delimiter = ";" if ";" in text.lstrip().partition("\n")[0] else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    tokens: list[Token] = []
    mistakes: list[Mistake] = []
    names: Sequence[str] = ()
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not names:
                names = _names_of(cells)
                if names is not COLUMNS:
                    continue
            try:
                tokens.append(_token_of_row(names, cells, rows.line_num))
            except Wrong as wrong:
                mistakes.append(Mistake(rows.line_num, str(wrong)))
    except csv.Error:
        mistakes.append(Mistake(rows.line_num, "a quotation mark is not closed, or stands where none may: correct it"))
    except Wrong as wrong:
        mistakes.append(Mistake(rows.line_num, str(wrong)))
    return checked(tokens, mistakes)


def checked(tokens: Sequence[Token], mistakes: Iterable[Mistake]) -> Read:
    """The same, with what is twice in one file added to its mistakes."""
    found = list(mistakes)
    serials: dict[str, int] = {}
    secrets: dict[bytes, int] = {}
    for token in tokens:
        if token.serial in serials:
            found.append(
                Mistake(token.line, f"{token.serial} stands in line {serials[token.serial]} already: take one out")
            )
        elif token.oath.secret in secrets:
            found.append(
                Mistake(
                    token.line,
                    f"{token.serial} has the secret of line {secrets[token.oath.secret]}: ask the maker for new ones",
                )
            )
        serials.setdefault(token.serial, token.line)
        secrets.setdefault(token.oath.secret, token.line)
    if len(tokens) > MOST_TOKENS:
        found.append(Mistake(tokens[MOST_TOKENS].line, f"more than {MOST_TOKENS} tokens: split the file"))
    if not tokens and not found:
        found.append(Mistake(1, "there is no token in this file"))
    return tuple(tokens), tuple(sorted(found, key=lambda one: one.line))


def serial_of(text: str) -> str:
    """A serial number; raises ``Wrong``."""
    serial = text.strip()
    if not _SERIAL.fullmatch(serial):
        raise Wrong("the serial number must be 1 to 64 letters, digits, spaces and . _ : / -: correct it")
    return serial


def oath_of(secret: bytes, algorithm: str, digits: str, period: str) -> Oath:
    """A generator from what a file says of it, empty where it says nothing; raises ``Wrong``."""
    if not LEAST_SECRET <= len(secret) <= MOST_SECRET:
        raise Wrong(f"the secret must have {LEAST_SECRET} to {MOST_SECRET} bytes: ask the maker for a better one")
    name = re.sub(r"[^A-Z0-9]", "", algorithm.upper()).removeprefix("HMAC") or "SHA1"
    if name not in ALGORITHMS:
        raise Wrong("the algorithm must be SHA1, SHA256 or SHA512")
    if digits not in ("", *map(str, CODE_LENGTHS)):
        raise Wrong("the number of digits must be 6 or 8: other tokens cannot be used")
    if period not in ("", *map(str, PERIODS_S)):
        raise Wrong("the period must be 30 or 60 seconds: other tokens cannot be used")
    return Oath(secret, name, int(digits or CODE_LENGTHS[0]), int(period or PERIODS_S[0]))


def _names_of(first: Sequence[str]) -> Sequence[str]:
    """The columns that the first line names; ``COLUMNS`` where it names none and is a token of so many values."""
    names = [cell.lower() for cell in first]
    if not {"serial", "secret"} <= set(names):
        if len(first) == len(COLUMNS) and "serial" not in names and first[3].isdecimal():
            return COLUMNS
        raise Wrong(f"the first line must name the columns, such as: {','.join(COLUMNS)}")
    if len(set(names)) != len(names) or not set(names) <= set(COLUMNS):
        raise Wrong(f"the first line names a column twice, or one that is none of: {','.join(COLUMNS)}")
    return names


def _token_of_row(names: Sequence[str], cells: Sequence[str], line: int) -> Token:
    if len(cells) != len(names):
        raise Wrong(f"there are {len(cells)} values for {len(names)} columns: correct the line")
    values = dict(zip(names, cells, strict=True))
    serial = serial_of(values["serial"])
    secret = _secret_of(values["secret"])
    return Token(
        serial, oath_of(secret, values.get("algorithm", ""), values.get("digits", ""), values.get("period", "")), line
    )


def _secret_of(text: str) -> bytes:
    """Hex where it can be, else base 32: no secret in base 32 of a sound length has only 2 to 7 and A to F in it."""
    written = text.replace(" ", "").replace("-", "")
    if _HEX.fullmatch(written):
        return bytes.fromhex(written)
    bare = written.upper().rstrip("=")
    try:
        return base64.b32decode(bare + "=" * (-len(bare) % 8))
    except ValueError as fault:
        raise Wrong("the secret is neither hexadecimal nor base 32: correct it") from fault
