"""Where in a TOML file a setting stands, for messages: the standard parser keeps no positions."""

import re

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+|\"[^\"]*\")(?:\.[A-Za-z0-9_.-]+)?\s*=")


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """The 1-based line of the setting at ``path`` (table names, keys, list indices as decimal strings).

    The nearest enclosing table's line when the key itself is not there; ``None`` when not even that is found.
    """
    best: tuple[int, int] | None = None
    counts: dict[str, int] = {}
    here: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header:
            name = header[2].replace('"', "").replace(" ", "")
            here = tuple(name.split("."))
            if header[1] == "[[":
                index = counts.get(name, 0)
                counts[name] = index + 1
                here = (*here, str(index))
            at = here
        else:
            key = _KEY.match(line)
            if not key:
                continue
            at = (*here, key[1].strip('"'))
        depth = len(at)
        if path[:depth] == at and (best is None or depth > best[0]):
            best = (depth, number)
    return best[1] if best else None
