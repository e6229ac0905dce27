"""``gateway reload``: a new policy, and new partners, in the workers that run."""

import http.client
import json as jsonlib
from typing import Any

import typer

from gateway.admin import RELOAD_HEADER
from gateway.commands.setup import settings_of
from gateway.commands.terminal import DEFAULT_CONFIG, NO, ConfigOption, JsonOption, emit, escaped, fail, say
from gateway.config import GATEWAY, Mistake
from gateway.reloading import TAKEN_WITHIN_S

_ANSWERS_WITHIN_S = TAKEN_WITHIN_S + 20


def register(app: typer.Typer) -> None:
    """Add this command to ``app``."""
    app.command("reload")(reload)


def reload(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """Take policy.toml and partners.toml into force, in the workers that run.

    No process ends and no request fails: what begins from now on is decided by the new policy, and what is on its way
    from its next piece on. With one mistake nothing changes, and each is named. What gateway.toml says takes a restart.
    A SIGHUP to the server does the same and says it in its log.

    [bold]Examples[/bold]

      gateway check && gateway reload
      gateway reload --config /etc/gateway
    """
    status, said = _asked(config)
    if json:
        emit(said)
    else:
        _tell(said)
    if status != http.client.OK:
        raise typer.Exit(NO)


def _asked(config: ConfigOption) -> tuple[int, Any]:
    at = settings_of(config).gateway.admin
    connection = http.client.HTTPConnection(at.address, at.port, timeout=_ANSWERS_WITHIN_S)
    try:
        connection.request("POST", "/reload", headers={RELOAD_HEADER: "1"})
        answer = connection.getresponse()
        return answer.status, jsonlib.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as fault:
        fail(f"no gateway answers at {at.address}:{at.port} ([admin] of {GATEWAY}): {fault}")
    finally:
        connection.close()


def _tell(said: Any) -> None:
    for one in said["mistakes"]:
        say(f"[red]mistake[/red]  {escaped(str(Mistake(**one)))}")
    for one in said["waiting"]:
        say(f"[yellow]waiting[/yellow]  worker {one['pid']}: {escaped(one['why'] or 'it does not answer')}")
    if said["mistakes"]:
        say(f"refused: policy {said['policy'][:12]} stays in force")
    else:
        say(f"[green]policy {said['policy'][:12]} is in force[/green]")
