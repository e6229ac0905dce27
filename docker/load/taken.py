"""What each client received, read from the answers themselves; and the comparison with ledger and budgets."""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MASK = "xMASKx"
NOTICE = "gateway:"
_LINK = re.compile(r'href="/dossiers/(\d+)"')
_NIR = re.compile(r'<dd id="nir">([^<]*)</dd>')


class Taken:
    """The persons that each login was given. ``sensitive``: those whose number was in clear."""

    def __init__(self) -> None:
        self.persons: defaultdict[str, set[int]] = defaultdict(set)
        self.sensitive: defaultdict[str, set[int]] = defaultdict(set)

    def record(self, login: str, body: bytes) -> None:
        """One record in JSON."""
        record = json.loads(body)
        self._add(login, record["id"], clear=not str(record["nir"]).endswith(MASK))

    def listed(self, login: str, body: bytes) -> None:
        """A list or suggestions in JSON: names, and no number."""
        answer = json.loads(body)
        for row in answer["demandeurs"] if isinstance(answer, dict) else answer:
            self._add(login, row["id"], clear=False)

    def page(self, login: str, number: int, body: bytes) -> None:
        """A record's page."""
        found = _NIR.search(body.decode())
        self._add(login, number, clear=found is not None and not found[1].strip().endswith(MASK))

    def found(self, login: str, body: bytes) -> None:
        """A search's page."""
        for number in _LINK.findall(body.decode()):
            self._add(login, int(number), clear=False)

    def exported(self, login: str, body: bytes) -> int:
        """An export's whole rows, up to the notice where it was stopped; returns how many."""
        rows = 0
        for row in csv.DictReader(io.StringIO(body.decode()), delimiter=";"):
            first = row["id"]
            if first.startswith(NOTICE):
                break
            self._add(login, int(first), clear=not row["nir"].endswith(MASK))
            rows += 1
        return rows

    def named(self, login: str, number: int, *, clear: bool) -> None:
        """Something of somebody whom only the request names."""
        self._add(login, number, clear=clear)

    def _add(self, login: str, number: int, *, clear: bool) -> None:
        self.persons[login].add(number)
        if clear:
            self.sensitive[login].add(number)


@dataclass(frozen=True, slots=True)
class Compared:
    """One login: what its client received, and what ledger and budgets say of it."""

    login: str
    received: int
    ledger: int
    counted: int
    received_sensitive: int
    counted_sensitive: int

    @property
    def difference(self) -> int:
        """Nought where all agree."""
        return (
            abs(self.received - self.ledger)
            + abs(self.received - self.counted)
            + abs(self.received_sensitive - self.counted_sensitive)
        )


def used(budgets: Iterable[Mapping[str, object]], name: str) -> int:
    """What a budget says is used; `budgets` as `GET /.gateway/budget` has them."""
    return next(int(str(one["used"])) for one in budgets if one["name"] == name)
