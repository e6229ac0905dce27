"""An application's answer on its way to the client: read, decided, charged, recorded, released, in this order.

Rules of this file:

1. No byte of a classified piece leaves before its persons are charged and its record is on disk.
2. What cannot be read takes the class ``unreadable``; what is too large to be read whole is not released.
3. The answer of an executed request is masked where all of it can be; what refuses it then withholds its content and
   keeps its status (``refusing``).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.application import Application
from gateway.assisting import Page
from gateway.core.canonical import Headers, folded
from gateway.core.extraction import Class, Found, Identifier, PersonFound, Record, attribute, by_size
from gateway.core.reasons import Reason, Refusal
from gateway.incoming import ClientGone
from gateway.leaving import client_gone
from gateway.means import ClientStalled, Means, Source
from gateway.outcomes import Missed, Outcome
from gateway.outgoing import to_client
from gateway.passage import Passage
from gateway.reading.body import Inflater, Media
from gateway.reading.identifiers import find_nirs, identify
from gateway.reading.ports import Reading, Unreadable
from gateway.reading.read import read_document

READ_IN_THREAD_BYTES = 128 * 1024
"""Above this a reading takes tens of milliseconds, and other requests must not wait for it."""
UNWATCHED_BYTES = 256 * 1024
"""Up to here what has arrived is passed on without looking whether the client is still there."""


@dataclass(slots=True)
class Release:
    """One answer being released. ``gone``: done once the client is, where somebody waits for that."""

    passage: Passage
    application: Application
    answer: Source
    means: Means
    miss: Missed | None = None
    gone: asyncio.Future[None] | None = None
    _raw: bytes = b""

    @property
    def somebodys(self) -> bool:
        """Whether the request itself says whose data this is, or its route that it is not public."""
        charger = self.means.charger
        return bool(self.passage.persons) or charger.classified.klass >= Class.INTERNAL

    async def head(self, size_bytes: int) -> bytes:
        """The first bytes of the answer, at least so many where it has them."""
        head = b""
        while len(head) < size_bytes and (piece := await self.answer.read()):
            head += piece
        return head

    async def whole(self, media: Media, head: bytes) -> Refusal | None:
        """Read a document to its end and release it whole."""
        limit, room = self.means.document_bytes, self.means.room
        reserved = 0
        try:
            inflater = Inflater(media.coding, limit)
            pieces: list[bytes] = []
            raw: list[bytes] = []
            piece = head or await self.answer.read()
            while piece:
                if not room.take(len(piece)):
                    return Refusal(Reason.BUSY, detail="no room to read another answer", retry_s=1)
                reserved += len(piece)
                raw.append(piece)
                if reserved > limit:
                    return await self._too_large(b"".join(raw))
                plain = inflater.feed(piece)
                if isinstance(plain, Unreadable):
                    return await self.unreadable(plain.reason, b"".join(raw))
                pieces.append(plain)
                piece = await self.answer.read()
            if ended := inflater.end():
                return await self.unreadable(ended.reason, b"".join(raw))
            body = b"".join(pieces)
            self._raw = b"".join(raw)
            rules = self.means.charger.rules
            if len(body) > READ_IN_THREAD_BYTES:
                reading = await asyncio.to_thread(read_document, media, body, rules)
            else:
                reading = read_document(media, body, rules)
            if isinstance(reading, Unreadable):
                return await self.unreadable(reading.reason, body, coded=False)
            return await self.document(reading, media, body)
        finally:
            room.give_back(reserved)

    async def _too_large(self, read: bytes) -> Refusal | None:
        if self.application.observing:
            return await self._pass_on(self.answer.headers, read, classified=False, length=self.answer.content_length)
        return Refusal(Reason.TOO_LARGE_TO_READ, limit=None, detail="an answer beyond the size that is read whole")

    async def document(self, reading: Reading, media: Media | Unreadable, body: bytes) -> Refusal | None:
        """Decide, charge, record and release one whole answer."""
        charger = self.means.charger
        records = [*reading.records, *self._in_headers()]
        lookup = charger.classified.route is not None and charger.classified.route.lookup
        if lookup and self._is_miss(records, reading.minted):
            await self.settle_miss()
            persons: tuple[PersonFound, ...] = ()
        else:
            persons = self._attributed(records, body)
        if not persons:
            return await self._unclassified(media, body)
        outcome = await charger.document(persons, masks=True, aliases=self._aliases(reading, persons))
        if isinstance(outcome, Refusal):
            if not self.passage.executed:
                return outcome
            return await self._executed(outcome, reading, persons)
        if self.miss is not None:
            await charger.found(self.miss)
            self.miss = None
        masked = not charger.observing and any(one.masked for one in outcome.plan.persons)
        out = reading.masked(outcome.plan.hide) if masked else body
        page = Page(self.passage, self.application, self.answer.status, media, masked and charger.shows(outcome.plan))
        out, headers = page.with_assist(out, self.answer.headers)
        return await self._release(outcome, out, "mask" if masked else "release", headers=headers)

    async def settle_miss(self) -> None:
        """A lookup of which nothing was released stays a miss: put it on disk, once."""
        if self.miss is not None:
            await self.means.record_miss(self.passage, self.miss)
            self.miss = None

    def _attributed(self, records: Sequence[Record], body: bytes) -> tuple[PersonFound, ...]:
        floor = self.means.charger.classified.klass
        silent = not body and not any(record.persons or record.found for record in records)
        if silent and not self.passage.persons:
            return ()
        if self.passage.unclear and not any(record.persons for record in records):
            floor = max(floor, self.means.charger.policy.unreadable)
        return attribute(records, self.passage.persons, floor)

    def _is_miss(self, records: Sequence[Record], minted: Sequence[str]) -> bool:
        return not minted and not any(record.persons for record in records)

    def _aliases(self, reading: Reading, persons: Sequence[PersonFound]) -> tuple[bytes, ...]:
        """Hashes of a minted token, where the answer names exactly one person (rule 5 of the design)."""
        route = self.means.charger.classified.route
        if route is None or route.mints is None or len(persons) != 1 or len(set(reading.minted)) != 1:
            return ()
        named = self.application.rules.named(route.mints)
        token = identify(named.unique, reading.minted[0]) if named and named.unique else None
        return (self.means.charger.hash_of(token),) if token else ()

    async def headers_first(self) -> Refusal | None:
        """Charge and record the persons in the header fields of an answer whose body is decided by itself."""
        persons = [one for record in self._in_headers() for one in attribute([record], None, Class.PUBLIC)]
        if not persons:
            return None
        outcome = await self.means.charger.document(persons, masks=False)
        if isinstance(outcome, Refusal):
            return outcome
        await self.record(outcome, 0, "release", "header")
        return None

    def _in_headers(self) -> list[Record]:
        """Numbers in the answer's own header fields (a Location, a file name): charged, never masked."""
        kinds = [kind for kind in self.means.charger.policy.unique if kind.pattern == "nir"]
        found: list[Record] = []
        for name, value in self.answer.headers:
            if len(value) < 13 or folded(name) in (b"date", b"etag", b"content-type"):
                continue
            for span in find_nirs(value.decode("latin-1")) if kinds else ():
                kind = kinds[0]
                identifier = Identifier(kind.kind, span.nir13)
                found.append(Record(((identifier,),), (Found(kind.kind, kind.klass, False),)))
        return found

    async def _executed(self, refusal: Refusal, reading: Reading, persons: Sequence[PersonFound]) -> Refusal | None:
        """An executed request's answer that may not leave: wholly masked where all of it can be, else withheld."""
        charger = self.means.charger
        whole = all(found.maskable for one in persons for found in one.found)
        named = all(one.identifiers and one.floor is Class.PUBLIC for one in persons)
        if not (whole and named) or isinstance(reading, Empty):
            return refusal
        hide = frozenset(found.category for one in persons for found in one.found)
        outcome = charger.wholly_masked(persons, hide)
        return await self._release(outcome, reading.masked(hide), "mask", str(refusal.reason))

    async def unreadable(self, reason: str, read: bytes, *, coded: bool = True) -> Refusal | None:
        """Content that is not provably plain: the request's person, or by size, at the class ``unreadable``."""
        self.passage.notes["unreadable"] = reason
        charger, answer = self.means.charger, self.answer
        if charger.observing:
            as_came = read if coded else self._raw
            return await self._pass_on(answer.headers, as_came, classified=False, length=answer.content_length)
        floor = max(charger.policy.unreadable, charger.classified.klass)
        headers = [one for record in self._in_headers() for one in attribute([record], None, floor)]
        if self.passage.persons:
            persons = [PersonFound((identifier,), (), floor) for identifier in self.passage.persons]
            known: int | None = answer.content_length if coded else len(read)
        else:
            known = answer.content_length if answer.content_length is not None and coded else None
            if known is None:
                rest = await self._rest(read) if coded else read
                if rest is None:
                    return Refusal(Reason.TOO_LARGE_TO_READ, klass=floor, detail=reason)
                read, known = rest, len(rest)
            persons = [PersonFound((), (), floor, by_size(known))]
        outcome = await charger.document([*persons, *headers], masks=False)
        if isinstance(outcome, Refusal):
            return outcome
        await self.record(outcome, known or 0, "release", reason)
        whole = len(read) if not coded else known
        return await self._pass_on(answer.headers, read, classified=True, length=whole, decoded=not coded)

    async def _rest(self, read: bytes) -> bytes | None:
        pieces, size = [read], len(read)
        while piece := await self.answer.read():
            size += len(piece)
            if size > self.means.document_bytes:
                return None
            pieces.append(piece)
        return b"".join(pieces)

    async def inert(self, media: Media, head: bytes) -> Refusal | None:
        charger = self.means.charger
        klass = charger.policy.media.get(media.media_type.split("/", 1)[0], charger.policy.unreadable)
        if media.media_type.startswith("application/"):
            klass = charger.policy.media.get("font", charger.policy.unreadable)
        refusal = await charger.standing_for(klass) or await self.headers_first()
        if refusal and not charger.observing:
            return refusal
        return await self._pass_on(self.answer.headers, head, classified=False, length=self.answer.content_length)

    async def unread(self, headers: Headers) -> Refusal | None:
        """A route with ``inspect = false``: passed through as it comes."""
        if gone := await self.means.charger.ended():
            return gone
        self._count()
        return await self._pass_on(headers, b"", classified=False, length=self.answer.content_length)

    async def _unclassified(self, media: Media | Unreadable, body: bytes) -> Refusal | None:
        """Nothing of anybody in it: released with its own headers, counted by the minute."""
        if gone := await self.means.charger.ended():
            return gone
        self._count()
        if self.means.charger.observing:
            await self._untouched()
            return None
        coded = isinstance(media, Media) and media.coding != "identity"
        kept = [one for one in self.answer.headers if not (coded and folded(one[0]) == b"content-encoding")]
        body, headers = Page(self.passage, self.application, self.answer.status, media).with_assist(body, kept)
        length = self.answer.content_length if not self.answer.has_body else len(body)
        await self._start(headers, classified=False, length=length)
        await self.send(body, more=False)
        return None

    def _count(self) -> None:
        charger = self.means.charger
        key = (
            "answer",
            self.application.name,
            charger.classified.rule,
            str(self.answer.status),
            charger.caller.partner,
        )
        self.means.records.count(key, now=charger.now)
        self.means.meter.released(self.application.name, "release", Class.PUBLIC, 0)

    async def _release(
        self, outcome: Outcome, body: bytes, verdict: str, reason: str | None = None, *, headers: Headers | None = None
    ) -> Refusal | None:
        await self.record(outcome, len(body), verdict, reason)
        if self.means.charger.observing:
            await self._untouched()
            return None
        length = len(body) if self.answer.has_body else None
        await self._start(headers or self.answer.headers, classified=True, length=length)
        await self.send(body, more=False)
        return None

    async def record(self, outcome: Outcome, size_bytes: int, verdict: str, reason: str | None = None) -> None:
        """Put the record of one released piece, and of every alarm it raised, on disk."""
        await self.means.record(self.passage, outcome, size_bytes, verdict, reason)

    async def _pass_on(
        self, headers: Headers, head: bytes, *, classified: bool, length: int | None, decoded: bool = False
    ) -> Refusal | None:
        """Stream the rest of an answer that is decided as a whole."""
        if decoded:
            headers = [one for one in headers if folded(one[0]) != b"content-encoding"]
        extra = [one for one in headers if folded(one[0]) == b"content-encoding"] if classified else ()
        first_piece = head or (b"" if decoded else await self.next_piece())
        if gone := await self.means.charger.ended():
            return gone
        await self._start(headers, classified=classified, length=length, extra=extra)
        if len(first_piece) == length:
            await self.send(first_piece, more=False)
            return None
        async for piece in self._pieces(first_piece, whole=decoded):
            if not self.application.observing and (gone := await self.means.charger.still_allowed()):
                return gone
            await self.send(piece, more=True)
        await self.send(b"", more=False)
        return None

    async def _pieces(self, head: bytes, *, whole: bool) -> AsyncIterator[bytes]:
        if head:
            yield head
        while not whole and (piece := await self.next_piece()):
            yield piece

    async def _start(
        self, headers: Headers, *, classified: bool, length: int | None, extra: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        if self.passage.method == b"HEAD" and self.means.charger.classified.klass > Class.PUBLIC:
            length = None
        fields = to_client(self.passage, self.application, headers, classified=classified, length=length)
        self.passage.started = True
        head = {"type": "http.response.start", "status": self.answer.status, "headers": [*fields, *extra]}
        await self.passage.send(head)  # at once: the server holds it until the first body message (ASGI)

    async def send(self, body: bytes, *, more: bool) -> None:
        whole = not more and not self.passage.bytes_out
        self.passage.bytes_out += len(body)
        message = {"type": "http.response.body", "body": body, "more_body": more}
        if whole:  # the server takes it at once, however slow the client: no need of a deadline
            await self.passage.send(message)
        else:
            await self._push(message)

    async def start_stream(self) -> None:
        """Begin a record stream: nothing of it is kept by any cache."""
        await self._start(self.answer.headers, classified=True, length=None)

    async def _untouched(self) -> None:
        await self.start_untouched()
        await self.send(self._raw, more=False)

    async def start_untouched(self) -> None:
        """Begin an answer exactly as the application gave it (observing)."""
        await self._start(self.answer.headers, classified=False, length=self.answer.content_length)

    async def next_piece(self) -> bytes:
        """The application's next bytes; ``ClientGone`` as soon as the client has closed its connection.

        :raises UpstreamFault: what the connector met.
        """
        arrived = self.answer.arrived
        if not self.passage.body_ended() or (arrived and self.passage.bytes_out < UNWATCHED_BYTES):
            return await self.answer.read()
        if self.gone is None:
            self.gone = asyncio.ensure_future(client_gone(self.passage.receive))
        if self.gone.done():
            raise ClientGone
        if arrived:
            return await self.answer.read()
        reading = asyncio.ensure_future(self.answer.read())
        waiting: set[asyncio.Future[Any]] = {reading, self.gone}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not reading.done():
                reading.cancel()
        if not reading.done():
            raise ClientGone
        return reading.result()

    def end(self) -> None:
        """Stop watching for the client's leaving."""
        if self.gone is not None:
            self.gone.cancel()

    async def _push(self, message: dict[str, object]) -> None:
        try:
            async with asyncio.timeout(self.means.write_idle_s):
                await self.passage.send(message)
        except TimeoutError as fault:
            raise ClientStalled from fault


class Empty:
    """An answer without a body."""

    records: tuple[Record, ...] = ()
    minted: tuple[str, ...] = ()

    def masked(self, hide: frozenset[str]) -> bytes:
        """Nothing, masked."""
        return b""
