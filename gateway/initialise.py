"""A new configuration folder: the commented example and the key files. Nothing that exists is ever overwritten."""

import secrets
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from gateway.config import GATEWAY, PARTNERS, POLICY
from gateway.keyring import KeyRing

FILES = (GATEWAY, PARTNERS, POLICY)
KEYS = "keys"
DEMO_MARK = "this-is-a-demo"
PARTNER_IDS = ("relais-emploi", "cap-insertion")


class AlreadyThere(Exception):
    """Something of this name exists; the message says what."""


def is_demo(directory: Path) -> bool:
    """Whether a configuration folder is a demo's, where secrets may be shown."""
    return (directory / DEMO_MARK).is_file()


def example(name: str) -> str:
    """The text of one of the example's files: in an installed package, or in the ``config`` of a source tree."""
    package = resources.files("gateway")
    inside = package / "example"
    folder = inside if inside.is_dir() else Path(str(package)).parent / "config"
    return (folder / name).read_text(encoding="utf-8")


def write_configuration(directory: Path, changes: Mapping[str, Mapping[str, str]] | None = None) -> list[Path]:
    """Write the example into ``directory``, with keys; returns the files made.

    ``changes``: for each file the texts to put in the place of others, each of which must stand in it exactly once.
    :raises AlreadyThere: before anything is written; :raises OSError:
    """
    taken = [name for name in (*FILES, KEYS) if (directory / name).exists()]
    if taken:
        raise AlreadyThere(f"{directory / taken[0]} is already there; nothing was written")
    texts = {name: _changed(example(name), (changes or {}).get(name, {})) for name in FILES}
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = []
    for name, text in texts.items():
        with (directory / name).open("x", encoding="utf-8") as file:
            file.write(text)
        made.append(directory / name)
    KeyRing.create(directory / KEYS)
    for partner in PARTNER_IDS:
        _write_secret(directory / KEYS / f"partner-{partner}.secret", secrets.token_urlsafe(32))
    return made + sorted((directory / KEYS).iterdir())


def _changed(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        if text.count(old) != 1:
            raise ValueError(f"{old!r} stands {text.count(old)} times in the example")
        text = text.replace(old, new)
    return text


def _write_secret(path: Path, secret: str) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(secret + "\n", encoding="ascii")
