"""Which names HTML gives a value: attributes of its element, labels beside it, and what attributes hold themselves."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Final

from gateway.reading.html_tokens import Attribute
from gateway.reading.rules import Named, Rules

VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
)
INLINE: Final = frozenset(
    {
        *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i"),
        *("ins", "kbd", "label", "mark", "nobr", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup"),
        *(
            "template",
            "time",
            "tt",
            "u",
            "var",
            "wbr",
            "slot",
            "output",
            "script",
            "style",
            "svg",
            "g",
            "text",
            "tspan",
        ),
    }
)
STANDARD: Final = frozenset(
    {
        *(
            "a",
            "abbr",
            "address",
            "article",
            "aside",
            "b",
            "blockquote",
            "body",
            "button",
            "canvas",
            "caption",
            "center",
        ),
        *("cite", "code", "col", "colgroup", "data", "datalist", "dd", "del", "details", "dialog", "div", "dl", "dt"),
        *("em", "fieldset", "figcaption", "figure", "font", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6"),
        *("head", "header", "hr", "html", "i", "iframe", "img", "input", "label", "legend", "li", "link", "main"),
        *("map", "mark", "menu", "meta", "nav", "noscript", "object", "ol", "optgroup", "option", "output", "p"),
        *("param", "picture", "pre", "progress", "q", "script", "section", "select", "small", "source", "span"),
        *("strong", "style", "sub", "summary", "sup", "svg", "table", "tbody", "td", "template", "textarea", "tfoot"),
        *("th", "thead", "time", "title", "tr", "u", "ul", "var", "video", "wbr"),
    }
)
"""Elements whose own name says nothing about their text."""

CONTAINERS: Final = frozenset(
    {"html", "head", "body", "table", "thead", "tbody", "tfoot", "tr", "form", "label", "dt", "dl", "ul", "ol"}
    | {"select", "fieldset", "legend", "nav", "main", "header", "footer", "section", "script", "style", "h1", "h2"}
)
"""Elements whose names are those of a whole, or of a label, not of one value."""

NAMING: Final = frozenset(
    {"name", "id", "itemprop", "property", "data-label", "data-field", "data-name", "data-column", "data-title"}
    | {"data-key", "data-testid", "data-th", "aria-label", "formcontrolname", "ng-model", "v-model", "ng-bind"}
    | {"data-bind", "th:field", "data-col", "data-attribute"}
)
LINKS: Final = frozenset(
    {"href", "action", "formaction", "src", "data-href", "data-url", "data-src", "cite", "poster", "xlink:href"}
    | {"hx-get", "hx-post", "ping", "longdesc", "data", "data-link", "data-target", "data-action"}
)
_SAYS_NOTHING: Final = NAMING | {
    *("class", "style", "type", "value", "title", "alt", "for", "rel", "target", "method", "lang", "dir", "width"),
    *("height", "size", "maxlength", "rows", "cols", "colspan", "rowspan", "scope", "headers", "label", "content"),
    *("charset", "media", "align", "valign", "border", "role", "tabindex", "placeholder", "list", "accept", "form"),
    *("enctype", "autocomplete", "pattern", "min", "max", "step", "media", "sizes", "srcset", "http-equiv", "span"),
}

_LABELLED: Final = re.compile(r"([^\W\d_][\w .'’°/()-]{0,40}?)[ \t\u00a0\u202f]*[:=][ \t\u00a0\u202f]*")
_VALUE_END: Final = re.compile(r"[\n;|]")
_COUNTER: Final = re.compile(r"[-_.\[]?\d+\]?$")
_LAST_NAME: Final = re.compile(r"([^\[\].:/]+)\]*(?:\[\])?$")


def names_of_label(text: str, rules: Rules) -> tuple[Named, ...]:
    """What a label ("Téléphone :") names; nothing for long text."""
    if len(text) > 80:
        return ()
    plain = text.strip(" \t\r\n\f\u00a0\u202f:*=.?")
    named = rules.named(plain) if plain and len(plain) <= 60 else None
    if named is None and "(" in plain:
        named = rules.named(plain.partition("(")[0].strip())
    return (named,) if named is not None else ()


def name_of_identifier(name: str, rules: Rules) -> Named | None:
    """What a control's name, an id or a class names: as it is, without a counter, or its last part."""
    if not name or len(name) > 120:
        return None
    found = rules.named(name)
    if found is None:
        plain = _COUNTER.sub("", name)
        found = rules.named(plain) if plain != name else None
    if found is None:
        last = _LAST_NAME.search(name)
        found = rules.named(last[1]) if last is not None and last[1] != name else None
    return found


def names_of_attributes(attributes: list[Attribute], rules: Rules) -> tuple[Named, ...]:
    """What an element's attributes call its text."""
    names: list[Named | None] = []
    for attribute in attributes:
        if not attribute.value:
            continue
        value = unescape(attribute.value) if "&" in attribute.value else attribute.value
        if attribute.name == "class":
            names.extend(name_of_identifier(one, rules) for one in value.split()[:40])
        elif attribute.name in NAMING:
            names.append(name_of_identifier(value.strip(), rules))
    return tuple(dict.fromkeys(one for one in names if one is not None))


def name_of_attribute(attribute: Attribute, rules: Rules) -> Named | None:
    """What an attribute's own name (``data-nir``) says its value is."""
    name = attribute.name
    if name in _SAYS_NOTHING or name in LINKS or name.startswith(("on", "aria-")):
        return None
    found = rules.named(name)
    if found is None and name.startswith("data-"):
        found = name_of_identifier(name[5:], rules)
    return found


def names_of_scheme(value: str, rules: Rules) -> Named | None:
    """What ``tel:`` and ``mailto:`` links hold."""
    scheme, colon, _ = value[:12].lower().partition(":")
    if not colon:
        return None
    if scheme == "mailto":
        return rules.named("email") or rules.named("mail") or rules.named("courriel")
    if scheme in ("tel", "sms", "callto"):
        return rules.named("telephone") or rules.named("tel") or rules.named("phone")
    return None


def labelled(text: str, rules: Rules) -> Iterator[tuple[Named, int, int]]:
    """ "Label : value" in one text: what each label names, and where its value stands (to the end: still to come)."""
    found = list(_LABELLED.finditer(text))
    for index, match in enumerate(found):
        named = _of_words(match[1], rules)
        if named is None:
            continue
        end = found[index + 1].start() if index + 1 < len(found) else len(text)
        stop = _VALUE_END.search(text, match.end(), end)
        yield named, match.end(), stop.start() if stop else end


def _of_words(label: str, rules: Rules) -> Named | None:
    words = label.split()
    for count in (len(words), 3, 2, 1):
        if count <= len(words):
            named = rules.named(" ".join(words[-count:]))
            if named is not None:
                return named
    return None
