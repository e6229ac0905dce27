"""Documents read by position: what is found where, and the same text with those places masked.

Markup is never written anew. A value is a list of segments ``(start, end)`` of the text; masking replaces the first
by the mask and empties the others. Where segments overlap, their union is hidden.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from gateway.core.extraction import NOTHING_TOLD, Found, Identifier, Located, Record, Told, persons_of
from gateway.reading.findings import Loose, Value, found_of, links_in, loose_in, told_of
from gateway.reading.identifiers import identifiers_in
from gateway.reading.masks import mask
from gateway.reading.ports import Reading
from gateway.reading.rules import Named, Rules, normalised

Segment = tuple[int, int]

NO_GLUE, BLANK, CELL, WALL = range(4)
"""What stands between two pieces of text: nothing visible, a blank, a cell's border, the border of a block."""

_SHORT = 3
_CONTENT = re.compile(r"[^\W_]")


def has_content(value: str) -> bool:
    """Whether a value says anything: a dash for an empty field does not."""
    return _CONTENT.search(value) is not None


@dataclass(slots=True)
class _Draft:
    parent: int | None
    declared: list[Located] = field(default_factory=list)
    loose: list[Identifier] = field(default_factory=list)
    found: dict[Found, None] = field(default_factory=dict)
    persons: tuple[tuple[Identifier, ...], ...] = ()
    values: list[Value] = field(default_factory=list)
    told: Told = NOTHING_TOLD
    text_bytes: int = 0
    merged: bool = False

    def take(self, part: "_Draft") -> None:
        self.declared.extend(part.declared)
        self.loose.extend(part.loose)
        self.found.update(part.found)
        self.values.extend(part.values)
        self.text_bytes += part.text_bytes


class _Edit(NamedTuple):
    """``text[start:end]`` gives way to the mask of ``value``, or to nothing (``None``), when ``category`` is hidden."""

    start: int
    end: int
    category: str
    value: str | None
    in_attribute: bool

    @property
    def text(self) -> str:
        if self.value is None:
            return ""
        return mask(self.value).replace(" ", "x") if self.in_attribute else mask(self.value)


@dataclass(frozen=True, slots=True)
class SpanReading:
    """A document whose text is kept; see ``Reading``. ``inner``: documents of other formats inside, by segment."""

    text: str
    encoding: str
    records: Sequence[Record]
    minted: tuple[str, ...] = ()
    edits: tuple[_Edit, ...] = field(default=(), repr=False)
    inner: tuple[tuple[Segment, Reading], ...] = field(default=(), repr=False)

    def masked(self, hide: frozenset[str]) -> bytes:
        """See ``Reading.masked``."""
        if not hide:
            return self.text.encode(self.encoding)
        edits = [(edit.start, edit.end, edit.text) for edit in self.edits if edit.category in hide]
        for (start, end), reading in self.inner:
            if any(one.category in hide for record in reading.records for one in record.found):
                # Inside a script a string must not spell the script's end: JSON has "<" in strings only.
                inner = reading.masked(hide).decode(self.encoding).replace("<", "\\u003c")
                edits.append((start, end, inner))
        pieces: list[str] = []
        position = 0
        for start, end, text in sorted(edits, key=lambda edit: (edit[0], -edit[1])):
            if start >= position:
                pieces += (self.text[position:start], text)
            position = max(position, end)
        pieces.append(self.text[position:])
        return "".join(pieces).encode(self.encoding)


class Findings:
    """Collects what a document carries, record by record; record 0 is its root."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._drafts = [_Draft(None)]
        self._edits: list[_Edit] = []
        self._minted: dict[str, None] = {}
        self._inner: list[tuple[Segment, Reading]] = []
        self._inner_identifiers: list[frozenset[Identifier]] = []
        self._known: dict[Identifier, list[Segment]] = {}

    def record(self, parent: int) -> int:
        """A new record inside ``parent``."""
        self._drafts.append(_Draft(parent))
        return len(self._drafts) - 1

    def merge(self, record: int) -> None:
        """``record`` turns out to be a part of its parent, not one of many."""
        self._drafts[record].merged = True

    def count_text(self, record: int, text: str) -> None:
        """Add visible text to a record's size."""
        stripped = text.strip()
        self._drafts[record].text_bytes += len(stripped) if stripped.isascii() else len(stripped.encode())

    def mint(self, name: str, value: str) -> None:
        """Keep ``value`` when ``name`` is the field whose tokens the route mints."""
        if self.rules.mints is not None and value.strip() and normalised(name) == self.rules.mints:
            self._minted[value.strip()] = None

    def value(
        self,
        record: int,
        named: Named,
        parts: Sequence[str],
        segments: Sequence[Segment],
        path: tuple[str, ...] = (),
        *,
        in_attribute: bool = False,
        in_text: bool = False,
    ) -> None:
        """A declared field's value, in one or more parts. Without segments it cannot be masked.

        ``in_text``: the name stands in free text, where identifiers are counted and never linked.
        """
        whole = "".join(parts).strip()
        if not has_content(whole):
            return
        draft = self._drafts[record]
        if named.tells is not None:
            draft.values.append(Value(named.tells, whole, path))
            if named.only_tells:
                return
        draft.found[found_of(named.category, named.klass, bool(segments))] = None
        if named.unique is not None:
            identifiers = identifiers_in(named.unique, whole)
            if not identifiers and len(parts) > 1:
                identifiers = identifiers_in(named.unique, " ".join(parts))
            if in_text:
                draft.loose.extend(identifiers)
            else:
                draft.declared.extend(Located(identifier, path) for identifier in identifiers)
        self.hide(named.category, whole, segments, in_attribute=in_attribute)

    def hide(
        self, category: str, value: str | None, segments: Sequence[Segment], *, in_attribute: bool = False
    ) -> None:
        """Have these segments replaced by the mask of ``value`` when ``category`` is hidden."""
        for start, end in segments:
            self._edits.append(_Edit(start, end, category, value, in_attribute))
            value = None

    def declare(self, record: int, category: Found, identifier: Identifier | None) -> None:
        """An identifier that stands in a link, or a field of its query."""
        self._drafts[record].found[category] = None
        if identifier is not None:
            self._drafts[record].declared.append(Located(identifier))

    def number(self, record: int, number: Loose, value: str, segments: Sequence[Segment], at: Segment) -> None:
        """An identifier found by its value. ``at``: where it stands; without segments it cannot be masked."""
        self._known.setdefault(number.identifier, []).append(at)
        draft = self._drafts[record]
        draft.loose.append(number.identifier)
        draft.found[found_of(number.kind.kind, number.kind.klass, bool(segments))] = None
        self.hide(number.kind.kind, value, segments, in_attribute=True)

    def links(self, record: int, text: str) -> None:
        """Links that stand in visible text."""
        for identifier, klass in links_in(text, self.rules):
            self.declare(record, found_of(identifier.kind, klass, False), identifier)

    def is_known(self, identifier: Identifier, at: Segment | None = None) -> bool:
        """Whether it was found by its value, there if ``at`` says where."""
        if at is None:
            return identifier in self._known
        places = self._known.get(identifier, [])
        index = bisect_right(places, (at[1], at[1]))
        return any(start < at[1] and at[0] < end for start, end in places[max(0, index - 3) : index])

    def is_included(self, identifier: Identifier, position: int) -> bool:
        """Whether a document inside this one, at ``position``, has counted it, and masks it itself."""
        index = bisect_right(self._inner, position, key=lambda one: one[0][0]) - 1
        if index < 0 or position >= self._inner[index][0][1]:
            return False
        return identifier in self._inner_identifiers[index]

    def include(self, record: int, reading: Reading, segment: Segment | None) -> None:
        """Take over the records of a document inside this one; without a segment it cannot be masked."""
        offset = len(self._drafts)
        people: list[tuple[Identifier, ...]] = []
        for inner in reading.records:
            draft = _Draft(record if inner.parent is None else offset + inner.parent)
            draft.text_bytes = inner.text_bytes
            draft.found.update(
                (replace(one, maskable=one.maskable and segment is not None), None) for one in inner.found
            )
            draft.persons, draft.told = inner.persons, inner.told
            people.extend(inner.persons)
            self._drafts.append(draft)
        self._minted.update(dict.fromkeys(reading.minted))
        if segment is not None:
            self._inner.append((segment, reading))
        for one in (one for person in people for one in person):
            self._known.setdefault(one, [])
        if segment is not None:
            self._inner_identifiers.append(frozenset(one for person in people for one in person))

    def reading(self, text: str, encoding: str) -> SpanReading:
        """Everything that was found, as a reading of ``text``."""
        into: list[int] = []
        for index, draft in enumerate(self._drafts):
            merged = draft.merged and draft.parent is not None
            into.append(into[draft.parent] if merged and draft.parent is not None else index)
            if merged:
                self._drafts[into[index]].take(draft)
        numbers: dict[int, int] = {}
        records: list[Record] = []
        for index, draft in enumerate(self._drafts):
            if into[index] == index:
                numbers[index] = len(records)
                parent = None if draft.parent is None else numbers[into[draft.parent]]
                persons = draft.persons + persons_of(draft.declared, draft.loose)
                told = told_of(draft.values, draft.declared, persons) if draft.values else draft.told
                records.append(Record(persons, tuple(draft.found), parent, draft.text_bytes, told))
        return SpanReading(text, encoding, records, tuple(self._minted), tuple(self._edits), tuple(self._inner))


@dataclass(frozen=True, slots=True)
class Cut:
    """An identifier in text without markup: how it is spelled, its pieces (none: not maskable), where it stands."""

    number: Loose
    spelling: str
    segments: list[Segment]
    at: Segment
    record: int


class Flat:
    """A document's text without its markup: numbers that tags cut into pieces are whole here."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._starts: list[int] = []
        self._sources: list[tuple[Segment, int, int, bool]] = []
        """Of each piece: its segment, its record, its length, whether it may be masked."""
        self._length = 0
        self._glue = WALL
        self._last = ""

    def glue(self, kind: int) -> None:
        """Something stands between the last piece and the next; the strongest of several counts."""
        self._glue = max(self._glue, kind)

    def add(self, text: str, segment: Segment, record: int, maskable: bool = True) -> None:
        """A piece of text, entities decoded, and where it stands."""
        if not text.strip():
            self.glue(BLANK)
            return
        if self._glue:
            short = len(text.strip()) <= _SHORT and len(self._last.strip()) <= _SHORT
            # A number may fill one cell a digit; a row of figures is no number.
            between = " " if self._glue == BLANK or (self._glue == CELL and short) else "<"
            self._pieces.append(between)
            self._length += 1
        self._glue = NO_GLUE
        self._last = text
        self._pieces.append(text)
        self._starts.append(self._length)
        self._sources.append((segment, record, len(text), maskable))
        self._length += len(text)

    def numbers(self, rules: Rules) -> Iterator[Cut]:
        """Every identifier here that shows itself by its value."""
        text = "".join(self._pieces)
        for number in loose_in(text, rules):
            start, end = number.start, number.end
            first = max(0, bisect_right(self._starts, start) - 1)
            last = max(first, bisect_right(self._starts, end - 1) - 1)
            segments = [self._within(index, start, end) for index in range(first, last + 1)]
            maskable = all(self._sources[index][3] for index in range(first, last + 1))
            at = (segments[0][0], segments[-1][1])
            yield Cut(number, text[start:end], segments if maskable else [], at, self._sources[first][1])

    def _within(self, index: int, start: int, end: int) -> Segment:
        (source_start, source_end), _, length, _ = self._sources[index]
        if source_end - source_start != length:
            return source_start, source_end
        begin = self._starts[index]
        return source_start + max(0, start - begin), source_start + min(length, end - begin)


def add_cut_numbers(findings: Findings, flat: Flat) -> None:
    """Count the numbers that only the text without markup shows."""
    for cut in flat.numbers(findings.rules):
        if not findings.is_known(cut.number.identifier, cut.at):
            findings.number(cut.record, cut.number, cut.spelling, cut.segments, cut.at)
