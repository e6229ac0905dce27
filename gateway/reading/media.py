"""Inert media: images, fonts, sound and film, recognised by their first bytes and not only by what they are called.

Inert media name nobody by themselves. Three conditions: the bytes begin as the declared type must, the type is on the
list below (SVG is text and never is), and the first kilobyte holds no beginning of a page, a script or a JSON object.
What a file hides further on (after its end marker, in its pixels) is not looked for.
"""

import re
from collections.abc import Callable
from typing import Final

FIRST_BYTES: Final = 1024
"""How many bytes ``is_inert`` wants to see, or the whole body when it is shorter."""

_TEXT_INSIDE: Final = re.compile(rb"<html|<!doctype|<script|<body|<\?php|\{\s*\"\w{2,40}\"\s*:", re.I)
_DIB_HEADER_SIZES: Final = frozenset({12, 40, 52, 56, 64, 108, 124})
_SFNT: Final = (b"\x00\x01\x00\x00", b"OTTO", b"true", b"ttcf")


def _starts(*magics: bytes) -> Callable[[bytes], bool]:
    return lambda first: first.startswith(magics)


def _riff(form: bytes) -> Callable[[bytes], bool]:
    return lambda first: first[:4] == b"RIFF" and first[8:12] == form


def _brand(*brands: bytes) -> Callable[[bytes], bool]:
    return lambda first: first[4:8] == b"ftyp" and first[8:12] in brands


def _mp4(first: bytes) -> bool:
    return first[:2] == b"\x00\x00" and first[4:8] == b"ftyp"


def _bitmap(first: bytes) -> bool:
    size = int.from_bytes(first[14:18], "little")
    return first[:2] == b"BM" and first[6:10] == b"\0\0\0\0" and size in _DIB_HEADER_SIZES


def _icon(first: bytes) -> bool:
    return first[:4] in (b"\0\0\1\0", b"\0\0\2\0") and first[4:6] != b"\0\0"


def _mpeg_audio(first: bytes) -> bool:
    if first.startswith(b"ID3"):
        return len(first) > 3 and first[3] in (2, 3, 4)
    layer_3 = len(first) > 2 and first[0] == 0xFF and first[1] & 0xE6 == 0xE2
    return layer_3 and first[2] & 0xF0 != 0xF0


_PNG = _starts(b"\x89PNG\r\n\x1a\n")
_JPEG = _starts(b"\xff\xd8\xff")
_WOFF, _WOFF2 = _starts(b"wOFF"), _starts(b"wOF2")
_OGG = _starts(b"OggS")
_WAV = _riff(b"WAVE")
_WEBM = _starts(b"\x1a\x45\xdf\xa3")
_FLAC = _starts(b"fLaC")
_SIGNS: Final[dict[str, Callable[[bytes], bool]]] = {
    "image/png": _PNG,
    "image/apng": _PNG,
    "image/jpeg": _JPEG,
    "image/jpg": _JPEG,
    "image/gif": _starts(b"GIF87a", b"GIF89a"),
    "image/webp": _riff(b"WEBP"),
    "image/avif": _brand(b"avif", b"avis", b"mif1"),
    "image/x-icon": _icon,
    "image/vnd.microsoft.icon": _icon,
    "image/bmp": _bitmap,
    "image/x-ms-bmp": _bitmap,
    "font/woff": _WOFF,
    "application/font-woff": _WOFF,
    "font/woff2": _WOFF2,
    "application/font-woff2": _WOFF2,
    "font/ttf": _starts(*_SFNT),
    "font/otf": _starts(*_SFNT),
    "font/sfnt": _starts(*_SFNT),
    "font/collection": _starts(b"ttcf"),
    "audio/mpeg": _mpeg_audio,
    "audio/mp3": _mpeg_audio,
    "audio/ogg": _OGG,
    "video/ogg": _OGG,
    "application/ogg": _OGG,
    "audio/wav": _WAV,
    "audio/wave": _WAV,
    "audio/x-wav": _WAV,
    "audio/flac": _FLAC,
    "audio/x-flac": _FLAC,
    "audio/mp4": _mp4,
    "video/mp4": _mp4,
    "audio/webm": _WEBM,
    "video/webm": _WEBM,
}


def is_inert(media_type: str, first_bytes: bytes) -> bool:
    """Whether content of ``media_type`` that begins with ``first_bytes`` (see ``FIRST_BYTES``) is what it says."""
    sign = _SIGNS.get(media_type.lower())
    first = first_bytes[:FIRST_BYTES]
    return sign is not None and sign(first) and _TEXT_INSIDE.search(first) is None
