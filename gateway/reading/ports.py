"""What every reader gives: records with what they carry, and the same bytes masked.

A *document* (JSON, HTML, XML) is read whole; a *record stream* (CSV, NDJSON, SSE, text lines) piece by piece.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.extraction import Record
from gateway.reading.rules import Rules


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Content that is not provably plain; ``reason`` says why, for the ledger and the operator."""

    reason: str


class Reading(Protocol):
    """One piece of content, read: its records in document order, and the values of the field a route mints."""

    @property
    def records(self) -> Sequence[Record]: ...

    @property
    def minted(self) -> tuple[str, ...]: ...

    def masked(self, hide: frozenset[str]) -> bytes:
        """The same content, valid in its format and encoding, with every maskable field of ``hide`` masked.

        With nothing to hide, the very bytes that were read. Fields that cannot be masked stay: whoever decides has
        looked at ``Found.maskable`` first.
        """
        ...


class RecordStream(Protocol):
    """Reads a record stream: bytes in, whole records out, each a ``Reading`` of its own bytes."""

    def feed(self, data: bytes) -> "list[Reading] | Unreadable": ...

    def end(self) -> "list[Reading] | Unreadable": ...

    def follow(self, rules: Rules) -> None:
        """Read by other rules from here on."""
        ...

    def notice(self, reason: str, reference: str, detail: str) -> bytes:
        """The last piece of a stream that was stopped, in the stream's own format."""
        ...
