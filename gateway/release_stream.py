"""A record stream on its way to the client: the longest prefix of whole records that fits, then a notice and a cut.

Rules of this file:

1. Records are charged and released in order, at most ``BATCH_RECORDS`` at a time; nothing is held for longer.
2. A stream that stops ends incomplete, after a last whole record and a notice in the stream's own format.
3. Nothing left yet: the answer is an ordinary refusal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.charges import Charger
from gateway.core import decide
from gateway.core.charging import Charged
from gateway.core.extraction import Class, Found, PersonFound, attribute
from gateway.core.reasons import Reason, Refusal
from gateway.edge.answers import notice_detail
from gateway.ports import StoreUnavailable
from gateway.reading.body import Inflater, Media
from gateway.reading.ports import Reading, RecordStream, Unreadable
from gateway.reading.read import stream_for
from gateway.reading.rules import Rules
from gateway.release import Release
from gateway.upstream import UpstreamFault

BATCH_RECORDS = 200
SNIFF_BYTES = 4096
OLD_HTTP = frozenset({"1", "1.0", "0.9"})
"""Granian says ``1`` for HTTP/1.0, whose cut transfers look whole behind a proxy."""

Shape = tuple[tuple[tuple[Found, ...], Class], ...]


@dataclass(slots=True)
class StreamRelease:
    """One record stream being released."""

    release: Release
    media: Media
    _stream: RecordStream | None = None
    _inflater: Inflater | None = None
    _rules: Rules | None = None

    @property
    def _charger(self) -> Charger:
        return self.release.means.charger

    async def run_if_records(self) -> Refusal | None:
        """Text: a record stream when it looks like CSV (or is too long to be read whole), else a document."""
        head = await self.release.head(SNIFF_BYTES)
        answer, limit = self.release.answer, self.release.means.document_bytes
        if self._reader(head) is None and (answer.content_length or 0) <= limit:
            return await self.release.whole(self.media, head)
        return await self.run(head)

    def _reader(self, head: bytes) -> RecordStream | None:
        if self._stream is None:
            self._rules = self._charger.rules
            self._stream = stream_for(self.media, head, self._rules)
        return self._stream

    async def run(self, head: bytes) -> Refusal | None:
        """Release the stream, or say why it does not begin."""
        release = self.release
        if self._charger.observing:
            return await self._observe(head)
        if str(release.passage.scope.get("http_version")) in OLD_HTTP:
            return Refusal(Reason.HTTP_VERSION_TOO_OLD)
        if refusal := await self._charger.still_allowed(anew=True) or await release.headers_first():
            return refusal
        head = head or await release.head(1)
        stream = self._reader(head)
        if stream is None:
            return await release.unreadable("no record stream after all", head)
        self._inflater = Inflater(self.media.coding, None)
        piece, whole = head, False
        while not whole:
            whole = not piece
            try:
                readings = self._readings(stream, piece)
                stopped = readings if isinstance(readings, Refusal) else await self._pass(readings)
                piece = b"" if whole or stopped else await release.next_piece()
            except (StoreUnavailable, UpstreamFault) as fault:
                if not release.passage.started:
                    raise
                stopped = _fault(fault)
            if stopped:
                return await self._stop(stream, stopped)
        if not release.passage.started:
            await release.start_stream()
        await release.send(b"", more=False)
        return None

    async def _observe(self, head: bytes) -> Refusal | None:
        """Pass everything on as it comes; count and record beside it for as long as it can be read."""
        release = self.release
        piece = head or await release.head(1)
        stream = self._reader(piece)
        self._inflater = Inflater(self.media.coding, None)
        await release.start_untouched()
        while piece:
            if stream is not None:
                readings = self._readings(stream, piece)
                if isinstance(readings, Refusal):
                    stream = None
                else:
                    await self._count(readings)
            await release.send(piece, more=True)
            piece = await release.next_piece()
        await release.send(b"", more=False)
        return None

    async def _count(self, readings: Sequence[Reading]) -> None:
        persons = await self._charger.judged([found for reading in readings if (found := self._persons(reading))])
        if not persons:
            return
        plans, _ = self._plans(persons, frozenset())
        charge = self._charger.charge_of(plans, self._charger.now, passing=True)
        charged = await self._charger.charge(charge)
        outcome = self._charger.outcome_of(plans, charged)
        outcome = replace(outcome, would_be=await self._charger.passed(charge, charged))
        await self.release.record(outcome, 0, "release")

    def _readings(self, stream: RecordStream, piece: bytes) -> list[Reading] | Refusal:
        if closed := self._charger.follow():
            return closed
        if self._charger.rules is not self._rules:  # a new policy: also what is read follows it
            self._rules = self._charger.rules
            stream.follow(self._rules)
        inflater = self._inflater
        plain: bytes | Unreadable | None = (inflater.feed(piece) if piece else inflater.end()) if inflater else b""
        if isinstance(plain, Unreadable):
            return Refusal(Reason.TOO_LARGE_TO_READ, detail=plain.reason)
        found = stream.feed(plain) if piece and plain else [] if piece else stream.end()
        if isinstance(found, Unreadable):
            return Refusal(Reason.TOO_LARGE_TO_READ, detail=found.reason)
        return found

    async def _pass(self, readings: Sequence[Reading]) -> Refusal | None:
        for start in range(0, len(readings), BATCH_RECORDS):
            if stopped := await self._batch(readings[start : start + BATCH_RECORDS]):
                return stopped
        return None

    async def _batch(self, readings: Sequence[Reading]) -> Refusal | None:
        """Charge and release one batch; where a budget masks, the rest of the batch goes round again, masked."""
        hidden: frozenset[str] = frozenset()
        persons = await self._charger.judged([self._persons(reading) for reading in readings])
        while readings:
            if gone := await self._charger.still_allowed():
                return gone
            plans, lacking = self._plans(persons, hidden)
            if await self._charger.claimed(plan.standing for plan in plans):
                continue
            if lacking and not self.release.passage.started and not any(plan.persons for plan in plans):
                return decide.refused(self._charger.policy, (), lacking, self._charger.caller)
            if unexplained := await self._charger.unexplained(plans):
                return unexplained
            granted, more, refusal = await self._charge(plans, readings, persons)
            readings, persons = readings[granted:], persons[granted:]
            if refusal is None and 0 < granted < len(plans):
                continue
            if refusal is None and granted == len(plans):
                if lacking is None:
                    return None
                refusal = decide.refused(self._charger.policy, (), lacking, self._charger.caller)
                if refusal is None:
                    continue
            if more - hidden:
                hidden |= more
                continue
            return refusal
        return None

    def _persons(self, reading: Reading) -> tuple[PersonFound, ...]:
        records = reading.records
        if not any(record.persons or record.found or record.text_bytes for record in records):
            return ()
        return attribute(records, self.release.passage.persons, self._charger.classified.klass)

    def _plans(
        self, persons: Sequence[tuple[PersonFound, ...]], hidden: frozenset[str]
    ) -> tuple[list[decide.Plan], decide.Plan | None]:
        """A plan for each record up to the first that lacks its proof, and that record's plan.

        Records of one shape (the same fields) are planned once.
        """
        charger, now = self._charger, self._charger.now
        shapes: dict[Shape, decide.Plan] = {}
        plans: list[decide.Plan] = []
        for found in persons:
            shape = tuple((one.found, one.floor) for one in found)
            known = shapes.get(shape)
            if known is None:
                known = decide.plan(
                    charger.policy,
                    charger.classified,
                    charger.caller,
                    found,
                    now,
                    also_hide=hidden,
                    reach=charger.reach,
                )
                shapes[shape] = known
            costed = tuple(
                decide.Costed(person, one.klass, one.clear, one.masked)
                for person, one in zip(found, known.persons, strict=True)
            )
            plan = decide.Plan(known.hide, costed, known.needs, known.standing)
            if isinstance(plan.standing, Refusal) and not charger.observing:
                return plans, plan
            plans.append(plan)
        return plans, None

    async def _charge(
        self, plans: Sequence[decide.Plan], readings: Sequence[Reading], persons: Sequence[tuple[PersonFound, ...]]
    ) -> tuple[int, frozenset[str], Refusal | None]:
        """Charge these records and release those granted: how many, what to hide now, and why no more."""
        if not plans:
            return 0, frozenset(), None
        charger = self._charger
        over = next((i for i, plan in enumerate(plans) if decide.too_many(plan.count, plan.needs)), len(plans))
        if over == 0:
            return 0, frozenset(), decide.too_many(plans[0].count, plans[0].needs)
        plans = plans[:over]
        charge = charger.charge_of(plans, charger.now, passing=True)
        if not any(charge.records):
            await self._let_go(plans, readings, None)
            return len(plans), frozenset(), None
        charged = await charger.charge(charge)
        granted = charged.granted
        if granted < len(plans) and not self.release.passage.started and not any(charge.records[:granted]):
            granted = 0  # a heading alone is no beginning: what follows may be an ordinary refusal
        if granted:
            await self._let_go(plans[:granted], readings, charged)
        if granted == len(plans):
            return granted, frozenset(), None
        stopped = plans[charged.granted]
        more = decide.masking_for(charger.policy, charger.classified, charged.violations, persons[charged.granted])
        refusal = decide.refused(charger.policy, charged.violations, stopped, charger.caller)
        return granted, more - stopped.hide, refusal

    async def _let_go(self, plans: Sequence[decide.Plan], readings: Sequence[Reading], charged: Charged | None) -> None:
        """Record and release records that are charged."""
        release, charger = self.release, self._charger
        pieces = []
        for plan, reading in zip(plans, readings, strict=False):
            hide = plan.hide if any(one.masked for one in plan.persons) else frozenset()
            pieces.append(reading.masked(hide))
        body = b"".join(pieces)
        outcome = charger.outcome_of(plans, charged)
        if outcome.taken or any(outcome.unnamed.values()):
            masked = any(one.masked for plan in plans for one in plan.persons)
            await release.record(outcome, len(body), "mask" if masked else "release")
        if not release.passage.started:
            await release.start_stream()
        await release.send(body, more=True)

    async def _stop(self, stream: RecordStream, refusal: Refusal) -> Refusal:
        """Say so in the stream's own format; the caller breaks the transfer off."""
        release = self.release
        if release.passage.started:
            passage = release.passage
            detail = notice_detail(refusal, reference=passage.reference, language=passage.asked.language)
            await release.send(stream.notice(str(refusal.reason), passage.reference, detail), more=True)
        return refusal


def _fault(fault: StoreUnavailable | UpstreamFault) -> Refusal:
    if isinstance(fault, StoreUnavailable):
        return Refusal(Reason.STORE_UNAVAILABLE, detail=str(fault))
    reason = Reason.UPSTREAM_TIMEOUT if fault.is_timeout else Reason.UPSTREAM_MALFORMED
    return Refusal(reason, detail=fault.reason)
