"""One HTTP/1.1 exchange as bytes (RFC 9112): the head of a request written, a response read. No I/O.

Reading is strict, since two readings of one answer are how one person's answer reaches another:

1. The head is matched against the grammar before it is parsed: no folded lines, no bare CR or LF, no control bytes.
2. A length is announced once, as digits, or the body is chunked once, or it ends with the connection.
3. HEAD, 204 and 304 have no body, whatever their fields say; bytes that come along with them are a fault.
4. What follows the end of an answer is never read as another answer.
"""

import re
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from gateway.core.values import frozen

Headers = Sequence[tuple[bytes, bytes]]

MAX_HEAD_BYTES = 65_536
MAX_FIELDS = 200
MAX_INTERIM_ANSWERS = 8
MAX_CHUNK_FRAMING_BYTES = 16_384  # of chunk extensions and trailers in one answer, together
_PLAIN_CHUNK_BYTES = 12  # a size of 8 digits and the line ends around one chunk
_MAX_LENGTH_DIGITS = 18

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_VALUE = rb"[^\x00-\x08\x0a-\x1f\x7f]"
_NAME = re.compile(_TOKEN + rb"++")
_TARGET = re.compile(rb"[^\x00-\x20\x7f]++")
_CONTROLS = bytes(byte for byte in (*range(32), 127) if byte != 9)
"""What no line of a head has, besides its end."""
_HEAD = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: (" + _VALUE + rb"*+))?\r\n"
    rb"(?:" + _TOKEN + rb"++:" + _VALUE + rb"*+\r\n)*+\r\n"
)
_BAD_LINE_END = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|\x00")
_FORBIDDEN_METHODS = frozenset({b"CONNECT", b"TRACE"})
_LENGTH_WANTED = frozenset({b"POST", b"PUT", b"PATCH"})  # RFC 9110 §8.6: these state a length of 0


class UpstreamFault(Exception):
    """The application behind did not answer as HTTP asks: `reason` is a word of the problem table.

    `upstream_unreachable`, `upstream_tls`, `upstream_malformed`, `upstream_truncated`: 502; `upstream_timeout`: 504.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail

    @property
    def is_timeout(self) -> bool:
        return self.reason == "upstream_timeout"


def _malformed(detail: str) -> UpstreamFault:
    return UpstreamFault("upstream_malformed", detail)


@frozen
class Request:
    """A request to forward. `headers` leave in this order, byte for byte, and hold no framing (that is ours).

    `body` None: nothing follows the head. With a body, `content_length` None means chunked.
    `target` is what the caller classified, for the record: the bytes sent are those of the permit.
    """

    method: bytes
    target: bytes
    headers: Headers
    body: AsyncIterator[bytes] | None
    content_length: int | None


def request_head(
    method: bytes, target: bytes, headers: Headers, *, length: int | None, body: bool, upgrade: Headers = ()
) -> bytes:
    """The bytes of a request's head. Raises ValueError on anything that could be read in two ways."""
    if _NAME.fullmatch(method) is None or method in _FORBIDDEN_METHODS:
        raise ValueError("not a method to forward")
    if _TARGET.fullmatch(target) is None:
        raise ValueError("a target without spaces and controls is needed")
    names = [_name_of(name) for name, _ in headers]
    if names.count(b"host") != 1:
        raise ValueError("exactly one Host is needed")
    if b"content-length" in names or b"transfer-encoding" in names:
        raise ValueError("framing headers are the connector's")
    lines = [method + b" " + target + b" HTTP/1.1", *[name + b": " + value for name, value in (*headers, *upgrade)]]
    if body and length is None:
        lines.append(b"transfer-encoding: chunked")
    elif length or (length == 0 and method in _LENGTH_WANTED):
        if not body and length:
            raise ValueError("a length without a body")
        lines.append(b"content-length: %d" % length)
    head = b"\r\n".join((*lines, b"", b""))
    if not _is_clean(head, len(lines)):
        raise ValueError("a header value has control bytes")
    return head


@lru_cache(maxsize=512)
def _name_of(name: bytes) -> bytes:
    """A field's name, lower-cased. Raises ValueError where it is no token."""
    if _NAME.fullmatch(name) is None:
        raise ValueError("a header name is not a token")
    return name.lower()


def _is_clean(head: bytes, lines: int) -> bool:
    """Whether a head of so many lines has no control bytes but the ends of those and its own."""
    return len(head) - len(head.translate(None, _CONTROLS)) == 2 * lines + 2


class _Surplus(Exception):
    """More bytes follow a complete answer: stops the parser, never seen outside."""


class ResponseReader:
    """Reads one response from pieces of a connection's input; how the input is split does not matter.

    `feed` gives the body bytes found in its input and raises UpstreamFault (`upstream_malformed`).
    """

    __slots__ = (
        "_block", "_bodiless", "_chunks", "_connection", "_framing_bytes", "_headless_method", "_lengths",
        "_parser", "_pieces", "_remaining", "_tail", "_transfer_codings", "_upgrade_asked", "close_delimited",
        "content_length", "ended", "has_body", "head_complete", "headers", "interim_answers", "keep_alive",
        "minor_version", "reason", "started", "status", "surplus",
    )  # fmt: skip

    def __init__(self, method: bytes, *, upgrade_asked: bool = False) -> None:
        self._headless_method = method == b"HEAD"
        self._upgrade_asked = upgrade_asked
        self._bodiless = False
        self._block = b""
        self._parser: HttpResponseParser | None = None
        self._remaining: int | None = None
        self.started = False
        self.head_complete = False
        self.ended = False
        self.surplus = b""  # what came after the end: after 101 the other protocol's, else never to be used
        self.interim_answers = 0
        self.close_delimited = False

    def feed(self, data: bytes) -> bytes:
        self.started = True
        if self.head_complete:
            return self._feed_body(data)
        rest = self._feed_head(data)
        if not self.head_complete or not rest:
            return b""
        if self._bodiless:
            self.head_complete = self.ended = False
            raise _malformed("bytes after an answer without a body")
        return self._feed_body(rest)

    def end_of_input(self) -> None:
        """The connection has ended. Raises UpstreamFault (`upstream_truncated`) where the answer had not."""
        if self.close_delimited and not self.ended:
            self.ended = True
        elif not self.ended:
            raise UpstreamFault("upstream_truncated", "the connection ended before the answer did")

    # The head

    def _feed_head(self, data: bytes) -> bytes:
        block, searched = self._block + data, max(0, len(self._block) - 3)
        while True:
            end = block.find(b"\r\n\r\n", searched) + 4
            if end < 4:
                self._keep(block, searched)
                return b""
            if end > MAX_HEAD_BYTES:
                raise _malformed("head too large")
            self._read_head(block[:end])
            block, searched = block[end:], 0
            if self.head_complete:
                self._block = b""
                return block

    def _keep(self, block: bytes, searched: int) -> None:
        if len(block) > MAX_HEAD_BYTES:
            raise _malformed("head too large")
        start = b"HTTP/1."
        if block[:7] != start[: len(block)] or _BAD_LINE_END.search(block, searched):
            raise _malformed("not a response head")
        self._block = block

    def _read_head(self, block: bytes) -> None:
        match = _HEAD.fullmatch(block)
        if match is None:
            raise _malformed("head outside the grammar")
        self.headers: list[tuple[bytes, bytes]] = []
        self._lengths: list[bytes] = []
        self._transfer_codings: list[bytes] = []
        self._connection = b""
        parser = HttpResponseParser(self)
        try:
            parser.feed_data(block)
        except HttpParserUpgrade:
            pass  # 101 is judged below
        except HttpParserError as error:
            raise _malformed(str(error)) from None
        fields = len(self.headers)
        if fields > MAX_FIELDS or fields != block.count(b"\n") - 2:
            raise _malformed("too many fields, or fields read in two ways")
        minor, status, reason = match.groups()
        self.minor_version, self.status, self.reason = int(minor), int(status), reason or b""
        if self.status < 200 and self.status != 101:
            self._skip_interim()
        else:
            self._frame(parser)
            self.head_complete = True

    def _skip_interim(self) -> None:
        self.interim_answers += 1
        if self.interim_answers > MAX_INTERIM_ANSWERS or self._lengths or self._transfer_codings:
            raise _malformed("interim answers")

    def _frame(self, parser: HttpResponseParser) -> None:
        """How the body is delimited (RFC 9112 §6.3), or a fault."""
        length = self._announced_length()
        self.content_length = length
        tokens = {token.strip().lower() for token in self._connection.split(b",")} if self._connection else ()
        kept = b"close" not in tokens and (self.minor_version == 1 or b"keep-alive" in tokens)
        self.keep_alive = kept and not self._upgrade_asked
        if self.status == 101:
            if not self._upgrade_asked:
                raise _malformed("101 without an upgrade")
            self.has_body = False
        else:
            self._bodiless = self._headless_method or self.status in (204, 304)
            self.has_body = not self._bodiless and length != 0
        if not self.has_body:
            self.ended = True
        elif self._transfer_codings:
            self._parser = parser
            self._pieces: list[bytes] = []
            self._framing_bytes = self._chunks = 0
            self._tail = b""
        elif length is not None:
            self._remaining = length
        else:
            self.close_delimited, self.keep_alive = True, False

    def _announced_length(self) -> int | None:
        lengths, codings = self._lengths, self._transfer_codings
        if codings:
            if lengths or len(codings) > 1 or codings[0].lower() != b"chunked" or self.minor_version == 0:
                raise _malformed("transfer-encoding")
            return None
        if not lengths:
            return None
        if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > _MAX_LENGTH_DIGITS:
            raise _malformed("content-length")
        return int(lengths[0])

    # The body

    def _feed_body(self, data: bytes) -> bytes:
        if self.ended:
            self.surplus += data if self.status == 101 else data[:1]
            return b""
        if self._parser is not None:
            return self._feed_chunks(self._parser, data)
        remaining = self._remaining
        if remaining is None:
            return data
        size = len(data)
        if size < remaining:
            self._remaining = remaining - size
            return data
        self.ended = True
        self.surplus = data[remaining : remaining + 1]
        return data if size == remaining else data[:remaining]

    def _feed_chunks(self, parser: HttpResponseParser, data: bytes) -> bytes:
        # httptools reads chunks strictly (CRLF only, no spaces), yet skips line ends after the last: hence the tail.
        self._tail = (self._tail + data[-5:])[-5:]
        try:
            parser.feed_data(data)
        except HttpParserError as error:
            if not self.ended:
                self._parser = None
                raise _malformed(str(error)) from None
            self.surplus = b"?"
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        self._framing_bytes += len(data) - len(body)
        if self._framing_bytes > MAX_CHUNK_FRAMING_BYTES + self._chunks * _PLAIN_CHUNK_BYTES and not self.surplus:
            self._parser = None
            raise _malformed("chunk extensions or trailers too long")
        if self.ended:
            self._parser = None
            if self._tail[-4:] != b"\r\n\r\n" or self._tail[:1] == b"\n":
                self.surplus = b"?"
        return body

    # What httptools calls

    def on_message_begin(self) -> None:
        if self.ended:
            raise _Surplus

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head_complete:
            return  # a trailer: never delivered
        value = value.rstrip(b" \t")
        self.headers.append((name, value))
        size = len(name)
        if size == 14 and name.lower() == b"content-length":
            self._lengths.append(value)
        elif size == 17 and name.lower() == b"transfer-encoding":
            self._transfer_codings.append(value)
        elif size == 10 and name.lower() == b"connection":
            self._connection += b"," + value

    def on_chunk_header(self) -> None:
        self._chunks += 1

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        if self._parser is not None:
            self.ended = True
