"""The walk over a JSON tree that gathers records, and notes the places of all that may have to be hidden.

1. An object in an array is a record, and a row of a table; an object alone belongs to the record around it.
2. A declared name holds for all that stands below it, until another declared name.
3. A member's name that is a number of a person makes its value a record of that person.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from gateway.core.extraction import Identifier
from gateway.reading.findings import Draft, Loose, size_of
from gateway.reading.identifiers import find_nirs, may_hold_nir, nir13
from gateway.reading.json_tree import Node, Number, Object, parse
from gateway.reading.ports import Unreadable
from gateway.reading.rules import Named, Rules, normalised, within

MAX_DEPTH: Final = 100
MAX_RECORDS: Final = 200_000
"""Far more than any answer may carry persons; a bound on memory."""
_NAME_KEYS: Final = frozenset({"name", "field", "key", "champ", "nom", "code", "id", "title", "label", "libelle"})
_VALUE_KEYS: Final = frozenset({"value", "valeur", "val", "values", "valeurs"})
_LONGEST_NUMBER: Final = 60


class NotFollowed(Exception):
    """The tree is nested deeper, or has more records, than a reader follows; says which."""


class Site(NamedTuple):
    """Where a value stands (its container and place), and what hides it.

    That is its category, numbers in its text, or sites of the JSON inside it (``nested``; ``since`` is the first).
    """

    container: list[Any]
    place: int
    value: Node
    category: str | None = None
    loose: tuple[Loose, ...] = ()
    nested: list[Any] | None = None
    since: int = 0


class Walk:
    """One walk: its records (drafts), sites, and minted values."""

    def __init__(self, rules: Rules, root: list[Any]) -> None:
        self.rules = rules
        self.drafts: list[Draft] = [Draft()]
        self.sites: list[Site] = []
        self.minted: list[str] = []
        self._numbers = tuple(kind for kind in rules.unique if kind.pattern == "nir")
        self._shortest = 3 if any(kind.in_text and kind.pattern != "nir" for kind in rules.unique) else 13
        self._node(root[0], root, 0, None, 0, (), 0)

    def _node(
        self,
        value: Node,
        container: list[Any],
        index: int,
        named: Named | None,
        record: int,
        path: tuple[str, ...],
        depth: int,
    ) -> None:
        if isinstance(value, str):
            if value:
                self._text(value, container, index, named, record, path, depth)
        elif isinstance(value, list):
            if depth >= MAX_DEPTH:
                raise NotFollowed("JSON nested too deeply")
            if isinstance(value, Object):
                self._object(value, named, record, path, depth + 1)
            else:
                self._array(value, named, record, path, depth + 1)
        elif value is not None:
            self.drafts[record].text_bytes += 4
            if named is not None:
                self.drafts[record].find(named.category, named.klass)
                self.sites.append(Site(container, index, value, named.category))

    def _record(self, parent: int) -> int:
        if len(self.drafts) >= MAX_RECORDS:
            raise NotFollowed("too many records")
        self.drafts.append(Draft(parent))
        return len(self.drafts) - 1

    def _object(self, members: Object, inherited: Named | None, record: int, path: tuple[str, ...], depth: int) -> None:
        named_of, mints, shortest = self.rules.named, self.rules.mints, self._shortest
        draft = self.drafts[record]
        for index, (name, value) in enumerate(members):
            named = named_of(name) if inherited is None else within(named_of(name), inherited)
            if name in _VALUE_KEYS:
                named = within(named_of(name) or self._told_beside(members), inherited)
            if mints is not None and isinstance(value, str) and value and normalised(name) == mints:
                self.minted.append(str(value))
            if len(name) >= 13 and not name.isalpha():
                self._keyed(name, value, members, index, named, record, path, depth)
            elif type(value) is str:
                if named is None and len(value) < shortest and value.isascii() and "/" not in value:
                    draft.text_bytes += len(value)
                elif value:
                    self._text(value, members, index, named, record, path, depth)
            elif type(value) is list and value and type(value[0]) is list:
                self._grid(value, members, index, named, record, (*path, name), depth)
            elif isinstance(value, list):
                self._node(value, members, index, named, record, (*path, name), depth)
            else:
                self._node(value, members, index, named, record, path, depth)

    def _grid(
        self,
        value: list[Any],
        members: Object,
        index: int,
        named: Named | None,
        record: int,
        path: tuple[str, ...],
        depth: int,
    ) -> None:
        columns = self._columns_beside(members)
        if columns:
            self._rows(value, columns, named, record, depth)
        else:
            self._node(value, members, index, named, record, path, depth)

    def _keyed(
        self,
        name: str,
        value: Node,
        members: Object,
        index: int,
        named: Named | None,
        record: int,
        path: tuple[str, ...],
        depth: int,
    ) -> None:
        numbers = find_nirs(name, named=named is not None and named.unique in self._numbers)
        if numbers and isinstance(value, list):
            record, path = self._record(record), ()
        elif isinstance(value, list):
            path = (*path, name)
        for kind in self._numbers if numbers else ():
            self.drafts[record].loose.extend(Identifier(kind.kind, number.nir13) for number in numbers)
            self.drafts[record].find(kind.kind, kind.klass, False)
        self._node(value, members, index, named, record, path, depth)

    def _array(self, items: list[Any], named: Named | None, record: int, path: tuple[str, ...], depth: int) -> None:
        first = 0
        if items and type(items[0]) is list and len(items) > 1:
            columns = self._columns(items[0])
            if columns:
                self._node(items[0], items, 0, named, record, path, depth)
                self._rows(items, columns, named, record, depth, 1)
                first = len(items)
        for index in range(first, len(items)):
            item = items[index]
            if isinstance(item, Object):
                self._node(item, items, index, named, self._record(record), (), depth)
            else:
                self._node(item, items, index, named, record, path, depth)

    def _rows(
        self,
        rows: list[Any],
        columns: Sequence[Named | None],
        named: Named | None,
        record: int,
        depth: int,
        first: int = 0,
    ) -> None:
        if depth + 1 >= MAX_DEPTH:
            raise NotFollowed("JSON nested too deeply")
        for index in range(first, len(rows)):
            row = rows[index]
            own = self._record(record)
            if type(row) is not list:
                self._node(row, rows, index, named, own, (), depth)
                continue
            for place, cell in enumerate(row):
                column = columns[place] if place < len(columns) else None
                self._node(cell, row, place, within(column, named), own, (), depth + 1)

    def _columns_beside(self, members: Object) -> Sequence[Named | None]:
        for _, value in members:
            if isinstance(value, Object):
                columns = self._columns_beside_flat(value)
            else:
                columns = self._columns(value) if isinstance(value, list) else ()
            if columns:
                return columns
        return ()

    def _columns_beside_flat(self, members: Object) -> Sequence[Named | None]:
        lists = (self._columns(value) for _, value in members if type(value) is list)
        return next((columns for columns in lists if columns), ())

    def _columns(self, items: list[Any]) -> Sequence[Named | None]:
        """What a list of column names means (strings, or objects that hold them); empty without a known name."""
        columns: list[Named | None] = []
        for item in items:
            words = [item] if isinstance(item, str) else []
            if isinstance(item, Object):
                words = [value for _, value in item if isinstance(value, str)]
            if not words:
                return ()
            columns.append(next((named for named in map(self.rules.named, words) if named), None))
        return columns if any(columns) else ()

    def _told_beside(self, members: Object) -> Named | None:
        words = (value for name, value in members if name in _NAME_KEYS and type(value) is str)
        return next((named for named in map(self.rules.named, words) if named), None)

    def _text(
        self,
        value: str,
        container: list[Any],
        index: int,
        named: Named | None,
        record: int,
        path: tuple[str, ...],
        depth: int,
    ) -> None:
        draft = self.drafts[record]
        draft.text_bytes += len(value) if value.isascii() else size_of(value)
        if isinstance(value, Number):
            self._number(value, container, index, named, draft, path)
            return
        fits = False
        if named is not None and not value.isspace():
            fits = draft.named(named, value, path)
            self.sites.append(Site(container, index, value, named.category))
        if "/" in value and self.rules.links:
            draft.links(value, self.rules, path)
        if fits or len(value) < self._shortest:
            return
        inside = self._inside(value) if value[0] in '{["' or value[0].isspace() else None
        if inside is not None:
            since = len(self.sites)
            self._node(inside[0], inside, 0, named, record, path, depth + 1)
            self.sites.append(Site(container, index, value, nested=inside, since=since))
            return
        # What a named field holds besides its own kind counts too: a number in a note, or in a contact.
        loose = draft.text(value, self.rules) if self._shortest < 13 or may_hold_nir(value) else ()
        if loose:
            self.sites.append(Site(container, index, value, loose=loose))

    @staticmethod
    def _inside(value: str) -> "list[Node] | None":
        """The tree of a string that is itself JSON: an object, an array or a string."""
        tree = parse(value)
        if isinstance(tree, Unreadable) or isinstance(tree[0], Number) or not isinstance(tree[0], list | str):
            return None
        return tree

    def _number(
        self,
        value: Number,
        container: list[Any],
        index: int,
        named: Named | None,
        draft: Draft,
        path: tuple[str, ...],
    ) -> None:
        if named is not None:
            draft.named(named, _whole(value), path)
            self.sites.append(Site(container, index, value, named.category))
        if len(value) >= 13 and self._numbers:
            text = _whole(value)
            thirteen = nir13(text) if len(text) == 15 else None
            if thirteen is not None and not (named and named.unique in self._numbers):
                kind = self._numbers[0]
                loose = Loose(0, len(value), kind, Identifier(kind.kind, thirteen))
                draft.loose.append(loose.identifier)
                draft.find(kind.kind, kind.klass)
                self.sites.append(Site(container, index, value, loose=(loose,)))


def _whole(number: str) -> str:
    """A whole number's digits, however it is spelled (``1.85e14``); any other number as it is."""
    if number.isdigit() or len(number) > _LONGEST_NUMBER:
        return str(number)
    exact = Decimal(number)
    if exact.is_zero() or not 0 <= exact.adjusted() < _LONGEST_NUMBER or exact != exact.to_integral_value():
        return str(number)
    return str(abs(int(exact)))
