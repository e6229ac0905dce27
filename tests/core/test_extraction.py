"""Whose data an answer carries."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.extraction import (
    Class,
    Found,
    Identifier,
    Located,
    PersonFound,
    Record,
    attribute,
    by_size,
    persons_of,
)

NAME = Found("name", Class.INTERNAL)
NIR = Found("nir", Class.SENSITIVE)


def located(kind: str, value: str, *path: str) -> Located:
    return Located(Identifier(kind, value), path)


def identifiers(*persons: PersonFound) -> list[tuple[str, ...]]:
    return [tuple(one.value for one in person.identifiers) for person in persons]


def test_identifiers_of_different_kinds_in_one_record_are_one_person() -> None:
    assert len(persons_of([located("nir", "A"), located("id", "1")])) == 1


def test_two_values_of_one_kind_are_two_persons_and_link_with_nothing() -> None:
    found = persons_of([located("id", "1"), located("nir", "A"), located("nir", "B")])
    assert sorted(map(len, found)) == [1, 1, 1]


def test_a_nested_spouse_is_a_person_of_its_own_and_leaves_the_link_alone() -> None:
    found = persons_of(
        [located("id", "1"), located("nir", "A"), located("nir", "B", "spouse"), located("id", "2", "spouse")]
    )
    assert [{one.value for one in person} for person in found] == [{"1", "A"}, {"B", "2"}]


def test_a_nested_identifier_that_is_the_only_one_of_its_kind_links() -> None:
    assert len(persons_of([located("id", "1"), located("nir", "A", "civil")])) == 1


def test_a_nested_object_that_tells_a_name_again_is_somebody_else_even_with_the_only_number() -> None:
    declared = [located("id", "1"), located("nir", "B", "spouse")]
    assert len(persons_of(declared, told=[((), "name"), (("spouse",), "name")])) == 2
    assert len(persons_of(declared, told=[(("spouse",), "name")])) == 1


def test_values_in_free_text_never_link() -> None:
    found = persons_of([located("id", "1")], [Identifier("nir", "A"), Identifier("nir", "B")])
    assert len(found) == 3


def test_a_value_in_free_text_that_is_named_already_is_not_counted_twice() -> None:
    assert len(persons_of([located("nir", "A")], [Identifier("nir", "A")])) == 1


LOCATED = st.builds(
    Located,
    st.builds(Identifier, st.sampled_from("abc"), st.sampled_from("123")),
    st.lists(st.sampled_from("xy"), max_size=2).map(tuple),
)


@given(st.lists(LOCATED, max_size=8))
def test_no_person_has_two_values_of_one_kind_and_no_identifier_is_lost(declared: list[Located]) -> None:
    persons = persons_of(declared)
    for person in persons:
        kinds = [one.kind for one in person]
        assert len(kinds) == len(set(kinds))
    assert {one for person in persons for one in person} == {one.identifier for one in declared}


def test_a_record_without_identifier_belongs_to_the_enclosing_one_that_has_one() -> None:
    records = [Record(((Identifier("id", "1"),),), ()), Record((), (NIR,), parent=0)]
    (person,) = attribute(records, None, Class.PUBLIC)
    assert person.found == (NIR,)


def test_what_stands_outside_all_records_belongs_to_everybody_below() -> None:
    records = [Record((), (NAME,)), *(Record(((Identifier("id", value),),), (), parent=0) for value in "12")]
    assert [one.found for one in attribute(records, None, Class.PUBLIC)] == [(NAME,), (NAME,)]


def test_a_row_that_carries_something_of_nobody_is_one_more_person() -> None:
    records = [Record(((Identifier("id", "1"),),), (NAME,)), Record((), (NAME,))]
    assert identifiers(*attribute(records, None, Class.PUBLIC)) == [("1",), ()]


def test_the_answers_own_identifiers_come_before_the_requests() -> None:
    records = [Record(((Identifier("id", "1"),),), ())]
    assert identifiers(*attribute(records, (Identifier("id", "2"),), Class.SENSITIVE)) == [("1",)]


def test_an_answer_that_names_nobody_belongs_to_the_requests_person_whatever_its_size() -> None:
    persons = attribute([Record((), (NIR,), text_bytes=200_000)], (Identifier("id", "2"),), Class.PUBLIC)
    assert identifiers(*persons) == [("2",)]


def test_an_answer_that_names_nobody_is_charged_by_size() -> None:
    (person,) = attribute([Record((), (NAME,), text_bytes=1_361)], None, Class.PUBLIC)
    assert person.weight == 3


def test_rows_without_identifiers_are_one_person_each_at_least() -> None:
    (person,) = attribute([Record((), (NAME,), text_bytes=10) for _ in range(50)], None, Class.PUBLIC)
    assert person.weight == 50


def test_nothing_found_on_a_public_route_is_nobodys() -> None:
    assert attribute([Record((), (), text_bytes=9_000)], (Identifier("id", "1"),), Class.PUBLIC) == ()


def test_nothing_found_on_a_classified_route_is_somebodys() -> None:
    (person,) = attribute([Record((), (), text_bytes=9)], None, Class.PERSONAL)
    assert (person.weight, person.floor) == (1, Class.PERSONAL)


def test_680_bytes_are_one_person() -> None:
    assert [by_size(size) for size in (0, 1, 680, 681, 1360, 1361)] == [1, 1, 1, 2, 2, 3]
