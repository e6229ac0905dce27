"""What the employment application does, over a real socket."""

from __future__ import annotations

import re
import sqlite3
from html import escape
from xml.etree import ElementTree

import httpx2
import pytest

from gateway.demo.legacy_partner_api import UserTokens

SEARCH = "/rechercher-usager/v2/usagers"


def person(rows: sqlite3.Connection, number: int) -> sqlite3.Row:
    row: sqlite3.Row = rows.execute("SELECT * FROM demandeur WHERE id = ?", (number,)).fetchone()
    return row


def with_family(rows: sqlite3.Connection) -> int:
    query = "SELECT id_demandeur FROM conjoint WHERE id_demandeur IN (SELECT id_demandeur FROM enfant) LIMIT 1"
    return int(rows.execute(query).fetchone()[0])


def token_of(client: httpx2.Client, row: sqlite3.Row) -> str:
    answer = client.post(
        f"{SEARCH}/par-numero-francetravail", json={"numeroFranceTravail": row["numero_francetravail"]}
    )
    return str(answer.json()["jetonUsager"])


class TestPartnerInterface:
    @pytest.mark.parametrize("length", [15, 13])
    def test_birth_date_and_nir_find_one(self, client: httpx2.Client, rows: sqlite3.Connection, length: int) -> None:
        row = person(rows, 12)
        fields = {"dateNaissance": row["date_naissance"], "nir": row["nir"][:length]}
        answer = client.post(f"{SEARCH}/par-datenaissance-et-nir", json=fields)
        assert (answer.status_code, answer.json()["codeRetour"]) == (200, "S001")

    def test_nobody_is_200_too(self, client: httpx2.Client) -> None:
        fields = {"dateNaissance": "1970-01-01", "nir": "1700199999999"}
        answer = client.post(f"{SEARCH}/par-datenaissance-et-nir", json=fields)
        assert answer.status_code == 200
        assert answer.json() == {
            "codeRetour": "S002",
            "message": "Aucun usager ne correspond",
            "jetonUsager": None,
        }

    def test_several_give_no_token(self, client: httpx2.Client) -> None:
        day, prefix = "1970-01-01", "17001"
        for number, order in ((298, "98"), (299, "99")):
            client.patch(f"/api/demandeurs/{number}", json={"dateNaissance": day, "nir": f"{prefix}750010{order}11"})
        answer = client.post(f"{SEARCH}/par-datenaissance-et-nir", json={"dateNaissance": day, "nir": prefix})
        assert (answer.json()["codeRetour"], answer.json()["jetonUsager"]) == ("S003", None)

    def test_a_token_names_nobody_and_differs_each_time(self, client: httpx2.Client, rows: sqlite3.Connection) -> None:
        assert token_of(client, person(rows, 5)) != token_of(client, person(rows, 5))

    def test_the_administrative_answer_has_the_13_characters(
        self, client: httpx2.Client, rows: sqlite3.Connection
    ) -> None:
        row = person(rows, 20)
        headers = {"ft-jeton-usager": token_of(client, row)}
        answer = client.get("/informations-administratives/v1/usager", headers=headers).json()
        assert answer["etatCivil"]["nir"] == row["nir"][:13]
        assert answer["coordonnees"]["telephones"] == [row["telephone"]]
        assert answer["coordonnees"]["emails"] == [row["email"]]

    def test_disability_names_nobody(self, client: httpx2.Client, rows: sqlite3.Connection) -> None:
        row = rows.execute("SELECT * FROM demandeur WHERE rqth = 1").fetchone()
        headers = {"ft-jeton-usager": token_of(client, row)}
        assert client.get("/donnees-rqth/v1/rqth", headers=headers).json() == {"rqth": True}

    def test_orientation_tells_health_and_housing(self, client: httpx2.Client, rows: sqlite3.Connection) -> None:
        row = person(rows, 21)
        headers = {"ft-jeton-usager": token_of(client, row)}
        answer = client.get("/orientationusager/v1/lectureOrientation", headers=headers).json()
        assert answer == {"orientation": {"sante": row["orientation_sante"], "logement": row["logement"]}}

    def test_the_contract_tells_agency_and_adviser(self, client: httpx2.Client, rows: sqlite3.Connection) -> None:
        row = person(rows, 21)
        headers = {"ft-jeton-usager": token_of(client, row)}
        answer = client.get("/contrat-usager/v2/contrat", headers=headers).json()["contrat"]
        assert (answer["agence"], answer["conseiller"]) == (row["agence"], row["conseiller"])

    @pytest.mark.parametrize("token", ["", "x", "AAAA", "é", "A" * 40])
    def test_a_foreign_token_is_refused(self, client: httpx2.Client, token: str) -> None:
        headers = {b"ft-jeton-usager": token.encode("latin-1")}
        assert client.get("/donnees-rqth/v1/rqth", headers=headers).status_code == 400

    def test_a_changed_token_is_refused(self) -> None:
        tokens = UserTokens(1)
        token = tokens.mint(77)
        assert tokens.read(token) == 77
        changed = [token[:at] + ("B" if token[at] == "A" else "A") + token[at + 1 :] for at in range(len(token))]
        assert [tokens.read(other) for other in changed] == [None] * len(changed)
        assert UserTokens(2).read(token) is None

    def test_the_agent_is_believed_in_latin_1(self, client: httpx2.Client) -> None:
        name = "Hélène".encode("latin-1")
        answer = client.get("/contrat-usager/v2/contrat", headers={b"pa-nom-agent": name})
        assert (b"x-agent-vu", name) in [(key.lower(), value) for key, value in answer.headers.raw]


class TestRecords:
    def test_a_record_carries_15_characters_and_the_family(
        self, client: httpx2.Client, rows: sqlite3.Connection
    ) -> None:
        number = with_family(rows)
        answer = client.get(f"/api/demandeurs/{number}").json()
        assert answer["nir"] == person(rows, number)["nir"]
        assert len(answer["nir"]) == len(answer["conjoint"]["nir"]) == len(answer["enfants"][0]["nir"]) == 15
        assert answer["historique"][0].keys() == {"date", "evenement"}

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "REPORT"])
    def test_any_method_without_a_body_reads(self, client: httpx2.Client, method: str) -> None:
        answer = client.request(method, "/api/demandeurs/30")
        assert answer.json() == client.get("/api/demandeurs/30").json()

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
    def test_saving_answers_the_saved_record(
        self, client: httpx2.Client, rows: sqlite3.Connection, method: str
    ) -> None:
        before = client.get("/compteur").json()["ecritures"]
        answer = client.request(method, "/api/demandeurs/31", json={"ville": f"Ville {method}", "id": 32, "x": 1})
        assert (answer.json()["id"], answer.json()["ville"]) == (31, f"Ville {method}")
        assert answer.json()["nir"] == person(rows, 31)["nir"]
        assert client.get("/api/demandeurs/31").json() == answer.json()
        assert client.get("/compteur").json()["ecritures"] == before + 1

    def test_a_form_saves_like_json(self, client: httpx2.Client) -> None:
        assert client.post("/api/demandeurs/33", data={"ville": "Évry"}).json()["ville"] == "Évry"

    def test_a_number_of_another_person_is_a_conflict(self, client: httpx2.Client, rows: sqlite3.Connection) -> None:
        answer = client.put("/api/demandeurs/34", json={"nir": person(rows, 35)["nir"]})
        assert answer.status_code == 409

    def test_whatever_is_sent_as_nir_is_saved(self, client: httpx2.Client) -> None:
        assert client.put("/api/demandeurs/36", json={"nir": "•••"}).json()["nir"] == "•••"

    @pytest.mark.parametrize("body", [b"[1]", b"{", b"1"])
    def test_an_unreadable_body_is_refused(self, client: httpx2.Client, body: bytes) -> None:
        assert client.put("/api/demandeurs/37", content=body).status_code == 400

    @pytest.mark.parametrize("number", ["301", "99999999999999999999"])
    def test_an_unknown_id_is_404(self, client: httpx2.Client, number: str) -> None:
        assert client.get(f"/api/demandeurs/{number}").status_code == 404

    @pytest.mark.parametrize("query", ["id=1&id=2", "id=1,2", "id=1&id=2,x"])
    def test_doubled_and_list_valued_ids_give_several(self, client: httpx2.Client, query: str) -> None:
        answer = client.get(f"/api/demandeurs?{query}").json()
        assert [record["id"] for record in answer["demandeurs"]] == [1, 2]
        assert all(len(record["nir"]) == 15 for record in answer["demandeurs"])

    def test_ids_in_the_body_give_several_too(self, client: httpx2.Client) -> None:
        answer = client.post("/api/demandeurs", json={"id": [3, 4]}).json()
        assert [record["id"] for record in answer["demandeurs"]] == [3, 4]

    def test_a_list_pages_without_nir(self, client: httpx2.Client) -> None:
        answer = client.get("/api/demandeurs?page=3&taille=20").json()
        assert [record["id"] for record in answer["demandeurs"]] == list(range(41, 61))
        assert answer["total"] == 300
        assert set(answer["demandeurs"][0]) == {
            "id", "numeroFranceTravail", "nom", "prenom", "ville", "email", "telephone",
        }  # fmt: skip

    def test_a_page_has_at_most_500(self, client: httpx2.Client) -> None:
        assert client.get("/api/demandeurs?taille=9999").json()["taille"] == 500

    def test_agencies_are_listed(self, client: httpx2.Client) -> None:
        assert all(re.fullmatch(r"\d{5}", a["safir"]) for a in client.get("/api/agences").json()["agences"])

    @pytest.mark.parametrize(
        ("path", "accept"), [("/api/demandeurs/{}.xml", "*/*"), ("/api/demandeurs/{}", "application/xml")]
    )
    def test_a_record_as_xml(self, client: httpx2.Client, rows: sqlite3.Connection, path: str, accept: str) -> None:
        number = with_family(rows)
        answer = client.get(path.format(number), headers={"accept": accept})
        assert answer.headers["content-type"].startswith("application/xml")
        root = ElementTree.fromstring(answer.content)  # noqa: S314 - written by the program under test
        record = client.get(f"/api/demandeurs/{number}").json()
        assert root.findtext("nir") == record["nir"]
        assert root.findtext("conjoint/nir") == record["conjoint"]["nir"]
        assert [child.text for child in root.findall("enfants/enfant/nir")] == [c["nir"] for c in record["enfants"]]


class TestScreens:
    def test_every_link_of_the_welcome_page_answers(self, client: httpx2.Client) -> None:
        links = set(re.findall(r'href="([^"]+)"', client.get("/").text.replace("&amp;", "&")))
        assert len(links) > 8
        assert {client.get(link).status_code for link in links} == {200}

    def test_search_shows_names_and_phones_without_nir(self, client: httpx2.Client, rows: sqlite3.Connection) -> None:
        row = person(rows, 50)
        page = client.get("/recherche", params={"q": f"{row['nom'].lower()} {row['prenom'][:1]}"}).text
        assert f'<a href="/dossiers/{row["id"]}">' in page
        assert row["telephone"] in page
        assert row["nir"] not in page

    def test_search_finds_a_registration_number(self, client: httpx2.Client, rows: sqlite3.Connection) -> None:
        row = person(rows, 51)
        page = client.get("/recherche", params={"q": row["numero_francetravail"]}).text
        assert '<a href="/dossiers/51">' in page

    def test_suggestions_are_names(self, client: httpx2.Client, rows: sqlite3.Connection) -> None:
        row = person(rows, 52)
        found = client.get("/recherche/suggestions", params={"q": row["nom"]}).json()
        assert {"id": 52, "nom": row["nom"], "prenom": row["prenom"], "ville": row["ville"]} in found

    def test_the_record_page_shows_nir_and_raw_accents_in_headers(
        self, client: httpx2.Client, rows: sqlite3.Connection
    ) -> None:
        row = rows.execute("SELECT * FROM demandeur WHERE conseiller LIKE '%é%' AND prenom LIKE '%é%'").fetchone()
        answer = client.get(f"/dossiers/{row['id']}")
        assert row["nir"] in answer.text
        headers = {name.lower(): value for name, value in answer.headers.raw}
        assert headers[b"x-conseiller"] == row["conseiller"].encode("latin-1")
        assert row["prenom"].encode("latin-1") in headers[b"content-disposition"]

    def test_an_edit_saves_and_goes_back_to_the_record(self, client: httpx2.Client, rows: sqlite3.Connection) -> None:
        form = client.get("/dossiers/60/modifier").text
        assert f'name="nir" value="{person(rows, 60)["nir"]}"' in form
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
        answer = client.post("/dossiers/60/modifier", data={**fields, "ville": "<Évry> & C°"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/dossiers/60")
        assert escape("<Évry> & C°") in client.get("/dossiers/60").text
        assert client.get("/api/demandeurs/60").json()["nir"] == person(rows, 60)["nir"]

    def test_a_note_is_plain_text_as_saved(self, client: httpx2.Client) -> None:
        note = "\n".join(f"n° {number}" for number in range(1_000))
        client.patch("/api/demandeurs/61", json={"note": note})
        answer = client.get("/dossiers/61/note")
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.text == note

    def test_a_cv_is_a_pdf_of_200_kb(self, client: httpx2.Client) -> None:
        document = client.get("/dossiers/62/cv.pdf")
        assert document.headers["content-type"] == "application/pdf"
        assert document.content.startswith(b"%PDF-1.4")
        assert b"(CV de " in document.content
        assert 190_000 < len(document.content) < 210_000
        table = int(document.content.rsplit(b"startxref\n", 1)[1].split()[0])
        assert document.content[table:].startswith(b"xref\n")
        for number, line in enumerate(document.content[table:].splitlines()[3:9], 1):
            assert document.content[int(line[:10]) :].startswith(b"%d 0 obj" % number)

    def test_an_unknown_record_is_404(self, client: httpx2.Client) -> None:
        for path in ("", "/modifier", "/note", "/cv.pdf"):
            assert client.get(f"/dossiers/999{path}").status_code == 404
