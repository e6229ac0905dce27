"""The README says what the code does: its commands, tables and ten lines are compared with it."""

import re
from pathlib import Path

import typer

from gateway.__main__ import app
from gateway.config import load
from gateway.core.reasons import Reason
from gateway.demo import ready
from gateway.edge.answers import STATUS
from gateway.edge.words import explain_reason

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The rows of the table whose head begins so."""
    lines = README.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(f"| {heading} |")) + 2
    found = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def commands() -> set[str]:
    def walk(one: object, prefix: str) -> set[str]:
        below = getattr(one, "commands", None)
        if not below:
            return {prefix}
        return {name for key, inner in below.items() for name in walk(inner, f"{prefix} {key}")}

    return walk(typer.main.get_command(app), "gateway")


def test_the_table_of_commands_is_the_list_of_commands() -> None:
    named = {
        " ".join(re.findall(r"[a-z]+", re.split(r" [A-Z\[-]", cells[0].strip("`"))[0])) for cells in rows("command")
    }
    assert named == commands()


def test_every_command_named_anywhere_exists() -> None:
    known = commands() | {command.rsplit(" ", 1)[0] for command in commands()} | {"gateway"}
    for named in re.findall(r"`(gateway [a-z]+(?: [a-z]+)?)", README):
        assert named in known or named.rsplit(" ", 1)[0] in known, named


def test_the_table_of_reasons_is_the_one_in_the_code() -> None:
    told = {cells[0].strip("`"): (cells[1], cells[2]) for cells in rows("reason")}
    assert list(told) == [str(reason) for reason in Reason]
    for reason in Reason:
        status = "the application's" if reason is Reason.CONTENT_WITHHELD else str(STATUS[reason])
        assert told[str(reason)] == (status, explain_reason(reason, "en")[0])


def test_the_ready_file_has_the_keys_that_are_told() -> None:
    told = ready.Ready("", "", "", "", (), (), (), ()).as_json(ready.Pids((), (), (), ()))
    assert [cells[0].strip("`") for cells in rows("key")] == list(told)
    pids, samples = (cells[1] for cells in rows("key") if cells[0].strip("`") in ("pids", "samples"))
    assert set(told["pids"]) <= set(re.findall(r"`(\w+)`", pids))
    assert set(told["samples"]) <= set(re.findall(r"`(\w+)`", samples))


def test_the_metrics_are_those_that_are_counted() -> None:
    source = (ROOT / "gateway" / "metrics.py").read_text()
    counted = set(re.findall(r'(?:Counter|Gauge|Histogram)\(\s*"(\w+)"', source))
    assert {cells[0].strip("`") for cells in rows("metric")} == counted


def test_the_ten_lines_are_ten_and_valid(tmp_path: Path) -> None:
    lines = 0
    for block in re.findall(r"```toml\n(.*?)```", README, re.DOTALL):
        name = re.match(r"# (\w+\.toml)", block)
        assert name
        (tmp_path / name[1]).write_text(block)
        lines += sum(1 for line in block.splitlines() if line.strip() and not line.startswith("#"))
    settings = load(tmp_path)
    assert lines == 10
    assert settings.policy.routes["register"][0].deny
