"""XML: read by expat, masked in place.

Rules of this file:

1. No document type: entities that a document declares itself are how XML hides and explodes.
2. A record is an element with children that has a sibling of its name, or whose parent has children of one name only.
3. Names are local names of elements and attributes, and the ``name``, ``key``, ``code`` or ``champ`` that one carries.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Final
from xml.parsers import expat

from gateway.reading.findings import loose_in
from gateway.reading.links import linked
from gateway.reading.ports import Reading, Unreadable
from gateway.reading.rules import Named, Rules, normalised
from gateway.reading.spans import CELL, Findings, Flat, Segment, add_cut_numbers

MAX_DEPTH: Final = 256

_ALIKE: Final = 3
"""So many elements of the same names inside one another hold a text; more would say nothing new."""

_NAMING_ATTRIBUTES: Final = frozenset({"name", "key", "code", "champ", "field", "label", "libelle", "id", "nom"})
_VALUE_ATTRIBUTES: Final = frozenset({"value", "val", "valeur", "v"})
_NAMING_ELEMENTS: Final = frozenset({"key", "name", "champ", "field", "label", "libelle", "cle", "code"})
_ATTRIBUTE: Final = re.compile(r"([^\s=\"'<>/]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


@dataclass(slots=True)
class _Element:
    name: str
    parent: "_Element | None"
    start: int
    depth: int
    children: list["_Element"] = field(default_factory=list)
    parts: list[tuple[str, Segment]] = field(default_factory=list)
    attributes: Mapping[str, str] = field(default_factory=dict)
    tag_end: int = 0
    record: int = 0
    named: tuple[Named, ...] = ()


@dataclass(slots=True)
class _Event:
    """One event of the parser: a start or an end of an element, or text (``data``), at a position in characters."""

    at: int
    element: _Element
    kind: str
    data: str = ""


class _Refused(Exception):
    """Carries a reason out of the parser's callbacks, no further."""


class _Parsing:
    """Collects expat's events with their positions in characters."""

    def __init__(self, text: str) -> None:
        self.data = text.encode("utf-8")
        self.events: list[_Event] = []
        self.elements: list[_Element] = []
        self._open: list[_Element] = []
        self._bytes = 0
        self._chars = 0
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = False
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        parser.CommentHandler = parser.StartCdataSectionHandler = parser.EndCdataSectionHandler = self._other
        parser.ProcessingInstructionHandler = self._other
        self._parser = parser

    def run(self) -> None:
        self._parser.Parse(self.data, True)

    def _at(self) -> int:
        index = self._parser.CurrentByteIndex
        if index <= self._bytes:
            return self._chars
        self._chars += len(self.data[self._bytes : index].decode("utf-8"))
        self._bytes = index
        return self._chars

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        parent = self._open[-1] if self._open else None
        if len(self._open) >= MAX_DEPTH:
            raise _Refused("nested too deeply")
        element = _Element(name.rpartition(":")[2], parent, self._at(), len(self._open), attributes=attributes)
        if parent is not None:
            parent.children.append(element)
        self._open.append(element)
        self.elements.append(element)
        self.events.append(_Event(element.start, element, "start"))

    def _end(self, _name: str) -> None:
        self.events.append(_Event(self._at(), self._open.pop(), "end"))

    def _text(self, data: str) -> None:
        if self._open:
            self.events.append(_Event(self._at(), self._open[-1], "text", data))

    def _other(self, *_: str) -> None:
        if self._open:
            self.events.append(_Event(self._at(), self._open[-1], "other"))

    def _doctype(self, *_: object) -> None:
        raise _Refused("a document type declaration")


def read_xml(text: str, encoding: str, rules: Rules) -> Reading | Unreadable:
    """Read a whole XML document (XML 1.0); anything not well-formed, or with a document type, is unreadable."""
    if "\0" in text:
        return Unreadable("NUL in text")
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    try:
        parsing = _Parsing(text[len(mark) :])
        parsing.run()
    except _Refused as refused:
        return Unreadable(str(refused))
    except (expat.ExpatError, UnicodeError, ValueError):
        return Unreadable("not well-formed XML")
    reader = _Reader(text, len(mark), rules)
    reader.read(parsing)
    return reader.findings.reading(text, encoding)


class _Reader:
    def __init__(self, text: str, offset: int, rules: Rules) -> None:
        self.text = text
        self.offset = offset
        self.rules = rules
        self.findings = Findings(rules)
        self.flat = Flat()
        self.attribute_spans: list[tuple[int, int]] = []
        self.tags: list[tuple[int, int]] = []
        self.mixed: set[int] = set()
        self.marks: list[int] = []
        self.mark_records: list[int] = []

    def read(self, parsing: _Parsing) -> None:
        self._place(parsing.elements)
        self._walk(parsing.events)
        for element in parsing.elements:
            if self._is_field(element):
                self._value_of(element)
        self._numbers()
        add_cut_numbers(self.findings, self.flat)

    def _place(self, elements: list[_Element]) -> None:
        """Give every element its record, parents first."""
        counts: dict[int, dict[str, int]] = {}
        for element in elements:
            if element.children:
                names = counts[id(element)] = {}
                for child in element.children:
                    names[child.name] = names.get(child.name, 0) + 1
        for element in elements:
            parent = element.parent
            if parent is None:
                continue
            names = counts[id(parent)]
            repeated = bool(element.children or element.attributes) and (names[element.name] > 1 or len(names) == 1)
            alone = len(parent.children) == 1 and not element.children
            element.record = self.findings.record(parent.record) if repeated and not alone else parent.record

    def _walk(self, events: list[_Event]) -> None:
        self.mixed = {id(event.element) for event in events if event.element.children and event.data.strip()}
        scopes: list[_Element] = []
        follows: dict[int, tuple[Named, ...]] = {}
        self.marks.append(0)
        self.mark_records.append(0)
        for index, event in enumerate(events):
            element = event.element
            start = event.at + self.offset
            if event.kind == "text":
                end = events[index + 1].at + self.offset
                self.findings.count_text(element.record, event.data)
                if "/" in event.data:
                    self.findings.links(element.record, event.data)
                self.flat.add(event.data, (start, end), element.record)
                for scope in scopes:
                    scope.parts.append((event.data, (start, end)))
                if len(element.parts) < 40 and element.name.lower() in _NAMING_ELEMENTS and not element.named:
                    element.parts.append((event.data, (start, end)))
            elif event.kind == "start":
                self._border(element)
                self._mark(start, element.record)
                self._start(element, start, follows)
                if self._is_field(element) and sum(one.named == element.named for one in scopes) <= _ALIKE:
                    scopes.append(element)
            elif event.kind == "end":
                self._border(element)
                if scopes and scopes[-1] is element:
                    scopes.pop()
                if element.parent is not None:
                    self._mark(start, element.parent.record)
                    self._follow(element, follows)

    def _is_field(self, element: _Element) -> bool:
        return bool(element.named) or (self.rules.mints is not None and normalised(element.name) == self.rules.mints)

    def _border(self, element: _Element) -> None:
        """An element among text (``<b>`` in a sentence) cuts nothing; one that stands in a column does."""
        if element.parent is None or id(element.parent) not in self.mixed:
            self.flat.glue(CELL)

    def _mark(self, at: int, record: int) -> None:
        if self.mark_records[-1] != record:
            self.marks.append(at)
            self.mark_records.append(record)

    def _follow(self, element: _Element, follows: dict[int, tuple[Named, ...]]) -> None:
        """``<key>nir</key><value>…``: the elements after a name hold its value, up to the next name."""
        if element.named or element.children or element.name.lower() not in _NAMING_ELEMENTS:
            return
        named = self.rules.named("".join(data for data, _ in element.parts).strip()[:80])
        follows[id(element.parent)] = (named,) if named else ()

    def _start(self, element: _Element, start: int, follows: dict[int, tuple[Named, ...]]) -> None:
        tag_end = self._attributes(element, start)
        self.tags.append((start, tag_end))
        names = [self.rules.named(element.name), *element.named]
        if element.parent is not None and element.name.lower() not in _NAMING_ELEMENTS:
            names.extend(follows.get(id(element.parent), ()))
        element.named = tuple(dict.fromkeys(one for one in names if one is not None))

    def _attributes(self, element: _Element, start: int) -> int:
        """Read the attributes where the tag spells them; the end of the tag."""
        position = start + 1
        while position < len(self.text) and self.text[position] not in " \t\r\n/>":
            position += 1
        found: list[tuple[str, str, Segment]] = []
        while True:
            match = _ATTRIBUTE.match(self.text, _skip_blanks(self.text, position))
            if match is None:
                break
            group = 2 if match[2] is not None else 3
            found.append((match[1].rpartition(":")[2], unescape(match[group]), match.span(group)))
            position = match.end()
        naming = [self.rules.named(value) for name, value, _ in found if name.lower() in _NAMING_ATTRIBUTES]
        element.named = tuple(dict.fromkeys(one for one in naming if one is not None))
        for name, value, segment in found:
            self._attribute(element, name, value, segment)
        return self.text.find(">", position) + 1

    def _attribute(self, element: _Element, name: str, value: str, segment: Segment) -> None:
        self.attribute_spans.append(segment)
        self.findings.mint(name, value)
        own = self.rules.named(name) if name.lower() not in _NAMING_ATTRIBUTES else None
        values = element.named if name.lower() in _VALUE_ATTRIBUTES else ()
        for named in dict.fromkeys((*((own,) if own else ()), *values)):
            self.findings.value(element.record, named, [value], [segment], _path(element, itself=True))
        if "/" in value or "?" in value:
            for one, identifier in linked(value, self.rules):
                self.findings.declare(element.record, one, identifier)

    def _value_of(self, element: _Element) -> None:
        parts = [data for data, _ in element.parts]
        segments = [_trimmed(self.text, *segment) for data, segment in element.parts if data.strip()]
        self.findings.mint(element.name, "".join(parts))
        path = _path(element, itself=False)
        for named in element.named:
            self.findings.value(element.record, named, parts, segments, path)

    def _numbers(self) -> None:
        tag_starts = [start for start, _ in self.tags]
        attribute_starts = [start for start, _ in self.attribute_spans]
        for number in loose_in(self.text, self.rules):
            start, end = number.start, number.end
            record = self.mark_records[max(0, bisect_right(self.marks, start) - 1)]
            tag = bisect_right(tag_starts, start) - 1
            maskable = True
            if tag >= 0 and start < self.tags[tag][1]:
                attribute = bisect_right(attribute_starts, start) - 1
                maskable = attribute >= 0 and end <= self.attribute_spans[attribute][1]
            segments = [(start, end)] if maskable else []
            self.findings.number(record, number, unescape(self.text[start:end]), segments, (start, end))


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _trimmed(text: str, start: int, end: int) -> Segment:
    raw = text[start:end]
    return start + len(raw) - len(raw.lstrip()), start + len(raw.rstrip())


def _path(element: _Element, *, itself: bool) -> tuple[str, ...]:
    """The elements between the record and the field, outermost first: what holds the field inside its record."""
    names: list[str] = []
    current = element if itself else element.parent
    while current is not None and current.parent is not None and current.parent.record == current.record:
        names.append(current.name)
        current = current.parent
    return tuple(reversed(names))
