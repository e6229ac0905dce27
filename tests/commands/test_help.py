"""Every command teaches: its help has an example, and every one answers scripts in JSON."""

import pytest
import typer

from gateway.__main__ import app


def every_command() -> list[tuple[str, object]]:
    def walk(one: object, prefix: str) -> list[tuple[str, object]]:
        below = getattr(one, "commands", None)
        return (
            [each for key, inner in below.items() for each in walk(inner, f"{prefix} {key}")]
            if below
            else [(prefix, one)]
        )

    return walk(typer.main.get_command(app), "gateway")


@pytest.mark.parametrize(("name", "command"), every_command(), ids=lambda one: one if isinstance(one, str) else "")
def test_help_has_an_example_and_json_is_offered(name: str, command: object) -> None:
    assert f"{name} " in (command.help or "").replace("\n", " \n") + " "
    options = {option for parameter in command.params for option in parameter.opts}
    assert "--json" in options
    if name not in ("gateway init", "gateway demo"):
        assert "--config" in options
