"""What a release works with, and the record that it puts on disk before a byte leaves."""

import logging
from collections.abc import Mapping
from typing import Protocol

from gateway.charges import Charger
from gateway.core.assurance import Caller
from gateway.core.canonical import Headers
from gateway.core.extraction import Class
from gateway.core.reasons import Refusal
from gateway.core.values import frozen
from gateway.ledger import LedgerUnavailable
from gateway.outcomes import Missed, Outcome
from gateway.passage import Passage
from gateway.ports import Records
from gateway.recording import common, missed, refused, released

log = logging.getLogger(__name__)


class ClientStalled(Exception):
    """The client stopped reading: the transfer is broken off."""


class Room:
    """How many bytes of answers one worker holds for reading at once."""

    def __init__(self, limit_bytes: int) -> None:
        self._free = limit_bytes

    def take(self, size_bytes: int) -> bool:
        """Reserve; false when there is no room."""
        if size_bytes > self._free:
            return False
        self._free -= size_bytes
        return True

    def give_back(self, size_bytes: int) -> None:
        """Free what was reserved."""
        self._free += size_bytes


class Meter(Protocol):
    """Counts what is released and refused."""

    def released(self, application: str, verdict: str, klass: Class, persons: int) -> None: ...

    def proved(self, kind: str, age_s: float) -> None: ...

    def alarmed(self, budget: str) -> None: ...

    def took(self, door: str, seconds: float) -> None: ...


class Source(Protocol):
    """An application's answer, as ``gateway.upstream.Answer`` reads it from a connection."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers: ...

    @property
    def has_body(self) -> bool: ...

    @property
    def content_length(self) -> int | None: ...

    @property
    def arrived(self) -> bool: ...

    async def read(self) -> bytes: ...

    async def close(self) -> None: ...


class Activity(Protocol):
    """Keeps in mind for a person what they were shown; never waits."""

    def opened(self, caller: Caller, persons: Mapping[Class, int], now: float) -> None: ...


@frozen
class Means:
    """What the release of one answer works with. ``application``: its name."""

    application: str
    records: Records
    charger: Charger
    room: Room
    meter: Meter
    activity: Activity
    hash_kid: str
    document_bytes: int
    write_idle_s: float

    async def record(
        self,
        passage: Passage,
        outcome: Outcome,
        size_bytes: int,
        verdict: str,
        reason: str | None = None,
        *,
        kind: str = "answer",
    ) -> None:
        """Put the record of one released piece, and of every alarm it raised, on disk."""
        charger = self.charger
        now = charger.now
        standing = outcome.plan.standing
        would_be = outcome.would_be or passage.would_be
        record = released(
            passage,
            kind,
            outcome.taken,
            unnamed=outcome.unnamed,
            unnamed_floors=outcome.unnamed_floors,
            size_bytes=size_bytes,
            proof=None if isinstance(standing, Refusal) else standing.proof,
            mandate=None if isinstance(standing, Refusal) else standing.mandate,
            verdict=verdict,
            reason=str(would_be.reason) if would_be else reason,
            hash_kid=self.hash_kid,
            sequence=outcome.sequence,
            now=now,
            why=outcome.why,
        )
        if would_be:
            record["would_be"] = refused(passage, would_be)["kind"]
        elif charger.observing and any(one.masked for one in outcome.plan.persons):
            record["would_be"] = "mask"
        try:
            await self._append(passage, record, outcome, now)
        except LedgerUnavailable as fault:
            if not charger.observing:
                raise
            log.warning("observing, not recorded: %s", fault)
        await charger.still_counted()
        await charger.remember(outcome)
        if not charger.observing:
            self.activity.opened(charger.caller, newly_counted(outcome), now)
        persons = len(outcome.taken) + sum(outcome.unnamed.values())
        self.meter.released(self.application, verdict, outcome.plan.needs, persons)
        if not isinstance(standing, Refusal) and standing.proof is not None:
            self.meter.proved(standing.proof.kind, now - standing.proof.verified_at)

    async def _append(self, passage: Passage, record: Mapping[str, object], outcome: Outcome, now: float) -> None:
        for alarm in outcome.alarms:
            words: Mapping[str, object] = {"rule": alarm.name, "limit": alarm.limit, "window_s": alarm.window_s}
            await self.records.append({**common(passage, "alarm"), **words}, now=now, reserve=True)
            self.meter.alarmed(alarm.name)
        await self.records.append(record, now=now)

    async def record_miss(self, passage: Passage, miss: Missed) -> None:
        """Put the record of a lookup that found nobody on disk."""
        record = missed(passage, hash_kid=self.hash_kid, sequence=miss.sequence)
        try:
            await self.records.append(record, now=self.charger.now)
        except LedgerUnavailable as fault:
            if not self.charger.observing:
                raise
            log.warning("observing, not recorded: %s", fault)
        await self.charger.still_counted()


def newly_counted(outcome: Outcome) -> Mapping[Class, int]:
    """How many persons of each class a charge counted anew."""
    newly = {klass: count for klass, count in outcome.unnamed.items() if count}
    for one in outcome.taken:
        if one.new:
            newly[one.klass] = newly.get(one.klass, 0) + 1
    return newly
