"""What people read, in French and English: one catalogue per language (``pages/words.*.toml``)."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from gateway.core.charging import Limit
from gateway.core.extraction import Class
from gateway.core.policy import Scope
from gateway.core.reasons import Reason

Language = Literal["fr", "en"]
LANGUAGES: tuple[Language, ...] = ("fr", "en")
_FOLDER = Path(__file__).parent / "pages"
_UNITS: Mapping[str, tuple[tuple[int, str, str], ...]] = {
    "fr": ((86400, "jour", "jours"), (3600, "heure", "heures"), (60, "minute", "minutes"), (1, "seconde", "secondes")),
    "en": ((86400, "day", "days"), (3600, "hour", "hours"), (60, "minute", "minutes"), (1, "second", "seconds")),
}


@cache
def _catalogue(language: Language) -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads((_FOLDER / f"words.{language}.toml").read_text(encoding="utf-8"))


def explain_reason(reason: Reason, language: Language) -> tuple[str, str]:
    """Title (what happened) and text (what to do next) of a reason."""
    title, text = _catalogue(language)["reasons"][reason.value]
    return str(title), str(text)


def say(key: str, language: Language, **values: object) -> str:
    """The phrase of a key, with ``values`` in its places; ``KeyError`` when the catalogue has none."""
    phrase = _catalogue(language)["words"][key]
    return str(phrase).format(**values)


def about(klass: Class | None, language: Language) -> str | None:
    """What content of a class is, in words."""
    return None if klass is None else str(_catalogue(language)["classes"][klass.word])


def duration(seconds: float, language: Language) -> str:
    """A length of time in the largest unit that leaves nothing over (days and hours), else rounded up."""
    whole = max(1, int(seconds))
    for size, one, many in _UNITS[language]:
        if whole >= size and (whole % size == 0 or whole >= 2 * size or size == 1):
            count = -(-whole // size)
            return f"{count}\N{NO-BREAK SPACE}{one if count == 1 else many}"
    raise AssertionError("the last unit is one second")


def opened(klass: Class, persons: int, language: Language) -> str:
    """So many files of a class, in words."""
    one, many = _catalogue(language)["opened"][klass.word]
    return str(one if persons == 1 else many).format(count=persons)


def change(kind: str, language: Language) -> str:
    """What changed, in words."""
    return str(_catalogue(language)["changes"][kind])


def kind_of_limit(limit: Limit, language: Language) -> str:
    """What a limit counts, in words."""
    catalogue = _catalogue(language)["limits"]
    if limit.scope in (Scope.PROOF, Scope.MANDATE):
        return str(catalogue[str(limit.scope)])
    if ":miss:" in limit.key:
        return str(catalogue["misses"])
    if limit.outside:
        return str(catalogue["outside"])
    return str(catalogue[limit.klass.word])
