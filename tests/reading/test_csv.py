"""CSV as a stream of rows, whatever its dialect, encoding and chunks."""

import csv
import io
from dataclasses import replace
from itertools import pairwise

import pytest
from declared import AGENCY, ALL, FIELDS, LINKS, NIR, RULES, spellings
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.extraction import Tells
from gateway.reading.csv import CsvStream, looks_like_csv
from gateway.reading.ports import Reading, Unreadable
from gateway.reading.rules import Rules

TELLING = Rules(
    FIELDS, (NIR, AGENCY), LINKS, tells={"agence": Tells.INSIDE, "nom": Tells.INSIDE, "vu le": Tells.DORMANT}
)
HIDE_NIR = frozenset({"nir"})
NOTHING: frozenset[str] = frozenset()


def readings(*chunks: bytes, encoding: str = "utf-8", rules: Rules = RULES) -> list[Reading]:
    stream = CsvStream(encoding, rules)
    rows: list[Reading] = []
    for chunk in chunks:
        read = stream.feed(chunk)
        assert not isinstance(read, Unreadable), read
        rows += read
    last = stream.end()
    assert not isinstance(last, Unreadable), last
    return rows + last


def persons(rows: list[Reading]) -> list[list[set[str]]]:
    return [[{one.value for one in who} for who in record.persons] for row in rows for record in row.records]


def written(table: list[list[str]], separator: str, line_end: str, quoting: int) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator=line_end, quoting=quoting).writerows(table)  # type: ignore[arg-type]  # an int
    return out.getvalue()


CELLS = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=8) | st.sampled_from(
    ['a"b', "a,b;c", "l1\nl2", "l1\r\nl2"]
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[list[str]], list[str]]:
    rows, numbers = [["id", "nir", "commentaire"]], []
    for _ in range(draw(st.integers(1, 4))):
        number, spelling = draw(spellings())
        numbers.append(number)
        rows.append(["x" + draw(CELLS), spelling, draw(CELLS)])
    return rows, numbers


@given(
    tables(), st.sampled_from(",;\t|"), st.sampled_from(["\r\n", "\n", "\r"]), st.lists(st.integers(0, 300), max_size=6)
)
def test_any_dialect_in_any_chunks_is_read_whole_hidden_and_given_back(
    table: tuple[list[list[str]], list[str]], separator: str, line_end: str, cuts: list[int]
) -> None:
    rows, numbers = table
    data = written(rows, separator, line_end, csv.QUOTE_ALL).encode()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    read = readings(*(data[start:end] for start, end in pairwise(edges)))
    assert b"".join(row.masked(NOTHING) for row in read) == data
    assert persons(read) == [[{number}] for number in numbers]
    masked = b"".join(row.masked(HIDE_NIR) for row in read).decode()
    back = list(csv.reader(io.StringIO(masked, newline=""), delimiter=separator))
    assert [[row[0], row[2]] for row in back] == [[row[0], row[2]] for row in rows]
    assert all(row[1].endswith("xMASKx") for row in back[1:])


NAMES = ("id", "nom", "nir", "numeroAgence", "Prénom", "courriel", "commentaire", "rqth", "agence", "vu le")
VALUES = st.sampled_from(
    ["", " ", "é", "Zoé", "2951099126111", "295109912611193", "31600000001", "{'nir':2951099126111}", "[1,2,3,4,5,6,7]"]
) | st.text(st.characters(codec="utf-8", exclude_characters='";\r\n', exclude_categories=["Cs"]), max_size=30)


@given(st.data(), st.lists(st.sampled_from(NAMES), min_size=2, max_size=8, unique=True))
def test_a_row_read_at_once_is_the_row_read_cell_by_cell(data: st.DataObject, names: list[str]) -> None:
    """A row with a quote in it is read cell by cell."""
    table = [data.draw(st.lists(VALUES, min_size=len(names), max_size=len(names))) for _ in range(3)]
    plain = "".join(";".join(row) + "\n" for row in [["rang", *names], *(["x", *row] for row in table)])
    quoted = plain.replace("\nx;", '\n"x";')
    rows = [readings(text.encode(), rules=TELLING) for text in (plain, quoted)]
    assert [row.records for row in rows[0]] == [row.records for row in rows[1]]
    for hide in (NOTHING, HIDE_NIR, ALL):
        masked = [b"".join(row.masked(hide) for row in read) for read in rows]
        assert masked[1] == masked[0].replace(b"\nx", b'\n"x"')


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "iso8859-15", "utf-16-le", "utf-16-be"])
def test_encodings_are_read_byte_by_byte_and_kept(encoding: str) -> None:
    text = "Prénom;NIR\r\nZoé;2951099126111\r\n"
    data = text.encode(encoding)
    rows = readings(*(data[place : place + 1] for place in range(len(data))), encoding=encoding)
    assert persons(rows) == [[{"2951099126111"}]]
    masked = b"".join(row.masked(ALL) for row in rows).decode(encoding)
    assert masked == "Prénom;NIR\r\nxMASKx;2951xxxxMASKx\r\n"


def test_the_header_is_structure_and_a_byte_order_mark_stays() -> None:
    data = "\ufeffNIR,nom\n2951099126111,A\n".encode()
    rows = readings(data)
    assert [len(row.records) for row in rows] == [0, 1]
    assert persons(rows) == [[{"2951099126111"}]]


def test_titles_before_the_header_do_not_hide_it() -> None:
    assert persons(readings(b"Export du 12/03\n\nnom;nir\nA;2951099126111\n")) == [[], [{"2951099126111"}]]


def test_a_shifted_row_still_names_its_person() -> None:
    rows = readings(b"nom,nir\nDupont, A,2951099126111\nB\n")
    assert persons(rows) == [[{"2951099126111"}], []]
    assert b"09912" not in rows[1].masked(HIDE_NIR)


def test_without_known_names_only_proved_values_count() -> None:
    rows = readings(b"a,2951099126111\nb,295109912611193\n")
    assert persons(rows) == [[], [{"2951099126111"}]]


def test_json_in_a_cell_is_read_and_hidden() -> None:
    rows = readings(b'id,detail\nnom,x\n1,"{""nir"": 2951099126111}"\n')
    assert {"2951099126111"} in [who for record in persons(rows) for who in record]
    assert rows[-1].masked(HIDE_NIR) == b'1,"{""nir"": ""2951xxxxMASKx""}"\n'


def test_quotes_and_line_ends_of_masked_cells_are_kept() -> None:
    rows = readings(b'nom,nir,x\r\n"O""Neill, J","2 95 10 99 126 111 93","a\r\nb"\r\n')
    assert rows[1].masked(ALL) == b'"OxNxxMASKx","2 95 xxxxxxxxxxxMASKx","a\r\nb"\r\n'


@pytest.mark.parametrize("names", [b"matricule;nir", b"matricule;x"])
def test_rows_follow_other_rules_from_where_they_come(names: bytes) -> None:
    stream = CsvStream("utf-8", RULES)
    before = stream.feed(names + b"\n2951099126111;\n")
    stream.follow(Rules((), (replace(NIR, names=("matricule",)),)))
    after = stream.feed(b"2951099126111;\n")
    assert not isinstance(before, Unreadable)
    assert not isinstance(after, Unreadable)
    assert (persons(before[1:]), persons(after)) == ([[]], [[{"2951099126111"}]])
    assert after[0].masked(HIDE_NIR) == b"2951xxxxMASKx;\n"


def test_an_open_quote_or_an_endless_row_is_unreadable() -> None:
    stream = CsvStream("utf-8", RULES)
    stream.feed(b'nom,nir\n"A,2951099126111\n')
    assert isinstance(stream.end(), Unreadable)
    assert isinstance(CsvStream("utf-8", RULES).feed(b"x" * (1 << 20) + b"xx"), Unreadable)
    assert isinstance(CsvStream("utf-8", RULES).feed(b"nom,nir\n\xff,x\n"), Unreadable)


def test_the_notice_is_a_last_row() -> None:
    stream = CsvStream("utf-8", RULES)
    stream.feed(b"nom;nir\nA;2951099126111\n")
    notice = stream.notice("budget_exhausted", "K7Q-4M2", 'say "no"').decode()
    assert notice == 'gateway: budget_exhausted;"K7Q-4M2";"say ""no"""\n'


@pytest.mark.parametrize(
    ("start", "is_csv"),
    [
        (b"nir,x\r\n", True),
        (b"a;b\n1;2\n3;4\n", True),
        (b"Bonjour, \nvoici\nla note\n", False),
        (b"un mot\n", False),
        (b"", False),
    ],
)
def test_csv_is_told_from_text(start: bytes, is_csv: bool) -> None:
    assert looks_like_csv(start, RULES) is is_csv
