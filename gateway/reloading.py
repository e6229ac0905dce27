"""A new policy for running workers: what was checked is copied, and the copy is what every worker decides by.

The server keeps each accepted configuration as a *generation*, a folder of its own beside what workers say of
themselves. A file that is half edited on the disk harms nobody: a worker that starts anew loads what the others have.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config import GATEWAY, PARTNERS, POLICY, ConfigurationError, Mistake, Settings, load
from gateway.config.lines import line_of
from gateway.config.tables import Table

TAKEN_WITHIN_S = 10.0
"""How long workers have for taking a new generation; they look each second."""

_LINK = "configuration"
Check = Callable[[Settings], list[Mistake]]


@dataclass(frozen=True, slots=True)
class Taken:
    """A reload: refused for ``mistakes``, or in force; ``waiting``: workers that decide by the old one still, and why.

    ``policy``: the SHA-256 of the policy in force now, as the ledger names it.
    """

    policy: str
    mistakes: tuple[Mistake, ...] = ()
    waiting: Mapping[int, str] = field(default_factory=dict)


class InForce:
    """The server's side: takes the three files of one folder into force, generation after generation.

    ``check``: what else must hold, beyond what the files say.
    """

    def __init__(self, folder: Path, settings: Settings, check: Check) -> None:
        self._folder = folder
        self._settings = settings
        self._check = check
        self._generation = 0
        self._one_at_a_time = threading.Lock()

    @property
    def policy(self) -> str:
        """The digest of the policy in force."""
        return self._settings.policy.digest

    def take(self) -> int:
        """Check the files, and put a copy of them into force. Gives the generation's number.

        :raises ConfigurationError: with every mistake; what was in force stays in force.
        """
        with self._one_at_a_time:
            number = self._generation + 1
            copy = self._folder / f"{_LINK}-{number}"
            shutil.rmtree(copy, ignore_errors=True)
            copy.mkdir(mode=0o700)
            try:
                settings = self._checked(copy)
            except ConfigurationError:
                shutil.rmtree(copy, ignore_errors=True)
                raise
            link = self._folder / f"{_LINK}.new"
            link.symlink_to(copy.name)
            link.replace(self._folder / _LINK)
            shutil.rmtree(self._folder / f"{_LINK}-{number - 2}", ignore_errors=True)  # nobody reads that one any more
            self._generation, self._settings = number, settings
            return number

    def _checked(self, copy: Path) -> Settings:
        directory = self._settings.directory
        for name in (GATEWAY, PARTNERS, POLICY):
            try:
                shutil.copyfile(directory / name, copy / name)
            except OSError as fault:
                raise ConfigurationError([Mistake(name, None, "readable", f"cannot be read: {fault}")]) from fault
        settings = load(directory, files=copy)
        text = (copy / GATEWAY).read_text()
        if mistakes := [*_takes_a_restart(self._settings, settings, text), *self._check(settings)]:
            raise ConfigurationError(mistakes)
        return settings

    def reload(self, said: Callable[[], Mapping[int, tuple[int, str]]]) -> Taken:
        """Take the files into force, and wait until every worker says so.

        ``said``: by worker, the generation that it decides by, and why it has no newer one.
        """
        try:
            number = self.take()
        except ConfigurationError as fault:
            return Taken(self.policy, tuple(fault.mistakes))
        until = time.monotonic() + TAKEN_WITHIN_S
        while True:
            waiting = {pid: why for pid, (generation, why) in said().items() if generation < number}
            if not waiting or time.monotonic() > until:
                return Taken(self.policy, waiting=waiting)
            time.sleep(0.05)


def _takes_a_restart(old: Settings, new: Settings, text: str) -> list[Mistake]:
    """The operator's file says how the process listens, keeps and forwards: running workers keep that.

    ``text``: the file as it is now. Settings are named, and no value is told: an address may hold a password.
    """
    words = (
        "has changed, and waits for a restart: put it back to reload policy and partners alone, or restart the gateway"
    )
    changed = _changed(old.gateway, new.gateway)
    return [Mistake(GATEWAY, line_of(text, path), ".".join(path), words) for path in changed]


def _changed(old: object, new: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Which settings differ, each by its path; a table that is new or gone by its own."""
    before, after = _settings_in(old), _settings_in(new)
    if before is None or after is None:
        if old != new:
            yield path
        return
    for name in {**before, **after}:
        yield from _changed(before.get(name), after.get(name), (*path, name))


def _settings_in(table: object) -> Mapping[str, object] | None:
    if isinstance(table, Table):
        return {name: getattr(table, name) for name in type(table).model_fields}
    return table if isinstance(table, dict) else None


def generation_in(folder: Path) -> int:
    """The number of the generation in force; 0 where there is none. Raises ``OSError``: the folder is gone."""
    return int((folder / _LINK).readlink().name.rpartition("-")[2])


def load_generation(directory: Path, folder: Path, number: int) -> Settings:
    """A worker's side: the settings of ``directory`` as they were accepted. Raises ``ConfigurationError``."""
    return load(directory, files=folder / f"{_LINK}-{number}")
