"""Record streams of lines: NDJSON, server-sent events (HTML standard, 9.2), plain text.

Each reading gives back the very bytes that it was read from; one without records is structure, and is nobody's.
"""

import json
import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import Final

from gateway.core.extraction import Record
from gateway.reading.characters import MAX_RECORD_BYTES, Characters, Lines, without_mark
from gateway.reading.findings import Draft
from gateway.reading.json import JsonReading, read_json
from gateway.reading.ports import Reading, Unreadable
from gateway.reading.rules import Rules
from gateway.reading.text import TextReading, read_text

_JOINED_BYTES: Final = 64 * 1024
_ENDS_IN_NUMBER: Final = re.compile(r"(?:\d|2[ABab])[\s.,/_-]*\Z")
_BEGINS_WITH_NUMBER: Final = re.compile(r"[\s.,/_-]*\d")


class Piece:
    """One record's bytes and what was read in them; see ``gateway.reading.ports.Reading``."""

    __slots__ = ("_around", "_inner", "_raw", "_stream", "minted", "records")

    def __init__(
        self, stream: "_LineStream", raw: bytes, inner: JsonReading | TextReading | None, around: tuple[str, str]
    ) -> None:
        self._stream = stream
        self._raw = raw
        self._inner = inner
        self._around = around
        self.records: Sequence[Record] = inner.records if inner is not None else ()
        self.minted: tuple[str, ...] = inner.minted if inner is not None else ()

    def masked(self, hide: frozenset[str]) -> bytes:
        """The record, its hidden values masked; the very bytes where nothing is hidden."""
        if not hide or self._inner is None:
            return self._raw
        whole, masked = self._inner.masked_text(frozenset()), self._inner.masked_text(hide)
        if whole == masked:
            return self._raw
        before, after = self._around
        return self._stream.framed(before, masked, after).encode(self._stream.encoding)


class _LineStream:
    """What the streams share: characters, lines, and the fall of what cannot be read."""

    def __init__(self, encoding: str, rules: Rules, carriage_returns: bool = True) -> None:
        self.encoding = encoding
        self._rules = rules
        self._characters = Characters(encoding)
        self._lines = Lines(carriage_returns)
        self._started = False
        self._ended_in_line = True

    def feed(self, data: bytes) -> list[Reading] | Unreadable:
        """The records that are whole now."""
        return self._read(data, False)

    def end(self) -> list[Reading] | Unreadable:
        """What is left at the end of the stream."""
        return self._read(b"", True)

    def follow(self, rules: Rules) -> None:
        """Read by other rules from here on."""
        self._rules = rules

    def framed(self, before: str, masked: str, after: str) -> str:
        """A masked record in the stream's format."""
        return before + masked + after

    @abstractmethod
    def _records(self, lines: list[str], final: bool) -> list[Reading] | Unreadable: ...

    def _read(self, data: bytes, final: bool) -> list[Reading] | Unreadable:
        try:
            lines = self._lines.feed(self._characters.take(data, final))
            if final:
                lines += self._lines.end()
            if self._lines.too_long or any(len(line) > MAX_RECORD_BYTES for line in lines):
                return Unreadable("a record is too long")
            if lines:
                self._ended_in_line = lines[-1].endswith(("\n", "\r"))
            return self._records(lines, final)
        except UnicodeDecodeError:
            return Unreadable("bytes that its charset does not have")

    def _text(self, taken: str) -> tuple[str, str]:
        """The byte order mark before the first record, and the text of one."""
        text = self._characters.meaning(taken)
        if self._started:
            return "", text
        self._started = True
        plain = without_mark(text)
        return text[: len(text) - len(plain)], plain

    def _said(self, reason: str, reference: str, detail: str) -> str:
        return json.dumps({"reason": reason, "reference": reference, "detail": detail})


class NdjsonStream(_LineStream):
    """Lines of JSON; see ``gateway.reading.ports.RecordStream``. A line that is not JSON is unreadable."""

    def __init__(self, encoding: str, rules: Rules) -> None:
        super().__init__(encoding, rules, carriage_returns=False)

    def notice(self, reason: str, reference: str, detail: str) -> bytes:
        """A last line ``{"gateway": {...}}``."""
        start = "" if self._ended_in_line else "\n"
        return f'{start}{{"gateway": {self._said(reason, reference, detail)}}}\n'.encode(self.encoding)

    def _records(self, lines: list[str], final: bool) -> list[Reading] | Unreadable:
        pieces: list[Reading] = []
        for line in lines:
            mark, text = self._text(line)
            body = text.strip(" \t\r\n\x1e")
            inner = None
            start = text.find(body) if body else 0
            if body:
                read = read_json(body, self.encoding, self._rules)
                if isinstance(read, Unreadable):
                    return read
                inner = read
            around = (mark + text[:start], text[start + len(body) :])
            pieces.append(Piece(self, self._characters.raw(line), inner, around))
        return pieces


class TextStream(_LineStream):
    """Lines of text; see ``gateway.reading.ports.RecordStream``. Lines stay together where a number may be wrapped."""

    def __init__(self, encoding: str, rules: Rules) -> None:
        super().__init__(encoding, rules)
        self._kept: list[str] = []

    def notice(self, reason: str, reference: str, detail: str) -> bytes:
        """A last line that begins ``gateway:``."""
        start = "" if self._ended_in_line else "\n"
        return f"{start}gateway: {reason} {reference} {detail}\n".encode(self.encoding, "replace")

    def _records(self, lines: list[str], final: bool) -> list[Reading] | Unreadable:
        pieces: list[Reading] = []
        for line in lines:
            if self._kept and not (
                _ENDS_IN_NUMBER.search(self._kept[-1])
                and _BEGINS_WITH_NUMBER.match(line)
                and sum(map(len, self._kept)) < _JOINED_BYTES
            ):
                pieces.append(self._piece("".join(self._kept)))
                self._kept = []
            self._kept.append(line)
        if self._kept and (final or not _ENDS_IN_NUMBER.search(self._kept[-1])):
            pieces.append(self._piece("".join(self._kept)))
            self._kept = []
        return pieces

    def _piece(self, taken: str) -> Piece:
        mark, text = self._text(taken)
        inner = TextReading(text, self.encoding, self._rules) if text.strip() else None
        return Piece(self, self._characters.raw(taken), inner, (mark, ""))


class SseStream(_LineStream):
    """Server-sent events; see ``gateway.reading.ports.RecordStream``. Data that is JSON is read as JSON.

    What other fields and comments hold is found too, and cannot be masked there.
    """

    def __init__(self, encoding: str, rules: Rules) -> None:
        super().__init__(encoding, rules)
        self._event: list[str] = []
        self._event_length = 0

    def notice(self, reason: str, reference: str, detail: str) -> bytes:
        """A last event named ``gateway``."""
        start = "" if self._ended_in_line else "\n\n"
        said = self._said(reason, reference, detail)
        return f"{start}event: gateway\ndata: {said}\n\n".encode(self.encoding)

    def framed(self, before: str, masked: str, after: str) -> str:
        """The masked data as ``data`` lines, between the other fields of the event."""
        return before + "".join(f"data: {line}\n" for line in masked.split("\n")) + after

    def _records(self, lines: list[str], final: bool) -> list[Reading] | Unreadable:
        events: list[Reading] = []
        for line in lines:
            self._event.append(line)
            self._event_length += len(line)
            if not line.strip("\r\n"):
                events.append(self._piece())
        if self._event_length > MAX_RECORD_BYTES:
            return Unreadable("an event is too long")
        if final and self._event:
            events.append(self._piece())
        return events

    def _piece(self) -> Piece:
        taken = "".join(self._event)
        lines = [self._text(line) for line in self._event]
        self._event, self._event_length = [], 0
        before, after, data = "", "", []
        for mark, line in lines:
            plain = line.rstrip("\r\n")
            name, _, value = plain.partition(":")
            if name == "data":
                data.append(value.removeprefix(" "))
                before += mark
            elif data:
                after += line
            else:
                before += mark + line
        inner = read_text("\n".join(data), self.encoding, self._rules) if data else None
        piece = Piece(self, self._characters.raw(taken), inner, (before, after))
        return self._with_others(piece, before + after)

    def _with_others(self, piece: Piece, others: str) -> Piece:
        """What stands outside the data: found, and said to be unmaskable."""
        outside = Draft()
        numbers = outside.text(others, self._rules)
        if numbers:
            unmaskable = Draft()
            unmaskable.loose = outside.loose
            for number in numbers:
                unmaskable.find(number.kind.kind, number.kind.klass, False)
            piece.records = (*piece.records, unmaskable.record())
        return piece
