"""Reading HTML: names, records, links, controls, values anywhere, masks in place."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markup_rules import ALL, RULES, found, numbers, persons, spelled

from gateway.core.extraction import Class, Identifier
from gateway.core.policy import UniqueKind
from gateway.reading.html import read_html
from gateway.reading.html_tokens import Kind, attributes_of, tokens
from gateway.reading.ports import Reading, Unreadable
from gateway.reading.rules import Rules

NIR = "2951099126111"
OTHER = "253072B073004"
N, OF_OTHER = Identifier("nir", NIR), Identifier("nir", OTHER)
D = Identifier("numero", "12345678901")


def read(text: str, encoding: str = "utf-8") -> Reading:
    reading = read_html(text, encoding, RULES)
    assert not isinstance(reading, Unreadable), reading
    return reading


def masked(text: str, hide: frozenset[str] = ALL) -> str:
    return read(text).masked(hide).decode()


@pytest.mark.parametrize(
    "page",
    [
        f"<table><tr><th>Nom</th><th>NIR</th></tr><tr><td>A</td><td>{NIR}</td></tr></table>",
        f"<table><thead><tr><th colspan=2>Nom<th>NIR<tbody><tr><td>A<td>B<td>{NIR}</table>",
        f"<table><tr><td>Nom</td><td>NIR</td></tr><tr><td>A</td><td>{NIR}</td></tr></table>",
        f"<table><tr><th>N<th>Nom<th>NIR<tr><td rowspan=2>x<td>A<td>{OTHER}<tr><td>B<td>{NIR}</table>",
        f"<table><tr><th scope=row>NIR :</th><td>{NIR}</td></tr></table>",
        f"<table><tr><td>NIR</td><td>{NIR}</td></tr></table>",
        f"<dl><dt>NIR</dt><dd>{NIR}</dd></dl>",
        f"<dl><dt>NIR<dd>{NIR}</dl>",
        f"<p>NIR : {NIR}</p>",
        f"<b>NIR :</b> {NIR}",
        f"<label>NIR</label> <span>{NIR}</span>",
        f"<span class='x nir'>{NIR}</span>",
        f"<span id=nir-12>{NIR}</span>",
        f"<td data-label=NIR>{NIR}</td>",
        f"<i itemprop='nir'>{NIR}</i>",
        f"<nir>{NIR}</nir>",
        f"<div data-nir='{NIR}'></div>",
        f"<meta name=nir content={NIR}>",
        f"<input name=nir value={NIR}>",
        f"<input type=hidden id=nir value='{NIR}'>",
        f"<label for=n>NIR</label><input id=n value={NIR}>",
        f"<input id=n value={NIR}><label for=n>NIR</label>",
        f"<label>NIR <input value={NIR}></label>",
        f"<textarea name='usager[nir]'>{NIR}</textarea>",
        f"<table><tr><th>NIR</th><td><input value={NIR}></td></tr></table>",
        f"<select name=nir><option value={NIR}>x</option></select>",
        f"<select name=nir><option>{NIR}<option>x</select>",
        f"<a href='/fiche?nir={NIR}'>x</a>",
        f'<script type="application/json">{{"nir": "{NIR}"}}</script>',
        f'<script>window.data = [{{"nir": "{NIR}"}}];</script>',
        f'<div data-props=\'{{"nir": "{NIR}"}}\'></div>',
        f"<!DOCTYPE html><div data-props='{{&quot;nir&quot;: &quot;{NIR}&quot;}}'></div>",
    ],
)
def test_name_finds_a_number_without_key(page: str) -> None:
    assert NIR in numbers(read(page))


@pytest.mark.parametrize(
    "page",
    [
        "<table><tr><th>Nom<th>NIR<th>Téléphone</table>",
        "<dl><dt>NIR<dd>–</dl>",
        "<label for=n>NIR</label><input name=nir id=n value=''>",
        "<input type=submit name=nir value=Envoyer>",
    ],
)
def test_names_without_values_are_nothing(page: str) -> None:
    assert found(read(page)) == {}


def test_cell_reaching_down_moves_the_cells_of_the_next_row() -> None:
    page = "<table><tr><th>N<th>Date<th>Téléphone<tr><td rowspan=2>x<td>1<td>0612345678<tr><td>2<td>0687654321</table>"
    assert found(read(page)) == {"telephone": [True, True]}


def test_rows_are_records_inside_the_page() -> None:
    reading = read(f"<p>x<table><tr><th>Nom<th>NIR<tr><td>A<td>{NIR}<tr><td>B<td>{OTHER}</table>")
    assert persons(reading) == [[N], [OF_OTHER]]
    assert [record.parent for record in reading.records] == [None, 0, 0, 0]


@pytest.mark.parametrize("page", ["<ul><li>{}<li>{}</ul>", "<article>{}</article><article>{}</article>"])
def test_items_are_records(page: str) -> None:
    item = "<a href=/dossiers/{}>x</a><span class=tel>0612345678</span>"
    reading = read(page.format(item.format("12345678901"), item.format("12345678902")))
    assert [record.persons for record in reading.records[1:]] == [
        ((D,),),
        ((Identifier("numero", "12345678902"),),),
    ]
    assert all(len(record.found) == 2 for record in reading.records[1:])


def test_several_description_lists_are_records_and_one_is_not() -> None:
    one = f"<dl><dt>NIR<dd>{NIR}<dt>Numéro<dd>12345678901</dl>"
    assert persons(read("<div>" + one + one.replace(NIR, OTHER) + "</div>")) == [[N, D], [OF_OTHER, D]]
    assert len(read(one).records) == 1


def test_rows_of_label_and_value_are_fields_of_one_record() -> None:
    page = f"<table><tr><th>NIR<td>{NIR}<tr><th>Numéro<td>12345678901</table>"
    assert persons(read(page)) == [[N, D]]


def test_link_and_field_of_a_page_are_one_person_and_the_family_others() -> None:
    page = (
        f"<a href='/dossiers/12345678901/modifier'>M</a><dl><dt>NIR<dd>{NIR}</dl>"
        f"<table><tr><th>Lien<th>NIR<tr><td>Conjoint<td>{OTHER}</table><table><tr><th>Date<tr><td>2020</table>"
    )
    assert persons(read(page)) == [[D, N], [OF_OTHER]]


@pytest.mark.parametrize(
    "link",
    [
        "<a href='/dossiers/12345678901'>",
        "<a href=https://x.example/dossiers/12345678901?a=b#c>",
        "<a href='&#47;dossiers/%31234567890&#49;'>",
        "<a href='../dossiers/12345678901'>",
        "<form action=/dossiers/12345678901/modifier>",
        "<tr data-href='/dossiers/12345678901'>",
        "<button onclick=\"location='/dossiers/12345678901'\">",
        "<a href='/x?numero=12345678901'>",
        "<p>voir /dossiers/12345678901 et</p>",
    ],
)
def test_link_names_a_person_and_is_not_masked(link: str) -> None:
    reading = read(link)
    assert persons(reading) == [[D]]
    assert found(reading) == {"numero": [False]}
    assert reading.masked(ALL) == link.encode()


def test_two_numbers_in_one_record_link_nothing() -> None:
    page = f"<a href=/dossiers/12345678901>x</a><i class=nir>{NIR}</i><i class=nir>{OTHER}</i>"
    assert sorted(map(len, persons(read(page)))) == [1, 1, 1]


def test_name_in_prose_counts_and_does_not_link() -> None:
    prose = "Vu ce jour avec sa mère, qui a laissé une note longue et son adresse. " * 2
    page = f"<a href=/dossiers/12345678901>x</a><p>{prose} NIR : {NIR}</p>"
    assert sorted(map(len, persons(read(page)))) == [1, 1]


@pytest.mark.parametrize(
    "control",
    [
        "<input name=tel value=0612345678>",
        "<input type=hidden name=telephone value=0612345678>",
        "<textarea name=tel>0612345678</textarea>",
        "<table><tr><th>Téléphone<td><textarea>0612345678</textarea></table>",
        "<table><tr><th>Téléphone<td><select><option selected>0612345678</select></table>",
        "<div class=tel><input value=0612345678></div>",
    ],
)
def test_controls_are_found_and_not_masked(control: str) -> None:
    reading = read(control)
    assert found(reading) == {"telephone": [False]}
    assert reading.masked(ALL) == control.encode()


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (
            "<table><tr><th>Téléphone<tr><td> 06 12 34 56 78 </table>",
            "<table><tr><th>Téléphone<tr><td> 06 1xxxxMASKx </table>",
        ),
        ("<dd class=nir>2951099<b>126111</b>93</dd>", "<dd class=nir>29510xxxxMASKx<b></b></dd>"),
        ("<p title='295109912611193'>x", "<p title='29510xxxxMASKx'>x"),
        ("<!-- 295109912611193 -->", "<!-- 29510xxxxMASKx -->"),
        ("<p>295<b>10</b>99126<i>111</i>93, né", "<p>29510xxxxMASKx<b></b><i></i>, né"),
        ("<script>a='295109912611193'</script>", "<script>a='29510xxxxMASKx'</script>"),
    ],
)
def test_mask_replaces_the_value_where_it_stands(page: str, expected: str) -> None:
    squeezed = masked(page).replace("x", "")
    assert squeezed == expected.replace("x", "")


def test_copies_of_a_value_in_attributes_are_masked_with_it() -> None:
    page = "<table><tr><th>Téléphone<tr><td data-order=0612345678><a href='tel:+33612345678'>06 12 34 56 78</a></table>"
    hidden = masked(page)
    assert "345678" not in hidden.replace(" ", "")
    assert "56 78" not in hidden


def test_only_what_is_hidden_is_masked() -> None:
    page = "<i class=tel>0612345678</i><i class=email>a@example.org</i>"
    assert masked(page, frozenset({"tel"})) == page
    assert "0612345678" in masked(page, frozenset({"email"}))
    assert "example" not in masked(page, frozenset({"email"}))


def test_mask_keeps_the_encoding() -> None:
    page = "<p>né <i class=tel>0612345678</i> à Nîmes"
    assert read(page, "cp1252").masked(ALL).decode("cp1252").endswith("à Nîmes")


def test_number_that_is_code_is_found_and_not_masked() -> None:
    page = "<script>var a = 295109912611193;</script>"
    assert found(read(page)) == {"nir": [False]}
    assert masked(page) == page


def test_json_in_a_script_stays_json_in_a_script() -> None:
    page = '<script type="application/json">{"nom": "<\\/script>", "nir": "2951099126111"}</script>'
    assert NIR not in masked(page)
    assert [token.kind for token in tokens(masked(page))] == [Kind.START, Kind.RAW, Kind.END]


def test_minted_value_is_kept() -> None:
    assert read("<input type=hidden name=jetonUsager value=abc>").minted == ("abc",)


def test_text_outside_markup_is_counted() -> None:
    assert read("<p title=xxxxxxxx>abc</p><!-- x -->").records[0].text_bytes == 3


def test_nul_is_unreadable() -> None:
    assert isinstance(read_html("a\0b", "utf-8", RULES), Unreadable)


def test_other_kinds_are_looked_for_in_text_where_the_policy_says_so() -> None:
    kind = UniqueKind("numero", Class.INTERNAL, (), r"[0-9]{11}", in_text=True)
    reading = read_html("<p>voir 123456<b>78901</b> et 12345678902", "utf-8", Rules([], [kind]))
    assert not isinstance(reading, Unreadable)
    assert {one.value for person in persons(reading) for one in person} == {"12345678901", "12345678902"}
    assert b"123456789" not in reading.masked(frozenset({"numero"})).replace(b"<b>", b"").replace(b"</b>", b"")


PLACES = [
    "<p>{}</p>",
    "<p title='{}'>",
    '<p data-x="{}">',
    "<!--{}-->",
    "<!--{}",
    "<!-->{}-->",
    "<p title='{}",
    "<x {}",
    "<title>{}",
    "<td>{}<td>",
    "<![CDATA[{}]]>",
    "<svg><style>{}</style></svg>",
    "<?x {}?>",
    "<!DOCTYPE {}>",
    "</x {}>",
    "<input value='{}'>",
    "<textarea>{}</textarea>",
    "<script>'{}'</script>",
    "<script><!--<script>'{}'</script>",
    "<script/>{}",
    "<style>/*{}*/</style>",
    "<a href='/x/{}/y'>",
    "<plaintext>{}",
    "<noscript>{}</noscript>",
    "<select><option>{}</select>",
    "<pre>\n{}\n</pre>",
]


@given(st.lists(st.tuples(st.sampled_from(PLACES), spelled()), min_size=1, max_size=3))
def test_number_is_found_in_any_spelling_and_place(parts: list[tuple[str, tuple[str, str]]]) -> None:
    page = "".join(place.replace("{}", text) + "<p> x " for place, (text, _) in parts)
    assert numbers(read(page)) >= {number for _, (_, number) in parts}


@given(spelled(entities=False), st.data())
def test_number_cut_by_tags_is_found_and_masked(number: tuple[str, str], data: st.DataObject) -> None:
    text, expected = number
    cuts = sorted(data.draw(st.sets(st.integers(1, len(text) - 1), min_size=1, max_size=4)))
    tags = st.sampled_from(["<b>", "</b>", "<span class='x'>", "</span>", "<!-- - -->", "<wbr>", "<i><u>", "</a >"])
    for cut in reversed(cuts):
        text = text[:cut] + data.draw(tags) + text[cut:]
    page = f"<p>né {text} à</p>"
    reading = read(page)
    assert numbers(reading) == {expected}
    assert numbers(read(reading.masked(ALL).decode())) == set()


@given(
    st.lists(st.tuples(st.sampled_from([*PLACES[:5], "<span class=nir>{}</span>", "<script>'{}'</script>"]), spelled()))
)
def test_masked_page_has_the_same_structure_and_no_number(parts: list[tuple[str, tuple[str, str]]]) -> None:
    page = "".join(place.replace("{}", text) + "<p> x " for place, (text, _) in parts)
    hidden = masked(page)
    assert structure(hidden) == structure(page)
    assert numbers(read(hidden)) == set()


def structure(page: str) -> list[tuple[object, ...]]:
    return [(token.kind, token.name, *(one.name for one in attributes_of(page, token))) for token in tokens(page)]


PIECES_TEXT = """
</table> <tr <td> <th>NIR <li> </li> <dl> <dt>NIR <dd> <script> </script> <!-- -->
<option> <textarea <label> <table> nir class 295109912611193 2951099126111 &#50; tel: { é <nir> < > / = " ' ! - & ; [ ]
"""
PIECES = PIECES_TEXT.split()
MARKUP = st.lists(
    st.sampled_from([*PIECES, " ", "\n", "<select name=nir>", "<a href=/dossiers/12345678901>"]), max_size=25
).map("".join)


@given(MARKUP | st.text(max_size=60))
@example("<table><tr><td><table><tr><td></table></tr></table></td>")
@example("</table></tr></td></dl></select><tr><td><option><dd>")
def test_anything_is_read_and_comes_back_unchanged(page: str) -> None:
    reading = read_html(page, "utf-8", RULES)
    if not isinstance(reading, Unreadable):
        assert reading.masked(frozenset()) == page.encode()
        assert isinstance(reading.masked(ALL), bytes)


@given(MARKUP | st.text(max_size=60))
def test_every_character_is_in_one_token(page: str) -> None:
    assert "".join(page[token.start : token.end] for token in tokens(page)) == page
