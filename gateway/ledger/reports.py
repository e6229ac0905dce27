"""Who saw whose record: reports over the ledger, for an officer, for a person who asks, for a regulator.

A person counts as *released* to a caller when an answer left (kind ``answer``, enforced or observed) that held
anything of theirs, except where everything of theirs was masked (``masked_only``) or the content was withheld
(reason ``content_withheld``). Persons are keyed hashes: the same person under two hash keys counts twice.
A user is who they are by every identity: what a new one took before a migration is its user's (``identities``).

Only records whose seal is right are counted; what is wrong with the others stands in ``verification``. All
times are Unix seconds, windows are [since, until).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gateway.core.reasons import Reason
from gateway.ledger.identities import named, users_of
from gateway.ledger.tally import CallerShare, Hour, Tally, is_released
from gateway.ledger.verify import Progress, Verification, walk


@dataclass(frozen=True, slots=True)
class Selector:
    """Whose records a report is about: all that is given must fit."""

    user: str | None = None
    partner: str | None = None
    credential: str | None = None

    def fits(self, record: Mapping[str, Any]) -> bool:
        caller = record.get("caller") or {}
        return all(
            wanted is None or caller.get(name) == wanted
            for name, wanted in (("user", self.user), ("partner", self.partner), ("credential", self.credential))
        )

    def of(self, users: Mapping[str, str]) -> "Selector":
        """The same, for the user for whom its user stands."""
        return self if self.user is None else replace(self, user=users.get(self.user, self.user))

    def as_json(self) -> dict[str, str]:
        given = {"user": self.user, "partner": self.partner, "credential": self.credential}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class CallerReport:
    """What one caller (or partner, or credential) was given. ``persons`` is exact and distinct."""

    selector: Selector
    since: float | None
    until: float | None
    persons: int
    persons_enforced: int
    persons_observed: int
    persons_masked_only: int
    persons_by_class: Mapping[str, int]
    categories: Mapping[str, int]
    unnamed: int
    answers: int
    refused: int
    challenged: int
    withheld: int
    first: float | None
    last: float | None
    callers: tuple[CallerShare, ...]
    timeline: tuple[Hour, ...]
    hash_key_ids: tuple[str, ...]
    person_hashes: Set[str] = field(repr=False)
    verification: Verification

    def as_json(self, *, hashes: bool = False) -> dict[str, Any]:
        """For machines. ``hashes``: with the keyed hash of every person."""
        plain: dict[str, Any] = _plain(self)
        if hashes:
            plain["person_hashes"] = sorted(self.person_hashes)
        return plain


@dataclass(frozen=True, slots=True)
class Sighting:
    """One answer that held something of a person; ``why``: the caller's reason, where the person was outside."""

    now: float
    user: str
    partner: str
    credential: str
    application: str
    method: str
    route: str
    reference: str
    class_name: str
    clear: tuple[str, ...]
    masked: tuple[str, ...]
    released: bool
    mode: str
    why: str | None = None


@dataclass(frozen=True, slots=True)
class PersonReport:
    """Who was given a person's data, in order of time."""

    since: float | None
    until: float | None
    sightings: tuple[Sighting, ...]
    verification: Verification

    @property
    def callers(self) -> int:
        """Distinct users to whom anything in clear left."""
        return len({s.user or ("", s.partner) for s in self.sightings if s.released})

    def as_json(self) -> dict[str, Any]:
        return {**_plain(self), "callers": self.callers}


@dataclass(frozen=True, slots=True)
class BreachReport:
    """What a notification within 72 hours needs (GDPR, article 33): persons, categories, callers, period."""

    since: float
    until: float
    selectors: tuple[Selector, ...]
    persons: int
    persons_by_class: Mapping[str, int]
    categories: Mapping[str, int]
    unnamed: int
    answers: int
    refused: int
    challenged: int
    first: float | None
    last: float | None
    applications: tuple[str, ...]
    callers: tuple[CallerShare, ...]
    timeline: tuple[Hour, ...]
    hash_key_ids: tuple[str, ...]
    person_hashes: Set[str] = field(repr=False)
    verification: Verification

    def as_json(self, *, hashes: bool = False) -> dict[str, Any]:
        """For machines. ``hashes``: with the keyed hash of every person, to inform them (article 34)."""
        plain: dict[str, Any] = _plain(self)
        if hashes:
            plain["person_hashes"] = sorted(self.person_hashes)
        return plain


def report_caller(
    directory: Path,
    keys: Mapping[str, bytes],
    selector: Selector,
    *,
    since: float | None = None,
    until: float | None = None,
    progress: Progress | None = None,
) -> CallerReport:
    """Whose records a caller took. Raises OSError when the ledger cannot be read."""
    tally, found, users = Tally(), Verification(), users_of(directory, keys)
    selector = selector.of(users)
    for record in _within(walk(directory, keys, found, progress), users, since, until, selector.fits):
        tally.add(record)
    seen = tally.seen
    return CallerReport(
        selector=selector,
        since=since,
        until=until,
        persons=len(seen),
        persons_enforced=sum(1 for s in seen.values() if s.enforced),
        persons_observed=sum(1 for s in seen.values() if s.observed),
        persons_masked_only=len(tally.masked_only - seen.keys()),
        persons_by_class=tally.by_class(),
        categories=tally.by_category(),
        unnamed=tally.unnamed,
        answers=tally.answers,
        refused=tally.refused,
        challenged=tally.challenged,
        withheld=tally.withheld,
        first=tally.first,
        last=tally.last,
        callers=tally.by_caller(),
        timeline=tally.hours(),
        hash_key_ids=tuple(sorted(tally.hash_key_ids)),
        person_hashes=seen.keys(),
        verification=found,
    )


def report_person(
    directory: Path,
    keys: Mapping[str, bytes],
    person_hashes: Collection[str],
    *,
    since: float | None = None,
    until: float | None = None,
    progress: Progress | None = None,
) -> PersonReport:
    """Who saw a person, known by their keyed hashes (one per hash key). Raises OSError."""
    wanted, found, users = frozenset(person_hashes), Verification(), users_of(directory, keys)
    sightings = [
        _sighting(record, person)
        for record in _within(walk(directory, keys, found, progress), users, since, until)
        if record.get("kind") == "answer"
        for person in record.get("persons") or ()
        if person["h"] in wanted
    ]
    return PersonReport(since, until, tuple(sorted(sightings, key=lambda s: s.now)), found)


def report_breach(
    directory: Path,
    keys: Mapping[str, bytes],
    since: float,
    until: float,
    selectors: Sequence[Selector] = (),
    *,
    progress: Progress | None = None,
) -> BreachReport:
    """What left between two times to any of the selected callers (none: to all). Raises OSError."""
    tally, found, users = Tally(), Verification(), users_of(directory, keys)
    selectors = tuple(one.of(users) for one in selectors)
    chosen = selectors or (Selector(),)
    walked = walk(directory, keys, found, progress)
    for record in _within(walked, users, since, until, lambda record: any(s.fits(record) for s in chosen)):
        tally.add(record)
    return BreachReport(
        since=since,
        until=until,
        selectors=selectors,
        persons=len(tally.seen),
        persons_by_class=tally.by_class(),
        categories=tally.by_category(),
        unnamed=tally.unnamed,
        answers=tally.answers,
        refused=tally.refused,
        challenged=tally.challenged,
        first=tally.first,
        last=tally.last,
        applications=tuple(sorted(tally.applications)),
        callers=tally.by_caller(),
        timeline=tally.hours(),
        hash_key_ids=tuple(sorted(tally.hash_key_ids)),
        person_hashes=tally.seen.keys(),
        verification=found,
    )


def _within(
    records: Iterator[dict[str, Any]],
    users: Mapping[str, str],
    since: float | None,
    until: float | None,
    fits: Callable[[Mapping[str, Any]], bool] = lambda record: True,
) -> Iterator[dict[str, Any]]:
    for record in records:
        early = since is not None and record["now"] < since
        late = until is not None and record["now"] >= until
        if not early and not late and fits(whose := named(record, users)):
            yield whose


def _sighting(record: Mapping[str, Any], person: Mapping[str, Any]) -> Sighting:
    caller = record.get("caller") or {}
    return Sighting(
        now=record["now"],
        user=caller.get("user") or "",
        partner=caller.get("partner") or "",
        credential=caller.get("credential") or "",
        application=record.get("app") or "",
        method=record.get("method") or "",
        route=record.get("route") or "",
        reference=record.get("ref") or "",
        class_name=person["c"],
        clear=tuple(person.get("clear") or ()),
        masked=tuple(person.get("masked") or ()),
        released=is_released(person) and record.get("reason") != Reason.CONTENT_WITHHELD,
        mode=record.get("mode") or "enforce",
        why=record.get("why") if person.get("out") else None,
    )


def _plain(value: Any) -> Any:
    """A report as JSON values, person hashes left out."""
    if isinstance(value, Selector | Verification):
        return value.as_json()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    names = getattr(type(value), "__dataclass_fields__", None)
    if names is None:
        return value
    return {name: _plain(getattr(value, name)) for name in names if name != "person_hashes"}
