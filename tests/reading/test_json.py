"""JSON documents: whom they name, what is hidden, and that nothing else changes."""

import json
from typing import Any

import pytest
from declared import ALL, RULES, WHOLE, digits_of, spellings
from hypothesis import given
from hypothesis import strategies as st

from gateway.reading.json import JsonReading, read_json
from gateway.reading.ports import Unreadable

HIDE_NIR = frozenset({"nir"})


def read(text: str, encoding: str = "utf-8") -> JsonReading:
    reading = read_json(text, encoding, RULES)
    assert not isinstance(reading, Unreadable), reading
    return reading


def persons(text: str) -> list[list[set[str]]]:
    return [[{one.value for one in person} for person in record.persons] for record in read(text).records]


def found(text: str) -> set[tuple[str, bool]]:
    return {(one.category, one.maskable) for record in read(text).records for one in record.found}


SCALARS = st.none() | st.booleans() | st.integers(-999, 999) | st.floats(-9, 9) | st.text(max_size=9)
NAMES = st.text(max_size=6)
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))


def planted(draw: st.DrawFn, tree: Any, value: Any) -> Any:
    """``tree`` with ``value`` somewhere in it."""
    if isinstance(tree, list) and tree and draw(st.booleans()):
        place = draw(st.integers(0, len(tree) - 1))
        return [*tree[:place], planted(draw, tree[place], value), *tree[place + 1 :]]
    if isinstance(tree, dict) and tree and draw(st.booleans()):
        name = draw(st.sampled_from(sorted(tree)))
        return {**tree, name: planted(draw, tree[name], value)}
    if draw(st.booleans()):
        return {"a": tree, "nir": value}
    return [tree, draw(st.sampled_from([value, {"x": value}, json.dumps({"nir": value}), f"vu, {value}, oui"]))]


@st.composite
def documents(draw: st.DrawFn) -> tuple[Any, str]:
    number, spelling = draw(spellings())
    return planted(draw, draw(TREES), spelling), number


def without(tree: Any) -> Any:
    """``tree`` with every string that a mask may have changed blanked."""
    if isinstance(tree, dict):
        return {name: without(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [without(value) for value in tree]
    return "" if isinstance(tree, str) and len(tree) > 12 else tree


@given(documents(), st.booleans())
def test_a_number_anywhere_is_found_and_hidden_and_the_rest_stays(document: tuple[Any, str], escaped: bool) -> None:
    tree, number = document
    text = json.dumps(tree, ensure_ascii=escaped)
    reading = read(text)
    assert number in {one.value for record in reading.records for person in record.persons for one in person}
    masked = reading.masked(HIDE_NIR).decode()
    assert number[5:] not in digits_of(masked)
    assert without(json.loads(masked)) == without(tree)
    assert reading.masked(frozenset()) == text.encode()


def test_a_spouse_and_children_are_persons_of_their_own() -> None:
    text = """[{"nir": "2951099126111", "numeroAgence": "12345678901",
      "conjoint": {"nir": "253072A073004", "numeroAgence": "12345678902"}, "enfants": [{"nir": "269054958815780"}]}]"""
    assert persons(text) == [
        [],
        [{"2951099126111", "12345678901"}, {"253072A073004", "12345678902"}],
        [{"2690549588157"}],
    ]
    assert [record.parent for record in read(text).records] == [None, 0, 1]


@pytest.mark.parametrize(
    "text",
    [
        '{"columns": ["id", "nir"], "rows": [[1, "2951099126111"], [2, 2530799126111]]}',
        '{"data": [[1, "2951099126111"], [2, "2530799126111"]], "fields": [{"name": "id"}, {"name": "NIR"}]}',
        '{"schema": {"fields": ["id", "nir"]}, "data": [[1, "2951099126111"], [2, "2530799126111"]]}',
        '[["id", "nir"], [1, "2951099126111"], [2, "2530799126111"]]',
    ],
)
def test_each_row_of_a_table_is_a_record_named_by_its_columns(text: str) -> None:
    assert [named for named in persons(text) if named] == [[{"2951099126111"}], [{"2530799126111"}]]
    assert "9912" not in read(text).masked(HIDE_NIR).decode()


@pytest.mark.parametrize(
    "text",
    [
        '{"nir": 2951099126111}',
        '{"nir": 295109912611193}',
        '{"nir": 2.95109912611193e14}',
        '{"x": 295109912611193}',
        '{"x": 2.95109912611193E+14}',
        r'{"nir": "\u0032951099126111"}',
        '{"nir": null, "nir": "2951099126111", "nir": ""}',
        '{"nir": {"valeur": "2951099126111", "cle": "93"}}',
        '[{"name": "nir", "value": "2951099126111"}]',
        '{"x": "{\\"nir\\": 2951099126111}"}',
        '{"x": "\\"{\\\\\\"nir\\\\\\": 2951099126111}\\""}',
        '"295109912611193"',
        '{"note": "NIR 2951099126111"}',
        '{"nir": "2951099126111, dit-il"}',
        '\ufeff{"nir": "2951099126111"}',
    ],
)
def test_every_way_to_hold_one_number_names_one_person_and_can_be_hidden(text: str) -> None:
    assert [person for record in persons(text) for person in record] == [{"2951099126111"}]
    masked = read(text).masked(HIDE_NIR).decode()
    assert "09912" not in masked
    json.loads(masked.removeprefix("\ufeff"))


def test_a_list_of_numbers_is_a_list_of_persons() -> None:
    assert persons(json.dumps({"nir": [*WHOLE, "inconnu"]})) == [[{number[:13]} for number in WHOLE]]


def test_a_map_keyed_by_numbers_names_a_person_each_and_cannot_be_masked() -> None:
    text = '{"295109912611193": {"nom": "A"}, "253072A07300443": {"nom": "B"}}'
    assert persons(text) == [[], [{"2951099126111"}], [{"253072A073004"}]]
    assert ("nir", False) in found(text)


def test_links_name_persons_and_are_never_masked() -> None:
    text = json.dumps(["https://h/usagers/12345678901?x=1", "usagers/12345678901", '<a href="/usagers/12345678902">'])
    assert persons(text) == [[{"12345678901"}, {"12345678902"}]]
    assert found(text) == {("agency", False)}
    assert read(text).masked(ALL) == text.encode()


def test_garbage_in_a_declared_field_is_found_and_hidden_whole_and_names_nobody() -> None:
    text = '{"nir": "à vérifier"}'
    assert persons(text) == [[]]
    assert found(text) == {("nir", True)}
    assert json.loads(read(text).masked(HIDE_NIR)) == {"nir": "x vxxMASKx"}


def test_booleans_are_found_and_null_and_empty_are_nothing() -> None:
    assert found('{"rqth": false}') == {("disability", True)}
    assert read('{"rqth": true}').masked(ALL) == b'{"rqth": "xMASKx"}'
    assert found('{"rqth": null, "nom": "", "courriel": [], "nir": {}}') == set()


def test_duplicates_spellings_of_numbers_and_lone_surrogates_survive_masking() -> None:
    text = '{"a": 1.50, "a": 1E400, "b": "\\ud800é", "c": 123456789012345678901234567890, "rqth": true}'
    masked = read(text, "latin-1").masked(ALL)
    assert masked == text.replace("é", "\\u00e9").replace("true", '"xMASKx"').encode()


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16-le", "utf-16-be"])
def test_the_encoding_is_kept(encoding: str) -> None:
    reading = read('{"nom": "Élodie", "x": "é"}', encoding)
    assert reading.masked(frozenset()).decode(encoding) == '{"nom": "Élodie", "x": "é"}'
    assert json.loads(reading.masked(ALL).decode(encoding)) == {"nom": "xMASKx", "x": "é"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{} {}",
        '{"a": NaN}',
        "[Infinity]",
        "{'a': 1}",
        "[1,]",
        "[01]",
        '"\n"',
        "[" * 101 + "]" * 101,
        "[" * 99999,
    ],
)
def test_what_the_grammar_does_not_allow_is_unreadable(text: str) -> None:
    assert isinstance(read_json(text, "utf-8", RULES), Unreadable)


def test_more_records_than_any_answer_may_carry_are_unreadable() -> None:
    assert isinstance(read_json("[" + "{}," * 200_000 + "{}]", "utf-8", RULES), Unreadable)


def test_a_field_and_a_link_of_one_kind_and_value_are_one_person() -> None:
    text = '{"numeroAgence": "12345678901", "nir": "2951099126111", "_links": {"self": "/usagers/12345678901"}}'
    assert persons(text) == [[{"2951099126111", "12345678901"}]]


def test_a_hundred_levels_are_read() -> None:
    assert persons("[" * 100 + '"295109912611193"' + "]" * 100) == [[{"2951099126111"}]]


def test_the_minted_value_is_reported() -> None:
    assert read('{"jeton_usager": "abc", "x": {"jetonUsager": 7}}').minted == ("abc", "7")


def test_text_is_counted_in_bytes_of_values() -> None:
    assert read('{"nom": "Zoë", "a": 12.5}').records[0].text_bytes == 8
