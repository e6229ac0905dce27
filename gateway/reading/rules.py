"""The names and identifiers of the policy, compiled for readers: which category a field is, whom a value names.

Names first, values second: a declared name decides; a value decides alone only where its own check digits prove it.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import translate
from functools import lru_cache

from gateway.core.extraction import Class, Tells
from gateway.core.policy import FieldRule, UniqueKind


@dataclass(frozen=True, slots=True)
class Named:
    """What a field's name means: its category and class, and the kind of identifier it holds, if any.

    ``tells``: what its value says of the whole record; a field of no category of the policy only tells.
    """

    category: str
    klass: Class
    unique: UniqueKind | None = None
    tells: Tells | None = None
    only_tells: bool = False

    @property
    def in_text(self) -> "Named":
        """The same name in free text, a form or a banner, where it does not say whose agency a record is."""
        return replace(self, tells=None) if self.tells is Tells.INSIDE else self


def within(named: Named | None, around: Named | None) -> Named | None:
    """What a field means that stands in another: its own name goes first, but one that only tells hides nothing."""
    if named is not None and named.only_tells and around is not None:
        return replace(around, tells=named.tells)
    return named or around


@dataclass(frozen=True, slots=True)
class LinkTemplate:
    """A route template whose ``{name}`` is an identifier: matched in links (path part), group ``id`` is the value."""

    kind: str
    klass: Class
    pattern: re.Pattern[str]


@lru_cache(maxsize=20_000)
def normalised(name: str) -> str:
    """A field's name as rules compare it: no accents, lower case, letters and digits only."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(char for char in plain if char.isalnum() and not unicodedata.combining(char))


class Rules:
    """Compiled rules of one policy (and one application's link templates). Lookups are cached by name."""

    def __init__(
        self,
        fields: Iterable[FieldRule],
        unique: Iterable[UniqueKind],
        links: Sequence[LinkTemplate] = (),
        mints: str | None = None,
        tells: Mapping[str, Tells] | None = None,
    ) -> None:
        self.unique = tuple(unique)
        self.links = tuple(links)
        self.mints = normalised(mints) if mints else None
        self._globs: list[tuple[re.Pattern[str], Named]] = []
        self._exact: dict[str, Named] = {}
        for kind in self.unique:
            self._declare(kind.names, Named(kind.kind, kind.klass, kind))
        for rule in fields:
            self._declare(rule.names, Named(rule.category, rule.klass))
        self._tells = {normalised(name): what for name, what in (tells or {}).items()}
        self._cache: dict[str, Named | None] = {}

    def _declare(self, names: Iterable[str], named: Named) -> None:
        for name in names:
            if "*" in name or "?" in name:
                self._globs.append((re.compile(translate(name)), named))
            else:
                self._exact.setdefault(normalised(name), named)

    def named(self, name: str) -> Named | None:
        """What ``name`` (any spelling) means: identifiers before fields, exact before globs; nothing if minted."""
        if name in self._cache:
            return self._cache[name]
        key = normalised(name)
        found = None if key == self.mints else self._exact.get(key)
        if found is None and key != self.mints:
            found = next((named for pattern, named in self._globs if pattern.match(key)), None)
        if key in self._tells and key != self.mints:
            known = found or Named(key, Class.PUBLIC, only_tells=True)
            found = replace(known, tells=self._tells[key])
        if len(self._cache) < 20_000:
            self._cache[name] = found
        return found
