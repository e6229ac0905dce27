"""Identifiers in links: the ``{id}`` of a route's path, and named parameters of a query."""

import re
from html import unescape
from urllib.parse import unquote, unquote_plus

from gateway.core.extraction import Found, Identifier
from gateway.core.policy import UniqueKind
from gateway.reading.identifiers import identifiers_in, identify
from gateway.reading.rules import Rules

_ORIGIN = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*")
_BREAKS = re.compile(r"[\t\r\n]")
_DOTS = re.compile(r"^(?:\.{0,2}/)+|^(?!/)")
_PARAMETER = re.compile(r"[?&;]([^=&;#]{1,80})=([^&;#]*)")
_PATHS = re.compile(r"/[^\s'\"<>(){}\\]*")


def linked(value: str, rules: Rules) -> list[tuple[Found, Identifier | None]]:
    """Whom a link (an attribute's raw value) names, by the policy's templates and names. Never maskable."""
    target = _BREAKS.sub("", unescape(value)).strip().replace("\\", "/")
    found = _of_path(_ORIGIN.sub("", target, count=1), rules) if rules.links else []
    for parameter in _PARAMETER.finditer(target):
        named = rules.named(unquote_plus(parameter[1]))
        content = unquote_plus(parameter[2])
        if named is not None and not named.only_tells and content.strip():
            one = Found(named.category, named.klass, maskable=False)
            identifiers = identifiers_in(named.unique, content) if named.unique is not None else ()
            found.extend((one, identifier) for identifier in identifiers or (None,))
    return found


def linked_in_code(code: str, rules: Rules) -> list[tuple[Found, Identifier | None]]:
    """The same for an event handler's code: every path in it."""
    if not rules.links or "/" not in code:
        return []
    return [one for path in _PATHS.findall(unescape(code)) for one in _of_path(path, rules)]


def _of_path(target: str, rules: Rules) -> list[tuple[Found, Identifier | None]]:
    path = re.split("[?#]", target, maxsplit=1)[0]
    found: list[tuple[Found, Identifier | None]] = []
    spellings = dict.fromkeys((path, _DOTS.sub("/", path), unquote(path)))
    for template in rules.links:
        unique = next((kind for kind in rules.unique if kind.kind == template.kind), None)
        for spelling in spellings:
            match = template.pattern.search(spelling)
            identifier = _identifier(template.kind, unique, unquote(match["id"])) if match else None
            if identifier is not None:
                found.append((Found(template.kind, template.klass, maskable=False), identifier))
                break
    return found


def _identifier(kind: str, unique: UniqueKind | None, value: str) -> Identifier | None:
    if unique is not None:
        return identify(unique, value)
    return Identifier(kind, value.strip()) if value.strip() else None
