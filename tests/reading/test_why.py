"""What somebody says why they need a file."""

import pytest
from declared import WHOLE
from hypothesis import given
from hypothesis import strategies as st

from gateway.reading.why import why_of


@pytest.mark.parametrize("text", ["", "123456789", "x" * 501, "         ", "a\x00null inside", "odd \u202e direction"])
def test_too_short_too_long_or_odd(text: str) -> None:
    assert why_of(text) is None


@pytest.mark.parametrize("text", ["1234567890", "x" * 500, "remplace Zoé, à Lyon"])
def test_a_sentence_of_ten_to_five_hundred_characters(text: str) -> None:
    assert why_of(f"  {text}\r\n") == text


def test_lines_become_one() -> None:
    assert why_of("replaces\n  a colleague") == "replaces a colleague"


@pytest.mark.parametrize("number", WHOLE)
def test_a_person_s_number_in_it_is_masked(number: str) -> None:
    said = why_of(f"for {number} of Lyon")
    assert said is not None
    assert number not in said
    assert said.startswith("for ")


@given(st.text(max_size=600))
def test_whatever_is_typed_a_reason_is_printable_and_short(text: str) -> None:
    said = why_of(text)
    assert said is None or (said.isprintable() and 10 <= len(said) <= 500)
