"""The body of a request: read once, buffered where something must be looked at before forwarding, else streamed."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from html import unescape
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import orjson

from gateway.core.canonical import Fields
from gateway.core.classify import UNCLEAR
from gateway.core.reasons import Refusal
from gateway.passage import Receive

MASK_ENDING = b"xMASKx"
WATCH_S = 0.15
"""How often it is asked whether a body may still come while nothing of it does."""
_FORM_START = re.compile(rb"[\w.\[\]-]{1,60}=")
_NAMES = (
    re.compile(r'"((?:[^"\\]|\\.){1,80}+)"\s{0,9}:'),  # JSON
    re.compile(r'name\s{0,9}\*?\s{0,9}=\s{0,9}"?([^";\r\n]{1,80}+)'),  # multipart, with RFC 2231 as well
    re.compile(r"<\s{0,9}([A-Za-z_][\w.:-]{0,60}+)"),  # XML
    re.compile(r'(?:^|[&;?\s])([^&;=\s"<>]{1,80}+)='),  # forms
)
_ESCAPED = re.compile(r"\\u([0-9A-Fa-f]{4})")
_PARTS = re.compile(r"[\[\].:/\s]+")
_STRUCTURED = (b"json", b"xml", b"x-www-form-urlencoded", b"multipart/", b"csv", b"text/")


class BodyStalled(Exception):
    """The client stopped sending its body."""


class BodyTooLarge(Exception):
    """The body is longer than its route takes: the forwarding is broken off."""


class CallerEnded(Exception):
    """Who asks was stopped while the request was on its way: the forwarding is broken off."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal.reason))
        self.refusal = refusal


class ClientGone(Exception):
    """The client closed its connection."""


class MaskReturned(Exception):
    """A masked value came back in a body too long to be kept: the forwarding is broken off."""


class RequestBody:
    """A request's body. ``length``: what Content-Length announced; ``None``: chunked (or HTTP/2 without a length).

    ``most_bytes``: the longest body that its route takes, however it is framed; ``refuses_masks``: whether a masked
    value that comes by breaks it off; ``watch``: asked before anything of it is passed on, and while nothing comes:
    what it raises breaks it off.
    """

    def __init__(self, receive: Receive, fields: Fields, method: bytes, idle_s: float) -> None:
        announced = fields.get(b"content-length")
        chunked = b"transfer-encoding" in fields
        self.length = int(announced) if announced is not None else None
        self.present = bool(self.length) or chunked or (announced is None and method not in (b"GET", b"HEAD"))
        self.content_type = fields.get(b"content-type", b"")
        self._receive = receive
        self._idle_s = idle_s
        self.most_bytes: int | None = None
        self.refuses_masks = True
        self.watch: Callable[[], Awaitable[None]] | None = None
        self._came_bytes = 0
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._ended = not self.present

    @property
    def ended(self) -> bool:
        """Whether the client has sent all of it."""
        return self._ended

    @property
    def start(self) -> bytes:
        """The first bytes that were kept."""
        return b"".join(self._kept[:1])

    @property
    def structured(self) -> bool:
        """Whether the body has fields, or may have: it is looked at before it is forwarded."""
        said = self.content_type.lower()
        return not said or any(word in said for word in _STRUCTURED)

    async def buffer(self, limit_bytes: int) -> bytes | None:
        """The whole body when it is not longer than ``limit_bytes``; else ``None``, and what was read stays kept.

        :raises BodyStalled, BodyTooLarge, ClientGone:
        """
        while not self._ended and self._kept_bytes <= limit_bytes:
            await self._more()
        if self._kept_bytes > limit_bytes:
            return None
        self.present = bool(self._kept_bytes) or bool(self.length)
        return b"".join(self._kept)

    async def _more(self) -> None:
        try:
            async with asyncio.timeout(self._idle_s):
                message = await self._next()
        except TimeoutError as fault:
            raise BodyStalled from fault
        if message["type"] != "http.request":
            raise ClientGone
        piece = message.get("body", b"")
        self._came_bytes += len(piece)
        if self.most_bytes is not None and self._came_bytes > self.most_bytes:
            raise BodyTooLarge
        if piece:
            self._kept.append(piece)
            self._kept_bytes += len(piece)
        self._ended = not message.get("more_body", False)

    async def _next(self) -> MutableMapping[str, Any]:
        if self.watch is None or self._came_bytes == self.length:  # the application has it all: it is too late
            return await self._receive()
        receiving = asyncio.ensure_future(self._receive())
        try:
            while not (await asyncio.wait((receiving,), timeout=WATCH_S))[0]:
                await self.watch()
            return receiving.result()
        finally:
            receiving.cancel()

    async def stream(self) -> AsyncIterator[bytes]:
        """The body piece by piece, what was kept first.

        :raises MaskReturned: when a masked value comes by; BodyStalled, BodyTooLarge, ClientGone; what ``watch`` does.
        """
        tail = b""
        while True:
            kept, self._kept = self._kept, []
            for piece in kept:
                if self.refuses_masks and MASK_ENDING in tail + piece:
                    raise MaskReturned
                tail = (tail + piece)[-len(MASK_ENDING) + 1 :]
                if self.watch is not None:
                    await self.watch()
                yield piece
            if self._ended:
                if self.watch is not None and self.length is None:  # its end is still to be said
                    await self.watch()
                return
            await self._more()


def has_fields(start: bytes) -> bool:
    """Whether a body is JSON, XML or a form whatever its type says: escapes could hide a value in it."""
    text = start[:256].lstrip(b"\xef\xbb\xbf \t\r\n")
    return text[:1] in (b"{", b"[", b'"', b"<") or _FORM_START.match(text) is not None


def names_in(body: bytes) -> set[str]:
    """The names of every field that a body may write, in every reading that an application may make of it.

    Under whatever type it came: as a form, JSON, multipart or XML, plain or with its characters escaped.
    """
    plain = body.replace(b"\0", b"").decode("latin-1")
    texts = {plain, unquote_plus(plain), unescape(plain), _ESCAPED.sub(lambda found: chr(int(found[1], 16)), plain)}
    names: set[str] = set()
    for text in texts:
        for found in chain.from_iterable(pattern.findall(text) for pattern in _NAMES):
            said = unquote_plus(found.rpartition("''")[2]).encode("latin-1", "replace").decode("utf-8", "replace")
            names.update(_PARTS.split(said.strip()))
    return names


def parsed(content_type: bytes, body: bytes) -> tuple[object, list[tuple[str, str]]]:
    """A body's JSON value (``UNCLEAR`` when it names something twice or is broken) and its form fields."""
    content_type = content_type.lower()
    if b"json" in content_type or (not content_type and body[:1] in (b"{", b"[")):
        return _json(body), []
    if b"x-www-form-urlencoded" in content_type:
        return None, parse_qsl(body.decode("latin-1"), keep_blank_values=True)
    return None, []


def _json(body: bytes) -> object:
    def unique(pairs: list[tuple[str, object]]) -> object:
        keys = [key.casefold() for key, _ in pairs]
        return UNCLEAR if len(set(keys)) != len(keys) else dict(pairs)

    try:
        orjson.loads(body)
        return json.loads(body, object_pairs_hook=unique)
    except (ValueError, RecursionError):
        return UNCLEAR
