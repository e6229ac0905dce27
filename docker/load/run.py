"""A day and a morning against a gateway, bounded in time; ends with a page of results.

    pip install -r docker/load/requirements.txt
    docker compose -f docker/compose.yaml run --rm --no-deps --entrypoint cat cast \\
        /srv/demo/told/ready.json > ready.json
    python docker/load/run.py --ready ready.json --out results --project docker \\
        --command "docker compose -f docker/compose.yaml exec -T gateway-1 gateway {}"

Without Docker: `gateway demo --ready-file ready.json`, and `--command "gateway {} --config DIR"`.
A gateway that has just been set up: what was taken earlier is in its ledger too, and shows as a difference. Exit status
1: an error, or a person on whom client, ledger and budgets do not agree.
"""

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402  (sockets are Locust's first)
import json  # noqa: E402
import shlex  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from dataclasses import asdict  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import day  # noqa: E402
import gevent  # noqa: E402
import people  # noqa: E402
from locust.env import Environment  # noqa: E402
from locust.exception import StopUser  # noqa: E402
from page import Kind, Results, page  # noqa: E402
from taken import Compared  # noqa: E402
from watching import Watch  # noqa: E402

CLASSES = [day.InBrowser, day.Program, day.PartnerProgram, day.Exporter, day.Thief]
LONGEST_S = 3600
WATCH_EVERY_S = 10


def arguments() -> argparse.Namespace:
    """What was asked for."""
    known = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known.add_argument("--ready", type=Path, required=True, help="the ready file: addresses, people, tokens")
    known.add_argument("--host", help="the gateway's address, where it is not the ready file's")
    known.add_argument("--seconds", type=int, default=180, help=f"how long; at most {LONGEST_S}")
    known.add_argument("--morning", type=float, default=2.0, help="how many sign in each second")
    known.add_argument("--command", required=True, help="how the gateway's commands are called, {} being which one")
    known.add_argument("--project", default="", help="the compose project whose containers are watched")
    known.add_argument("--title", default="An agency's day, and a thief")
    known.add_argument("--out", type=Path, default=Path("results"), help="the folder of index.html and figures.json")
    given = known.parse_args()
    if not 1 <= given.seconds <= LONGEST_S:
        known.error(f"--seconds: between 1 and {LONGEST_S}")
    return given


def run(given: argparse.Namespace, everybody: list[people.Person], host: str) -> tuple[Environment, Watch, float]:
    """Play for the time given; then let what is under way come to its end, and ask what the budgets count."""
    day.PARTS.update(people.parts(everybody))
    for one in CLASSES:
        one.fixed_count = len(day.PARTS[one.part])
    environment = Environment(user_classes=CLASSES, host=host, stop_timeout=60)
    environment.events.user_error.add_listener(_fault)
    runner = environment.create_local_runner()
    watch = Watch(given.project)
    watching = gevent.spawn(_watch, watch) if given.project else None
    started = time.monotonic()
    runner.start(len(everybody), given.morning)
    gevent.sleep(given.seconds)
    seconds = time.monotonic() - started
    runner.stop()
    if watching is not None:
        watching.kill()
    for client in day.PLAYED:
        client.count()
    return environment, watch, seconds


def _fault(user_instance: day.Client, exception: Exception, tb: object) -> None:
    """A client that broke is an error of the run, whatever the gateway answered."""
    if isinstance(exception, StopUser):  # what stopped it has been counted
        return
    day.FAULTS[f"{type(user_instance).__name__}: {type(exception).__name__} {exception}"] += 1


def _watch(watch: Watch) -> None:
    while True:
        watch.sample()
        gevent.sleep(WATCH_EVERY_S)


def compare(command: str) -> list[Compared]:
    """What every client received, against the ledger (by the operator's own commands) and the budgets."""
    logins = {one["user"]: one["login"] for one in _told(command, "token list")}
    ledger: dict[str, int] = {}
    for partner in sorted({client.person.partner for client in day.PLAYED}):
        callers = _told(command, f"report caller --partner {partner}")["callers"]
        ledger |= {logins.get(one["user"], one["user"]): one["persons"] for one in callers}
    return [
        Compared(
            login,
            received=len(day.TAKEN.persons[login]),
            ledger=ledger.get(login, 0),
            counted=counted,
            received_sensitive=len(day.TAKEN.sensitive[login]),
            counted_sensitive=sensitive,
        )
        for login, (counted, sensitive) in sorted(day.COUNTED.items())
    ]


def _told(command: str, arguments: str) -> Any:
    """What one of the gateway's commands says, as JSON."""
    words = shlex.split(command.replace("{}", f"{arguments} --json"))
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    if told.returncode:
        sys.exit(f"{shlex.join(words)}: {told.stderr or told.stdout}")
    return json.loads(told.stdout)


def results_of(
    given: argparse.Namespace, environment: Environment, watch: Watch, seconds: float, compared: list[Compared]
) -> Results:
    """All of it in one."""
    kinds = [
        Kind(
            one.name,
            one.num_requests,
            one.num_failures,
            *(one.get_response_time_percentile(part) or 0 for part in (0.5, 0.95, 0.99)),
        )
        for one in sorted(environment.stats.entries.values(), key=lambda one: one.name)
    ]
    errors = [(f"{one.name}: {one.error}", one.occurrences) for one in environment.stats.errors.values()]
    errors += day.FAULTS.items()
    thief = next(client.person.login for client in day.PLAYED if isinstance(client, day.Thief))
    return Results(
        title=given.title,
        seconds=seconds,
        clients=len(day.PLAYED),
        kinds=[kind for kind in kinds if not kind.name.startswith("(check)")],
        containers=dict(watch.used),
        compared=compared,
        errors=errors,
        stolen=len(day.TAKEN.persons[thief]),
        refused=day.Thief.refused,
    )


def main() -> None:
    given = arguments()
    told = json.loads(given.ready.read_text())
    everybody = people.read(given.ready)
    if len(everybody) < 4:
        sys.exit(f"{given.ready} names {len(everybody)} people with a token and a secret: at least 4 are needed")
    environment, watch, seconds = run(given, everybody, given.host or told["gateway"])
    results = results_of(given, environment, watch, seconds, compare(given.command))
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "index.html").write_text(page(results), "utf-8")
    figures = asdict(results) | {"requests": results.requests, "difference": results.difference}
    (given.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    print(
        f"{results.requests} requests in {seconds:.0f} s, {results.failures} errors; persons: "
        f"{sum(one.received for one in results.compared)} received, difference {results.difference}; "
        f"{given.out / 'index.html'}"
    )
    if results.errors or results.difference:
        sys.exit(1)


if __name__ == "__main__":
    main()
