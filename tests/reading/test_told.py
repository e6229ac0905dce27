"""What a record says of itself: whose agency its person is, and until when it was of use."""

from dataclasses import replace

import pytest
from declared import RULES, WHOLE

from gateway.core.extraction import Class, PersonFound, Record, Tells, Told, attribute
from gateway.core.policy import FieldRule
from gateway.reading.csv import CsvStream
from gateway.reading.html import read_html
from gateway.reading.json import read_json
from gateway.reading.ports import Unreadable
from gateway.reading.rules import Rules, within
from gateway.reading.streams import NdjsonStream
from gateway.reading.text import read_text
from gateway.reading.xml import read_xml

ONE, TWO = WHOLE[0], WHOLE[5]
TELLS = {"agence": Tells.INSIDE, "dateFin": Tells.DORMANT}
FIELDS = (
    FieldRule("name", Class.INTERNAL, ("nom",)),
    FieldRule("note", Class.PERSONAL, ("note", "date_fin")),
    FieldRule("health", Class.RESTRICTED, ("sante",)),
)
TELLING = Rules(FIELDS, RULES.unique, RULES.links, tells=TELLS)
HERE = Told(("75001",), ("2020-01-31",))


def told(reading: object) -> list[Told]:
    """What is told of each person, in order."""
    assert not isinstance(reading, Unreadable)
    return [one.told for one in attribute(reading.records, None, Class.PUBLIC)]  # type: ignore[attr-defined]


def json(text: str) -> list[Told]:
    return told(read_json(text, "utf-8", TELLING))


def html(text: str) -> list[Told]:
    return told(read_html(text, "utf-8", TELLING))


def xml(text: str) -> list[Told]:
    return told(read_xml(text, "utf-8", TELLING))


def csv(text: str) -> list[Told]:
    rows = CsvStream("utf-8", TELLING).feed(text.encode())
    assert not isinstance(rows, Unreadable)
    return [one for row in rows if row.records for one in told(row)]


def test_a_json_object_tells_of_its_person() -> None:
    assert json(f'{{"nir": "{ONE}", "Agence": "75001", "date_fin": "2020-01-31"}}') == [HERE]


def test_each_object_of_an_array_tells_of_its_own() -> None:
    rows = f'[{{"nir": "{ONE}", "agence": "75001"}}, {{"nir": "{TWO}", "agence": 69001}}, {{"nir": "{WHOLE[1]}"}}]'
    assert json(rows) == [Told(("75001",)), Told(("69001",)), Told()]


def test_an_object_around_an_array_tells_nothing_of_its_elements() -> None:
    assert json(f'{{"agence": "75001", "liste": [{{"nir": "{ONE}"}}]}}') == [Told()]


def test_an_array_inside_a_record_tells_nothing_of_it() -> None:
    past = '[{"agence": "75001", "dateFin": "1990-01-01"}]'
    assert json(f'{{"nir": "{ONE}", "agence": "69001", "historique": {past}}}') == [Told(("69001",))]


def test_a_column_of_a_json_table_tells_of_its_rows() -> None:
    table = f'{{"columns": ["nir", "agence"], "rows": [["{ONE}", "75001"], ["{TWO}", "69001"]]}}'
    assert json(table) == [Told(("75001",)), Told(("69001",))]


def test_an_object_around_the_identifiers_tells_of_their_person() -> None:
    assert json(f'{{"agence": "75001", "identite": {{"nir": "{ONE}"}}}}') == [Told(("75001",))]


def test_an_object_beside_the_identifiers_tells_nothing() -> None:
    assert json(f'{{"agent": {{"agence": "75001"}}, "usager": {{"nir": "{ONE}"}}}}') == [Told()]


def test_what_is_told_is_of_the_person_whose_record_it_is() -> None:
    record = f'{{"nir": "{ONE}", "agence": "75001", "conjoint": {{"nir": "{TWO}"}}}}'
    assert json(record) == [Told(("75001",)), Told()]


def test_of_two_persons_side_by_side_it_is_told_of_nobody() -> None:
    assert json(f'{{"nir": ["{ONE}", "{TWO}"], "agence": "75001"}}') == [Told(), Told()]


def test_whoever_is_named_in_a_note_is_not_who_the_record_tells_of() -> None:
    assert json(f'{{"nir": "{ONE}", "agence": "75001", "memo": "voir {TWO}"}}') == [Told(("75001",)), Told()]
    assert json(f'{{"memo": "voir {TWO}", "agence": "75001"}}') == [Told()]


def test_two_agencies_in_one_record_are_both_told() -> None:
    assert json(f'{{"nir": "{ONE}", "agence": "75001", "agence": "69001"}}') == [Told(("75001", "69001"))]


def test_a_date_is_told_of_everybody_in_its_record() -> None:
    record = f'{{"nir": "{ONE}", "dateFin": "1990-01-01", "conjoint": {{"nir": "{TWO}"}}}}'
    assert json(record) == [Told(dormant=("1990-01-01",))] * 2


def test_an_empty_field_tells_nothing() -> None:
    assert json(f'{{"nir": "{ONE}", "agence": " ", "dateFin": null}}') == [Told()]


def test_ndjson_tells_line_by_line() -> None:
    lines = f'{{"nir": "{ONE}", "agence": "75001"}}\n{{"nir": "{TWO}", "agence": "69001"}}\n'
    pieces = NdjsonStream("utf-8", TELLING).feed(lines.encode())
    assert not isinstance(pieces, Unreadable)
    assert [one for piece in pieces for one in told(piece)] == [Told(("75001",)), Told(("69001",))]


def test_a_csv_column_tells_of_each_row() -> None:
    rows = f'nir;nom;agence;date fin\r\n{ONE};A;75001;2020-01-31\r\n{TWO};B;"69001";31/01/2020\r\n'
    assert csv(rows) == [HERE, Told(("69001",), ("31/01/2020",))]


def test_a_shifted_csv_row_does_not_say_whose_agency_it_is() -> None:
    assert csv(f"nir;agence;nom\r\n{ONE};69001;75001;A\r\n") == [Told()]


def test_json_in_a_csv_cell_tells_of_its_own_person() -> None:
    rows = f'agence;memo\r\n69001;"{{""nir"": ""{ONE}"", ""agence"": ""75001""}}"\r\n'
    assert csv(rows) == [Told(("75001",))]


def test_a_column_of_an_html_table_tells_of_each_row() -> None:
    head = "<table><tr><th>NIR<th>Agence<th>Date fin</tr>"
    rows = f"<tr><td>{ONE}<td>75001<td>2020-01-31</tr><tr><td>{TWO}<td>69001<td></tr></table>"
    assert html(head + rows) == [HERE, Told(("69001",))]


def test_a_definition_list_tells_of_its_person() -> None:
    fields = "<dt>Agence<dd>75001<dt>Date fin<dd>2020-01-31"
    assert html(f"<dl><dt>NIR<dd>{ONE}{fields}</dl>") == [HERE]


def test_rows_of_label_and_value_tell_of_the_page_s_person() -> None:
    assert html(f"<table><tr><th>NIR<td>{ONE}<tr><th>Agence<td>75001</table>") == [Told(("75001",))]


@pytest.mark.parametrize(
    "banner",
    [
        "<p>Agence : 75001</p>",
        '<span class="agence">75001</span>',
        '<form><select name="agence"><option selected>75001</select></form>',
        '<form><input name="agence" value="75001"></form>',
        '<body data-agence="75001">',
        '<a href="/recherche?agence=75001">75001</a>',
    ],
)
def test_a_page_s_banner_says_nothing_of_its_person(banner: str) -> None:
    assert html(f"{banner}<dl><dt>NIR<dd>{ONE}</dl>") == [Told()]


def test_xml_elements_tell_of_their_person() -> None:
    one = f"<p><nir>{ONE}</nir><agence>75001</agence><dateFin>2020-01-31</dateFin></p>"
    two = f'<p nir="{TWO}" agence="69001"/>'
    assert xml(f"<liste>{one}{two}</liste>") == [HERE, Told(("69001",))]


def test_plain_text_does_not_say_who_is_inside() -> None:
    assert told(read_text(f"nir: {ONE}\nagence: 75001\ndateFin: 2020-01-31\n", "utf-8", TELLING)) == [
        Told(dormant=("2020-01-31",))
    ]


def test_json_in_a_page_tells_of_its_own_person() -> None:
    script = f'<script>var p = {{"nir": "{ONE}", "agence": "75001"}};</script>'
    assert html(f"<p>Agence : 69001</p>{script}") == [Told(("75001",))]


def test_a_field_that_only_tells_is_no_finding() -> None:
    reading = read_json(f'{{"nir": "{ONE}", "agence": "75001"}}', "utf-8", TELLING)
    assert not isinstance(reading, Unreadable)
    assert [one.category for one in reading.records[0].found] == ["nir"]


def test_a_field_that_only_tells_does_not_uncover_what_it_stands_in() -> None:
    around, own = TELLING.named("sante"), TELLING.named("agence")
    assert around is not None
    assert within(own, around) == replace(around, tells=Tells.INSIDE)
    reading = read_json('{"sante": {"agence": "75001"}}', "utf-8", TELLING)
    assert not isinstance(reading, Unreadable)
    assert [one.klass for one in reading.records[0].found] == [Class.RESTRICTED]


def test_a_field_that_tells_keeps_its_own_class() -> None:
    reading = read_json(f'{{"nir": "{ONE}", "date_fin": "2020-01-31"}}', "utf-8", TELLING)
    assert not isinstance(reading, Unreadable)
    assert {one.category for one in reading.records[0].found} == {"nir", "note"}
    assert b"2020-01-31" not in reading.masked(frozenset({"note"}))


def test_an_answer_that_names_nobody_tells_only_its_own_dates() -> None:
    records = [Record((), (), told=HERE), Record((), (), 0, told=Told(("1",), ("1990-01-01",)))]
    person = RULES.unique[0]
    named = attribute(records, (), Class.PERSONAL)
    assert named == (PersonFound((), (), Class.PERSONAL, 1, Told(dormant=("2020-01-31",))),)
    assert person.kind == "nir"
