"""``gateway init``: the example is complete, valid, private, and overwrites nothing."""

import stat
import tomllib
from pathlib import Path

import pytest

from gateway.config import load, warnings
from gateway.initialise import FILES, AlreadyThere, example, write_configuration
from gateway.keyring import KeyRing

ROOT = Path(__file__).parents[1]


def test_the_example_is_valid_as_it_is_written(tmp_path: Path) -> None:
    write_configuration(tmp_path / "c")
    settings = load(tmp_path / "c")
    assert len(settings.policy.routes["emploi"]) > 20
    assert [one.rule for one in warnings(settings)] == ["pages_url"]


def test_keys_and_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    made = write_configuration(tmp_path / "c")
    secrets = [path for path in made if path.parent.name == "keys"]
    assert len(secrets) == 6
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    assert stat.S_IMODE((tmp_path / "c" / "keys").stat().st_mode) == 0o700
    KeyRing.load(tmp_path / "c" / "keys")


@pytest.mark.parametrize("name", [*FILES, "keys"])
def test_whatever_is_there_stays_and_nothing_is_added_beside_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(AlreadyThere, match=name):
        write_configuration(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_change_must_find_its_text_exactly_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0 times"):
        write_configuration(tmp_path / "c", {"gateway.toml": {"no such text": "x"}})
    assert not (tmp_path / "c").exists()


def test_the_demo_has_the_limits_that_it_promises() -> None:
    policy = tomllib.loads(example("policy.toml"))
    users = {
        (one.get("class", "miss"), one["per"]): one["persons"] for one in policy["budgets"] if one["scope"] == "user"
    }
    assert users == {
        ("sensitive", "1h"): 60,
        ("sensitive", "1d"): 150,
        ("sensitive", "30d"): 900,
        ("personal", "1h"): 100,
        ("personal", "1d"): 250,
        ("internal", "1h"): 1500,
        ("internal", "1d"): 4000,
        ("miss", "1h"): 20,
        ("miss", "1d"): 60,
    }
    assert policy["classes"]["sensitive"] == {
        "proof": ["webauthn", "totp"],
        "max_age": "4h",
        "max_persons": 40,
        "without": "mask",
    }


def test_a_wheel_would_carry_the_example_and_every_package() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "gateway").rglob("__init__.py")}
    assert set(tools["packages"]) == packages | {"gateway.example"}
    assert tools["package-dir"] == {"gateway.example": "config"}
    suffixes = {pattern.rsplit(".", 1)[1] for pattern in tools["package-data"]["gateway"]}
    carried = {path.suffix[1:] for path in (ROOT / "gateway").rglob("*.*") if "__pycache__" not in path.parts}
    assert carried - {"py"} <= suffixes | {"typed"}
