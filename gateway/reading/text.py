"""Reading plain text, CSS and JavaScript as documents: numbers in it, links, and ``name: value`` lines."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.core.extraction import Record
from gateway.reading.findings import Draft, Loose, masked_spans, size_of
from gateway.reading.json import JsonReading, read_json
from gateway.reading.ports import Unreadable
from gateway.reading.rules import Rules

_PAIR: Final = re.compile(
    r"^[ \t>*-]{0,8}([^\W\d_][^:=\r\n]{0,40}?)[ \t]{0,8}[:=][ \t]{0,8}([^\s:=/][^\r\n]{0,400})", re.MULTILINE
)


class _Named(NamedTuple):
    start: int
    end: int
    category: str


class TextReading:
    """One text, read as one record; see ``gateway.reading.ports.Reading``."""

    __slots__ = ("_encoding", "_loose", "_named", "_text", "minted", "records")

    def __init__(self, text: str, encoding: str, rules: Rules, pairs: bool = True) -> None:
        self._text = text
        self._encoding = encoding
        self.minted: tuple[str, ...] = ()
        draft = Draft()
        draft.text_bytes = size_of(text)
        self._named: list[_Named] = []
        for match in _PAIR.finditer(text) if pairs else ():
            named = rules.named(match[1])
            if named is not None:
                draft.named(named.in_text, match[2])
                self._named.append(_Named(match.start(2), match.end(2), named.category))
        self._loose: tuple[Loose, ...] = draft.text(text, rules)
        draft.links(text, rules)
        self.records: Sequence[Record] = (draft.record(),)

    def masked(self, hide: frozenset[str]) -> bytes:
        """The same text with its hidden values masked where they stand; the very bytes where nothing is hidden."""
        return self.masked_text(hide).encode(self._encoding)

    def masked_text(self, hide: frozenset[str]) -> str:
        """``masked``, as text."""
        if not hide:
            return self._text
        spans = [(one.start, one.end) for one in self._named if one.category in hide]
        spans += [(one.start, one.end) for one in self._loose if one.kind.kind in hide]
        return masked_spans(self._text, spans)


def read_text(text: str, encoding: str, rules: Rules, pairs: bool = True) -> TextReading | JsonReading:
    """Read one text; a text that is a JSON object or array is read as one. ``pairs``: not for CSS and JavaScript.

    ``encoding`` is the codec that ``text`` came by: it gives the same bytes back.
    """
    if text.lstrip("\ufeff \t\r\n")[:1] in ("{", "["):
        tree = read_json(text, encoding, rules)
        if not isinstance(tree, Unreadable):
            return tree
    return TextReading(text, encoding, rules, pairs)
