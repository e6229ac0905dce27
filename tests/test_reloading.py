"""Which configuration is in force: what was checked, whole, whatever becomes of the files."""

from pathlib import Path

import pytest

from gateway.config import GATEWAY, PARTNERS, POLICY, ConfigurationError, Mistake, load
from gateway.initialise import write_configuration
from gateway.reloading import InForce, Taken, generation_in, load_generation

NEW = """
[applications.another]
hosts = ["another.example"]
upstream = "http://127.0.0.1:1"
assist = true
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write_configuration(tmp_path / "config")
    return tmp_path / "config"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "run"
    made.mkdir()
    return made


@pytest.fixture
def in_force(directory: Path, folder: Path) -> InForce:
    made = InForce(folder, load(directory), lambda settings: [])
    assert made.take() == 1
    return made


def persons(directory: Path, old: int, new: int) -> None:
    path = directory / POLICY
    text = path.read_text()
    path.write_text(text.replace(f"persons = {old}\n", f"persons = {new}\n", 1))


def first_limit(directory: Path, folder: Path, generation: int) -> int:
    return load_generation(directory, folder, generation).policy.budgets[0].limit


def test_workers_load_what_was_accepted_and_not_what_is_on_the_disk(
    in_force: InForce, directory: Path, folder: Path
) -> None:
    before = first_limit(directory, folder, 1)
    persons(directory, before, before + 1)
    assert (generation_in(folder), first_limit(directory, folder, 1)) == (1, before)
    assert (in_force.take(), generation_in(folder), first_limit(directory, folder, 2)) == (2, 2, before + 1)


def test_paths_of_an_accepted_copy_are_those_of_its_own_folder(
    in_force: InForce, directory: Path, folder: Path
) -> None:
    settings = load_generation(directory, folder, 1)
    assert settings.path(settings.gateway.keys) == directory.resolve() / "keys"


@pytest.mark.parametrize("name", [GATEWAY, PARTNERS, POLICY])
def test_a_mistake_in_any_file_leaves_all_as_it_was(
    in_force: InForce, directory: Path, folder: Path, name: str
) -> None:
    policy = in_force.policy
    persons(directory, 60, 61)
    (directory / name).write_text("no_such_setting = 1\n")
    with pytest.raises(ConfigurationError, match=name):
        in_force.take()
    assert (generation_in(folder), in_force.policy) == (1, policy)
    assert [path.name for path in sorted(folder.iterdir())] == ["configuration", "configuration-1"]


def test_a_file_that_is_gone_is_named(in_force: InForce, directory: Path) -> None:
    (directory / PARTNERS).unlink()
    taken = in_force.reload(dict)
    assert [(one.file, one.rule) for one in taken.mistakes] == [(PARTNERS, "readable")]


def test_what_the_operator_s_file_says_waits_for_a_restart_by_name_and_line_and_no_value(
    in_force: InForce, directory: Path
) -> None:
    text = (directory / GATEWAY).read_text()
    changed = text.replace("\nworkers = 2", "\nworkers = 3").replace("\nport = 9090", "\nport = 12345")
    (directory / GATEWAY).write_text(changed + NEW)
    mistakes = in_force.reload(dict).mistakes
    assert {one.rule for one in mistakes} == {"listen.workers", "admin.port", "applications.another"}
    (workers,) = (one for one in mistakes if one.rule == "listen.workers")
    assert changed.splitlines()[(workers.line or 0) - 1].startswith("workers = 3")
    assert not any("12345" in str(one) for one in mistakes)


def test_a_setting_inside_a_table_of_many_is_named_by_its_path(directory: Path, folder: Path) -> None:
    path = directory / GATEWAY
    text = path.read_text()
    path.write_text(text + NEW)
    in_force = InForce(folder, load(directory), lambda settings: [])
    in_force.take()
    path.write_text(text + NEW.replace("assist = true", 'mode = "observe"'))
    assert [one.rule for one in in_force.reload(dict).mistakes] == [
        "applications.another.mode",
        "applications.another.assist",
    ]


def test_what_else_must_hold_is_asked_of_the_new_one(directory: Path, folder: Path) -> None:
    wrong = Mistake(PARTNERS, None, "client_secret_file", "there is no file")
    found: list[Mistake] = []
    in_force = InForce(folder, load(directory), lambda settings: found)
    in_force.take()
    found.append(wrong)
    assert in_force.reload(dict) == Taken(in_force.policy, (wrong,))


def test_it_is_taken_when_every_worker_says_so(in_force: InForce) -> None:
    said = iter([{1: (1, ""), 2: (1, "")}, {1: (2, ""), 2: (1, "")}, {1: (2, ""), 2: (2, "")}])
    assert in_force.reload(lambda: next(said)) == Taken(in_force.policy)
    assert next(said, None) is None


def test_a_worker_that_cannot_take_it_is_named(in_force: InForce, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.reloading.TAKEN_WITHIN_S", 0.0)
    taken = in_force.reload(lambda: {1: (2, ""), 2: (1, "the ledger cannot be written")})
    assert taken == Taken(in_force.policy, waiting={2: "the ledger cannot be written"})


def test_only_what_somebody_may_still_read_is_kept(in_force: InForce, folder: Path) -> None:
    for _ in range(4):
        in_force.take()
    assert {path.name for path in folder.iterdir()} == {"configuration", "configuration-4", "configuration-5"}
