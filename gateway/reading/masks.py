"""The mask: what stands for a hidden value, and how one that comes back in a request is recognised.

ASCII only, for ``•`` does not exist in latin-1 and a browser's form returns it in three encodings. A mask keeps the
value's length (at least 6) and its first third, at most 5 characters, and ends in ``xMASKx``.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from html import unescape
from typing import Any, Final
from urllib.parse import unquote_plus

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.reading.json_tree import Object, parse
from gateway.reading.ports import Unreadable

MASK_END: Final = "xMASKx"
_CLEAR_CHARACTERS: Final = 5
_WHOLLY_MASKED_UNDER: Final = 8
_TELLING: Final = re.compile(r"[^0-9A-Za-z @./_+-]")
_INSIDE_TEXT: Final = re.compile(r"[1-478][0-9ABabx ./_-]{3,4}x{3,9}MASKx")
_CELLS: Final = re.compile(r"[,;|\t\r\n\"\\]+")
_MARKUP: Final = re.compile(r"=\s{0,20}\"([^\"<]*)\"|=\s{0,20}'([^'<]*)'|>([^<>]+)|\A([^<>]+)")
_TRACE: Final = re.compile(
    r"MASK|(?:u00|%|&#[xX]0{0,4})(?:4[1bBdD]|53|78)|&#0{0,4}(?:65|75|77|83|120)(?![0-9])"
)  # of "MASKx", plain or with any of its letters escaped
_DECODINGS: Final = 4


def mask(value: str) -> str:
    """``value`` hidden: of its length (6 where it is shorter), nothing of it left when it is under 8 characters.

    Of the characters kept, all but ASCII letters, digits, blanks and ``@ . / _ + -`` become ``x``: a mask needs no
    escape in any format.
    """
    length = len(value)
    if length < _WHOLLY_MASKED_UNDER:
        return MASK_END.rjust(length, "x")
    clear = _TELLING.sub("x", value[: min(_CLEAR_CHARACTERS, length // 3)])
    return clear + MASK_END.rjust(length - len(clear), "x")


def is_masked(value: str) -> bool:
    """Whether a field's whole value is a mask, also one that was cut or edited, or a text holds that of a NIR."""
    if "MASKx" not in value:
        return False
    return value.strip(" \t\r\n\"'").endswith(MASK_END) or _INSIDE_TEXT.search(value) is not None


def masked_fields(content_type: str, body: bytes, target_query: bytes) -> bool:
    """Whether a field of a request is a mask: in the query, or in a body of a form, JSON, XML, CSV or text.

    Percent-, form-, multipart-, JSON- and entity-encodings are undone; a body that is not what its type says is
    searched cell by cell. Linear in the size of both.
    """
    query = target_query.decode("latin-1")
    if _TRACE.search(query) and _any_masked(_of_form(query)):
        return True
    if not body:
        return False
    media_type, parameters = parse_options_header(content_type)
    return _in_body(media_type.decode("latin-1"), parameters, body)


def _in_body(media_type: str, parameters: dict[bytes, bytes], body: bytes) -> bool:
    if media_type == "multipart/form-data" or media_type.startswith("multipart/"):
        parts = _parts(parameters.get(b"boundary", b""), body)
        if parts is not None:
            return any(_in_part(kind, content) for kind, content in parts)
    texts = dict.fromkeys((_text_of(body, parameters.get(b"charset", b"").decode("latin-1")), body.decode("latin-1")))
    markup = media_type.endswith("xml") or "html" in media_type
    for text in texts:
        if _TRACE.search(text) is None:
            continue
        # whatever the type says: an application may read any body as a form
        if "=" in text and _any_masked(_of_form(text)):
            return True
        if media_type != "application/x-www-form-urlencoded" and _any_masked(_of_text(text, markup)):
            return True
    return False


def _in_part(content_type: bytes, content: bytes) -> bool:
    media_type, parameters = parse_options_header(content_type)
    if not content_type:
        return is_masked_anywhere(_text_of(content, ""))
    return _in_body(media_type.decode("latin-1"), parameters, content)


def is_masked_anywhere(value: str) -> bool:
    """Whether one field's value is a mask, or JSON or an encoded text that holds one."""
    return _any_masked(iter((value,)))


def _any_masked(values: Iterable[str]) -> bool:
    return any(is_masked(plain) for value in values for plain in _inside(value, 0))


def _inside(value: str, level: int) -> Iterator[str]:
    """A field's value, and what it holds where it is JSON itself."""
    yield value
    if level < _DECODINGS and value[:1] in ("{", "[", '"', " ", "\n", "\r", "\t") and _may_hold(value):
        tree = parse(value)
        if not isinstance(tree, Unreadable):
            for text in _strings(tree):
                if text != value:
                    yield from _inside(text, level + 1)


def _may_hold(text: str) -> bool:
    return "MASK" in text or "\\" in text


def _strings(tree: list[Any]) -> Iterator[str]:
    left: list[Any] = [tree]
    while left:
        node = left.pop()
        if isinstance(node, Object):
            for name, value in node:
                yield name
                left.append(value)
        elif isinstance(node, list):
            left.extend(node)
        elif isinstance(node, str):
            yield node


def _of_form(text: str) -> Iterator[str]:
    for field in re.split("[&;]", text):
        name, _, value = field.partition("=")
        for part in (name, value):
            if "MASK" in part or "%" in part:
                yield unquote_plus(part)


def _of_text(text: str, markup: bool) -> Iterator[str]:
    """The fields of a body that is no form: JSON strings, markup's texts and attributes, else cells and lines."""
    tree = Unreadable("markup") if markup else parse(text)
    if not isinstance(tree, Unreadable):
        for string in _strings(tree):
            yield from _inside(string, 1)
        return
    if not markup:
        yield from _CELLS.split(text)
        for line in text.splitlines():  # NDJSON, until a line is not
            one = parse(line) if line.strip() else []
            if isinstance(one, Unreadable):
                break
            yield from _strings(one)
    text = text.replace("<![CDATA[", "").replace("]]>", "")
    for groups in _MARKUP.findall(text) if "<" in text else ():
        for group in groups:
            if group and ("MASK" in group or "&" in group):
                yield unescape(group)


def _text_of(body: bytes, charset: str) -> str:
    """``body`` as text; a mask is ASCII, so whatever else is lost in a wrong charset does not matter."""
    if charset.lower().replace("_", "-").startswith(("utf-16", "utf-32", "utf-7")):
        try:
            return body.decode(charset.lower(), "replace")
        except LookupError:
            pass
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return body.decode("utf-16", "replace")
    return body.replace(b"\0", b"").decode("utf-8", "replace").removeprefix("\ufeff")


def _parts(boundary: bytes, body: bytes) -> list[tuple[bytes, bytes]] | None:
    """Content type and content of each part; ``None`` where the body is not what its boundary says."""
    parts: list[tuple[bytearray, bytearray]] = []
    header = [bytearray(), bytearray()]

    def begin() -> None:
        parts.append((bytearray(), bytearray()))

    def named(data: bytes, start: int, end: int) -> None:
        header[0] += data[start:end]

    def valued(data: bytes, start: int, end: int) -> None:
        header[1] += data[start:end]

    def headed() -> None:
        if bytes(header[0]).lower() == b"content-type":
            parts[-1][0].extend(header[1])
        header[:] = [bytearray(), bytearray()]

    def content(data: bytes, start: int, end: int) -> None:
        parts[-1][1].extend(data[start:end])

    callbacks: dict[str, Callable[..., None]] = {
        "on_part_begin": begin,
        "on_header_field": named,
        "on_header_value": valued,
        "on_header_end": headed,
        "on_part_data": content,
    }
    try:
        parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]  # its TypedDict is not public
        parser.write(body)
        parser.finalize()
    except FormParserError:
        return None
    return [(bytes(kind), bytes(data)) for kind, data in parts]
