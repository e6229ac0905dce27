"""Keys: private, rotated without losing anybody, and each for one purpose."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.extraction import Identifier
from gateway.keyring import PURPOSES, KeyRing, KeyRingError, Unsealable, rotate


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_every_purpose_gets_a_file_that_only_the_owner_reads(directory: Path) -> None:
    KeyRing.create(directory)
    assert sorted(path.name.split("-")[0] for path in directory.iterdir()) == sorted(PURPOSES)
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}


def test_keys_are_never_made_over_others(directory: Path) -> None:
    KeyRing.create(directory)
    with pytest.raises(KeyRingError, match="holds keys already"):
        KeyRing.create(directory)


def test_a_file_open_to_the_group_is_refused_by_name(directory: Path) -> None:
    KeyRing.create(directory)
    path = next(directory.glob("seal-*"))
    path.chmod(0o640)
    with pytest.raises(KeyRingError, match=rf"{path.name} has mode 0640.*chmod 600"):
        KeyRing.load(directory)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_missing_purpose_is_named(directory: Path, purpose: str) -> None:
    KeyRing.create(directory)
    next(directory.glob(f"{purpose}-*")).unlink()
    with pytest.raises(KeyRingError, match=rf"{purpose}-.*gateway init"):
        KeyRing.load(directory)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_damaged_file_is_named(directory: Path, purpose: str) -> None:
    KeyRing.create(directory)
    path = next(directory.glob(f"{purpose}-*"))
    path.write_bytes(b"no key")
    with pytest.raises(KeyRingError, match=path.name):
        KeyRing.load(directory)


def test_other_files_of_the_folder_are_left_alone(directory: Path) -> None:
    KeyRing.create(directory)
    (directory / "partner-x.secret").write_text("x")
    assert KeyRing.load(directory).hash_kid


def test_kind_and_value_of_an_identifier_are_both_hashed_and_never_run_together(directory: Path) -> None:
    ring = KeyRing.create(directory)
    hashes = {ring.person_hash(Identifier(*one)) for one in (("a", "b"), ("ab", ""), ("", "ab"), ("a", "c"))}
    assert len(hashes) == 4
    assert {len(one) for one in hashes} == {16}


def test_nodes_that_share_the_files_know_the_same_persons_and_users(directory: Path) -> None:
    one, other = KeyRing.create(directory), KeyRing.load(directory)
    assert one.person_hash(Identifier("nir", "1")) == other.person_hash(Identifier("nir", "1"))
    assert one.user_id("i", "s") == other.user_id("i", "s")


principals = st.tuples(st.sampled_from(["https://a", "https://a.b"]), st.text("a.b/\0", max_size=5))


@given(principals, principals)
def test_two_principals_are_one_user_where_issuer_and_subject_are_the_same(
    keyring: KeyRing, one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert (keyring.user_id(*one) == keyring.user_id(*other)) is (one == other)


def test_a_rotation_of_the_hash_key_keeps_users_and_tokens_and_counts_persons_anew(directory: Path) -> None:
    before = KeyRing.create(directory)
    rotate(directory, "hash")
    after = KeyRing.load(directory)
    assert after.user_id("i", "s") == before.user_id("i", "s")
    assert after.token_hash("t") == before.token_hash("t")
    assert after.hash_kid != before.hash_kid
    assert after.person_hash(Identifier("nir", "1")) != before.person_hash(Identifier("nir", "1"))


def test_ten_rotations_leave_the_newest_current(directory: Path) -> None:
    KeyRing.create(directory)
    newest = [rotate(directory, "ledger") for _ in range(10)][-1]
    ring = KeyRing.load(directory)
    assert newest.stem == f"ledger-{ring.ledger_kid}"
    assert len(ring.ledger_keys()) == 11


def test_what_was_sealed_before_a_rotation_still_opens(directory: Path) -> None:
    sealed = KeyRing.create(directory).seal(b"secret", "user:1")
    rotate(directory, "seal")
    assert KeyRing.load(directory).unseal(sealed, "user:1") == b"secret"


def test_what_was_sealed_opens_in_its_own_context_alone(directory: Path) -> None:
    ring = KeyRing.create(directory)
    with pytest.raises(Unsealable):
        ring.unseal(ring.seal(b"secret", "user:1"), "user:2")


def test_a_changed_byte_anywhere_makes_it_unsealable(directory: Path) -> None:
    ring = KeyRing.create(directory)
    sealed = ring.seal(b"secret", "c")
    for index in range(len(sealed)):
        with pytest.raises(Unsealable):
            ring.unseal(sealed[:index] + bytes((sealed[index] ^ 1,)) + sealed[index + 1 :], "c")


def test_the_key_set_holds_public_halves_only_newest_first(directory: Path) -> None:
    KeyRing.create(directory)
    rotate(directory, "assertion")
    ring = KeyRing.load(directory)
    keys = ring.jwks()["keys"]
    assert next(key["kid"] for key in keys) == ring.assertion_key.kid
    assert len(keys) == 2
    assert all("d" not in key for key in keys)


def test_the_assertion_key_reads_back_from_its_pem(directory: Path) -> None:
    key = KeyRing.create(directory).assertion_key
    read = load_pem_private_key(key.pem, None)
    assert isinstance(read, ec.EllipticCurvePrivateKey)
    assert read.private_numbers() == key.private.private_numbers()
