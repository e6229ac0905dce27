"""A small XML document as a tree, read by expat: no document type, so no entity; not deep, not large."""

from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

MOST_DEPTH: Final = 32
MOST_ELEMENTS: Final = 1_000_000


class NotXml(Exception):
    """This is not read; ``line`` and the message say why."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class Element:
    """An element by its local name, with the line of its start tag."""

    name: str
    attributes: dict[str, str]
    line: int
    children: list["Element"] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its own text."""
        return "".join(self.pieces).strip()

    def at(self, *path: str) -> "Element | None":
        """The first element at this path below."""
        found: Element | None = self
        for name in path:
            found = next((child for child in found.children if child.name == name), None) if found else None
        return found

    def all(self, name: str) -> list["Element"]:
        """Every child of this name."""
        return [child for child in self.children if child.name == name]


def parse(content: bytes) -> Element:
    """The root of a document; raises ``NotXml``."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    open_now: list[Element] = []
    roots: list[Element] = []
    count = 0

    def refuse(*_: object) -> None:
        raise NotXml("a document type is not read: take the <!DOCTYPE> out", parser.CurrentLineNumber)

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(open_now) >= MOST_DEPTH or count > MOST_ELEMENTS:
            raise NotXml(
                "the document is too deep or too large: ask the maker for a plain one", parser.CurrentLineNumber
            )
        local = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
        element = Element(name.rpartition(" ")[2], local, parser.CurrentLineNumber)
        (open_now[-1].children if open_now else roots).append(element)
        open_now.append(element)

    def end(_: str) -> None:
        open_now.pop()

    def text(data: str) -> None:
        open_now[-1].pieces.append(data)

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    try:
        parser.Parse(content, True)
    except expat.ExpatError as fault:
        raise NotXml("this is no well-formed XML: ask the maker for the file again", fault.lineno) from fault
    except (ValueError, LookupError) as fault:  # an encoding that nobody knows, or that expat cannot read
        raise NotXml("the encoding is not read: save the file in UTF-8", 1) from fault
    return roots[0]
