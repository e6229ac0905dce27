"""Tables: which columns and row headers name a cell, and which rows are fields of one record instead of records."""

from dataclasses import dataclass, field
from typing import Final

from gateway.reading.html_names import names_of_label
from gateway.reading.rules import Named, Rules
from gateway.reading.spans import has_content

MAX_COLUMNS: Final = 4096


@dataclass(slots=True)
class Cell:
    """A cell as its row remembers it. ``label``: what its text names as a label."""

    is_header: bool
    column: int
    colspan: int
    label: tuple[Named, ...] = ()
    is_empty: bool = True


@dataclass(slots=True)
class Row:
    """A row being read, and its record."""

    record: int
    cells: list[Cell] = field(default_factory=list)
    column: int = 0
    header: Cell | None = None

    @property
    def names(self) -> tuple[Named, ...]:
        """What the labels before the next cell name: the last row header, or a label in the cell just before."""
        if self.cells and self.cells[-1].label:
            return self.cells[-1].label
        return self.header.label if self.header is not None else ()


class Table:
    """The columns of one table."""

    def __init__(self) -> None:
        self.row: Row | None = None
        self._columns: dict[int, tuple[Named, ...]] = {}
        self._has_columns = False
        self._rows = 0
        self._taken: dict[int, int] = {}
        """Columns that a cell of an earlier row reaches into, with the rows it still has."""

    def open_cell(self, row: Row, is_header: bool, colspan: int, rowspan: int) -> tuple[Named, ...]:
        """Place a cell; what its column and the labels of its row call its text."""
        names = () if is_header and not self._has_columns else row.names
        while self._taken.get(row.column, 0) > 0:
            row.column += 1
        column = row.column
        colspan = min(max(colspan, 1), 1000, max(1, MAX_COLUMNS - column))
        row.column += colspan
        if rowspan > 1:
            self._taken.update(dict.fromkeys(range(column, row.column), min(rowspan, 65_534)))
        cell = Cell(is_header, column, colspan)
        row.cells.append(cell)
        if is_header:
            row.header = cell
        if colspan == 1:
            columns = self._columns.get(column, ())
        else:
            columns = tuple(one for index in range(column, row.column) for one in self._columns.get(index, ()))
        return columns + names if names else columns

    def close_cell(self, row: Row, value: str, rules: Rules) -> tuple[Named, ...]:
        """What the text of the row's last cell names as a label, where a label may stand."""
        if not row.cells:
            return ()
        cell = row.cells[-1]
        cell.is_empty = not has_content(value)
        beside = not self._has_columns and len(row.cells) % 2 == 1
        if cell.is_header or self._rows == 0 or beside or value.rstrip().endswith(":"):
            cell.label = names_of_label(value, rules)
        return cell.label

    def close_row(self, row: Row) -> bool:
        """End a row; whether it is one field of the record around the table (label, value), not a record."""
        self._rows += 1
        if self._taken:
            self._taken = {column: left - 1 for column, left in self._taken.items() if left > 1}
        cells = row.cells
        if not cells:
            return False
        if self._is_header(cells):
            self._has_columns = True
            for cell in cells:
                for column in range(cell.column, cell.column + cell.colspan):
                    if cell.label or cell.colspan == 1:
                        self._columns[column] = cell.label or self._columns.get(column, ())
            return False
        return not self._has_columns and _is_field(cells)

    def _is_header(self, cells: list[Cell]) -> bool:
        if all(cell.is_header for cell in cells):
            return True
        named = sum(1 for cell in cells if cell.label)
        filled = sum(1 for cell in cells if not cell.is_empty)
        return self._rows == 1 and named >= 2 and named * 2 >= filled


def _is_field(cells: list[Cell]) -> bool:
    labels, values = cells[::2], cells[1::2]
    return (
        len(labels) == len(values)
        and all(cell.is_header or cell.label for cell in labels)
        and not any(cell.is_header for cell in values)
    )
