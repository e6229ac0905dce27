"""The theft that is stopped: a stolen token with a fresh code asks for one person after another, as fast as it can."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
import pyotp
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

#: How many requests the thief has under way at once, and how many persons it asks for.
AT_ONCE: Final = 8
PERSONS: Final = 300
_WIDTH: Final = 60


class NoProof(Exception):
    """The stolen code was not accepted; the message is the gateway's reason."""


@dataclass(slots=True)
class Theft:
    """What happened so far. ``marks``: one for each person asked, in the order of the answers."""

    started: float
    asked: int = 0
    taken: int = 0
    stopped_after_s: float | None = None
    ended_after_s: float = 0.0
    stopped_by: dict[str, Any] = field(default_factory=dict)
    marks: list[bool] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)


async def steal(
    gateway: str,
    token: str,
    totp_secret: str,
    template: str,
    ids: Sequence[int],
    *,
    persons: int = PERSONS,
    at_once: int = AT_ONCE,
    seen: Callable[[Theft], None] = lambda theft: None,
) -> Theft:
    """Confirm with a code, then ask for ``persons`` records. :raises NoProof, httpx2.HTTPError:"""
    headers = {"authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=gateway, headers=headers, timeout=30.0, trust_env=False) as client:
        answer = await client.post("/.gateway/step-up/totp", json={"code": pyotp.TOTP(totp_secret).now()})
        if answer.status_code != 200:
            raise NoProof(str(answer.json().get("type", answer.status_code)))
        theft = Theft(time.monotonic())
        left = iter(ids[:persons])

        async def thief() -> None:
            for number in left:
                _take(theft, await client.get(template.replace("{id}", str(number))))
                seen(theft)

        await asyncio.gather(*(thief() for _ in range(at_once)))
        theft.ended_after_s = time.monotonic() - theft.started
        return theft


def _take(theft: Theft, answer: httpx2.Response) -> None:
    theft.asked += 1
    got = answer.status_code == 200
    theft.marks.append(got)
    if got:
        theft.taken += 1
        return
    problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
    reason = str(problem.get("type", answer.status_code)).rsplit(":", 1)[-1]
    theft.others[reason] = theft.others.get(reason, 0) + 1
    if theft.stopped_after_s is None:
        theft.stopped_after_s = time.monotonic() - theft.started
        theft.stopped_by = {**problem, "reason": reason}


def drawn(theft: Theft, reported: int, login: str) -> Panel:
    """The result: who was asked for, who was taken, what stopped it, and what the ledger says of it."""
    bar = Text()
    step = max(1, -(-len(theft.marks) // _WIDTH))
    for start in range(0, len(theft.marks), step):
        part = theft.marks[start : start + step]
        bar.append("█", "red" if any(part) else "green")
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    facts.add_row("persons asked for", f"{theft.asked}, {theft.asked / max(theft.ended_after_s, 0.001):.0f} a second")
    facts.add_row("persons taken", Text(str(theft.taken), "bold red"))
    facts.add_row("kept from the thief", Text(str(theft.asked - theft.taken), "bold green"))
    facts.add_row("stopped", _stopped(theft))
    facts.add_row("the ledger says", f"persons  {reported}    (gateway report caller {login})")
    grid = Table.grid()
    grid.add_row(bar)
    grid.add_row("")
    grid.add_row(facts)
    return Panel(grid, title="A stolen account", title_align="left", expand=False)


def _stopped(theft: Theft) -> str:
    if theft.stopped_after_s is None:
        return "never: nothing was refused"
    by = theft.stopped_by
    words = f"after {theft.stopped_after_s:.1f} s, by {by['reason']}"
    if by.get("limit") is not None:
        window = f" in {round(by['window_s'] / 3600, 1):g} h" if by.get("window_s") else ""
        words += f": {by.get('budget', 'the limit')}, {by['limit']} persons{window}"
    return f"{words} ({by['reference']})" if by.get("reference") else words


def shown_live(console: Console) -> Callable[[Theft], None]:
    """A line that counts while the theft runs, on a terminal only."""

    def seen(theft: Theft) -> None:
        if console.is_terminal:
            console.print(f"  asked {theft.asked}, taken {theft.taken}", end="\r", highlight=False)

    return seen
