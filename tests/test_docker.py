"""The Dockerfile names what exists: files, packages, ports, the command. No engine is asked."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from gateway import admin, serve
from gateway.config.loading import Admin, Listen
from gateway.reloading import Taken

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docker" / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def instructions() -> list[tuple[str, str]]:
    """Each instruction and what follows it, continued lines joined."""
    lines = [line for line in TEXT.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", "")
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def stages() -> dict[str, list[tuple[str, str]]]:
    """Each stage by its name, with all of the stage that it begins from; the last has none."""
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for word, rest in instructions():
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = list(found.get(base, ()))
        found[name].append((word, rest))
    return found


def final_stage() -> list[tuple[str, str]]:
    return stages()[""]


def said(word: str) -> str:
    """What the final stage says last with this instruction."""
    return [rest for one, rest in final_stage() if one == word][-1]


def copied() -> list[str]:
    """The sources of every COPY from the build context."""
    return [
        source
        for word, rest in instructions()
        if word == "COPY" and "--from=" not in rest
        for source in rest.split()[:-1]
    ]


def health_program() -> str:
    command = json.loads(said("HEALTHCHECK").partition("CMD ")[2])
    assert command[:3] == ["python", "-I", "-c"]
    program = command[3]
    assert isinstance(program, str)
    return program


def ask_health(folder: Path) -> int:
    """The exit status of the health check with this configuration folder."""
    command = [sys.executable, "-I", "-c", health_program()]
    return subprocess.run(command, env={"GATEWAY_CONFIG": str(folder)}, capture_output=True, check=False).returncode


def test_what_copy_names_exists() -> None:
    assert [source for source in copied() if not list(ROOT.glob(source))] == []


def test_all_that_the_wheel_is_built_of_is_copied() -> None:
    places = PROJECT["tool"]["setuptools"]["package-dir"]
    folders = {places.get(package, package.partition(".")[0]) for package in PROJECT["tool"]["setuptools"]["packages"]}
    needed = {"pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"], *folders}
    assert needed <= {source.partition("/")[0] for source in copied()}


def test_all_stages_have_one_python_that_the_project_supports() -> None:
    bases = {rest.partition(" ")[0] for word, rest in instructions() if word == "FROM"} - set(stages())
    assert len(bases) == 1
    version = re.fullmatch(r"python:(\d+)\.(\d+)-slim-trixie", bases.pop())
    least = re.fullmatch(r">=(\d+)\.(\d+)", PROJECT["project"]["requires-python"])
    assert version and least
    assert tuple(map(int, version.groups())) >= tuple(map(int, least.groups()))


def test_the_command_is_the_projects() -> None:
    assert json.loads(said("ENTRYPOINT")) == list(PROJECT["project"]["scripts"])
    assert json.loads(said("CMD")) == ["serve"]


def test_it_runs_as_a_number_that_is_not_root() -> None:
    user, group = said("USER").split(":")
    assert int(user) > 0 and int(group) > 0
    made = next(rest for word, rest in final_stage() if word == "RUN" and "useradd" in rest)
    assert f"--uid {user} " in made and f"--gid {group} " in made


def test_the_published_port_is_the_gateways_and_never_the_admins() -> None:
    assert said("EXPOSE").split() == [str(Listen().port)]


def test_the_documented_ledger_stands_in_the_volume() -> None:
    directory = re.search(r'ledger\.directory = "([^"]+)"', TEXT)
    assert directory and Path(said("VOLUME")) in Path(directory[1]).parents
    assert f":{said('VOLUME')} " in TEXT


def test_the_documented_stop_waits_longer_than_the_answers_under_way() -> None:
    seconds = re.search(r"--stop-timeout (\d+)", TEXT)
    assert seconds and int(seconds[1]) > serve.DRAIN_S
    assert said("STOPSIGNAL") == "SIGTERM"


def test_the_health_check_asks_where_the_configuration_says(tmp_path: Path) -> None:
    state, config = tmp_path / "state", tmp_path / "config"
    state.mkdir()
    config.mkdir()
    listener = admin.listen("127.0.0.1", 0, state, lambda: frozenset({os.getpid()}), lambda: Taken("", (), {}))
    try:
        (config / "gateway.toml").write_text(f"[admin]\nport = {listener.server_port}\n")
        assert ask_health(config) == 1, "no worker has said that it is ready"
        admin.write_state(state, admin.State(True))
        assert ask_health(config) == 0
    finally:
        listener.shutdown()
        listener.server_close()


def test_without_an_admin_table_the_health_check_asks_at_the_defaults() -> None:
    assert str({"address": Admin().address, "port": Admin().port}) in health_program()


def test_the_image_of_the_demo_runs_without_privileges_and_is_not_the_last() -> None:
    users = [rest for word, rest in stages()["demo"] if word == "USER"]
    assert users[-1] == said("USER")
    assert list(stages())[-1] == ""
