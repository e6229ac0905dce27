"""Persons who are counted in every limit of a charge already: that charge needs no call to the store.

Rules of this file:

1. What is given is what the store would have answered: whoever it is known by, counted newly nowhere. Nobody is known
   to be counted for longer than the store said, nor while one of their limits has another window, class or scope.
2. It is given only while the store has answered this worker within the last second, with the epoch that it answered
   with before. A store that fails is asked again at once; one that was lost is believed in nothing it said before.
3. Somebody known by one identifier alone becomes somebody else's by a link; so any link ends what is known of them.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from gateway.core.charging import Charge, Charged, Counted, Limit, PersonCharge
from gateway.core.values import frozen
from gateway.stores.charging_format import SETTLED, UNLESS_LINKED
from gateway.stores.faults import StoreLost

BELIEVED_S = 1.0
"""How long what the store answered is believed to be so still."""

AHEAD_S = 3.0
"""By how much another gateway's time may be ahead of this one's, with a second to spare."""

MOST_PERSONS = 100
"""A charge of more is not looked up, nor kept, nor is one of a stream: that only pushes out what is asked again."""

MOST_KNOWN = 40_000
"""Persons kept, one for each caller's limits that count them; some 20 MB."""

_Name = tuple[int, PersonCharge]


@frozen
class _Known:
    """One person under some limits, which are kept so that no others get their identity."""

    limits: tuple[Limit, ...]
    counted: Counted
    until: int
    links: int | None


class KnownPersons:
    """What one worker knows of who is counted; ``links``: how many links the store has made.

    ``monotonic``: seconds, for the age of the store's answers.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._young: dict[_Name, _Known] = {}
        self._old: dict[_Name, _Known] = {}
        self._epoch = b""
        self.links = 0
        self._believed_until = 0.0

    def answer(self, charge: Charge, epoch: bytes, now: float, sequence: int) -> Charged | None:
        """What the store would answer at its time ``now``; ``None`` where it has to be asked.

        ``sequence``: the last charge known of; this one has no number of its own.
        """
        if self._monotonic() >= self._believed_until or epoch != self._epoch:
            return None
        records = charge.records
        if not charge.commit or charge.passing or len(records) > MOST_PERSONS:
            return None
        limits = charge.limits
        found: list[tuple[Counted, ...]] = []
        for record in records:
            persons: list[Counted] = []
            if not 0 < len(record) <= MOST_PERSONS:
                return None
            for person in record:
                known = self._find((id(limits), person))
                if known is None or now + AHEAD_S >= known.until or known.links not in (None, self.links):
                    return None
                persons.append(known.counted)
            found.append(tuple(persons))
        return Charged(len(records), tuple(found), (), (), sequence)

    def _find(self, name: _Name) -> _Known | None:
        known = self._young.get(name)
        if known is None and (known := self._old.get(name)) is not None:
            self._keep(name, known)
        return known

    def _keep(self, name: _Name, known: _Known) -> None:
        if len(self._young) >= MOST_KNOWN // 2:
            self._old, self._young = self._young, {}
        self._young[name] = known

    @contextmanager
    def asking(self, epoch: bytes) -> Iterator["KnownPersons"]:
        """While the store, known by ``epoch``, is asked: what is raised is a doubt, else it is whole as of now."""
        asked_at = self._monotonic()
        try:
            yield self
        except BaseException as fault:
            self._believed_until = 0.0
            if isinstance(fault, StoreLost):
                self._forget()
            raise
        if epoch != self._epoch:
            self._forget()
        self._epoch, self._believed_until = epoch, asked_at + BELIEVED_S

    def learn(self, charge: Charge, settled: Iterable[tuple[bytes, int, int]], links: int) -> None:
        """Keep who is counted after a charge that was granted whole; ``links``: how many there were before it."""
        if not charge.commit or charge.passing or sum(map(len, charge.records)) > MOST_PERSONS:
            return
        everybody = [person for record in charge.records for person in record]
        found = list(settled)
        if len(found) != len(everybody):  # not granted whole, or identifiers turned out to be several persons
            return
        for person, (root, how, until) in zip(everybody, found, strict=True):
            if how in (SETTLED, UNLESS_LINKED):
                known = _Known(charge.limits, Counted(root, 0), until, links if how == UNLESS_LINKED else None)
                self._keep((id(charge.limits), person), known)

    def _forget(self) -> None:
        self._young, self._old = {}, {}
