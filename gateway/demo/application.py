"""The employment application that the gateway protects, with no security of its own.

`python -m gateway.demo.application --database FILE --port N` serves a population built by
`gateway.demo.population`. It stands for a legacy: partner interface, REST, screens, exports, uploads, events.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from starlette.applications import Starlette
from starlette.types import ASGIApp

from gateway.demo.legacy_activity import Activity, CountUnsafeRequests
from gateway.demo.legacy_api import RecordApi
from gateway.demo.legacy_exports import Exports
from gateway.demo.legacy_live import Live
from gateway.demo.legacy_pages import Pages
from gateway.demo.legacy_partner_api import PartnerApi
from gateway.demo.legacy_register import Register
from gateway.demo.serving import fault, serve
from gateway.parentdeath import die_with_parent


def create_application(register: Register) -> ASGIApp:
    """The whole application over one register."""
    activity = Activity()
    routes = [
        *PartnerApi(register).routes(),
        *RecordApi(register, activity).routes(),
        *Exports(register, activity).routes(),
        *Live(register, activity).routes(),
        *Pages(register, activity).routes(),
    ]
    return CountUnsafeRequests(Starlette(routes=routes, exception_handlers={Exception: fault}), activity)


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m gateway.demo.application", description=__doc__)
    arguments.add_argument("--database", type=Path, required=True, help="SQLite file of the population")
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--die-with-parent", action="store_true", help="end when the starting process ends")
    given = arguments.parse_args()
    if given.die_with_parent:
        die_with_parent()
    if not given.database.is_file():
        sys.exit(f"no such database: {given.database}")
    serve(create_application(Register(given.database)), given.host, given.port)


if __name__ == "__main__":
    main()
