"""HTML: read by its tags, masked in place.

Rules of this file:

1. Names first: column and row headers, ``dt``, labels, attributes, "label : value"; then values, three times over: in
   the text as it stands, without its tags, and with every entity decoded.
2. A record is a ``tr``, ``li``, ``option`` or ``article``, or one of several ``dl`` side by side; a row that is a
   label and its value is a field of what stands around it.
3. Values of form controls and identifiers in links are found and never masked.
4. Unsure where an element ends, its name covers too much rather than too little.
"""

from dataclasses import dataclass, field
from html import unescape
from typing import Final

from gateway.reading.findings import loose_in
from gateway.reading.html_forms import Controls
from gateway.reading.html_names import (
    CONTAINERS,
    LINKS,
    STANDARD,
    VOID,
    labelled,
    name_of_attribute,
    names_of_attributes,
    names_of_label,
    names_of_scheme,
)
from gateway.reading.html_structure import (
    BORDERS,
    CELL_BORDERS,
    CELLS,
    CLOSED_BY,
    LABELS,
    RECORDS,
    STRUCTURE,
    TABLE_BORDERS,
    glue_of,
)
from gateway.reading.html_tables import Row, Table
from gateway.reading.html_tokens import Attribute, Kind, Token, attributes_of, tokens
from gateway.reading.html_values import Places, add_numbers, read_attribute, read_script
from gateway.reading.links import linked, linked_in_code
from gateway.reading.ports import Reading, Unreadable
from gateway.reading.rules import Named, Rules
from gateway.reading.spans import BLANK, Findings, Flat, Segment, add_cut_numbers, has_content

MAX_SCOPES: Final = 100
"""Named elements, cells and labels open at once; real pages have a dozen."""

_LABEL_CHARS: Final = 200
_ALIKE: Final = 3
_FIELD_CHARS: Final = 80
"""A longer text with a label in it is prose: what it names links to nothing."""


@dataclass(slots=True)
class _Scope:
    """An element whose text is a value or a label (or both)."""

    names: tuple[Named, ...]
    record: int
    parts: list[str] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    copies: list[Attribute] = field(default_factory=list)
    length: int = 0


@dataclass(slots=True)
class _Open:
    """An open element: the record to return to, and its scope."""

    name: str
    outer: int
    scope: _Scope | None = None
    lists: list[int] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)


class _TooDeep(Exception):
    """More scopes open at once than a page has."""


def read_html(text: str, encoding: str, rules: Rules) -> Reading | Unreadable:
    """Read a whole HTML document. ``encoding``: the codec that ``text`` came by."""
    if "\0" in text:
        return Unreadable("NUL in text")
    walk = _Walk(text, encoding, rules)
    try:
        walk.run()
    except _TooDeep:
        return Unreadable("nested too deeply")
    return walk.findings.reading(text, encoding)


class _Walk:
    def __init__(self, text: str, encoding: str, rules: Rules) -> None:
        self.text = text
        self.encoding = encoding
        self.rules = rules
        self.findings = Findings(rules)
        self.flat = Flat()
        self.places = Places()
        self.controls = Controls(self.findings)
        self.record = 0
        self.stack: list[_Open] = [_Open("", 0)]
        self.at: dict[str, list[int]] = {}
        self.scopes: list[_Scope] = []
        self.tables: list[Table] = []
        self.term: tuple[Named, ...] = ()
        self.pending: tuple[Named, ...] = ()

    def run(self) -> None:
        for token in tokens(self.text):
            if token.kind is Kind.TEXT:
                self._text(token.start, token.end)
            elif token.kind is Kind.START:
                self._start(token)
            elif token.kind is Kind.END:
                self._end(token)
            elif token.kind is Kind.RAW:
                self._raw(token)
            self.places.add(token, self.record)
        self._pop(1)
        self._close_lists(self.stack[0])
        self.controls.finish()
        add_numbers(self.text, self.findings, self.places)
        add_cut_numbers(self.findings, self.flat)
        self._decoded_numbers()

    def _decoded_numbers(self) -> None:
        """Numbers spelled with entities that only a full decoder knows: counted, not maskable."""
        for number in loose_in(unescape(self.text), self.rules) if "&" in self.text else ():
            if not self.findings.is_known(number.identifier):
                self.findings.number(0, number, "", [], (number.start, number.end))

    # Elements

    def _start(self, token: Token) -> None:
        name = token.name
        if name in CELLS or name in RECORDS or name == "label":
            self.pending = ()
        for closed in CLOSED_BY.get(name, ()):
            if self.at.get(closed):
                self._close(closed, BORDERS.get(name, TABLE_BORDERS))
        attributes = attributes_of(self.text, token) if token.attributes[0] < token.attributes[1] else []
        self.flat.glue(glue_of(name))
        names = names_of_attributes(attributes, self.rules) if attributes else ()
        if name in VOID:
            if attributes:
                self._attributes(name, attributes, names, self.record)
            return
        opened = _Open(name, self.record)
        if name in RECORDS:
            self._open_record(name)
        names += self._names_of_place(name, attributes)
        if attributes:
            self._attributes(name, attributes, names, self.record)
        if name in CONTAINERS:
            names = ()
        if names or name in LABELS:
            opened.scope = self._open_scope(names if len(names) < 2 else tuple(dict.fromkeys(names)), name, attributes)
        if name in ("label", "select", "textarea", "option"):
            opened.attributes = {one.name: unescape(one.value) for one in reversed(attributes)}
            if name == "select":
                self.controls.open_select(self._around(names_of_attributes(attributes, self.rules)), opened.attributes)
        self.at.setdefault(name, []).append(len(self.stack))
        self.stack.append(opened)

    def _open_scope(self, names: tuple[Named, ...], name: str, attributes: list[Attribute]) -> _Scope | None:
        if len(self.scopes) >= MAX_SCOPES:
            raise _TooDeep
        alike = sum(1 for scope in self.scopes if scope.names == names) if names and len(self.scopes) > _ALIKE else 0
        if alike > _ALIKE and name not in LABELS:
            return None  # the elements around it hold this text under the same names already
        scope = _Scope(names, self.record, copies=attributes)
        self.scopes.append(scope)
        return scope

    def _open_record(self, name: str) -> None:
        record = self.findings.record(self.record)
        if name == "dl":
            self.stack[-1].lists.append(record)
        elif name == "tr":
            if not self.tables:
                self.tables.append(Table())
            self.tables[-1].row = Row(record)
        self.record = record

    def _names_of_place(self, name: str, attributes: list[Attribute]) -> tuple[Named, ...]:
        """What the place of an element calls its text: its column, its term, its own name (``<nir>``)."""
        if name == "table":
            self.tables.append(Table())
        elif name in ("td", "th"):
            if not self.tables:
                self.tables.append(Table())
            table = self.tables[-1]
            if table.row is None:
                table.row = Row(self.record)
            spans = {
                one.name: int(one.value) for one in attributes if one.name.endswith("span") and _is_span(one.value)
            }
            return table.open_cell(table.row, name == "th", spans.get("colspan", 1), spans.get("rowspan", 1))
        elif name == "dd":
            return self.term
        elif name not in STANDARD:
            named = self.rules.named(name)
            return () if named is None else (named,)
        return ()

    def _around(self, names: tuple[Named, ...]) -> tuple[Named, ...]:
        """The names of a control: its own and those of what it stands in."""
        return tuple(dict.fromkeys((*names, *(one for scope in self.scopes for one in scope.names), *self.pending)))

    def _end(self, token: Token) -> None:
        self.flat.glue(glue_of(token.name))
        if self.at.get(token.name):
            self._close(token.name, () if token.name in STRUCTURE else CELL_BORDERS)

    def _close(self, name: str, borders: tuple[str, ...]) -> None:
        """Close the innermost open ``name`` with all inside it, unless a border stands between."""
        place = self.at[name][-1]
        for border in borders:
            inner = self.at.get(border)
            if inner and inner[-1] > place:
                return
        self._pop(place)

    def _pop(self, depth: int) -> None:
        while len(self.stack) > depth:
            opened = self.stack.pop()
            self.at[opened.name].pop()
            if opened.lists:
                self._close_lists(opened)
            if opened.scope is not None:
                self.scopes.pop()
                self._finish(opened, opened.scope)
            if opened.name == "tr" and self.tables:
                row, self.tables[-1].row = self.tables[-1].row, None
                if row is not None and self.tables[-1].close_row(row):
                    self.findings.merge(row.record)
            elif opened.name == "table" and self.tables:
                self.tables.pop()
            elif opened.name == "dl":
                self.term = ()
            elif opened.name == "select":
                self.controls.close_select()
            self.record = opened.outer

    def _close_lists(self, opened: _Open) -> None:
        if len(opened.lists) == 1:
            self.findings.merge(opened.lists[0])

    # Values

    def _finish(self, opened: _Open, scope: _Scope) -> None:
        value = unescape("".join(scope.parts))
        name = opened.name
        label: tuple[Named, ...] = ()
        # Values are never looked up as names where labels do not stand: names are remembered, values must not be.
        if name in CELL_BORDERS and self.tables and self.tables[-1].row is not None:
            label = self.tables[-1].close_cell(self.tables[-1].row, value, self.rules)
        elif name in ("dt", "label"):
            label = names_of_label(value, self.rules)
        if name == "dt":
            self.term = label
        elif name == "label":
            self.controls.label(opened.attributes.get("for"), label)
            self.pending = label
        elif name == "option":
            self.controls.option(scope.record, value, opened.attributes)
        elif name == "textarea":
            self.controls.add(self._around(scope.names), opened.attributes, scope.record, value)
            self.pending = ()
            return
        if scope.names and not label and value.strip(" \t\r\n:").casefold() != scope.names[0].category:
            self._value(scope, value, tells=name in CELLS)

    def _value(self, scope: _Scope, value: str, *, tells: bool) -> None:
        """``tells``: a cell says whose agency its record is; a class of an element may stand in a page's banner."""
        parts = [unescape(part) for part in scope.parts]
        for named in scope.names:
            self.findings.value(scope.record, named if tells else named.in_text, parts, scope.segments)
        plain = _alnum(value) if scope.copies else ""
        for copy in scope.copies:
            content = unescape(copy.value)
            own = _alnum(content)
            if len(plain) >= 4 and len(own) >= 4 and (plain in own or own in plain) and copy.name not in LINKS:
                for named in scope.names:
                    self.findings.hide(named.category, content, [(copy.start, copy.end)], in_attribute=True)

    def _text(self, start: int, end: int, *, in_control: bool = False) -> None:
        raw = self.text[start:end]
        in_control = in_control or self.controls.is_open
        if raw.isspace():
            self.flat.glue(BLANK)
            for scope in self.scopes:
                if scope.parts and scope.parts[-1] != " ":
                    scope.parts.append(" ")
            return
        decoded = unescape(raw) if "&" in raw else raw
        self.findings.count_text(self.record, decoded)
        self.flat.add(decoded, (start, end), self.record, maskable=not in_control)
        visible = (start + len(raw) - len(raw.lstrip()), start + len(raw.rstrip()))
        # What a control holds belongs to it alone: the cell around it could be masked.
        for scope in self.scopes[-1:] if in_control else self.scopes:
            if scope.names or scope.length < _LABEL_CHARS:
                scope.parts.append(raw)
                scope.segments.append(visible)
                scope.length += end - start
        if self.pending and has_content(decoded) and not (self.scopes and self.stack[-1].name == "label"):
            for named in self.pending:
                self.findings.value(self.record, named.in_text, [decoded], [] if in_control else [visible])
            self.pending = ()
        if "/" in raw:
            self.findings.links(self.record, decoded)
        if ":" in raw or "=" in raw:
            self._labelled(decoded, start, end, in_control)

    def _labelled(self, decoded: str, start: int, end: int, in_control: bool) -> None:
        same = end - start == len(decoded)
        is_field = len(decoded) <= _FIELD_CHARS and not in_control
        for named, first, last in labelled(decoded, self.rules):
            value = decoded[first:last].rstrip(" \t\r\n\u00a0,-–")
            if has_content(value):
                last, first = first + len(value), first + len(value) - len(value.lstrip())
                segment = (start + first, start + last) if same else (start, end)
                segments = [] if in_control else [segment]
                self.findings.value(self.record, named.in_text, [value], segments, in_text=not is_field)
            elif last == len(decoded):
                self.pending = (named,)

    def _raw(self, token: Token) -> None:
        if token.name in ("textarea", "title", "xmp", "iframe", "noembed", "noframes"):
            self._text(token.start, token.end, in_control=token.name == "textarea")
        elif token.name == "script":
            read_script(self.text, token, self.encoding, self.findings, self.record)

    def _attributes(self, name: str, attributes: list[Attribute], names: tuple[Named, ...], record: int) -> None:
        for one in attributes:
            if one.value:
                self._attribute(name, one, record)
        if name == "input":
            self.pending, pending = (), self.pending
            names = (*names, *pending)
            values = {one.name: unescape(one.value) for one in reversed(attributes)}
            self.controls.add_input(self._around(names), values, record)
        elif name in ("meta", "data", "time", "param") and names:
            for one in attributes:
                if one.name in ("content", "value", "datetime"):
                    for named in names:
                        self._hold(record, named, one)
        if self.scopes and name not in ("input", "select", "textarea", "button", "option"):
            for scope in self.scopes:
                if scope.names and len(scope.copies) < 200:
                    scope.copies.extend(one for one in attributes if one.value)

    def _attribute(self, name: str, one: Attribute, record: int) -> None:
        if one.name in LINKS or "/" in one.value or "?" in one.value:
            in_code = one.name.startswith("on")
            for found, identifier in (linked_in_code if in_code else linked)(one.value, self.rules):
                self.findings.declare(record, found, identifier)
        named = name_of_attribute(one, self.rules)
        if named is None and one.name in LINKS and ":" in one.value:
            named = names_of_scheme(unescape(one.value).strip(), self.rules)
        if named is not None:
            self._hold(record, named, one)
        if one.value[0] in "[{&":
            read_attribute(one.value, self.findings, record)
        self.findings.mint(one.name.removeprefix("data-"), one.value)

    def _hold(self, record: int, named: Named, one: Attribute) -> None:
        """An attribute that holds a value itself."""
        content = unescape(one.value)
        self.findings.value(record, named.in_text, [content], [(one.start, one.end)], in_attribute=True)


def _is_span(value: str) -> bool:
    return value.isascii() and value.isdecimal() and len(value) < 6


def _alnum(value: str) -> str:
    return "".join(filter(str.isalnum, value)).casefold()
