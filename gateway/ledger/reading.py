"""What was charged: read back from the ledger when the store has lost it or says less than was written.

`gateway.ledger.verify` says whether the ledger is intact, `gateway.ledger.reports` who saw whom.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.ledger.files import chain_names
from gateway.ledger.format import MAX_RECORD_BYTES, open_line
from gateway.ledger.verify import Problem, Verification, verify, walk

__all__ = [
    "ChargedPerson",
    "LedgerDamaged",
    "Problem",
    "RecordedCharge",
    "Verification",
    "charges",
    "charges_of",
    "last_charge_at",
    "last_charge_seq",
    "verified",
    "verify",
]

STEP_BYTES: Final = 1024 * 1024


class LedgerDamaged(Exception):
    """The ledger does not verify; ``problem`` is the first thing found."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.file}, line {problem.line}: {problem.what}")
        self.problem = problem


@dataclass(frozen=True, slots=True)
class ChargedPerson:
    """A person as a charge names them. ``newly``: first counted by this charge; ``outside``: charged as outside.

    ``floors``: marks of the limits in whose floor they stand.
    """

    hash: str
    class_name: str
    newly: bool
    outside: bool = False
    floors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordedCharge:
    """One record of persons charged. ``now`` in Unix seconds; ``caller``, ``proof`` and ``mandate`` as recorded.

    ``unnamed_classes``: how many of the unnamed persons were charged at which class; ``unnamed_outside``: as outside;
    ``unnamed_floors``: how many of them stand in which floors; ``miss``: a lookup that found nobody.
    """

    now: float
    app: str
    mode: str
    caller: Mapping[str, Any]
    proof: Mapping[str, Any] | None
    persons: tuple[ChargedPerson, ...]
    unnamed: int
    charge_seq: int | None
    hash_key_id: str | None
    unnamed_classes: Mapping[str, int] = field(default_factory=dict)
    mandate: Mapping[str, Any] | None = None
    miss: bool = False
    unnamed_outside: bool = False
    unnamed_floors: Mapping[str, int] = field(default_factory=dict)


def charges(
    directory: Path, keys: Mapping[str, bytes], since: float, on_problem: Callable[[Problem], None] | None = None
) -> Iterator[RecordedCharge]:
    """Every charge at or after ``since`` (Unix seconds), of the records that ``verified`` gives."""
    return charges_of(verified(directory, keys, on_problem), since)


def charges_of(records: Iterable[Mapping[str, Any]], since: float) -> Iterator[RecordedCharge]:
    """The charges among some records at or after ``since`` (Unix seconds), in their order.

    A person's first charge is the earliest of all: whoever rebuilds budgets keeps the smallest ``now``.
    """
    return (_charge(record) for record in records if record["now"] >= since and is_charge(record))


def verified(
    directory: Path, keys: Mapping[str, bytes], on_problem: Callable[[Problem], None] | None = None
) -> Iterator[Mapping[str, Any]]:
    """Every record, ordered within a chain but not between chains.

    Records that do not verify are left out: ``on_problem`` is told at once, or without it LedgerDamaged is raised.
    """
    found = Verification()
    told = 0
    for record in walk(directory, keys, found):
        told = _tell(found, told, on_problem)
        yield record
    _tell(found, told, on_problem)


def _tell(found: Verification, told: int, on_problem: Callable[[Problem], None] | None) -> int:
    for problem in found.problems[told:]:
        if on_problem is None:
            raise LedgerDamaged(problem)
        on_problem(problem)
    return len(found.problems)


def is_charge(record: Mapping[str, Any]) -> bool:
    """Whether a record tells of persons charged: it carries a charge's sequence, or is an answer with persons."""
    if record.get("charge_seq") is not None:
        return True
    return record.get("kind") == "answer" and bool(record.get("persons") or record.get("unnamed"))


def _charge(record: Mapping[str, Any]) -> RecordedCharge:
    said = record.get("persons") or ()
    persons = tuple(
        ChargedPerson(p["h"], p["c"], bool(p.get("n")), bool(p.get("out")), tuple(p.get("f") or ())) for p in said
    )
    return RecordedCharge(
        now=record["now"],
        app=record.get("app") or "",
        mode=record.get("mode") or "enforce",
        caller=record.get("caller") or {},
        proof=record.get("proof"),
        persons=persons,
        unnamed=record.get("unnamed") or 0,
        charge_seq=record.get("charge_seq"),
        hash_key_id=record.get("hash_kid"),
        unnamed_classes=record.get("unnamed_classes") or {},
        mandate=record.get("mandate"),
        miss=record.get("kind") == "miss",
        unnamed_outside=bool(record.get("unnamed_out")),
        unnamed_floors=record.get("unnamed_floors") or {},
    )


def last_charge_seq(directory: Path) -> int | None:
    """The newest ``charge_seq`` in any chain, or None. A store that knows a smaller one was rolled back.

    Reads only the end of every file, no seals. Raises OSError.
    """
    found = (record["charge_seq"] for record in _last_charges(directory))
    return max((seq for seq in found if isinstance(seq, int)), default=None)


def last_charge_at(directory: Path) -> float | None:
    """When the newest charge of any chain was recorded, Unix seconds, or None; as ``last_charge_seq``."""
    return max((float(record["now"]) for record in _last_charges(directory)), default=None)


def _last_charges(directory: Path) -> Iterator[Mapping[str, Any]]:
    """Charges of the last stretch of each chain that has any: records of one moment are out of order."""
    for name in chain_names(directory):
        yield from _last_of(directory / name.file)


def _last_of(path: Path) -> Sequence[Mapping[str, Any]]:
    with path.open("rb") as file:
        end = path.stat().st_size
        while end > 0:
            start = max(0, end - STEP_BYTES)
            file.seek(start)
            # Read on past `end`: the line that begins before it may end after it.
            lines = file.read(end - start + MAX_RECORD_BYTES).split(b"\n")
            opened = [o for line in lines if b'"charge_seq":' in line and (o := open_line(line))]
            found = [o.record for o in opened if isinstance(o.record.get("charge_seq"), int)]
            if found:
                return found
            end = start
    return ()
