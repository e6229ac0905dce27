"""Distinct persons per scope and window, counted before release (rules 1 to 4, 12 and 13 of the design).

Rules of this file:

1. One script call decides and writes; all charges waiting in one turn of the loop share it, each separate in effect.
   Where the store has slots it takes more of them: ``reserving``.
2. A record goes in one call, whole. A stream of records is split into calls, and stops at the first violation.
3. When a call fails, everything waiting fails with it: nobody waits twice for a dead store.
4. Who is known to be counted already costs no call (``known``).
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.core.charging import Charge, Charged, Counted, Limit, PersonCharge, Usage, Violation
from gateway.core.values import frozen
from gateway.ports import Clock, StoreUnavailable
from gateway.stores import keys
from gateway.stores.charging_format import charged, packed_limits, packed_records, settled
from gateway.stores.connection import Argument, Script, Store
from gateway.stores.faults import StoreLost
from gateway.stores.known import KnownPersons
from gateway.stores.reserving import Reservations, apart, by_place
from gateway.stores.scripts import Placed
from gateway.stores.together import Together

IDENTIFIERS_PER_CALL = 350
"""About 5 ms of the store's time, with ten limits."""

STREAM_IDENTIFIERS_PER_CALL = 100
"""With three times as many an export took 7 % less CPU, and held the store for 7 to 12 ms instead of 3 to 5."""

LARGEST_RECORD = 1_000
"""Persons of one record, which is charged whole or not at all."""

_CHARGE = Script("charge_reading", "charge", "charge_all")
_USAGE = Script("usage", waits=False)

Records = tuple[tuple[PersonCharge, ...], ...]


@frozen
class _Waiting:
    charge: Charge
    size: int
    kinds: str
    records: bytes
    outcome: asyncio.Future[Charged]


class Budgets:
    """The budgets in the store. One object per worker: it gathers what its loop asks."""

    def __init__(
        self, store: Store, clock: Clock | None = None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._clock = clock or store.clock
        self._known = KnownPersons(monotonic)
        self._usages = Together(store)
        self._reservations = Reservations(store) if store.spread else None
        self._waiting: deque[_Waiting] = deque()
        self._sender: asyncio.Task[None] | None = None

    async def charge(self, charge: Charge) -> Charged:
        """Charge the longest prefix of whole records that fits every limit.

        ``persons`` of the outcome: for each granted record its persons in the order asked, then those that an
        identifier turned out to be besides (rule 4). Raises ``ValueError`` for a record (without ``commit``: a
        charge) of more than 1,000 persons, ``StoreUnavailable`` when it is not certain that all is charged.
        """
        if not charge.commit:
            if sum(map(len, charge.records)) > LARGEST_RECORD:
                raise ValueError(f"a look ahead of more than {LARGEST_RECORD} persons")
            return await self._send(charge)
        known = self._known.answer(charge, self._store.epoch, self._clock.now(), self._store.highest_sequence)
        if known is not None:
            return known
        if _size(charge.records) <= STREAM_IDENTIFIERS_PER_CALL:
            return await self._send(charge)
        granted, sequence = 0, 0
        persons: list[tuple[Counted, ...]] = []
        alarms: dict[Limit, None] = {}
        violations: tuple[Violation, ...] = ()
        for records in _split(charge.records):
            part = await self._send(replace(charge, records=records))
            granted += part.granted
            persons.extend(part.persons)
            alarms.update(dict.fromkeys(part.alarms))
            sequence = max(sequence, part.sequence)
            if part.granted < len(records):
                violations = part.violations
                break
        return Charged(granted, tuple(persons), violations, tuple(alarms), sequence)

    async def withdraw(self, limits: Sequence[Limit], member: bytes) -> None:
        """Take back a reservation under a name that nobody else has: nothing that was released is ever taken back."""
        for place, group in by_place(self._store, limits).items():
            await self._store.calls(*(("ZREM", keys.budget(limit.key), member) for limit in group), place=place)

    async def usage(self, limits: Sequence[Limit]) -> tuple[Usage, ...]:
        """How much of each limit is used now."""
        said: dict[str, tuple[int, int]] = {}
        for place, group in by_place(self._store, limits).items():
            parts = {limit.key: limit.window_s for limit in group}
            floors = [(limit.floor, limit.window_s) for limit in group if limit.floor is not None]
            parts |= {key: window_s for floor, window_s in floors for key in (floor.key, floor.among)}
            names = [keys.CLOCK, *map(keys.budget, parts)]
            windows = [window_s * 1000 for window_s in parts.values()]
            answers = await self._usages.run(Placed(place, _USAGE, names, [self._now_ms(), *windows]))
            said.update(zip(parts, answers, strict=True))
        return tuple(_usage(limit, said) for limit in limits)

    @property
    def epoch(self) -> bytes:
        """The store that charges are made in now."""
        return self._store.epoch

    async def stand(self, epoch: bytes) -> None:
        """Whether what was charged at an epoch is counted still; raises ``StoreLost``, ``StoreUnavailable``."""
        if await self._store.call("GET", keys.EPOCH) != epoch:
            raise StoreLost("the budgets were counted anew meanwhile")

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)

    async def _send(self, charge: Charge) -> Charged:
        kinds, records = packed_records(charge)
        outcome: asyncio.Future[Charged] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(charge, _size(charge.records), kinds, records, outcome))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_waiting(), name="charges")
        return await outcome

    async def _send_waiting(self) -> None:
        sent: list[_Waiting] = []
        try:
            while self._waiting:
                sent = self._next_call()
                for one, answer in zip(sent, await self._answers(sent), strict=True):
                    if isinstance(answer, StoreUnavailable):
                        self._fail([one], answer)
                    elif not one.outcome.done():
                        one.outcome.set_result(answer)
        except StoreUnavailable as fault:
            self._fail([*sent, *self._waiting], fault)
        finally:
            self._fail([*sent, *self._waiting], StoreUnavailable("the charge was not answered"))
            self._waiting.clear()
            self._sender = None

    @staticmethod
    def _fail(waiting: list[_Waiting], fault: StoreUnavailable) -> None:
        for one in waiting:
            if not one.outcome.done():
                one.outcome.set_exception(type(fault)(*fault.args))

    def _next_call(self) -> list[_Waiting]:
        taken: list[_Waiting] = []
        size = 0
        seen: set[bytes] = set()
        while self._waiting:
            if taken and size + self._waiting[0].size > IDENTIFIERS_PER_CALL:
                break
            if self._reservations is not None and not apart(self._waiting[0].charge, seen):
                break
            size += self._waiting[0].size
            taken.append(self._waiting.popleft())
        return taken

    async def _answers(self, sent: list[_Waiting]) -> Sequence[Charged | StoreUnavailable]:
        if self._reservations is not None:
            return await self._reservations.charge([one.charge for one in sent], self._now_ms())
        answers = await self._call(sent)
        return [charged(one.charge.limits, answer) for one, answer in zip(sent, answers, strict=True)]

    async def _call(self, sent: list[_Waiting]) -> Any:
        index: dict[str, int] = {}
        packed: list[Argument] = []
        packed_once: dict[int, bytes] = {}  # by identity: callers' limits are mostly the very same tuples
        for one in sent:
            limits = one.charge.limits
            blob = packed_once.get(id(limits))
            if blob is None:
                blob = packed_once[id(limits)] = packed_limits(limits, index)
            packed += (one.kinds, blob, one.records)
        with self._known.asking(self._store.epoch) as known:
            link_ms = keys.LINK_LIFETIME_S * 1000
            links_before, links, answers = await self._store.run(
                _CHARGE,
                [keys.EPOCH, keys.CLOCK, keys.SEQUENCE, keys.LINKED, *index],
                [self._now_ms(), self._store.epoch, self._store.highest_sequence, link_ms, *packed],
            )
            known.links = links
        highest = max(answer[1] for answer in answers)
        self._store.highest_sequence = max(self._store.highest_sequence, highest)
        for one, answer in zip(sent, answers, strict=True):
            self._known.learn(one.charge, settled(answer), links_before)
        return answers

    async def close(self) -> None:
        """Let the call under way end."""
        if self._sender is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._sender


def _usage(limit: Limit, said: Mapping[str, tuple[int, int]]) -> Usage:
    used, next_free_s = said[limit.key]
    floor_used = in_use = 0
    if limit.floor is not None:
        floor_used, floor_next_s = said[limit.floor.key]
        seconds = [one for one in (next_free_s, floor_next_s) if one >= 0]
        next_free_s = min(seconds, default=-1)
        in_use, _ = said[limit.floor.among]
    return Usage(limit, used, None if next_free_s < 0 else next_free_s, floor_used, in_use)


def _size(records: Records) -> int:
    return sum(len(person.hashes) for record in records for person in record)


def _split(records: Records) -> Iterator[Records]:
    """The calls that a charge is made in: whole records, at most 100 identifiers each where records allow it."""
    part: list[tuple[PersonCharge, ...]] = []
    size = 0
    if any(len(record) > LARGEST_RECORD for record in records):
        raise ValueError(f"a record of more than {LARGEST_RECORD} persons")
    for record in records:
        more = _size((record,))
        if part and size + more > STREAM_IDENTIFIERS_PER_CALL:
            yield tuple(part)
            part, size = [], 0
        part.append(record)
        size += more
    yield tuple(part)
