"""Reading XML: names, records, values anywhere, masks in place."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markup_rules import ALL, RULES, found, numbers, persons, spelled

from gateway.core.extraction import Identifier
from gateway.reading.ports import Reading, Unreadable
from gateway.reading.xml import MAX_DEPTH, read_xml

NIR = "2951099126111"
OTHER = "253072B073004"
N, OF_OTHER = Identifier("nir", NIR), Identifier("nir", OTHER)
D = Identifier("numero", "12345678901")


def read(text: str, encoding: str = "utf-8") -> Reading:
    reading = read_xml(text, encoding, RULES)
    assert not isinstance(reading, Unreadable), reading
    return reading


@pytest.mark.parametrize(
    "document",
    [
        f"<a><nir>{NIR}</nir></a>",
        f"<x:a xmlns:x='u'><x:NIR>{NIR}</x:NIR></x:a>",
        f"<a nir='{NIR}'/>",
        '<a><nir>295<!-- x -->10<![CDATA[991]]>2<?p i?>6&#49;11</nir><b at="c"/></a>',
        f"<a><f name='nir'>{NIR}</f></a>",
        f"<a><f name='nir' value='{NIR}'/></a>",
        f"<a><key>nir</key><string>{NIR}</string></a>",
        "<a><nir><v>29510</v><v>99126111</v></nir></a>",
        f"<a><b href='/fiche?nir={NIR}'/></a>",
    ],
)
def test_name_finds_a_number_without_key(document: str) -> None:
    assert NIR in numbers(read(document))


def test_repeated_elements_are_records() -> None:
    reading = read(f"<l><p><nir>{NIR}</nir><tel>0612345678</tel></p><p><nir>{OTHER}</nir></p></l>")
    assert persons(reading) == [[N], [OF_OTHER]]
    assert [record.parent for record in reading.records] == [None, 0, 0]


def test_only_child_with_children_is_a_record() -> None:
    reading = read(f"<d><nir>{NIR}</nir><enfants><enfant><nir>{OTHER}</nir><nom>A</nom></enfant></enfants></d>")
    assert [record.persons for record in reading.records] == [((N,),), ((OF_OTHER,),)]


def test_fields_of_one_element_are_one_person() -> None:
    assert persons(read(f"<d><etatCivil><nir>{NIR}</nir><nom>x</nom></etatCivil><numero>12345678901</numero></d>")) == [
        [N, D]
    ]


def test_number_of_a_nested_element_is_another_person() -> None:
    document = f"<d><nir>{NIR}</nir><numero>12345678901</numero><conjoint><nir>{OTHER}</nir><nom>A</nom></conjoint></d>"
    assert persons(read(document)) == [[N, D], [OF_OTHER]]


def test_link_names_a_person_and_is_not_masked() -> None:
    reading = read("<a><b href='/dossiers/12345678901'/></a>")
    assert persons(reading) == [[D]]
    assert found(reading) == {"numero": [False]}


@pytest.mark.parametrize(
    "document",
    [
        "<!DOCTYPE a><a/>",
        '<!DOCTYPE a [<!ENTITY x "295109912611193">]><a>&x;</a>',
        "<a>",
        "<a/><b/>",
        "",
        "<a>&x;</a>",
        "a\0b",
        "<a>" * (MAX_DEPTH + 1) + "</a>" * (MAX_DEPTH + 1),
    ],
)
def test_document_type_and_ill_formed_text_are_unreadable(document: str) -> None:
    assert isinstance(read_xml(document, "utf-8", RULES), Unreadable)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("<a><tel> 0612345678 </tel></a>", "<a><tel> 061xMASKx </tel></a>"),
        ("<a tel='0612345678'/>", "<a tel='061xMASKx'/>"),
        ("<a><tel>06<!-- x -->12345678</tel></a>", "<a><tel>061xMASKx<!-- x --></tel></a>"),
        ("<a><tel><![CDATA[0612345678]]></tel></a>", "<a><tel><![CDATA[061xMASKx]]></tel></a>"),
        ("<a>né &#50;95109912611193.</a>", "<a>né 29510xxxxMASKx.</a>"),
        ("<a><!--295109912611193--></a>", "<a><!--29510xxxxMASKx--></a>"),
    ],
)
def test_mask_replaces_the_value_where_it_stands(document: str, expected: str) -> None:
    assert squeezed(read(document).masked(ALL).decode()) == squeezed(expected)


def squeezed(text: str) -> str:
    return text.replace("x", "")


def test_encoding_is_kept() -> None:
    document = "\ufeff<?xml version='1.0' encoding='utf-16'?><é><tel>0612345678</tel>né</é>"
    hidden = read(document, "utf-16-le").masked(ALL)
    assert hidden.startswith(b"\xff\xfe")
    assert ElementTree.fromstring(hidden).findtext("tel", "").endswith("xMASKx")  # noqa: S314  (our own text)


PLACES = [
    "<b>{}</b>",
    "<b x='{}'/>",
    "<b nir='{}'/>",
    "<nir>{}</nir>",
    "<b>é{} <c/></b>",
    "<b><![CDATA[ {} ]]></b>",
    "<!-- {} -->",
    "<?p {} ?>",
    "<b href='/x/{}/y'/>",
]
DOCUMENTS = st.lists(st.tuples(st.sampled_from(PLACES), spelled()), min_size=1, max_size=4)


def document_of(parts: list[tuple[str, tuple[str, str]]]) -> str:
    return "<r>" + "<s>x</s>".join(place.replace("{}", text) for place, (text, _) in parts) + "</r>"


@given(DOCUMENTS)
def test_number_is_found_in_any_spelling_and_place(parts: list[tuple[str, tuple[str, str]]]) -> None:
    assert numbers(read(document_of(parts))) >= {number for _, (_, number) in parts}


@given(DOCUMENTS)
def test_masked_document_has_the_same_structure_and_no_number(parts: list[tuple[str, tuple[str, str]]]) -> None:
    document = document_of(parts)
    hidden = read(document).masked(ALL).decode()
    assert structure(hidden) == structure(document)
    assert numbers(read(hidden)) == set()


@given(spelled(entities=False), st.data())
def test_number_cut_by_markup_is_found_and_masked(number: tuple[str, str], data: st.DataObject) -> None:
    text, expected = number
    cuts = sorted(data.draw(st.sets(st.integers(1, len(text) - 1), min_size=1, max_size=4)))
    for cut in reversed(cuts):
        text = text[:cut] + data.draw(st.sampled_from(["<b/>", "<!-- - -->", "<?p?>", "<i></i>"])) + text[cut:]
    reading = read(f"<a>né {text} à</a>")
    assert numbers(reading) == {expected}
    assert numbers(read(reading.masked(ALL).decode())) == set()


def structure(document: str) -> list[tuple[str, list[str]]]:
    return [(one.tag, sorted(one.attrib)) for one in ElementTree.fromstring(document).iter()]  # noqa: S314  (our own)


PIECES_TEXT = """
<a> </a> <nir> </nir> <b/> <!-- --> <![CDATA[ ]]> <?p ?> 295109912611193 2951099126111 &#50; &amp; <a
nir=' " ' > < / = é <key> </key>
"""
PIECES = PIECES_TEXT.split()
MARKUP = st.lists(st.sampled_from([*PIECES, " ", "\n", "<a nir='1'>"]), max_size=20).map("".join)


@given(MARKUP | MARKUP.map("<r>{}</r>".format) | st.text(max_size=60))
def test_anything_is_read_unchanged_or_unreadable(document: str) -> None:
    reading = read_xml(document, "utf-8", RULES)
    if not isinstance(reading, Unreadable):
        assert reading.masked(frozenset()) == document.encode()
        ElementTree.fromstring(reading.masked(ALL))  # noqa: S314  (our own text)
