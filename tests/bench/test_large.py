"""What the benchmark of large answers asks for and prints, without running it."""

from gateway.core.extraction import Class
from gateway.core.policy import FieldRule, UniqueKind
from gateway.reading.body import Family, Media
from gateway.reading.identifiers import nir13
from gateway.reading.read import read_document
from gateway.reading.rules import Rules
from tests.bench.large import HEADER, Export, rows
from tests.bench.metered import list_of


def test_every_row_is_another_person_with_a_right_number() -> None:
    numbers = [row.split(";")[HEADER.split(";").index("nir")] for row in rows(100_000)]
    assert len({nir13(number) for number in numbers} - {None}) == 100_000


def test_a_list_has_as_many_persons_as_it_says() -> None:
    kind = UniqueKind("id", Class.INTERNAL, ("id",), "[0-9]{5,9}")
    rules = Rules((FieldRule("name", Class.INTERNAL, ("nom",)),), (kind,))
    reading = read_document(Media(Family.JSON, "application/json"), list_of(50).encode(), rules)
    assert len({person for record in reading.records for person in record.persons}) == 50


def test_a_row_tells_cpu_clock_and_the_longest_call() -> None:
    export = Export(1_000, 2_000_000, 0.5, 0.1, 0.02, [1_000, 2_000, 4_000])
    assert export.line("four") == "| four | 1000 | 10000 | 20.00 | 2000 | 20.0 | 2.0 | 4.0 | 4.0 |"
