"""Reading CSV (RFC 4180, and what is sold as it) as a record stream: a row is a record, the header names its cells.

1. The header is the first row (of the first 50) in which a declared name stands; its separator is the stream's.
2. A row of another length than the header's may be shifted: there every cell that has the shape of a NIR is one, and
   none says whose agency the row is.
3. Only masked cells are written anew; a stream that ends inside quotes is unreadable.
4. A row whose cells are all what their columns say is read at once, with the same result as cell by cell.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from gateway.core.extraction import NOTHING_TOLD, Found, Identifier, Located, Record
from gateway.reading.characters import MAX_RECORD_BYTES, Characters, without_mark
from gateway.reading.findings import Draft, Loose, Value, masked_text, size_of, told_of
from gateway.reading.identifiers import identifiers_in, may_hold_nir, nir13
from gateway.reading.json import JsonReading, read_json
from gateway.reading.masks import mask
from gateway.reading.ports import Reading, Unreadable
from gateway.reading.rules import Named, Rules, normalised

SEPARATORS: Final = ",;\t|"
_HEADER_WITHIN_ROWS: Final = 50
_BIG_REST: Final = 64 * 1024
_MOST_SHAPES: Final = 1_000
_NIR_CHARACTERS: Final = 13
_PLAIN_RECORD: Final = re.compile(r"[^\"\r\n]*(?:\r\n|\r|\n)")
_QUOTED: Final = r'"[^"]*+(?:""[^"]*+)*+"'


_Header: TypeAlias = tuple[Named | None, ...]


class _NotCsv(Exception):
    pass


@lru_cache(maxsize=32)
def _record_pattern(separators: str) -> re.Pattern[str]:
    signs = re.escape(separators)
    cell = rf'(?:{_QUOTED}[^{signs}\r\n]*+|[^{signs}"\r\n][^{signs}\r\n]*+|)'
    return re.compile(rf"{cell}(?:[{signs}]{cell})*+(?:\r\n|\r|\n)")


@lru_cache(maxsize=32)
def _cell_pattern(separator: str) -> re.Pattern[str]:
    sign = re.escape(separator)
    return re.compile(rf'(?:\A|{sign})({_QUOTED}[^{sign}\r\n]*+|[^{sign}"\r\n][^{sign}\r\n]*+|)')


def _cells(body: str, separator: str) -> list[str]:
    return _cell_pattern(separator).findall(body) if '"' in body else body.split(separator)


def _plain(cell: str) -> str:
    """The value of a cell as it stands in the row."""
    if not cell.startswith('"'):
        return cell
    end = cell.rindex('"')
    return cell[1:end].replace('""', '"') + cell[end + 1 :]


def _quoted(value: str, like: str) -> str:
    return '"' + value.replace('"', '""') + '"' if like.startswith('"') else value


class _Site(NamedTuple):
    """A cell to be hidden for what is in it; cells with a declared name are known by the header."""

    place: int
    value: str
    category: str | None
    loose: tuple[Loose, ...] = ()
    inside: JsonReading | None = None


class Row:
    """One row, read; see ``gateway.reading.ports.Reading``. A header or a blank line has no records."""

    __slots__ = ("_edges", "_header", "_raw", "_sites", "_stream", "cells", "minted", "records")

    def __init__(self, stream: "CsvStream", raw: bytes, cells: list[str], edges: tuple[str, str]) -> None:
        self._stream = stream
        self._raw = raw
        self.cells = cells
        self._edges = edges
        self._header: _Header = ()
        self._sites: Sequence[_Site] = ()
        self.records: Sequence[Record] = ()
        self.minted: tuple[str, ...] = ()

    def masked(self, hide: frozenset[str]) -> bytes:
        """The row with its hidden cells written anew; the very bytes where nothing is hidden."""
        if not hide:
            return self._raw
        changes = {site.place: value for site in self._sites if (value := _changed(site, hide))}
        for place, (cell, named) in enumerate(zip(self.cells, self._header, strict=False)):
            if named is not None and named.category in hide and cell:
                value = _plain(cell)
                if value and not value.isspace():
                    changes[place] = mask(value)
        if not changes:
            return self._raw
        cells = [_quoted(changes[place], cell) if place in changes else cell for place, cell in enumerate(self.cells)]
        mark, end = self._edges
        return (mark + self._stream.separator.join(cells) + end).encode(self._stream.encoding)

    def take(self, header: "_Header", draft: Draft, sites: Sequence[_Site], minted: tuple[str, ...]) -> "Row":
        """Keep what was found: the row's own record, then those of JSON in its cells."""
        self._header = header
        self._sites = sites
        self.minted = minted
        records = [draft.record()]
        for site in sites:
            if site.inside is not None:
                first = len(records)
                for one in site.inside.records:
                    parent = 0 if one.parent is None else one.parent + first
                    records.append(Record(one.persons, one.found, parent, 0, one.told))
        self.records = tuple(records)
        return self

    def known(self, header: "_Header", record: Record) -> "Row":
        """Keep the row's own record, where nothing else is in it."""
        self._header = header
        self.records = (record,)
        return self


def _changed(site: _Site, hide: frozenset[str]) -> str | None:
    if site.category in hide:
        return mask(site.value)
    if site.inside is not None:
        inside = site.inside.masked_text(hide)
        return inside if inside != site.value else None
    if any(number.kind.kind in hide for number in site.loose):
        return masked_text(site.value, site.loose, hide)
    return None


class _Columns:
    """What a header says of every row of its length, where no cell has to be looked at for what else may be in it.

    ``unique``: the columns that hold an identifier each; ``plain``: the places of all others; ``telling``: the columns
    that tell of the whole record.
    """

    __slots__ = ("_named", "_shapes", "plain", "telling", "unique")

    def __init__(self, header: _Header) -> None:
        self._named = header
        self._shapes: dict[tuple[bool, ...], tuple[Found, ...]] = {}
        self.unique = tuple((at, one.unique) for at, one in enumerate(header) if one is not None and one.unique)
        self.plain = tuple(at for at, one in enumerate(header) if one is None or one.unique is None)
        self.telling = tuple((at, one.tells) for at, one in enumerate(header) if one is not None and one.tells)

    @classmethod
    def of(cls, header: _Header) -> "_Columns | None":
        """Those of a header; ``None`` where two columns hold identifiers of one kind: they are two persons."""
        columns = cls(header)
        kinds = {kind.kind for _, kind in columns.unique}
        return None if len(kinds) < len(columns.unique) else columns

    def found(self, filled: tuple[bool, ...]) -> tuple[Found, ...]:
        """What a row carries whose cells are filled so; most rows of a stream are filled alike."""
        known = self._shapes.get(filled)
        if known is None:
            draft = Draft()
            for named, is_filled in zip(self._named, filled, strict=True):
                if named is not None and is_filled and not named.only_tells:
                    draft.find(named.category, named.klass)
            known = draft.record().found
            if len(self._shapes) < _MOST_SHAPES:
                self._shapes[filled] = known
        return known


class CsvStream:
    """One CSV stream; see ``gateway.reading.ports.RecordStream``. ``separator``: known beforehand (TSV)."""

    def __init__(self, encoding: str, rules: Rules, separator: str | None = None) -> None:
        self.encoding = encoding
        self.separator = separator or ","
        self._separators = separator or SEPARATORS
        self._characters = Characters(encoding)
        self._rest = ""
        self._looked_at = 0
        self._rows = 0
        self._naming = ""
        self._line_end = "\r\n"
        self._ended_in_line = True
        self.follow(rules)

    def follow(self, rules: Rules) -> None:
        """Read by other rules from here on; the row that names the cells is read anew."""
        self._rules = rules
        self._header: _Header | None = None
        self._columns: _Columns | None = None
        self._minting: int | None = None
        self._numbers = next((kind for kind in rules.unique if kind.pattern == "nir"), None)
        in_text = any(kind.in_text and kind.pattern != "nir" for kind in rules.unique)
        self._shortest = 3 if in_text else _NIR_CHARACTERS
        if self._naming:
            self._is_header(self._naming)

    def feed(self, data: bytes) -> list[Reading] | Unreadable:
        """The rows that are whole now."""
        return self._read(data, False)

    def end(self) -> list[Reading] | Unreadable:
        """The last row, where no line end follows it."""
        return self._read(b"", True)

    def notice(self, reason: str, reference: str, detail: str) -> bytes:
        """A last row whose first cell begins ``gateway:``."""
        cells = (f"gateway: {reason}", reference, detail)
        row = self.separator.join('"' + cell.replace('"', '""').replace("\n", " ") + '"' for cell in cells[1:])
        start = "" if self._ended_in_line else self._line_end
        return f"{start}{cells[0]}{self.separator}{row}{self._line_end}".encode(self.encoding, "replace")

    def _read(self, data: bytes, final: bool) -> list[Reading] | Unreadable:
        try:
            self._rest += self._characters.take(data, final)
            return self._rows_now(final)
        except UnicodeDecodeError:
            return Unreadable("bytes that its charset does not have")
        except _NotCsv as refusal:
            return Unreadable(str(refusal))

    def _rows_now(self, final: bool) -> list[Reading]:
        text = self._rest
        if not final and len(text) > _BIG_REST and len(text) < self._looked_at * 9 // 8:
            return []  # a long row is not looked at again for each small piece of it
        readings: list[Reading] = []
        # A carriage return at the end may be half a line end.
        limit = len(text) - 1 if text.endswith("\r") and not final else len(text)
        position = 0
        while match := self._next(text, position, limit):
            readings.append(self._row(match.group()))
            position = match.end()
        self._rest = text[position:]
        self._looked_at = len(self._rest)
        if final and self._rest:
            if self._next(self._rest + "\n", 0, len(self._rest) + 1) is None:
                raise _NotCsv("CSV ends inside quotes")
            readings.append(self._row(self._rest))
            self._rest = ""
        if len(self._rest) > MAX_RECORD_BYTES:
            raise _NotCsv("a CSV row is too long")
        return readings

    def _next(self, text: str, position: int, limit: int) -> re.Match[str] | None:
        plain = _PLAIN_RECORD.match(text, position, limit)
        separators = self._separators if self._header is None else self.separator
        return plain or _record_pattern(separators).match(text, position, limit)

    def _row(self, taken: str) -> Row:
        raw = self._characters.raw(taken)
        text = self._characters.meaning(taken)
        self._rows += 1
        end = "\r\n" if text.endswith("\r\n") else text[-1] if text[-1] in "\r\n" else ""
        body = text[: len(text) - len(end)]
        mark = ""
        self._ended_in_line = bool(end)
        if self._rows == 1:
            self._line_end = end or self._line_end
            mark, body = text[: len(text) - len(without_mark(text))], without_mark(body)
        if not body.strip():
            return Row(self, raw, [], (mark, end))
        if self._header is None and self._rows <= _HEADER_WITHIN_ROWS and self._is_header(body):
            row = Row(self, raw, _cells(body, self.separator), (mark, end))
            return self._data(row, ()) if may_hold_nir(body) else row
        row = Row(self, raw, _cells(body, self.separator), (mark, end))
        known = self._at_once(row, body, self._columns) if self._columns is not None else None
        return known or self._data(row, self._header or ())

    def _is_header(self, body: str) -> bool:
        """Whether a row names cells; it settles the separator, or (the first row) proposes one."""
        if body[:4].lower() == "sep=" and len(body) == 5:
            self.separator = self._separators = body[4]
            return False
        self._naming = self._naming or body
        best: tuple[int, int, str, list[str]] = (0, 0, self.separator, [])
        for separator in self._separators:
            names = [_plain(cell).strip() for cell in _cells(body, separator)]
            known = sum(1 for name in names if len(name) <= 64 and self._rules.named(name))
            if (known, len(names)) > best[:2]:
                best = (known, len(names), separator, names)
        known, _, separator, names = best
        if known or self._rows == 1:
            self.separator = separator
        if not known:
            return False
        self._naming = body
        self._header = tuple(self._rules.named(name) if len(name) <= 64 else None for name in names)
        if self._rules.mints is not None:
            self._minting = next((at for at, name in enumerate(names) if normalised(name) == self._rules.mints), None)
        if self._minting is None and self._shortest == _NIR_CHARACTERS:
            self._columns = _Columns.of(self._header)
        return True

    def _at_once(self, row: Row, body: str, columns: _Columns) -> Row | None:
        """A row that is what its columns say; ``None`` where a cell has to be looked at for itself."""
        cells = row.cells
        if len(cells) != len(self._header or ()) or '"' in body or ("/" in body and self._rules.links):
            return None
        for place in columns.plain:
            cell = cells[place]
            if len(cell) >= _NIR_CHARACTERS and (cell[0] in "{[" or may_hold_nir(cell)):
                return None
        filled = tuple([cell != "" and not cell.isspace() for cell in cells])
        person: list[Identifier] = []
        for place, kind in columns.unique:
            if filled[place]:
                identifiers = identifiers_in(kind, cells[place])
                if len(identifiers) != 1:
                    return None
                person.append(identifiers[0])
        persons = (tuple(person),) if person else ()
        told = NOTHING_TOLD
        if columns.telling:
            values = [Value(tells, cells[place].strip()) for place, tells in columns.telling if filled[place]]
            told = told_of(values, [Located(one) for one in person], persons)
        text_bytes = size_of(body) - len(cells) + 1
        return row.known(self._header or (), Record(persons, columns.found(filled), None, text_bytes, told))

    def _data(self, row: Row, header: _Header) -> Row:
        draft = Draft()
        sites: list[_Site] = []
        minted: tuple[str, ...] = ()
        width, shortest = len(header), self._shortest
        shifted = width > 0 and len(row.cells) != width
        for place, cell in enumerate(row.cells):
            if not cell:
                continue
            value = _plain(cell) if cell[0] == '"' else cell
            length = len(value)
            draft.text_bytes += length if value.isascii() else size_of(value)
            named = header[place] if place < width else None
            if shifted and named is not None:
                named = named.in_text  # whose agency it is, the cell beside may say
            if place == self._minting and value:
                minted = (value,)
            if length < shortest and "/" not in value and (named is None or named.unique is None):
                if named is not None and value and not value.isspace():
                    draft.named(named, value)
            elif value and not value.isspace():
                self._cell(place, value, named, shifted, draft, sites)
        return row.take(header, draft, sites, minted)

    def _cell(
        self, place: int, value: str, named: Named | None, shifted: bool, draft: Draft, sites: list[_Site]
    ) -> None:
        fits = False
        if named is not None:
            fits = draft.named(named, value)
        if "/" in value and self._rules.links:
            draft.links(value, self._rules)
        if fits or len(value) < self._shortest:
            return
        kind = self._numbers
        thirteen = nir13(value) if shifted and kind else None
        if thirteen is not None and kind:
            draft.declared.append(Located(Identifier(kind.kind, thirteen)))
            draft.find(kind.kind, kind.klass)
            sites.append(_Site(place, value, kind.kind))
            return
        inside = read_json(value, "utf-8", self._rules) if value[0] in "{[" else None
        if isinstance(inside, JsonReading):
            sites.append(_Site(place, value, None, inside=inside))
            return
        loose = draft.text(value, self._rules) if self._shortest < 13 or may_hold_nir(value) else ()
        if loose:
            sites.append(_Site(place, value, None, loose))


def looks_like_csv(first_bytes: bytes, rules: Rules) -> bool:
    """Whether ``text/plain`` content is CSV: a first line of two cells or more, with a declared name or lines alike."""
    text = first_bytes.decode("utf-8", "replace") if b"\0" not in first_bytes else ""
    lines = [line for line in without_mark(text).splitlines()[:6] if line.strip()]
    if len(lines) > 2 and not first_bytes.endswith((b"\n", b"\r")):
        lines.pop()
    for separator in SEPARATORS if lines else ():
        cells = [_plain(cell).strip() for cell in _cells(lines[0], separator)]
        if len(cells) < 2:
            continue
        if any(rules.named(cell) for cell in cells if len(cell) <= 64):
            return True
        if len(lines) > 2 and all(len(_cells(line, separator)) == len(cells) for line in lines[1:]):
            return True
    return False
