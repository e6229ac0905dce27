"""Identifiers of persons in values and in free text: the NIR above all (its 13 characters, its key).

1. A whole value of a declared field may be spelled in any way; only its shape and, when present, its key decide.
2. In free text only the key proves a number (15 characters); 13 characters count where a word beside them says NIR.
3. When in doubt a number counts: windows of longer digit strings too, except inside an IBAN or a decimal fraction.

Source of the shape: INSEE, "numéro d'inscription au répertoire"; key = 97 - (13 characters mod 97).
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from html import unescape
from typing import NamedTuple

from gateway.core.extraction import Identifier
from gateway.core.policy import UniqueKind


class Span(NamedTuple):
    """One NIR in a text: ``text[start:end]`` spells it, ``nir13`` is its normal form. Spans may overlap."""

    start: int
    end: int
    nir13: str


_LIST_SIGNS = ",;|\t\r\n\v\f"
_SIGNS = "-._/\\:'’·•‧・*+~−⁃"
_HOMOGLYPHS = {"a": "A", "b": "B", "А": "A", "В": "B", "Α": "A", "Β": "B", "а": "A"}


class _Folding(dict[int, int]):
    """Character for character: digits of every script to ASCII, separators to one of blank, hyphen and comma."""

    def __missing__(self, code: int) -> int:
        char = chr(code)
        folded = self[code] = ord(self._folded(char))
        return folded

    @staticmethod
    def _folded(char: str) -> str:
        digit = unicodedata.digit(char, None)
        if digit is not None:
            return str(digit)
        if char in _LIST_SIGNS:
            return ","
        category = unicodedata.category(char)
        if char in _SIGNS or category in ("Pd", "Pc"):
            return "-"
        if category[0] == "Z" or category in ("Cf", "Cc", "Mn", "Me"):
            return " "
        if char.isascii():
            return _HOMOGLYPHS.get(char, char)
        plain = unicodedata.normalize("NFKC", char)
        return _HOMOGLYPHS.get(char) or (_HOMOGLYPHS.get(plain, plain) if len(plain) == 1 else char)


_FOLDING = _Folding()

_MONTH = "(?:0[1-9]|1[0-2]|[23][0-9]|4[0-2]|[5-9][0-9])"
_DEPARTMENT = "(?:2[AB]|0[1-9]|[1-9][0-9])"
_SHAPE = re.compile(rf"([123478][0-9][0-9]{_MONTH}{_DEPARTMENT}[0-9]{{6}})([0-9]{{2}})?")

# The pre-filter, on the text as it stands: twelve digits close together (a Corsican number's letter aside).
_CLOSE = r"%s(?:[AaBb]?[^\dA-Za-z<>{}\"&%%]{0,3}%s){11}"
_CLOSE_DIGITS = re.compile(_CLOSE % (r"\d", r"\d"))
_CLOSE_ASCII_DIGITS = re.compile(_CLOSE % ("[0-9]", "[0-9]"))
_GAP = "[ ,-]{0,3}"
_BIRTH = rf"[123478]{_GAP}[0-9][0-9]{_GAP}{_MONTH}{_GAP}{_DEPARTMENT}{_GAP}[0-9]{{3}}{_GAP}[0-9]{{3}}"
_KEY = r"[ ,-]{0,3}[(\[]?[ ,-]{0,2}(?:(?:[Cc][Ll](?:[ÉéE]|e)|[Kk][Ee][Yy])[ ,-]{0,4})?[0-9]{2}"
_SPELLED = re.compile(rf"(?=({_BIRTH}{_KEY}))[123478]")
_KEYLESS = re.compile(rf"(?<![0-9])(?=({_BIRTH})(?![0-9]))[123478]")
_RUN = re.compile(r"(?<![0-9])[1-9][0-9 ,-]*(?:(?<=2)[AB][0-9 ,-]*){0,40}")
_NOT_CHARS = re.compile("[^0-9AB]")
_FRACTION = re.compile(r"(?<![0-9.])[0-9]{1,4}[.][0-9]{0,8}$")
_IBAN = re.compile(r"(?<![A-Z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}(?![A-Z0-9])")
_WORD = re.compile(
    r"\b(?:n\W?i\W?r|insee|nia|nss|ssn|ss|s[ée]cu\w*|social security|assur[ée]e?s?|immatricul\w*)\b",
    re.IGNORECASE,
)
_ENCODED = re.compile(
    r"(?:%[0-9A-Fa-f]{2})+|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|&#[0-9]{1,7};?|&#[xX][0-9A-Fa-f]{1,6};?"
    r"|&(?:nbsp|thinsp|ensp|emsp|shy|zwj|zwnj|period|hyphen|dash|lowbar|sol|Tab|NewLine);"
)
_LIST = re.compile(r"[\s,;|/]+")
_DECODINGS = 3


def _key_of(thirteen: str) -> int:
    number = thirteen.replace("2A", "19", 1) if thirteen[6] == "A" else thirteen
    number = number.replace("2B", "18", 1) if thirteen[6] == "B" else number
    return 97 - int(number) % 97


def _proved(chars: str) -> str | None:
    match = _SHAPE.fullmatch(chars)
    if match is None:
        return None
    thirteen, key = match.groups()
    if key is not None and int(key) != _key_of(thirteen):
        return None
    return str(thirteen)


def nir13(value: str, key: str | None = None) -> str | None:
    """The 13 characters of the NIR that ``value`` as a whole spells, with or without its key, in any spelling.

    ``key`` is the key where a field of its own holds it. ``None``: not a NIR, or its key is wrong.
    """
    if len(value) > 120:
        return None
    chars = value
    if not (value.isascii() and value.isdigit()):
        chars = "".join(char for char in value.translate(_FOLDING) if char.isalnum())
    if len(chars) == 13 and key:
        chars += "".join(char for char in key.translate(_FOLDING) if char.isalnum()).zfill(2)
    return _proved(chars) if len(chars) in (13, 15) else None


def find_nirs(text: str, *, named: bool = False) -> list[Span]:
    """The NIRs that ``text`` holds, by start; also percent-, entity- and backslash-encoded ones. Linear in its length.

    ``named``: the field that holds the text is declared to hold NIRs, so 13 characters need no word beside them.
    """
    if len(text) < 13:
        return []
    spans = set(_spans(text, named)) if _has_close_digits(text) else set()
    decoded: _Decoded | None = None
    for _ in range(_DECODINGS):
        source = decoded.text if decoded else text
        if not ("%" in source or "&" in source or "\\" in source):
            break
        decoded = _Decoded(source, decoded)
        if not decoded.changed:
            break
        if _has_close_digits(decoded.text):
            spans.update(decoded.in_source(span) for span in _spans(decoded.text, named))
    return sorted(spans)


def may_hold_nir(text: str) -> bool:
    """The quick look before ``find_nirs``: false where ``text`` holds none."""
    return _has_close_digits(text) or "%" in text or "&" in text or "\\" in text


def _has_close_digits(text: str) -> bool:
    digits = _CLOSE_ASCII_DIGITS if text.isascii() or _has_only_ascii_digits(text) else _CLOSE_DIGITS
    return digits.search(text) is not None


def _has_only_ascii_digits(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def _spans(text: str, named: bool) -> Iterator[Span]:
    folded = text.translate(_FOLDING)
    ibans: list[tuple[int, int]] | None = None
    starts: set[int] = set()
    for match in _SPELLED.finditer(folded):
        start, end = match.span(1)
        chars = folded[start:end] if end - start == 15 else _NOT_CHARS.sub("", folded[start:end].upper())
        if len(chars) > 15:  # the E of a "clé" is no such character, but stay exact if a word ever holds A or B
            chars = chars[:13] + chars[-2:]
        if end - start > 15 and (folded[start - 1 : start].isdigit() or folded[end : end + 1].isdigit()):
            continue
        thirteen = _proved(chars)
        if thirteen is None or _in_fraction(text, start, end):
            continue
        ibans = _ibans(text) if ibans is None else ibans
        alone = not folded[start - 1 : start].isalnum() and not folded[end : end + 1].isalnum()
        if alone or not any(first <= start and end <= last for first, last in _near(ibans, start)):
            starts.add(start)
            yield Span(start, end, thirteen)
    yield from _isolated(text, folded, starts)
    for match in _KEYLESS.finditer(folded):
        start, end = match.span(1)
        thirteen = _proved(_NOT_CHARS.sub("", folded[start:end]))
        if thirteen is not None and start not in starts and (named or _word_beside(text, start, end)):
            yield Span(start, end, thirteen)


def _in_fraction(text: str, start: int, end: int) -> bool:
    """Whether the digits are those of a decimal number (``0.295109912611193``, ``2.95109912611193``)."""
    if end - start == 16 and text[start + 1] == "." and text[start + 2 : end].isdigit():
        return True
    return _FRACTION.search(text, max(0, start - 14), start) is not None


def _isolated(text: str, folded: str, known: set[int]) -> Iterator[Span]:
    """Oddly grouped numbers: a run of digits and separators, or a piece of it, that has 15 characters in all."""
    for run in _RUN.finditer(folded):
        if run.end() - run.start() < 16:
            continue
        for cut in ("[ ,-]{4,}", ",[ ,-]*", "[ ,]+", "[,-]+"):
            for start, end in _pieces(run.group(), cut):
                chars = _NOT_CHARS.sub("", run.group()[start:end])
                thirteen = _proved(chars) if len(chars) == 15 else None
                first, last = run.start() + start, run.start() + end
                if thirteen is not None and first not in known and not _in_fraction(text, first, last):
                    known.add(first)
                    yield Span(first, last, thirteen)


def _pieces(run: str, cut: str) -> Iterator[tuple[int, int]]:
    start = 0
    for gap in re.finditer(cut, run):
        yield start, gap.start()
        start = gap.end()
    yield start, start + len(run[start:].rstrip(" ,-"))


def _word_beside(text: str, start: int, end: int) -> bool:
    return bool(_WORD.search(text, max(0, start - 48), start) or _WORD.search(text, end, end + 24))


def _ibans(text: str) -> list[tuple[int, int]]:
    """Where valid IBANs stand (ISO 13616: letters count from 10, the whole modulo 97 is 1)."""
    found = []
    for match in _IBAN.finditer(text):
        chars = match.group().replace(" ", "")
        if int("".join(str(int(char, 36)) for char in chars[4:] + chars[:4])) % 97 == 1:
            found.append(match.span())
    return found


def _near(ibans: list[tuple[int, int]], start: int) -> list[tuple[int, int]]:
    index = bisect_right(ibans, (start, len(ibans) and ibans[-1][1]))
    return ibans[max(0, index - 1) : index + 1]


class _Decoded:
    """A text with its escapes decoded once, and the way back from its positions to those of the source."""

    def __init__(self, text: str, source: "_Decoded | None" = None) -> None:
        self._source = source
        self._at: list[int] = []
        self._starts: list[int] = []
        self._ends: list[int] = []
        pieces: list[str] = []
        position = length = 0
        for match in _ENCODED.finditer(text):
            pieces.append(text[position : match.start()])
            length += match.start() - position
            position = match.start()
            for char, width in _characters(match.group()):
                pieces.append(char)
                self._at.append(length)
                self._starts.append(position)
                position += width
                self._ends.append(position)
                length += 1
        self.changed = bool(pieces)
        self.text = "".join((*pieces, text[position:])) if pieces else text

    def in_source(self, span: Span) -> Span:
        """The same NIR where the very first text spells it."""
        start, end = self._edges(span.start)[0], self._edges(span.end - 1)[1]
        here = Span(start, end, span.nir13)
        return self._source.in_source(here) if self._source else here

    def _edges(self, index: int) -> tuple[int, int]:
        place = bisect_right(self._at, index) - 1
        if place < 0:
            return index, index + 1
        if self._at[place] == index:
            return self._starts[place], self._ends[place]
        start = self._ends[place] + index - self._at[place] - 1
        return start, start + 1


def _characters(escape: str) -> Iterator[tuple[str, int]]:
    """The characters that an escape stands for, each with the length of its spelling."""
    if escape[0] == "%":
        for char in bytes.fromhex(escape.replace("%", "")).decode("utf-8", "surrogateescape"):
            yield char, 3 * len(char.encode("utf-8", "surrogateescape"))
    elif escape[0] == "\\":
        yield chr(int(escape[2:], 16)), len(escape)
    else:
        char = unescape(escape)
        yield (char if len(char) == 1 else " "), len(escape)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def identify(unique: UniqueKind, value: str) -> Identifier | None:
    """The identifier that ``value`` as a whole is, normalised; ``None`` where it does not fit the kind's pattern."""
    if unique.pattern == "nir":
        thirteen = nir13(value)
        return Identifier(unique.kind, thirteen) if thirteen else None
    plain = (value if value.isascii() else unicodedata.normalize("NFKC", value)).strip()
    upper = plain.upper()
    pattern = _compiled(unique.pattern)
    if plain and (pattern.fullmatch(plain) or pattern.fullmatch(upper)):
        return Identifier(unique.kind, upper)
    return None


def identifiers_in(unique: UniqueKind, value: str) -> tuple[Identifier, ...]:
    """All identifiers that a declared field's value holds: itself, or each of a list, or each in a text."""
    whole = identify(unique, value)
    if whole is not None:
        return (whole,)
    if unique.pattern == "nir":
        return tuple(dict.fromkeys(Identifier(unique.kind, span.nir13) for span in find_nirs(value, named=True)))
    parts = (identify(unique, part) for part in _LIST.split(value)) if len(value) > 1 else ()
    return tuple(dict.fromkeys(part for part in parts if part is not None))
