"""HTML as tokens with their positions, after the HTML standard's tokenizer (section 13.2.5), read to the very end.

Where the standard hides text from readers that another parser would show, this one reads on: an unclosed comment, tag
or attribute lasts to the end of the text and is scanned there; an element whose text is raw (``<script>``) but whose
end never comes, or that closes itself, is read as markup; ``<![CDATA[`` and ``]]>`` are marks, and what stands
between is text.
"""

import re
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

_WS: Final = r"\t\n\f\r "
_TAG: Final = (
    rf"<(?P<slash>/?)(?P<name>[A-Za-z][^{_WS}/>]*+)"
    rf"(?P<attributes>(?:[{_WS}/]++|[^{_WS}/>][^{_WS}/>=]*+"
    rf"(?:[{_WS}]*+=[{_WS}]*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^{_WS}>\"'][^{_WS}>]*+|(?=>)|\Z))?+)*+)(?:>|\Z)"
)
_MARKUP: Final = re.compile(
    rf"{_TAG}|<!\[CDATA\[|\]\]>|<!---?>|<!--[\s\S]*?(?:--!?>|\Z)|<[!?][^>]*+(?:>|\Z)|</[^A-Za-z>][^>]*+(?:>|\Z)|</>"
)
_ATTRIBUTE: Final = re.compile(
    rf"([^{_WS}/>][^{_WS}/>=]*+)"
    rf"(?:[{_WS}]*+=[{_WS}]*+(?:\"([^\"]*+)\"?|'([^']*+)'?|([^{_WS}>\"'][^{_WS}>]*+))?)?"
)
_RAW: Final = frozenset(
    {"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "plaintext"},
)


class Kind(IntEnum):
    """What a token is. ``RAW`` is the text of an element whose content is not markup."""

    TEXT = 0
    START = 1
    END = 2
    OTHER = 3
    RAW = 4


class Token(NamedTuple):
    """``text[start:end]``; ``name`` (lower case) of a tag or of the element around raw text.

    ``attributes``: where a start tag's attributes stand.
    """

    kind: Kind
    start: int
    end: int
    name: str = ""
    attributes: tuple[int, int] = (0, 0)


class Attribute(NamedTuple):
    """``text[start:end]`` is the value as it is written, without quotes; empty where there is none."""

    name: str
    value: str
    start: int
    end: int


def attributes_of(text: str, token: Token) -> list[Attribute]:
    """A start tag's attributes, repeated ones too, in order."""
    found: list[Attribute] = []
    for match in _ATTRIBUTE.finditer(text, *token.attributes):
        group = match.lastindex or 1
        name = match[1].lower()
        if group > 1:
            found.append(Attribute(name, match[group], *match.span(group)))
        else:
            found.append(Attribute(name, "", match.end(), match.end()))
    return found


def tokens(text: str) -> Iterator[Token]:
    """Every character of ``text`` belongs to exactly one token, in order. Linear in its length."""
    position, length = 0, len(text)
    endless: set[str] = set()
    while position < length:
        match = _MARKUP.search(text, position)
        if match is None:
            yield Token(Kind.TEXT, position, length)
            return
        start, end = match.span()
        if start > position:
            yield Token(Kind.TEXT, position, start)
        position = end
        if match["name"] is None:
            yield Token(Kind.OTHER, start, end)
            continue
        name = match["name"].lower()
        attributes = match.span("attributes")
        if match["slash"]:
            yield Token(Kind.END, start, end, name, attributes)
            continue
        yield Token(Kind.START, start, end, name, attributes)
        if name in _RAW and name not in endless and not _closes_itself(text, match):
            close = _end_of_raw(text, name, end)
            if close is None:
                endless.add(name)
            elif close > end:
                yield Token(Kind.RAW, end, close, name)
                position = close


_ENDS: Final = {name: re.compile(rf"</{name}(?=[{_WS}/>])", re.IGNORECASE | re.ASCII) for name in _RAW}


def _end_of_raw(text: str, name: str, position: int) -> int | None:
    match = _ENDS[name].search(text, position)
    return match.start() if match else None


def _closes_itself(text: str, match: re.Match[str]) -> bool:
    """Whether the tag ends in a slash of its own, as XHTML and SVG close empty elements."""
    start, end = match.span("attributes")
    if end == start or text[end - 1] != "/":
        return False
    ends = [one.end() for one in _ATTRIBUTE.finditer(text, start, end)]
    return not ends or ends[-1] < end
