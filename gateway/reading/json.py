"""Reading JSON documents (RFC 8259): objects, tables of columns and rows, JSON in strings; masking them.

Every member is seen, duplicates too; a number keeps its spelling; what the grammar does not allow is unreadable.
"""

from collections.abc import Sequence

from gateway.core.extraction import Record
from gateway.reading.findings import masked_text
from gateway.reading.json_tree import Changes, Node, parse, render
from gateway.reading.json_walk import NotFollowed, Site, Walk
from gateway.reading.masks import mask
from gateway.reading.ports import Unreadable
from gateway.reading.rules import Rules


class JsonReading:
    """One JSON document, read; see ``gateway.reading.ports.Reading``."""

    __slots__ = ("_encoding", "_root", "_sites", "_text", "minted", "records")

    def __init__(self, text: str, encoding: str, root: list[Node], walk: Walk) -> None:
        self._text = text
        self._encoding = encoding
        self._root = root
        self._sites = walk.sites
        self.records: Sequence[Record] = tuple([draft.record() for draft in walk.drafts])
        self.minted: tuple[str, ...] = tuple(dict.fromkeys(walk.minted))

    def masked(self, hide: frozenset[str]) -> bytes:
        """The same document in ASCII escapes, without the hidden values; the very bytes where nothing is hidden."""
        return self.masked_text(hide).encode(self._encoding)

    def masked_text(self, hide: frozenset[str]) -> str:
        """``masked``, as text."""
        changes: dict[tuple[int, int], str] = {}
        touched = -1
        for number, site in enumerate(self._sites if hide else ()):
            changed = _changed(site, hide, changes, touched)
            if changed is not None:
                changes.setdefault((id(site.container), site.place), changed)
                touched = number
        if not changes:
            return self._text
        mark = "\ufeff" if self._text.startswith("\ufeff") else ""
        return mark + render(self._root, 0, changes)


def read_json(text: str, encoding: str, rules: Rules) -> JsonReading | Unreadable:
    """Read one document. ``encoding`` is the codec that ``text`` came by: it gives the same bytes back."""
    root = parse(text)
    if isinstance(root, Unreadable):
        return root
    try:
        return JsonReading(text, encoding, root, Walk(rules, root))
    except NotFollowed as refusal:
        return Unreadable(str(refusal))


def _changed(site: Site, hide: frozenset[str], changes: Changes, touched: int) -> str | None:
    if site.category in hide:
        return mask(str(site.value))
    if site.nested is not None:
        return render(site.nested, 0, changes) if touched >= site.since else None
    if any(number.kind.kind in hide for number in site.loose):
        return masked_text(str(site.value), site.loose, hide)
    return None
