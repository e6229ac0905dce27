"""The register behind the employment application: one SQLite connection, the queries, the records as JSON has them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.demo.spelling import without_accents

Record = dict[str, Any]

#: The record's fields as JSON and forms name them, and their columns. `id` cannot be written.
COLUMNS: Final = {
    "numeroFranceTravail": "numero_francetravail", "idNationalDE": "id_national_de", "nir": "nir", "nom": "nom",
    "prenom": "prenom", "nomNaissance": "nom_naissance", "sexe": "sexe", "dateNaissance": "date_naissance",
    "adresse": "adresse", "codePostal": "code_postal", "ville": "ville", "telephone": "telephone", "email": "email",
    "agence": "agence", "conseiller": "conseiller", "dateInscription": "date_inscription", "dateFin": "date_fin",
    "situation": "situation", "rqth": "rqth", "orientationSante": "orientation_sante", "logement": "logement",
    "note": "note",
}  # fmt: skip
_FULL: Final = ", ".join(f"{column} AS {field}" for field, column in COLUMNS.items())
_LISTED: Final = "id, numero_francetravail AS numeroFranceTravail, nom, prenom, ville, email, telephone"
_EXPORTED: Final = (
    "id, numero_francetravail, nir, nom, prenom, date_naissance, ville, email, telephone"
)  # fmt: skip
_TELEPHONE: Final = re.compile(r"[\d +().-]*")
_LARGEST_ID: Final = 2**63 - 1
EXPORT_HEADER: Final = tuple(_EXPORTED.split(", "))
HEALTH_HEADER: Final = ("id", "nom", "prenom", "rqth", "orientation_sante", "logement")


@dataclass(frozen=True, slots=True)
class Conflict:
    """The register refused what was to be saved: another has this number, a field may not be empty, or is wrong."""

    reason: str


class Register:
    """Everything the application asks of its database. To be used from one thread; every call is short."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True, isolation_level=None, timeout=5)
        self._connection.row_factory = sqlite3.Row
        self._connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
        #: Changes with the population: what the application derives from it ends with it.
        self.seed: int = self._connection.execute("PRAGMA user_version").fetchone()[0]

    def close(self) -> None:
        self._connection.close()

    def _rows(self, query: str, *values: object) -> list[Record]:
        return [dict(row) for row in self._connection.execute(query, values)]

    def person(self, number: int) -> Record | None:
        """The full record with family and history, `None` where nobody has this id."""
        if number > _LARGEST_ID:
            return None
        rows = self._rows(f"SELECT id, {_FULL} FROM demandeur WHERE id = ?", number)  # noqa: S608 - our own columns
        if not rows:
            return None
        record = rows[0]
        record["rqth"] = bool(record["rqth"])
        spouses = self._rows("SELECT nir, nom, prenom FROM conjoint WHERE id_demandeur = ?", number)
        children = self._rows("SELECT nir, prenom FROM enfant WHERE id_demandeur = ?", number)
        if spouses:
            record["conjoint"] = spouses[0]
        if children:
            record["enfants"] = children
        record["historique"] = self._rows(
            "SELECT date, evenement FROM historique WHERE id_demandeur = ? ORDER BY date, rowid", number
        )
        return record

    def persons(self, numbers: list[int]) -> list[Record]:
        """The full records of those who exist, in the order asked."""
        return [record for number in numbers if (record := self.person(number)) is not None]

    def count(self) -> int:
        """How many persons there are (ids run without gaps)."""
        return int(self._connection.execute("SELECT max(id) FROM demandeur").fetchone()[0])

    def page(self, page: int, size: int) -> list[Record]:
        """One page of the list, pages counted from 1."""
        first = (page - 1) * size
        return self._rows(f"SELECT {_LISTED} FROM demandeur WHERE id > ? ORDER BY id LIMIT ?", first, size)  # noqa: S608 - our own columns

    def search(self, text: str, limit: int) -> list[Record]:
        """Persons whose name begins with the first word and whose first name begins with the second, or whose
        registration number is `text`."""
        words = text.split()
        if not words:
            return []
        if words[0][:7].isdigit():
            return self._rows(f"SELECT {_LISTED} FROM demandeur WHERE numero_francetravail = ?", words[0])  # noqa: S608 - our own columns
        last, first = without_accents(words[0]).upper(), " ".join(words[1:])
        query = (
            f"SELECT {_LISTED} FROM demandeur WHERE nom >= ? AND nom < ? AND substr(prenom, 1, ?) = ? COLLATE NOCASE"  # noqa: S608 - our own columns
            " ORDER BY nom, prenom LIMIT ?"
        )
        return self._rows(query, last, f"{last}\U0010ffff", len(first), first, limit)

    def ids_by_nir(self, born: str, nir: str) -> list[int]:
        """At most two persons born on that day (ISO date) whose NIR begins with `nir`."""
        rows = self._rows(
            "SELECT id FROM demandeur WHERE nir >= ? AND nir < ? AND date_naissance = ? LIMIT 2", nir, f"{nir}~", born
        )
        return [row["id"] for row in rows]

    def ids_by_registration_number(self, number: str) -> list[int]:
        rows = self._rows("SELECT id FROM demandeur WHERE numero_francetravail = ?", number)
        return [row["id"] for row in rows]

    def save(self, number: int, fields: Mapping[str, str | int | None]) -> Conflict | None:
        """Write the given fields; those without a column are ignored, as the application always has."""
        known = {COLUMNS[field]: value for field, value in fields.items() if field in COLUMNS}
        if not known:
            return None
        if not _TELEPHONE.fullmatch(str(fields.get("telephone", ""))):
            return Conflict("téléphone invalide")
        assignments = ", ".join(f"{column} = ?" for column in known)
        try:
            self._connection.execute(f"UPDATE demandeur SET {assignments} WHERE id = ?", (*known.values(), number))  # noqa: S608 - our own columns
        except sqlite3.IntegrityError as error:
            return Conflict(str(error))
        return None

    def agencies(self) -> list[Record]:
        return self._rows(
            "SELECT safir, nom, adresse, code_postal AS codePostal, ville, telephone FROM agence ORDER BY safir"
        )

    def export(
        self, limit: int, rows_at_once: int, header: tuple[str, ...] = EXPORT_HEADER
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Rows of `header` in order of id, a few at once, each few read in a transaction of its own."""
        last, left = 0, limit
        while left > 0:
            rows = [
                tuple(row)
                for row in self._connection.execute(
                    f"SELECT {', '.join(header)} FROM demandeur WHERE id > ? ORDER BY id LIMIT ?",  # noqa: S608 - our own columns
                    (last, min(rows_at_once, left)),
                )
            ]
            if not rows:
                return
            yield rows
            last, left = rows[-1][0], left - len(rows)
