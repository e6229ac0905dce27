"""Plain text: numbers in it, named lines, and what is left after masking."""

from declared import ALL, RULES, spellings
from hypothesis import given
from hypothesis import strategies as st

from gateway.reading.text import read_text


def persons(text: str) -> list[set[str]]:
    return [{one.value for one in who} for record in read_text(text, "utf-8", RULES).records for who in record.persons]


@given(
    spellings(),
    st.text(st.characters(categories=["L"]), max_size=20),
    st.text(st.characters(categories=["L"]), max_size=20),
)
def test_only_the_spelling_is_replaced(spelled: tuple[str, str], before: str, after: str) -> None:
    number, spelling = spelled
    text = f"{before}, {spelling}; {after}"
    reading = read_text(text, "utf-8", RULES)
    assert [{number}] == persons(text)
    masked = reading.masked(frozenset({"nir"})).decode()
    assert masked.startswith(f"{before}, ")
    assert masked.endswith(f"xMASKx; {after}")
    assert len(masked) == len(text)
    assert reading.masked(frozenset()) == text.encode()


def test_a_thousand_numbers_are_a_thousand_persons_linked_to_none() -> None:
    numbers = [f"1800169{order:06d}" for order in range(1000)]
    text = ", ".join(f"{number}{97 - int(number) % 97:02d}" for number in numbers)
    found = persons(text)
    assert {number for who in found for number in who} >= set(numbers)
    assert all(len(who) == 1 for who in found)


def test_named_lines_are_fields() -> None:
    reading = read_text("Nom : Dupont\nCourriel: a@example.fr\nNIR: 2951099126111\nTitre: x\n", "utf-8", RULES)
    assert {one.category for one in reading.records[0].found} == {"name", "email", "nir"}
    assert reading.masked(ALL) == b"Nom : xMASKx\nCourriel: a@exxxxMASKx\nNIR: 2951xxxxMASKx\nTitre: x\n"


def test_code_has_no_named_lines() -> None:
    assert read_text("email: 'x'", "utf-8", RULES, pairs=False).records[0].found == ()


def test_text_that_is_json_is_read_as_json() -> None:
    assert persons('[{"nir": "2951099126111"}]') == [{"2951099126111"}]
