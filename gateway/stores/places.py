"""Which keys of a store that has slots are in one slot: those of one place.

Rules of this file:

1. A name has the tag of its place before it. The budgets of one owner (a user, a partner, everyone) are in one of many
   places, links between identifiers in another, and all the rest at home. No script names keys of two places.
2. One server has no places, and its names no tags.
"""

import zlib
from typing import Final

HOME: Final = "home"
"""The place of everything that is counted in no budget: who people are, and how they confirm."""

LINKS: Final = "links"
"""The place of the links between identifiers."""

BUDGET_PLACES: Final = 64
"""Places of budgets. More of them would spread better and gather worse; it never changes: budgets would be lost."""

PLACES: Final = (HOME, LINKS, *map(str, range(BUDGET_PLACES)))


def place_of(owner: str) -> str:
    """The place of everything that is counted for one owner of budgets."""
    return str(zlib.crc32(owner.encode()) % BUDGET_PLACES)


def tag(place: str) -> str:
    """What stands before the names of a place in a store that has slots."""
    return f"{{{place}}}"
