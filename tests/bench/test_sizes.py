"""What is weighed, without a gateway."""

from tests.bench.sizes import Weight, table, weigh_ledger


def test_a_record_weighs_what_its_line_does_with_its_end() -> None:
    line = b'{"kind":"answer","verdict":"mask","persons":[{}]}'
    assert weigh_ledger([line, line]) == {"answer mask, one person": Weight(2, 2 * len(line) + 2)}


def test_records_of_one_person_and_of_many_are_apart() -> None:
    lines = [b'{"kind":"start"}', b'{"kind":"answer","persons":[{}]}', b'{"kind":"answer","persons":[{},{}]}']
    assert list(weigh_ledger(lines)) == ["start", "answer, one person", "answer, many"]


def test_the_heaviest_stands_first() -> None:
    assert list(table("keys", {"light": Weight(1, 10), "heavy": Weight(4, 4_000_000)}))[2:] == [
        "| heavy | 4 | 1000000 | 4.00 |",
        "| light | 1 | 10 | 0.00 |",
        "",
    ]
