"""Codes of RFC 6238, in every neighbouring step and in no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.factors.totp import Oath, matching_step, normalised, provisioning_uri

SECRET = b"12345678901234567890"
PHONE = Oath(SECRET)

SEEDS = {
    "SHA1": SECRET,
    "SHA256": b"12345678901234567890123456789012",
    "SHA512": b"1234567890123456789012345678901234567890123456789012345678901234",
}
"""Of RFC 6238, errata 2866: the ASCII digits, repeated to the length of each hash."""


@pytest.mark.parametrize(
    ("at", "codes"),
    [
        (59, ("94287082", "46119246", "90693936")),
        (1111111109, ("07081804", "68084774", "25091201")),
        (1111111111, ("14050471", "67062674", "99943326")),
        (1234567890, ("89005924", "91819424", "93441116")),
        (2000000000, ("69279037", "90698825", "38618901")),
        (20000000000, ("65353130", "77737706", "47863826")),
    ],
)
def test_the_vectors_of_rfc_6238_appendix_b(at: int, codes: tuple[str, str, str]) -> None:
    for (algorithm, seed), code in zip(SEEDS.items(), codes, strict=True):
        assert matching_step(Oath(seed, algorithm, 8), code, at, window=0) == at // 30
        assert matching_step(Oath(seed, algorithm, 8, 60), code, at * 2, window=0) == at * 2 // 60
        assert matching_step(Oath(seed, algorithm, 6), code, at, window=0) is None
        assert matching_step(Oath(seed, algorithm, 6), code[2:], at, window=0) == at // 30


@pytest.mark.parametrize(
    ("step", "code"),
    list(
        enumerate(["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"])
    ),
)
def test_the_vectors_of_rfc_4226_appendix_d(step: int, code: str) -> None:
    assert matching_step(PHONE, code, step * 30, window=0) == step


@pytest.mark.parametrize(
    ("late", "matches"), [(-31, False), (-1, True), (0, True), (29, True), (59, True), (60, False)]
)
def test_a_code_matches_in_its_step_and_in_one_neighbour_on_either_side(late: int, matches: bool) -> None:
    assert (matching_step(PHONE, "005924", 1234567890 + late) == 41152263) is matches


def test_no_neighbour_stands_before_time_began() -> None:
    assert matching_step(PHONE, "755224", 0) == 0


@pytest.mark.parametrize("drift", [-8, -1, 0, 1, 8])
def test_the_window_goes_with_the_drift(drift: int) -> None:
    at = 1234567890 - drift * 30
    for away in range(-12, 13):
        matched = matching_step(PHONE, "005924", at + away * 30, drift=drift)
        assert matched == (41152263 if abs(away) <= 1 else None)


def test_an_awaited_step_is_looked_at_wherever_it_is() -> None:
    assert matching_step(PHONE, "005924", 1234567890 + 3000) is None
    assert matching_step(PHONE, "005924", 1234567890 + 3000, awaited=41152263) == 41152263


@pytest.mark.parametrize("made", [("MD5", 6, 30), ("SHA1", 7, 30), ("SHA1", 6, 45), ("sha1", 6, 30)])
def test_no_other_generator_exists(made: tuple[str, int, int]) -> None:
    with pytest.raises(ValueError, match="no such generator"):
        Oath(SECRET, *made)


def test_a_generator_does_not_show_its_secret() -> None:
    assert "1234" not in repr(PHONE)


@pytest.mark.parametrize("code", ["005 924", " 005924 ", "0 0 5 9 2 4"])
def test_spaces_do_not_matter(code: str) -> None:
    assert matching_step(PHONE, code, 1234567890) == 41152263


@pytest.mark.parametrize("code", ["", "05924", "0005924", "００５９２４", "005924\n", "005-924", "+05924", "٠٠٥٩٢٤"])
def test_nothing_else_is_a_code(code: str) -> None:
    assert matching_step(PHONE, code, 1234567890) is None


@given(st.text())
def test_whatever_is_typed_is_digits_or_nothing(code: str) -> None:
    typed = normalised(code)
    assert typed is None or set(typed) <= set("0123456789")


def test_the_uri_names_account_issuer_and_secret() -> None:
    uri = provisioning_uri(SECRET, "léa@relais", "Gateway")
    assert uri.startswith("otpauth://totp/Gateway:l%C3%A9a%40relais?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    assert "issuer=Gateway" in uri
