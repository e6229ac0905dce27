"""The page of results: figures by kind, containers, and the exactness check; one file without scripts."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from taken import Compared
from watching import Used

STYLE = """
:root { color-scheme: light;
  --ink: #1b2733; --dim: #5c6b7a; --line: #d7dee5; --bar: #2f6fab; --bad: #b3261e; --good: #1d7a46 }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: #fff;
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 1.8rem 0 .4rem }
p { margin: .3rem 0; color: var(--dim) }
table { border-collapse: collapse; width: 100%;
  font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line) }
th:first-child, td:first-child { text-align: left } th { color: var(--dim); font-weight: 500 }
.facts { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.2rem 0 }
.facts div { border: 1px solid var(--line); border-radius: 6px; padding: .6rem 1rem; min-width: 8rem }
.facts b { display: block; font-size: 1.5rem } .good { color: var(--good) }
.bad { color: var(--bad) }
.bar { background: var(--bar); height: .6rem; display: inline-block; border-radius: 2px;
  vertical-align: middle }
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request. Times in ms."""

    name: str
    requests: int
    failures: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Results:
    """A whole run. ``errors``: what went wrong, with how often; ``stolen``, ``refused``: the thief's."""

    title: str
    seconds: float
    clients: int
    kinds: Sequence[Kind]
    containers: dict[str, Used]
    compared: Sequence[Compared]
    errors: Sequence[tuple[str, int]]
    stolen: int
    refused: int

    @property
    def requests(self) -> int:
        """All that was asked."""
        return sum(kind.requests for kind in self.kinds)

    @property
    def failures(self) -> int:
        """What was neither answered nor refused as it should be, and clients that broke."""
        return sum(times for _, times in self.errors)

    @property
    def difference(self) -> int:
        """Persons on which client, ledger and budgets do not agree."""
        return sum(one.difference for one in self.compared)


def page(results: Results) -> str:
    """The page as HTML."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(results.title)}</title>'
        f"<style>{STYLE}</style><h1>{escape(results.title)}</h1>"
        f"<p>{results.clients} clients for {results.seconds:.0f} s, of them one thief and one who exports</p>"
        f"{_facts(results)}{_kinds(results.kinds, results.seconds)}{_containers(results.containers)}"
        f"{_compared(results.compared)}{_errors(results.errors)}</html>\n"
    )


def _facts(results: Results) -> str:
    facts = [
        ("requests a second", f"{results.requests / max(results.seconds, 0.001):.0f}", ""),
        ("errors", str(results.failures), "bad" if results.failures else "good"),
        ("persons, difference", str(results.difference), "bad" if results.difference else "good"),
        ("persons received", f"{sum(one.received for one in results.compared):,}", ""),
        ("the thief: persons, refusals", f"{results.stolen} / {results.refused}", ""),
    ]
    shown = (f'<div>{escape(name)}<b class="{kind}">{escape(value)}</b></div>' for name, value, kind in facts)
    return f'<div class="facts">{"".join(shown)}</div>'


def _kinds(kinds: Sequence[Kind], seconds: float) -> str:
    most = max((kind.p95 for kind in kinds), default=1) or 1
    rows = [
        [
            escape(kind.name),
            f"{kind.requests:,}",
            f"{kind.requests / max(seconds, 0.001):.1f}",
            str(kind.failures),
            *(f"{value:,.0f}" for value in (kind.p50, kind.p95, kind.p99)),
            f'<span class="bar" style="width:{max(1, round(90 * kind.p95 / most))}px"></span>',
        ]
        for kind in kinds
    ]
    return "<h2>Latency by kind, ms</h2>" + _table(
        ("kind", "requests", "a second", "errors", "p50", "p95", "p99", "p95"), rows
    )


def _containers(containers: dict[str, Used]) -> str:
    if not containers:
        return "<h2>Containers</h2><p>Not measured: this run was not told of any.</p>"
    rows = [
        [escape(name), f"{used.usual_cpu:.0f} %", f"{max(used.cpu):.0f} %", f"{used.most_bytes / 2**20:.0f} MiB"]
        for name, used in sorted(containers.items())
    ]
    return "<h2>Containers</h2>" + _table(
        ("container", "CPU, mean (100 % = a core)", "CPU, most", "memory, most"), rows
    )


def _compared(compared: Sequence[Compared]) -> str:
    rows = [
        [
            escape(one.login),
            *map(str, (one.received, one.ledger, one.counted, one.received_sensitive, one.counted_sensitive)),
            f'<b class="{"bad" if one.difference else "good"}">{one.difference}</b>',
        ]
        for one in compared
    ]
    head = ("client", "received", "ledger", "budget", "number in clear", "budget", "difference")
    return "<h2>Exactness: different persons, by client</h2>" + _table(head, rows)


def _errors(errors: Sequence[tuple[str, int]]) -> str:
    if not errors:
        return ""
    return "<h2>Errors</h2>" + _table(("what", "times"), [[escape(what), str(times)] for what, times in errors])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"
