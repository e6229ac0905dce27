"""One line of the ledger: how it is written, sealed and opened again.

A ledger file is JSON Lines in UTF-8, one chain of records per file. A line is one JSON object, then ``\\n``:

    {"v":1,"seq":S,"t":"…Z","now":N,"node":"…","chain":"…","kid":"…", FIELDS ,"prev":"…","mac":"…"}

====== ==================================================================================================
v      format version, 1
seq    0, 1, 2 … within this file, without a gap
t, now the record's time: UTC in ISO 8601 with microseconds, and the same as Unix seconds
node   the gateway's node, chain: the file's name without ``.jsonl``
kid    id of the HMAC key
prev   ``mac`` of the line before; in a file's first line ``mac`` of the predecessor file's last line,
       or 64 zeros when there is no predecessor
mac    64 lower-case hexadecimal digits, always the last field
====== ==================================================================================================

To verify a line with any language: take its bytes as they stand in the file, without ``\\n``. The last 74
bytes are ``,"mac":"`` + 64 digits + ``"}``. Replace them by ``}``: HMAC-SHA256 (RFC 2104, FIPS 180-4) of the
result under the key named by ``kid`` must give these digits. Nothing is parsed or serialised again.

The first line has ``"kind":"start"`` and ``"predecessor": {"file": NAME, "mac": HEX} | null``: the file that the
same slot (see `gateway.ledger.files`) wrote before and the head it had reached.
"""

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

FORMAT_VERSION: Final = 1
NO_PREDECESSOR: Final = "0" * 64
ENVELOPE: Final = frozenset({"v", "seq", "t", "now", "node", "chain", "kid", "prev", "mac"})
MAX_RECORD_BYTES: Final = 4 * 1024 * 1024
"""The largest line: what reads a ledger needs no more memory than this for one record."""

_SEAL_OPENS: Final = b',"mac":"'
_SEAL_CLOSES: Final = b'"}'
_SEAL_BYTES: Final = len(_SEAL_OPENS) + 64 + len(_SEAL_CLOSES)


def utc(now: float) -> str:
    """``now`` in ISO 8601, with microseconds and ``Z``."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def mac_of(content: bytes, key: bytes) -> str:
    """The seal of a line's content (the whole object without ``mac``)."""
    return hmac.digest(key, content, "sha256").hex()


class Sealer:
    """Writes the lines of one chain."""

    def __init__(self, *, key: bytes, key_id: str, node: str, chain: str) -> None:
        self._key = key
        names = orjson.dumps({"node": node, "chain": chain, "kid": key_id})[1:-1]
        self._names = b'","now":%b,' + names.replace(b"%", b"%%") + b","

    def seal(self, seq: int, prev: str, now: float, fields: bytes) -> tuple[bytes, str]:
        """The line, with its newline, and its mac. ``fields`` is a JSON object of at least one member."""
        content = b'{"v":1,"seq":%d,"t":"%b' % (seq, utc(now).encode()) + self._names % repr(float(now)).encode()
        content += fields[1:-1] + b',"prev":"' + prev.encode() + b'"'
        mac = mac_of(content + b"}", self._key)
        return content + _SEAL_OPENS + mac.encode() + _SEAL_CLOSES + b"\n", mac


@dataclass(frozen=True, slots=True)
class Opened:
    """A line that is a record by its form; whether its seal is right is another question."""

    record: dict[str, Any]
    content: bytes
    mac: str

    def sealed_by(self, key: bytes) -> bool:
        return hmac.compare_digest(mac_of(self.content, key), self.mac)


def open_line(line: bytes) -> Opened | None:
    """The record on a line given without its newline, or None when it is none."""
    seal = line[-_SEAL_BYTES:]
    if not (seal.startswith(_SEAL_OPENS) and seal.endswith(_SEAL_CLOSES)):
        return None
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(record, dict):
        return None
    types: tuple[tuple[str, type | tuple[type, ...]], ...] = (
        ("seq", int), ("now", (int, float)), ("chain", str), ("kid", str), ("prev", str), ("mac", str),
    )  # fmt: skip
    if any(not isinstance(record.get(name), kind) for name, kind in types):
        return None
    mac = record["mac"]
    if not isinstance(mac, str) or not mac.isascii():
        return None
    return Opened(record, line[:-_SEAL_BYTES] + b"}", mac)
