"""Codes of RFC 6238, in every neighbouring step and in no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.factors.totp import matching_step, normalised, provisioning_uri

SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_vectors_of_rfc_6238_appendix_b(at: int, code: str) -> None:
    assert matching_step(SECRET, code, at, digits=8, window=0) == at // 30


@pytest.mark.parametrize(
    ("step", "code"),
    list(
        enumerate(["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"])
    ),
)
def test_the_vectors_of_rfc_4226_appendix_d(step: int, code: str) -> None:
    assert matching_step(SECRET, code, step * 30, window=0) == step


@pytest.mark.parametrize(
    ("late", "matches"), [(-31, False), (-1, True), (0, True), (29, True), (59, True), (60, False)]
)
def test_a_code_matches_in_its_step_and_in_one_neighbour_on_either_side(late: int, matches: bool) -> None:
    assert (matching_step(SECRET, "005924", 1234567890 + late) == 41152263) is matches


def test_no_neighbour_stands_before_time_began() -> None:
    assert matching_step(SECRET, "755224", 0) == 0


@pytest.mark.parametrize("code", ["005 924", " 005924 ", "0 0 5 9 2 4"])
def test_spaces_do_not_matter(code: str) -> None:
    assert matching_step(SECRET, code, 1234567890) == 41152263


@pytest.mark.parametrize("code", ["", "05924", "0005924", "００５９２４", "005924\n", "005-924", "+05924", "٠٠٥٩٢٤"])
def test_nothing_else_is_a_code(code: str) -> None:
    assert matching_step(SECRET, code, 1234567890) is None


@given(st.text())
def test_whatever_is_typed_is_digits_or_nothing(code: str) -> None:
    typed = normalised(code)
    assert typed is None or set(typed) <= set("0123456789")


def test_the_uri_names_account_issuer_and_secret() -> None:
    uri = provisioning_uri(SECRET, "léa@relais", "Gateway")
    assert uri.startswith("otpauth://totp/Gateway:l%C3%A9a%40relais?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    assert "issuer=Gateway" in uri
