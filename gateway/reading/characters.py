"""Bytes of a record stream as characters, cut into lines, each of which gives back the very bytes it came in."""

import codecs
import re
from typing import Final

from gateway.reading.charsets import PLAIN_RUN_BYTES, is_two_texts

MAX_RECORD_BYTES: Final = 1024 * 1024
_SUPERSETS_OF_ASCII: Final = frozenset({"ascii", "utf-8", "latin-1", "iso8859-1", "cp1252", "iso8859-15"})
_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)")
_LINE_FEED_ONLY: Final = re.compile(r"[^\n]*\n")


class Characters:
    """The codec of one stream. ``taken`` characters are bytes where the codec is a superset of ASCII.

    Structure (quotes, separators, line ends) can be seen in taken characters; what they mean, only in whole records.
    """

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self._bytewise = encoding in _SUPERSETS_OF_ASCII
        self._last = b""
        self._decoder = None if self._bytewise else codecs.getincrementaldecoder(encoding)("strict")

    def take(self, data: bytes, final: bool = False) -> str:
        """More of the stream. ``UnicodeDecodeError`` where it cannot be read."""
        if self._decoder is None:
            return data.decode("latin-1")
        if is_two_texts(self._last + data, self.encoding):
            raise UnicodeDecodeError(self.encoding, data, 0, len(data), "ASCII in UTF-16")
        self._last = (self._last + data)[1 - PLAIN_RUN_BYTES :]
        return self._decoder.decode(data, final)

    def raw(self, taken: str) -> bytes:
        """The bytes that ``taken`` characters came in."""
        return taken.encode("latin-1" if self._bytewise else self.encoding)

    def meaning(self, taken: str) -> str:
        """The text of a whole record. ``UnicodeDecodeError`` where its bytes do not fit the codec."""
        if not self._bytewise or taken.isascii():
            return taken
        return taken.encode("latin-1").decode(self.encoding)


def without_mark(text: str) -> str:
    """``text`` without a byte order mark before it."""
    return text.removeprefix("\ufeff")


class Lines:
    """Cuts taken characters into whole lines, line ends included; keeps the rest."""

    def __init__(self, carriage_returns: bool = True) -> None:
        self._pattern = _LINE if carriage_returns else _LINE_FEED_ONLY
        self._carriage_returns = carriage_returns
        self._rest: list[str] = []
        self._rest_length = 0

    def feed(self, taken: str) -> list[str]:
        """The lines that are whole now."""
        ends = "\n" in taken or (self._carriage_returns and ("\r" in taken or self._ends_in_return()))
        if not ends:
            self._keep(taken)
            return []
        text = "".join((*self._rest, taken))
        held = "\r" if self._carriage_returns and text.endswith("\r") else ""
        lines = self._pattern.findall(text[:-1] if held else text)
        done = sum(map(len, lines))
        self._rest, self._rest_length = [], 0
        self._keep(text[done:])
        return lines

    def end(self) -> list[str]:
        """What is left: the last line, with or without its end."""
        last = "".join(self._rest)
        self._rest, self._rest_length = [], 0
        return [last] if last else []

    @property
    def too_long(self) -> bool:
        """Whether the unfinished line is longer than a record may be."""
        return self._rest_length > MAX_RECORD_BYTES

    def _ends_in_return(self) -> bool:
        return bool(self._rest) and self._rest[-1].endswith("\r")

    def _keep(self, taken: str) -> None:
        if taken:
            self._rest.append(taken)
            self._rest_length += len(taken)
