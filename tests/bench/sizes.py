"""How much the ledger and the store grow: a working day of some advisers through a whole gateway, then weighed.

    PYTHONPATH=tests python -m tests.bench.sizes [--advisers 100]

Needs redis-server. Each adviser confirms once, opens 40 records that nobody else opens, 20 of them again as pages,
lists 200 persons, searches five times, looks at ten pages without persons, and once asks for what is refused. Told are

- the ledger: bytes of each kind of record, and of one decision on the average, as written and compressed (gzip);
- the store: for each scope, class and window the bytes of one counted person (``MEMORY USAGE`` of the key over its
  members), and the bytes of everything else by the first part of the key's name;
- what a first day comes to for 100, 10,000 and 60,000 advisers, in proportion, as if each saw other persons. In a month
  the longest window and who is who (links of identifiers, kept for 31 days) go on growing; the rest does not.
"""

import argparse
import gzip
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson
from stack import Account, Stack, at_once, demo_application, running_stack
from wire import Answer

from gateway.demo.ready import single_persons

ADVISERS = (100, 10_000, 60_000)
RECORDS, PAGES_AGAIN, LISTS, LISTED, EMPTY_PAGES = 40, 20, 4, 50, 10
NAMES = ("MARTIN", "BERNARD", "DURAND", "MOREAU", "ROUX")
POPULATION = 40_000
"""At least so many persons, for few advisers too: a search finds as many of them."""
AT_ONCE = 8
TRIES = 20
COMMANDS_AT_ONCE = 1_000
NOBODY_IS_STOPPED = {
    "\npersons = 3_000\n": "\npersons = 3_000_000\n",
    "\npersons = 60_000\n": "\npersons = 6_000_000\n",
}
"""Changes to the example policy: the limits of the one partner that all are of."""


@dataclass(slots=True)
class Weight:
    """So many things of one kind, and their bytes."""

    number: int = 0
    size_bytes: int = 0

    def add(self, size_bytes: int, number: int = 1) -> None:
        """Some more."""
        self.number += number
        self.size_bytes += size_bytes

    @property
    def each(self) -> float:
        """Bytes of one."""
        return self.size_bytes / self.number if self.number else 0.0


def day(stack: Stack, adviser: Account, records: Sequence[int], number: int) -> list[int]:
    """A working day of one adviser; the statuses of all answers. ``number``: which of all advisers this is."""

    def get(target: str, *fields: tuple[str, str]) -> Answer:
        """Again after a 503, as clients do: on a busy machine the store may be late."""
        answers = (stack.get(target, adviser, *fields) for _ in range(TRIES))
        return next((one for one in answers if one.status != 503), Answer(b"", 503, (), b"", False))

    page = ("Sec-Fetch-Mode", "navigate")
    unconfirmed = get(f"/api/demandeurs/{records[0]}")
    answers = [stack.step_up(adviser)]
    answers += [get(f"/api/demandeurs/{one}") for one in records]
    answers += [get(f"/dossiers/{one}", page) for one in records[:PAGES_AGAIN]]
    for index in range(LISTS):
        answers.append(get(f"/api/demandeurs?page={number * LISTS + index + 1}&taille={LISTED}"))
    answers += [get(f"/recherche?q={name}", page) for name in NAMES]
    answers += [get("/recherche", page) for _ in range(EMPTY_PAGES)]
    if unconfirmed.status != 401 or any(one.status != 200 for one in answers):
        raise RuntimeError(f"a day went otherwise: {unconfirmed.status}, {[one.status for one in answers]}")
    return [unconfirmed.status, *(one.status for one in answers)]


def weigh_ledger(lines: Sequence[bytes]) -> dict[str, Weight]:
    """Records by kind and verdict; a line's end is a byte of it."""
    found: dict[str, Weight] = defaultdict(Weight)
    for line in lines:
        record = orjson.loads(line)
        persons = len(record.get("persons") or ())
        size = "" if not persons else ", one person" if persons == 1 else ", many"
        found[f"{record['kind']} {record.get('verdict') or ''}".strip() + size].add(len(line) + 1)
    return found


def weigh_store(stack: Stack) -> tuple[dict[str, Weight], dict[str, Weight]]:
    """Counted persons by scope, class and window; all other keys by the first part of their name."""
    counted: dict[str, Weight] = defaultdict(Weight)
    others: dict[str, Weight] = defaultdict(Weight)
    names: list[bytes] = stack.thread.call(stack.thread.store.call("KEYS", "*"))
    sizes = _each(stack, [("MEMORY", "USAGE", name, "SAMPLES", 0) for name in names])
    budgets = [name for name in names if name.startswith(b"b:")]
    persons = dict(zip(budgets, _each(stack, [("ZCARD", name) for name in budgets]), strict=True))
    for name, size in zip(names, sizes, strict=True):
        if name in persons:
            _, scope, *_, klass, window_s = name.decode().split(":")
            counted[f"{scope}, {klass}, {int(window_s) / 3600:g} h"].add(size, persons[name])
        else:
            others[name.partition(b":")[0].decode()].add(size)
    return counted, others


def _each(stack: Stack, commands: Sequence[Sequence[bytes | str | int]]) -> list[int]:
    store = stack.thread.store
    parts = [commands[at : at + COMMANDS_AT_ONCE] for at in range(0, len(commands), COMMANDS_AT_ONCE)]
    return [one for part in parts for one in stack.thread.call(store.calls(*part))]


def table(title: str, weights: Mapping[str, Weight]) -> Iterator[str]:
    """Number, bytes of one, and bytes of all, the heaviest first."""
    yield f"| {title} | number | bytes of one | MB |"
    yield "|---|--:|--:|--:|"
    for name, one in sorted(weights.items(), key=lambda item: -item[1].size_bytes):
        yield f"| {name} | {one.number} | {one.each:.0f} | {one.size_bytes / 1e6:.2f} |"
    yield ""


def run(advisers: int) -> Iterator[str]:
    """The lines of the report."""
    with demo_application(max(POPULATION, advisers * LISTS * LISTED)) as (upstream, database), \
         running_stack(upstream, workers=2, changes={"policy.toml": NOBODY_IS_STOPPED}) as stack:  # fmt: skip
        people = [stack.account() for _ in range(advisers)]
        persons = single_persons(database, advisers * RECORDS)
        given = [persons[at * RECORDS : (at + 1) * RECORDS] for at in range(advisers)]
        days = at_once(lambda one: day(stack, *one), list(zip(people, given, range(advisers), strict=True)), AT_ONCE)
        counted, others = weigh_store(stack)
        directory = stack.settings.path(stack.settings.gateway.ledger.directory)
        written = [file.read_bytes() for file in sorted(directory.rglob("*.jsonl"))]
    decisions = sum(map(len, days))
    ledger_bytes = sum(map(len, written))
    store_bytes = sum(one.size_bytes for one in (*counted.values(), *others.values()))
    yield from table("ledger", weigh_ledger([line for text in written for line in text.splitlines()]))
    yield from table("store: counted persons", counted)
    yield from table("store: other keys", others)
    compressed = sum(len(gzip.compress(text)) for text in written) / ledger_bytes
    yield f"{decisions} decisions, {ledger_bytes / decisions:.0f} bytes of ledger each, {compressed:.0%} compressed"
    linked = others["l"].size_bytes + others["g"].size_bytes
    yield f"who is who: {linked / others['g'].number:.0f} bytes for one person, for 31 days"
    yield ""
    yield "| advisers | | ledger, GB a day | compressed | store, GB |"
    yield "|--:|---|--:|--:|--:|"
    for many in (advisers, *(one for one in ADVISERS if one > advisers)):
        day_gb = ledger_bytes * many / advisers / 1e9
        how = "measured" if many == advisers else "in proportion"
        store_gb = store_bytes * many / advisers / 1e9
        yield f"| {many} | {how} | {day_gb:.3f} | {day_gb * compressed:.3f} | {store_gb:.3f} |"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--advisers", type=int, default=100)
    for line in run(parser.parse_args().advisers):
        print(line)


if __name__ == "__main__":
    main()
