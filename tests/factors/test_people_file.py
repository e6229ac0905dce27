"""People to be invited by letter: all of a file, or every mistake with its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.factors.people_file import MOST_PEOPLE, PRINTED_IN, Invited, Wrong, printable, read_people

PARTNERS = {"agency": None, "mission": None}
HEADING = "partner,sub,login,name\n"
LEA = "agency,s-1,lea,Léa Roy\n"


def mistakes(content: str | bytes) -> list[tuple[int, str]]:
    said = read_people(content.encode() if isinstance(content, str) else content, PARTNERS)[1]
    return [(one.line, one.text) for one in said]


def test_people_are_read_in_the_order_of_the_columns_that_the_heading_names() -> None:
    people, wrong = read_people("\ufeffname;login;sub;partner\n\nLéa Roy; lea ;s-1;agency\n".encode(), PARTNERS)
    assert people == (Invited("agency", "s-1", "lea", "Léa Roy", 3),) and wrong == ()


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (b"\n\xff", 2, "no text in UTF-8"),
        ("", 1, "there is nobody"),
        (HEADING, 1, "there is nobody"),
        (LEA, 1, "must name the columns"),
        ("partner,sub,login\n", 1, "must name the columns"),
        ("partner,sub,login,login\n", 1, "must name the columns"),
        (f"{HEADING}agency,s-1,lea\n", 2, "3 values for 4 columns"),
        (f"{HEADING}agency,s-1,lea,Léa,Roy\n", 2, "5 values for 4 columns"),
        (f"{HEADING}{LEA}agency,,max,\n", 3, "sub, name is empty"),
        (f"{HEADING}elsewhere,s-1,lea,Léa\n", 2, "no such partner"),
        (f"{HEADING}{LEA}{LEA}", 3, "stands in line 2 already"),
        (f"{HEADING}agency,s-1,lea,{'L' * 121}\n", 2, "more than 120 characters"),
        (f"{HEADING}agency,s-1,lea,Дима\n", 2, "cannot be printed"),
        (f'{HEADING}agency,"s-1,lea,Léa\n', 2, "quotation mark"),
    ],
)
def test_a_mistake_has_its_line_and_says_what_to_do(content: str | bytes, line: int, said: str) -> None:
    ((at, text),) = mistakes(content)
    assert at == line and said in text


def test_all_mistakes_are_told_at_once() -> None:
    assert [line for line, _ in mistakes(f"{HEADING}x,1,a,A\n{LEA}agency,2,,B\n")] == [2, 4]


def test_too_many_people_are_none() -> None:
    content = HEADING + "".join(f"agency,s-{number},lea,Léa\n" for number in range(MOST_PEOPLE + 1))
    assert "split the file" in mistakes(content)[0][1]


@pytest.mark.parametrize(
    ("written", "printed"),
    [("Œdipe d’Aubigné", "Œdipe d’Aubigné"), ("Ștefan Łukasz", "Stefan Lukasz"), ("Le\u0301a", "Léa")],
)
def test_a_name_is_printed_as_it_is_where_the_fonts_can(written: str, printed: str) -> None:
    assert printable(written) == printed


@given(st.text())
def test_what_is_printable_can_be_printed(text: str) -> None:
    try:
        printed = printable(text)
    except Wrong:
        return
    assert printed.encode(PRINTED_IN).decode(PRINTED_IN) == printed and printed.isprintable()


@given(st.binary(max_size=200))
def test_no_file_is_too_strange(content: bytes) -> None:
    people, wrong = read_people(content, PARTNERS)
    assert bool(people) or bool(wrong)
