"""One store, one key ring: a node with other keys does not join."""

from pathlib import Path

import pytest

from gateway.keyring import PURPOSES, KeyRing, rotate
from gateway.stores.connection import Store
from gateway.stores.same_keys import OtherKeys, require_same_keys


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    KeyRing.create(tmp_path / "keys")
    return tmp_path / "keys"


def replace(directory: Path, purpose: str) -> None:
    (ours,) = directory.glob(f"{purpose}-*")
    ours.unlink()
    rotate(directory, purpose)


async def test_the_first_node_leaves_its_fingerprints_and_the_next_with_the_same_keys_joins(
    store: Store, directory: Path
) -> None:
    for _ in range(2):
        await require_same_keys(store, KeyRing.load(directory).fingerprints())


@pytest.mark.parametrize("purpose", PURPOSES)
async def test_a_node_with_another_key_of_any_purpose_does_not_join(
    store: Store, directory: Path, tmp_path: Path, purpose: str
) -> None:
    await require_same_keys(store, KeyRing.load(directory).fingerprints())
    replace(directory, purpose)
    with pytest.raises(OtherKeys, match=rf"\({purpose}\): copy the whole folder"):
        await require_same_keys(store, KeyRing.load(directory).fingerprints())


@pytest.mark.parametrize("purpose", PURPOSES)
async def test_a_key_that_was_rotated_in_later_changes_nothing(store: Store, directory: Path, purpose: str) -> None:
    await require_same_keys(store, KeyRing.load(directory).fingerprints())
    rotate(directory, purpose)
    await require_same_keys(store, KeyRing.load(directory).fingerprints())


async def test_a_refused_node_changes_nothing_for_the_others(store: Store, directory: Path, tmp_path: Path) -> None:
    mine, other = KeyRing.load(directory), KeyRing.create(tmp_path / "others")
    await require_same_keys(store, mine.fingerprints())
    with pytest.raises(OtherKeys):
        await require_same_keys(store, other.fingerprints())
    await require_same_keys(store, mine.fingerprints())
