"""JSON (RFC 8259) as a tree that loses nothing: repeated members, the spelling of numbers, lone surrogates."""

import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from typing import Any, Final, TypeAlias

from gateway.reading.ports import Unreadable


class Number(str):
    """A JSON number, spelled as it was."""

    __slots__ = ()


class Object(list[tuple[str, Any]]):
    """A JSON object: its members in order, repeated names too."""

    __slots__ = ()


Node: TypeAlias = "Object | list[Any] | str | Number | bool | None"
Changes: TypeAlias = Mapping[tuple[int, int], str]
"""New strings by place: the identity of the container and the index in it."""


class _NotJson(ValueError):
    pass


def _refuse(constant: str) -> None:
    raise _NotJson(constant)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=Object, parse_int=Number, parse_float=Number, parse_constant=_refuse
)
_WORDS: Final = {True: "true", False: "false", None: "null"}


def parse(text: str) -> "list[Node] | Unreadable":
    """The tree of ``text`` (one byte order mark before it is allowed), as the only element of a list."""
    try:
        return [_DECODER.decode(text[1:] if text.startswith("\ufeff") else text)]
    except ValueError:
        return Unreadable("not JSON")
    except RecursionError:
        return Unreadable("JSON nested too deeply")


def render(container: list[Any], index: int, changes: Changes) -> str:
    """The JSON text, in ASCII, of what stands at a place, with the changes made."""
    return _render(container[index], container, index, changes)


def _render(node: Node, container: list[Any], index: int, changes: Changes) -> str:
    change = changes.get((id(container), index))
    if change is not None:
        return encode_basestring_ascii(change)
    if isinstance(node, Number):
        return str(node)
    if isinstance(node, str):
        return encode_basestring_ascii(node)
    if isinstance(node, Object):
        members = [
            f"{encode_basestring_ascii(name)}: {_render(value, node, place, changes)}"
            for place, (name, value) in enumerate(node)
        ]
        return "{" + ", ".join(members) + "}"
    if isinstance(node, list):
        return "[" + ", ".join([_render(item, node, place, changes) for place, item in enumerate(node)]) + "]"
    return _WORDS[node]
