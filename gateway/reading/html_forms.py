"""Form controls: their values are found, and never masked, for a browser sends them back."""

from collections.abc import Mapping

from gateway.reading.rules import Named
from gateway.reading.spans import Findings

_NO_DATA = frozenset({"submit", "button", "reset", "image", "file"})


class Controls:
    """The controls of one document; labels may come before or after them."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._waiting: list[tuple[tuple[Named, ...], str | None, str | None, int, str]] = []
        self._labels: dict[str, tuple[Named, ...]] = {}
        self._selects: list[tuple[tuple[Named, ...], Mapping[str, str]]] = []

    @property
    def is_open(self) -> bool:
        """Whether the text now read is a choice of a ``select``."""
        return bool(self._selects)

    def label(self, control: str | None, names: tuple[Named, ...]) -> None:
        """A label's names, and the id of the control that it is for."""
        if control and names:
            self._labels.setdefault(control, names)

    def add(self, names: tuple[Named, ...], attributes: Mapping[str, str], record: int, value: str) -> None:
        """A control with its value."""
        if value.strip():
            self._waiting.append((names, attributes.get("id"), attributes.get("name"), record, value))

    def add_input(self, names: tuple[Named, ...], attributes: Mapping[str, str], record: int) -> None:
        """An ``input``: its value counts as data unless it is a button's, or a box that is not ticked."""
        kind = attributes.get("type", "text").strip().lower()
        if kind in _NO_DATA or (kind in ("radio", "checkbox") and "checked" not in attributes):
            return
        self.add(names, attributes, record, attributes.get("value", ""))

    def open_select(self, names: tuple[Named, ...], attributes: Mapping[str, str]) -> None:
        """A ``select`` begins."""
        self._selects.append((names, attributes))

    def close_select(self) -> None:
        """The innermost ``select`` ends."""
        if self._selects:
            self._selects.pop()

    def option(self, record: int, text: str, attributes: Mapping[str, str]) -> None:
        """A choice: data where it is chosen; where its control holds identifiers, a person, chosen or not."""
        if not self._selects:
            return
        names, select = self._selects[-1]
        value = attributes.get("value") or text
        chosen = names if "selected" in attributes else tuple(one for one in names if one.unique is not None)
        self.add(chosen, select, record, value)

    def finish(self) -> None:
        """All labels are known: name and count the values."""
        for names, identifier, name, record, value in self._waiting:
            more = self._labels.get(identifier, ()) if identifier else ()
            for named in dict.fromkeys((*names, *more)):
                self._findings.value(record, named.in_text, [value], [])
            for one in (name, identifier):
                if one:
                    self._findings.mint(one, value)
