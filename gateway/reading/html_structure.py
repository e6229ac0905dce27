"""What HTML elements do to one another: which close which, which are records, what stands between their texts."""

from typing import Final

from gateway.reading.html_names import INLINE
from gateway.reading.spans import BLANK, CELL, NO_GLUE, WALL

CLOSED_BY: Final = {
    "tr": ("tr",),
    "td": ("td", "th"),
    "th": ("td", "th"),
    "li": ("li",),
    "dt": ("dt", "dd"),
    "dd": ("dt", "dd"),
    "option": ("option",),
    "optgroup": ("option",),
    "label": ("label",),
    "thead": ("tr",),
    "tbody": ("tr",),
    "tfoot": ("tr",),
    "p": ("p",),
    "div": ("p",),
    "table": ("p",),
    "ul": ("p",),
    "dl": ("p",),
    "h1": ("p",),
    "h2": ("p",),
}
BORDERS: Final = {
    "tr": ("table",),
    "td": ("tr", "table"),
    "th": ("tr", "table"),
    "li": ("ul", "ol", "menu", "td", "th"),
    "dt": ("dl",),
    "dd": ("dl",),
}
TABLE_BORDERS: Final = ("table", "td", "th")
CELL_BORDERS: Final = ("td", "th")
STRUCTURE: Final = frozenset({"table", "tr", "td", "th", "body", "html"})
RECORDS: Final = frozenset({"tr", "li", "option", "article", "dl"})
LABELS: Final = frozenset({"td", "th", "dt", "label", "option", "textarea"})
CELLS: Final = frozenset({"td", "th", "dt", "dd"})


def glue_of(name: str) -> int:
    """What an element's tag puts between the text before and after it."""
    if name in INLINE:
        return NO_GLUE
    if name == "br":
        return BLANK
    return CELL if name in CELLS else WALL
