"""Distinct persons, counted: what every report over the ledger has in common.

Memory grows with the number of distinct persons; categories and callers of a person are bits of an integer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.core.extraction import Class
from gateway.core.reasons import Reason

HOUR_S: Final = 3600


@dataclass(slots=True)
class _Seen:
    """What left about one person: the earliest time, the highest class, categories and callers as bits."""

    first: float
    klass: Class
    categories: int = 0
    callers: int = 0
    enforced: bool = False
    observed: bool = False


@dataclass(frozen=True, slots=True)
class Hour:
    """One bar of the drawing. ``new_persons``: seen for the first time in this report."""

    start: int
    answers: int
    new_persons: int
    refused: int
    challenged: int


@dataclass(frozen=True, slots=True)
class CallerShare:
    """One caller's part in a breach."""

    user: str
    partner: str
    persons: int
    answers: int


class Tally:
    """Distinct persons and all that is said about them, gathered record by record."""

    def __init__(self) -> None:
        self.seen: dict[str, _Seen] = {}
        self.masked_only: set[str] = set()
        self.answers = self.unnamed = self.refused = self.challenged = self.withheld = 0
        self.first: float | None = None
        self.last: float | None = None
        self.applications: set[str] = set()
        self.hash_key_ids: set[str] = set()
        self._categories: dict[str, int] = {}
        self._callers: dict[tuple[str, str], int] = {}
        self._caller_answers: dict[int, int] = {}
        self._hours: dict[int, list[int]] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        hour = self._hours.setdefault(int(record["now"] // HOUR_S) * HOUR_S, [0, 0, 0])
        match record.get("kind"):
            case "refusal":
                self.refused += 1
                hour[1] += 1
            case "challenge":
                self.challenged += 1
                hour[2] += 1
            case "answer" if record.get("reason") == Reason.CONTENT_WITHHELD:
                self.withheld += 1
            case "answer":
                hour[0] += 1
                self._add_answer(record)

    def _add_answer(self, record: Mapping[str, Any]) -> None:
        now = record["now"]
        self.answers += 1
        self.unnamed += record.get("unnamed") or 0
        self.first = now if self.first is None else min(self.first, now)
        self.last = now if self.last is None else max(self.last, now)
        self.applications.add(record.get("app") or "")
        caller = record.get("caller") or {}
        who = (caller.get("user") or "", caller.get("partner") or "")
        index = self._callers.setdefault(who, len(self._callers))
        self._caller_answers[index] = self._caller_answers.get(index, 0) + 1
        persons = record.get("persons") or ()
        if persons and record.get("hash_kid"):
            self.hash_key_ids.add(record["hash_kid"])
        for person in persons:
            self._add_person(person, now, 1 << index, observed=record.get("mode") == "observe")

    def _add_person(self, person: Mapping[str, Any], now: float, caller_bit: int, *, observed: bool) -> None:
        if not is_released(person):
            self.masked_only.add(person["h"])
            return
        klass = _class_of(person["c"])
        seen = self.seen.get(person["h"])
        if seen is None:
            seen = self.seen[person["h"]] = _Seen(now, klass)
        seen.first = min(seen.first, now)
        seen.klass = max(seen.klass, klass)
        seen.callers |= caller_bit
        seen.observed |= observed
        seen.enforced |= not observed
        for category in person.get("clear") or ():
            seen.categories |= 1 << self._categories.setdefault(category, len(self._categories))

    def by_class(self) -> dict[str, int]:
        """Persons by the highest class of theirs that left; the numbers add up to all persons."""
        counts = dict.fromkeys((klass.word for klass in Class), 0)
        for seen in self.seen.values():
            counts[seen.klass.word] += 1
        return counts

    def by_category(self) -> dict[str, int]:
        return {
            category: sum(1 for seen in self.seen.values() if seen.categories >> bit & 1)
            for category, bit in sorted(self._categories.items())
        }

    def by_caller(self) -> tuple[CallerShare, ...]:
        shares = (
            CallerShare(
                user=user,
                partner=partner,
                persons=sum(1 for seen in self.seen.values() if seen.callers >> bit & 1),
                answers=self._caller_answers.get(bit, 0),
            )
            for (user, partner), bit in self._callers.items()
        )
        return tuple(sorted(shares, key=lambda share: (-share.persons, share.user, share.partner)))

    def hours(self) -> tuple[Hour, ...]:
        new: dict[int, int] = {}
        for seen in self.seen.values():
            start = int(seen.first // HOUR_S) * HOUR_S
            new[start] = new.get(start, 0) + 1
        return tuple(
            Hour(start, answers, new.get(start, 0), refused, challenged)
            for start, (answers, refused, challenged) in sorted(self._hours.items())
            if answers or refused or challenged
        )


def is_released(person: Mapping[str, Any]) -> bool:
    """Whether anything of a person left in clear. One who is named by the request alone has no categories."""
    return bool(person.get("clear")) or not person.get("masked")


def _class_of(word: str) -> Class:
    """The class a record names; a word of a later version counts as the highest."""
    try:
        return Class.of(word)
    except KeyError:
        return max(Class)
