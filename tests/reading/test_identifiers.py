"""The NIR in whole values and in free text; the other kinds by their pattern."""

import pytest
from declared import AGENCY, NIR, SEPARATORS, WHOLE, grouped, spellings
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.extraction import Identifier
from gateway.core.policy import UniqueKind
from gateway.reading.identifiers import find_nirs, identifiers_in, identify, nir13


@pytest.mark.parametrize("number", [*WHOLE, "141208078200587"])
def test_valid_numbers_are_known_by_their_13_characters(number: str) -> None:
    assert nir13(number) == nir13(number[:13]) == number[:13]


@pytest.mark.parametrize(
    "value",
    [
        "141208078200557",
        "941208078200575",
        "295109912611199",
        "253072C07300443",
        "2951399126111",
        "2951000126111",
        "9951099126111",
        "29510991261119",
        "NIR",
    ],
)
def test_a_wrong_key_month_first_digit_department_or_length_is_no_number(value: str) -> None:
    assert nir13(value) is None


@given(spellings())
def test_any_spelling_is_read_alike(spelled: tuple[str, str]) -> None:
    number, text = spelled
    assert nir13(text) == number
    assert [span.nir13 for span in find_nirs(f"Le dossier {text}, suivi.")] == [number]


@pytest.mark.parametrize("separator", SEPARATORS)
def test_a_span_covers_exactly_the_spelling(separator: str) -> None:
    text = grouped(WHOLE[1], separator)
    (span,) = find_nirs(f"du {text}: vu")
    assert f"du {text}: vu"[span.start : span.end] == text


def test_a_key_of_its_own_field_is_checked() -> None:
    assert nir13("2951099126111", "93") == "2951099126111"
    assert nir13("2951099126111", "99") is None


@pytest.mark.parametrize(
    "text",
    [
        "295-109-912-611-193",
        "2-9-5-1-0-9-9-1-2-6-1-1-1-9-3",
        "2951 0991 2611 193",
        "2951099126111 (clé 93)",
        "2951099126111/93",
        "2 95 10 99\n126 111 93",
        "0002951099126111930",
        "a,295 109 912 611 193,7",
        "%32951099126111%39%33",
        "2%C2%A095%E2%80%AF1099126111+93",
        "%2532951099126111%2539%2533",
        "&#50;951099126111&#x39;3",
        "2&nbsp;95&nbsp;10&nbsp;99&nbsp;126&nbsp;111&nbsp;93",
        r"\u0032951099126111\u00393",
        r"\x32951099126111\x393",
    ],
)
def test_odd_groups_and_encodings_are_seen(text: str) -> None:
    assert "2951099126111" in {span.nir13 for span in find_nirs(f"n° {text} !")}


@pytest.mark.parametrize(
    "text", ["NIR 2951099126111", "n° sécu : 2 95 10 99 126 111.", "2951099126111 (sécurité sociale)"]
)
def test_13_characters_count_beside_a_word(text: str) -> None:
    assert [span.nir13 for span in find_nirs(text)] == ["2951099126111"]


def test_13_characters_alone_do_not_count_but_under_a_declared_name() -> None:
    assert find_nirs("commande 2951099126111 livrée") == []
    assert [span.nir13 for span in find_nirs("voir 2951099126111", named=True)] == ["2951099126111"]


@pytest.mark.parametrize(
    "text", ["GR16 0110 1050 0000 1054 7023 795", "73282932000074", "35686800-004141-20", "0.295109912611193"]
)
def test_other_numbers_are_none(text: str) -> None:
    assert find_nirs(text) == []


def test_a_number_inside_an_iban_is_none() -> None:
    # A French IBAN whose account number holds the 15 digits, with its own check digits.
    iban = next(
        candidate
        for check in range(2, 99)
        if int((body := "30002" + "951099126111934000012")[:23] + f"1527{check:02d}") % 97 == 1
        for candidate in [f"FR{check:02d}{body[:23]}"]
    )
    assert find_nirs(iban) == []


@pytest.mark.parametrize("check", range(100))
def test_a_number_that_stands_alone_is_none_of_an_iban(check: int) -> None:
    assert [span.nir13 for span in find_nirs(f"NO{check:02d} 295109912611193")] == ["2951099126111"]


def test_numbers_glued_together_are_each_found() -> None:
    assert {span.nir13 for span in find_nirs("".join(WHOLE))} >= {number[:13] for number in WHOLE}


@given(st.text(max_size=200))
def test_no_text_breaks_the_search_and_spans_lie_in_it(text: str) -> None:
    for span in find_nirs(text, named=True):
        assert 0 <= span.start < span.end <= len(text)


def test_other_kinds_are_read_by_their_pattern_and_normalised() -> None:
    assert identify(AGENCY, " 1234567a ") == Identifier("agency", "1234567A")
    assert identify(AGENCY, "１２３４５６７８９０１") == Identifier("agency", "12345678901")
    assert identify(AGENCY, "12345") is None
    assert identify(UniqueKind("any", NIR.klass), "") is None


def test_a_field_may_hold_several() -> None:
    assert [one.value for one in identifiers_in(AGENCY, "12345678901, 1234567A")] == ["12345678901", "1234567A"]
    several = identifiers_in(NIR, "2951099126111, 253072A07300443")
    assert [one.value for one in several] == ["2951099126111", "253072A073004"]
    assert identifiers_in(NIR, "inconnu") == ()
