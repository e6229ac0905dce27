"""What readers share: a record while it is gathered, and what a text says by itself (numbers in it, links)."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from gateway.core.extraction import NOTHING_TOLD, Class, Found, Identifier, Located, Record, Tells, Told, persons_of
from gateway.core.policy import UniqueKind
from gateway.reading.identifiers import find_nirs, identifiers_in, identify
from gateway.reading.masks import mask
from gateway.reading.rules import Named, Rules

_LINK = re.compile(r"(?:(?<![^\s\"'(=<>,;|])|^)(?:[A-Za-z][A-Za-z0-9+.-]{0,20}:)?[^\s\"'<>(),;|]*/[^\s\"'<>(),;|]+")
_AUTHORITY = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*")


@lru_cache(maxsize=4096)
def found_of(category: str, klass: Class, maskable: bool = True) -> Found:
    """The same ``Found`` for the same words: an answer of thousands of fields makes few."""
    return Found(category, klass, maskable)


class Value(NamedTuple):
    """What one field tells of its record, and the path of the object that holds it inside the record."""

    tells: Tells
    value: str
    path: tuple[str, ...] = ()


class Loose(NamedTuple):
    """An identifier found in free text, at ``text[start:end]``, of a kind that the policy declares."""

    start: int
    end: int
    kind: UniqueKind
    identifier: Identifier


class Draft:
    """A record while it is gathered. Of each category one ``Found`` stays, of the highest class."""

    __slots__ = ("_found", "_told", "_values", "declared", "loose", "parent", "text_bytes")

    def __init__(self, parent: int | None = None) -> None:
        self.parent = parent
        self.declared: list[Located] = []
        self.loose: list[Identifier] = []
        self.text_bytes = 0
        self._found: dict[str, Found] = {}
        self._told: list[tuple[tuple[str, ...], str]] = []
        self._values: list[Value] = []

    def find(self, category: str, klass: Class, maskable: bool = True) -> None:
        """Note that the record carries ``category``."""
        known = self._found.get(place := category if maskable else category + "\n")
        if known is None or known.klass < klass:
            self._found[place] = found_of(category, klass, maskable)

    def named(self, named: Named, text: str, path: tuple[str, ...] = ()) -> bool:
        """Take the value of a field whose name the policy knows; whether it is an identifier that fits its kind."""
        if named.tells is None and named.unique is None:  # most fields: no call more than needed
            known = self._found.get(named.category)
            if known is None or known.klass < named.klass:
                self._found[named.category] = found_of(named.category, named.klass)
            self._told.append((path, named.category))
            return False
        if named.tells is not None:
            self.tell(named.tells, text, path)
            if named.only_tells:
                return False
        self.find(named.category, named.klass)
        if named.unique is None:
            self._told.append((path, named.category))
            return False
        identifiers = identifiers_in(named.unique, text)
        self.declared.extend([Located(identifier, path) for identifier in identifiers])
        return bool(identifiers)

    def tell(self, tells: Tells, text: str, path: tuple[str, ...] = ()) -> None:
        """Note what a field tells of the record; an empty one tells nothing."""
        if value := text.strip():
            self._values.append(Value(tells, value, path))

    def text(self, text: str, rules: Rules) -> tuple[Loose, ...]:
        """Take free text: each identifier in it is a person who links to nothing."""
        numbers = loose_in(text, rules)
        for number in numbers:
            self.loose.append(number.identifier)
            self.find(number.kind.kind, number.kind.klass)
        return numbers

    def links(self, text: str, rules: Rules, path: tuple[str, ...] = ()) -> None:
        """Take the identifiers of links: declared by their route's template, never masked."""
        for identifier, klass in links_in(text, rules):
            self.declared.append(Located(identifier, path))
            self.find(identifier.kind, klass, False)

    def record(self) -> Record:
        """The record, its persons grouped."""
        persons = self._persons()
        told = told_of(self._values, self.declared, persons) if self._values else NOTHING_TOLD
        return Record(persons, tuple(self._found.values()), self.parent, self.text_bytes, told)

    def _persons(self) -> tuple[tuple[Identifier, ...], ...]:
        declared = self.declared
        if not self.loose:
            if not declared:
                return ()
            distinct = dict.fromkeys([one.identifier for one in declared]) if len(declared) > 1 else ()
            plain = not any(one.path for one in declared)
            if plain and len({identifier.kind for identifier in distinct}) == len(distinct):
                return (tuple(distinct) or (declared[0].identifier,),)
        return persons_of(declared, self.loose, self._told)


def told_of(values: Sequence[Value], declared: Sequence[Located], persons: Sequence[tuple[Identifier, ...]]) -> Told:
    """What a record tells: whose agency its first person is, in an object around all of their identifiers.

    Where another person is named beside them, it is not known of whom it is said: of nobody.
    """
    first = set(persons[0]) if persons else set()
    own = [one.path for one in declared if one.identifier in first]
    outermost = min(own, key=len, default=())
    alone = bool(own) and not any(one.path == outermost for one in declared if one.identifier not in first)
    inside = [one for one in values if one.tells is Tells.INSIDE and alone]
    around = [one for one in inside if all(path[: len(one.path)] == one.path for path in own)]
    dates = (one.value for one in values if one.tells is Tells.DORMANT)
    return Told(tuple(dict.fromkeys(one.value for one in around)), tuple(dict.fromkeys(dates)))


def size_of(text: str) -> int:
    """The bytes of ``text`` in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def loose_in(text: str, rules: Rules) -> tuple[Loose, ...]:
    """Identifiers in free text: NIRs always, other kinds where the policy says ``in_text``; ordered by start."""
    if len(text) < 3:
        return ()
    numbers: list[Loose] = []
    for kind in rules.unique:
        if kind.pattern == "nir":
            for start, end, thirteen in find_nirs(text):
                numbers.append(Loose(start, end, kind, Identifier(kind.kind, thirteen)))
        elif kind.in_text:
            numbers.extend(_of_kind(text, kind))
    return tuple(sorted(numbers, key=lambda one: one.start)) if len(numbers) > 1 else tuple(numbers)


@lru_cache(maxsize=256)
def _inside(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)")


def _of_kind(text: str, kind: UniqueKind) -> list[Loose]:
    found = []
    for match in _inside(kind.pattern).finditer(text):
        identifier = identify(kind, match.group())
        if identifier is not None:
            found.append(Loose(match.start(), match.end(), kind, identifier))
    return found


def masked_text(text: str, numbers: Sequence[Loose], hide: frozenset[str]) -> str:
    """``text`` with the numbers of hidden kinds masked."""
    return masked_spans(text, [(number.start, number.end) for number in numbers if number.kind.kind in hide])


def masked_spans(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """``text`` with each span masked; overlapping ones as one."""
    pieces: list[str] = []
    position = start = end = 0
    for first, last in sorted(spans):
        if first >= end:
            pieces += (text[position:start], mask(text[start:end]) if end else "")
            position, start, end = end, first, last
        end = max(end, last)
    pieces += (text[position:start], mask(text[start:end]) if end else "", text[end:])
    return "".join(pieces)


def links_in(text: str, rules: Rules) -> tuple[tuple[Identifier, Class], ...]:
    """The persons whom links in ``text`` name (a whole URL, a path, or some in a text), by the routes' templates."""
    if not rules.links or "/" not in text:
        return ()
    found: dict[tuple[Identifier, Class], None] = {}
    for match in _LINK.finditer(text):
        authority = _AUTHORITY.match(match.group())
        path = match.group()[authority.end() :] if authority else match.group()
        path = path if path.startswith("/") else "/" + path.lstrip("./")
        for link in rules.links:
            hit = link.pattern.search(path)
            kind = next((one for one in rules.unique if one.kind == link.kind), None)
            if hit and kind:
                identifier = identify(kind, unquote(hit["id"]))
                if identifier:
                    found[identifier, link.klass] = None
    return tuple(found)
