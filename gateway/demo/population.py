"""A synthetic French population in SQLite: the same persons for the same seed, none of them real.

Numbers are unique by construction (a counter permuted by a multiplication), not by remembering millions of them.
"""

from __future__ import annotations

import datetime as dt
import random
import secrets
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.demo import names, population_schema
from gateway.demo.spelling import without_accents

_BATCH_PERSONS: Final = 10_000

_FIRST_DAY: Final = dt.date(1950, 1, 1)
_DAYS: Final = tuple((_FIRST_DAY + dt.timedelta(days=n)).isoformat() for n in range(27_150))


def _day(year: int, month: int, day: int) -> int:
    return (dt.date(year, month, day) - _FIRST_DAY).days


_BIRTHS: Final = (_day(1955, 1, 1), _day(2006, 12, 31))
_REGISTER_OPENED: Final = _day(2004, 2, 6)
_TODAY: Final = _day(2024, 2, 6)

#: Every 40 persons these shapes of NIR come once; the other persons are born in mainland France.
_SHAPES: Final = (
    "2A", "2B", "abroad", "abroad", "overseas 97", "overseas 98", "month 20", "month 50", "digit 3", "digit 7",
    "protectorate",
)  # fmt: skip
_SHAPE_PERIOD: Final = 40
_MAINLAND: Final = tuple(f"{number:02d}" for number in range(1, 96) if number != 20)
_OVERSEAS: Final = {
    "overseas 97": ("971", "972", "973", "974", "976"),
    "overseas 98": ("984", "986", "987", "988"),
}


def nir_key(nir13: str) -> int:
    """The key (1 to 97) of the first 13 characters of a NIR: 97 less the rest of the division by 97 (Insee).

    Corsica's letters, at positions 6 and 7 only, count as 19 (2A) and 18 (2B).
    """
    department = {"2A": "19", "2B": "18"}.get(nir13[5:7].upper(), nir13[5:7])
    return 97 - int(nir13[:5] + department + nir13[7:13]) % 97


@dataclass(slots=True)
class NirSeries:
    """Gives out NIRs, never one twice: commune and order run through a permutation for each prefix."""

    _issued: dict[str, int] = field(default_factory=dict)

    def issue(self, prefix: str) -> str:
        """The next NIR that begins with `prefix`: sex, year, month and department (with its third digit overseas)."""
        commune_digits = 10 - len(prefix)
        span = (899 if commune_digits == 3 else 99) * 999
        count = self._issued.get(prefix, 0)
        if count >= span:
            raise ValueError("no number left under this prefix")
        self._issued[prefix] = count + 1
        # 1,000,003 is prime, hence coprime with both spans: no value returns before all have come.
        commune, order = divmod((count * 1_000_003 + zlib.crc32(prefix.encode())) % span, 999)
        body = f"{prefix}{commune + 1:0{commune_digits}d}{order + 1:03d}"
        return f"{body}{nir_key(body):02d}"


@dataclass(slots=True)
class _Batch:
    persons: list[tuple[object, ...]] = field(default_factory=list)
    events: list[tuple[int, str, str]] = field(default_factory=list)
    spouses: list[tuple[int, str, str, str]] = field(default_factory=list)
    children: list[tuple[int, str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Agency:
    safir: str
    ville: str
    code_postal: str
    advisers: tuple[str, ...]


class _Draw:
    """One pass over the persons, in order of id; every choice comes from one generator."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.nirs = NirSeries()
        self.agencies = tuple(self._agency(number) for number in range(len(names.CITIES)))

    def pick(self, words: tuple[str, ...]) -> str:
        return words[int(self.rng.random() * len(words))]

    def between(self, low: int, high: int) -> int:
        return low + int(self.rng.random() * (high - low + 1))

    def first_name(self, male: bool) -> str:
        return self.pick(names.MALE_NAMES if male else names.FEMALE_NAMES)

    def last_name(self) -> str:
        name = self.pick(names.LAST_NAMES)
        return f"{name}-{self.pick(names.LAST_NAMES)}" if self.rng.random() < 0.06 else name

    def phone(self) -> str:
        number = self.between(0, 9_999)
        return f"{self.pick(names.FICTION_PREFIXES)} {number // 100:02d} {number % 100:02d}"

    def _agency(self, number: int) -> _Agency:
        ville, code_postal = names.CITIES[number]
        advisers = tuple(
            f"{self.first_name(number_of % 2 == 0)} {self.pick(names.LAST_NAMES).title()}" for number_of in range(12)
        )
        return _Agency(f"{int(code_postal[:2]) * 1000 + number * 7 + 3:05d}", ville, code_postal, advisers)

    def agency_rows(self) -> Iterator[tuple[str, ...]]:
        for agency in self.agencies:
            address = f"{self.between(1, 90)} {self.pick(names.STREETS)}"
            name = f"Agence {agency.ville} {agency.code_postal[:2]}"
            yield agency.safir, name, address, agency.code_postal, agency.ville, self.phone()

    def nir(self, person: int, male: bool, born: str) -> str:
        """A NIR of the shape that is this person's turn."""
        turn = person % _SHAPE_PERIOD
        shape = _SHAPES[turn] if turn < len(_SHAPES) else ""
        first, month = ("1" if male else "2"), born[5:7]
        department = self.pick(_MAINLAND)
        if shape in ("2A", "2B"):
            department = shape
        elif shape == "abroad":
            department = "99"
        elif shape == "protectorate":
            department = "96"
        elif shape in _OVERSEAS:
            department = self.pick(_OVERSEAS[shape])
        elif shape == "month 20":
            month = f"{self.between(20, 42):02d}"
        elif shape == "month 50":
            month = f"{self.between(50, 99):02d}"
        elif shape in ("digit 3", "digit 7"):
            first = str(int(shape[-1]) + (0 if male else 1))
        return self.nirs.issue(f"{first}{born[2:4]}{month}{department}")

    def note(self, person: int, phone: str, nir: str) -> str:
        text = self.pick(names.NOTES)
        turn = person % 30
        if turn == 7:
            return f"{text} NIR relevé au guichet : {_spaced(nir, ' ')}."
        if turn == 17:
            return f"{text} N° de sécurité sociale {_spaced(nir, '.')} vérifié sur la carte."
        if turn in (3, 13, 23):
            return f"{text} Joindre au {phone} après 17 h."
        return text if turn % 3 == 0 else ""

    def add(self, person: int, batch: _Batch) -> None:
        """Put one person, their events and their family into the batch."""
        turn = person % _SHAPE_PERIOD
        male = (person // _SHAPE_PERIOD) % 2 == 0 if turn < len(_SHAPES) else self.rng.random() < 0.5
        birth = self.between(*_BIRTHS)
        born = _DAYS[birth]
        nom, prenom = self.last_name(), self.first_name(male)
        birth_name = nom if male or self.rng.random() < 0.6 else self.last_name()
        nir, phone = self.nir(person, male, born), self.phone()
        agency = self.agencies[int(self.rng.random() * len(self.agencies))]
        registered = self.between(max(_REGISTER_OPENED, birth + 16 * 366), _TODAY)
        ended = None if self.rng.random() < 0.45 else _DAYS[self.between(registered, _TODAY)]
        login = without_accents(f"{prenom}.{nom}").lower().replace(" ", "-")
        batch.persons.append(
            (
                person, _registration_number(person), _national_id(person), nir, nom, prenom, birth_name,
                "M" if male else "F", born, f"{self.between(1, 180)} {self.pick(names.STREETS)}",
                agency.code_postal, agency.ville, phone, f"{login}{person % 1000}@courriel.example", agency.safir,
                self.pick(agency.advisers), _DAYS[registered], ended, self.pick(names.SITUATIONS),
                int(self.rng.random() < 0.09), self.pick(names.HEALTH), self.pick(names.HOUSING),
                self.note(person, phone, nir),
            )
        )  # fmt: skip
        batch.events.append((person, _DAYS[registered], "Inscription"))
        for _ in range(int(self.rng.random() * 5)):
            batch.events.append((person, _DAYS[self.between(registered, _TODAY)], self.pick(names.EVENTS)))
        if self.rng.random() < 0.2:
            self._family(person, male, nom, birth, batch)

    def _family(self, person: int, male: bool, nom: str, birth: int, batch: _Batch) -> None:
        children = self.between(0, 3)
        if children == 0 or self.rng.random() < 0.7:
            born = _DAYS[min(max(birth + self.between(-2_000, 2_000), _BIRTHS[0]), _BIRTHS[1])]
            spouse = self.nir(_SHAPE_PERIOD - 1, not male, born)
            batch.spouses.append((person, spouse, nom, self.first_name(not male)))
        for _ in range(children):
            boy = self.rng.random() < 0.5
            born = _DAYS[self.between(min(birth + 18 * 366, _TODAY), _TODAY)]
            batch.children.append((person, self.nir(_SHAPE_PERIOD - 1, boy, born), self.first_name(boy)))


def _spaced(nir: str, separator: str) -> str:
    return separator.join((nir[0], nir[1:3], nir[3:5], nir[5:7], nir[7:10], nir[10:13], nir[13:]))


def _registration_number(person: int) -> str:
    """Eleven digits; for one person in seven the old form: seven digits and one digit or letter."""
    if person % 7 == 3:
        return f"{(person * 7_654_321) % 9_999_991:07d}{'0123456789ABCDEFGHJKLMNPRSTUVWXYZ'[person % 33]}"
    return f"{(person * 48_271_003_937) % 99_999_999_977:011d}"


def _national_id(person: int) -> str:
    # An odd factor permutes the 64-bit numbers.
    return f"DE{(person * 0x9E3779B97F4A7C15) % 2**64:016X}"


def build(path: Path, persons: int, seed: int = 2024, progress: Callable[[int], None] | None = None) -> None:
    """Write a population of `persons` into a new SQLite file at `path`, replacing what was there in one step.

    `progress` is called with the number of persons written so far. Raises `ValueError` for a number outside 1 to
    2,000,000, `OSError` or `sqlite3.Error` when the file cannot be written; the old file is then untouched.
    """
    if not 1 <= persons <= 2_000_000:
        raise ValueError("between 1 and 2,000,000 persons")
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _write(partial, persons, seed, progress)
        # What an older application left beside the old file does not belong to the new one.
        for suffix in ("-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _write(path: Path, persons: int, seed: int, progress: Callable[[int], None] | None) -> None:
    draw = _Draw(seed)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -64000;")
        connection.execute(f"PRAGMA user_version = {seed % 2**31}")
        connection.executescript(population_schema.TABLES)
        connection.executemany("INSERT INTO agence VALUES (?, ?, ?, ?, ?, ?)", draw.agency_rows())
        for first in range(1, persons + 1, _BATCH_PERSONS):
            last = min(first + _BATCH_PERSONS - 1, persons)
            batch = _Batch()
            for person in range(first, last + 1):
                draw.add(person, batch)
            _insert(connection, batch)
            if progress is not None:
                progress(last)
        connection.executescript(population_schema.INDEXES)
    finally:
        connection.close()


def _insert(connection: sqlite3.Connection, batch: _Batch) -> None:
    connection.execute("BEGIN")
    connection.executemany(f"INSERT INTO demandeur VALUES ({', '.join('?' * 23)})", batch.persons)  # noqa: S608 - question marks only
    connection.executemany("INSERT INTO historique VALUES (?, ?, ?)", batch.events)
    connection.executemany("INSERT INTO conjoint VALUES (?, ?, ?, ?)", batch.spouses)
    connection.executemany("INSERT INTO enfant VALUES (?, ?, ?)", batch.children)
    connection.execute("COMMIT")
