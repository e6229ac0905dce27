"""Values in HTML whatever their names: numbers anywhere in the page, and JSON in scripts and attributes."""

import re
from bisect import bisect_right
from html import unescape
from typing import Final

from gateway.reading.findings import loose_in
from gateway.reading.html_names import LINKS
from gateway.reading.html_tokens import Kind, Token, attributes_of
from gateway.reading.json import read_json
from gateway.reading.ports import Unreadable
from gateway.reading.spans import Findings

_ASSIGNED: Final = re.compile(r"(?:=|\()\s*(?=[\[{])")
_TAIL: Final = re.compile(r"[;)\s]*\Z")
_CONTROLS: Final = frozenset({"input", "option", "select", "textarea", "button", "param"})


class Places:
    """Which token, and which record, a position belongs to."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._tokens: list[tuple[Token, int]] = []

    def add(self, token: Token, record: int) -> None:
        """The next token, and the record that it stands in."""
        self._starts.append(token.start)
        self._tokens.append((token, record))

    def at(self, position: int) -> tuple[Token, int]:
        """The token around a position."""
        return self._tokens[bisect_right(self._starts, position) - 1]

    def before(self, position: int) -> Token | None:
        """The token before the one around a position."""
        index = bisect_right(self._starts, position) - 2
        return self._tokens[index][0] if index >= 0 else None


def add_numbers(text: str, findings: Findings, places: Places) -> None:
    """Count every identifier that the page's source spells, wherever it stands."""
    for number in loose_in(text, findings.rules):
        start, end = number.start, number.end
        if findings.is_included(number.identifier, start):
            continue
        token, record = places.at(start)
        maskable = end <= token.end and _is_maskable(text, token, places.before(start), start, end)
        segments = [(start, end)] if maskable else []
        findings.number(record, number, unescape(text[start:end]), segments, (start, end))


def _is_maskable(text: str, token: Token, before: Token | None, start: int, end: int) -> bool:
    if token.kind is Kind.START:
        if token.name in _CONTROLS:
            return False
        return any(
            one.start <= start and end <= one.end and one.name not in LINKS and not one.name.startswith("on")
            for one in attributes_of(text, token)
        )
    if token.kind is Kind.END:
        return False
    if token.kind is Kind.RAW:
        if token.name == "script":
            # In a script only a whole string can become another: a bare number, or a part of code, cannot.
            quote = text[start - 1 : start]
            return quote in ("'", '"', "`") and text[end : end + 1] == quote
        return token.name != "textarea"
    return before is None or before.kind is not Kind.START or before.name not in _CONTROLS


def read_script(text: str, token: Token, encoding: str, findings: Findings, record: int) -> None:
    """JSON that is a script's whole text, or what it assigns last: its records count as the page's."""
    script = text[token.start : token.end]
    stripped = script.strip()
    if not stripped:
        return
    begin = script.index(stripped)
    if stripped[0] not in "[{":
        assigned = _ASSIGNED.search(script)
        if assigned is None:
            return
        begin = assigned.end()
        tail = _TAIL.search(script)
        stripped = script[begin : tail.start() if tail else None]
    findings.count_text(record, stripped)
    reading = read_json(stripped, encoding, findings.rules)
    if not isinstance(reading, Unreadable):
        start = token.start + begin
        findings.include(record, reading, (start, start + len(stripped)))


def read_attribute(value: str, findings: Findings, record: int) -> None:
    """JSON in an attribute (``data-props``): counted, never masked."""
    content = unescape(value).strip()
    if content[:1] in ("[", "{") and '"' in content:
        reading = read_json(content, "utf-8", findings.rules)
        if not isinstance(reading, Unreadable):
            findings.include(record, reading, None)
