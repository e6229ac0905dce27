"""The mask: what stands for a hidden value, and how one that comes back in a request is recognised.

ASCII only, for ``•`` does not exist in latin-1 and a browser's form returns it in three encodings. A mask keeps the
value's length (at least 6) and its first third, at most 5 characters, and ends in ``xMASKx``.
"""

import re

MASK_END = "xMASKx"
_CLEAR_CHARACTERS = 5
_WHOLLY_MASKED_UNDER = 8
_TELLING = re.compile(r"[^0-9A-Za-z @./_+-]")
_INSIDE_TEXT = re.compile(r"[1-478][0-9ABabx ./_-]{3,4}x{3,}MASKx")


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
