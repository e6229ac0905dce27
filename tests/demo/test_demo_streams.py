"""The application's exports, uploads, events and sockets; and how it ends."""

from __future__ import annotations

import csv
import io
import json
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from demo_programs import Program, free_port, running
from websockets.sync.client import connect


class TestExports:
    def test_csv_has_everybody_once(self, client: httpx2.Client, rows: sqlite3.Connection) -> None:
        answer = client.get("/exports/demandeurs.csv")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert "content-length" not in answer.headers
        header, *lines = csv.reader(io.StringIO(answer.text), delimiter=";")
        assert header == [
            "id", "numero_francetravail", "nir", "nom", "prenom", "date_naissance", "ville", "email", "telephone",
        ]  # fmt: skip
        assert [int(line[0]) for line in lines] == list(range(1, 301))
        first = rows.execute("SELECT nir FROM demandeur WHERE id = 1").fetchone()["nir"]
        assert lines[0][2] == first

    def test_csv_comes_in_small_pieces(self, client: httpx2.Client) -> None:
        with client.stream("GET", "/exports/demandeurs.csv") as answer:
            assert max(len(piece) for piece in answer.iter_raw()) < 20_000

    def test_ndjson_has_everybody_once(self, client: httpx2.Client) -> None:
        lines = client.get("/exports/demandeurs.ndjson").text.splitlines()
        assert [json.loads(line)["id"] for line in lines] == list(range(1, 301))

    def test_the_health_export_has_its_own_columns(self, client: httpx2.Client) -> None:
        header, *lines = client.get("/exports/sante.csv?limite=5").text.splitlines()
        assert (header, len(lines)) == ("id;nom;prenom;rqth;orientation_sante;logement", 5)

    @pytest.mark.parametrize(("path", "extra"), [("csv", 1), ("ndjson", 0)])
    def test_a_limit_is_kept(self, client: httpx2.Client, path: str, extra: int) -> None:
        assert len(client.get(f"/exports/demandeurs.{path}?limite=77").text.splitlines()) == 77 + extra

    def test_a_download_has_its_announced_length(self, client: httpx2.Client) -> None:
        with client.stream("GET", "/telechargements/3") as answer:
            assert answer.headers["content-length"] == "3000000"
            assert sum(len(piece) for piece in answer.iter_raw()) == 3_000_000

    def test_a_download_beyond_the_largest_is_refused(self, client: httpx2.Client) -> None:
        assert client.get("/telechargements/1101").status_code == 404


class TestUploads:
    def test_a_deposit_is_counted(self, client: httpx2.Client) -> None:
        before = client.get("/compteur").json()
        assert client.put("/depots/a.bin", content=b"x" * 1_234_567).json() == {"octets": 1_234_567}
        after = client.get("/compteur").json()
        assert after["ecritures"] == before["ecritures"] + 1
        assert after["requetes_non_sures"] == before["requetes_non_sures"] + 1

    def test_the_parts_of_an_attachment_are_counted(self, client: httpx2.Client) -> None:
        files = {"piece": ("a.pdf", b"x" * 70_000), "autre": ("b.txt", b"yy")}
        assert client.post("/dossiers/3/pieces", files=files).json() == {"octets": 70_002}

    def test_an_attachment_of_another_type_is_refused(self, client: httpx2.Client) -> None:
        assert client.post("/dossiers/3/pieces", content=b"x").status_code == 415

    def test_a_broken_attachment_is_refused(self, client: httpx2.Client) -> None:
        headers = {"content-type": "multipart/form-data; boundary=b"}
        assert client.post("/dossiers/3/pieces", content=b"not so", headers=headers).status_code == 400


class TestLive:
    def test_events_carry_one_person_each(self, client: httpx2.Client, rows: sqlite3.Connection) -> None:
        answer = client.get("/evenements?nombre=3&intervalle_ms=1")
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [event.split("\n") for event in answer.text.strip().split("\n\n")]
        data = [json.loads(lines[2].removeprefix("data: ")) for lines in events]
        assert [event["id"] for event in data] == [1, 2, 3]
        assert data[0]["nir"] == rows.execute("SELECT nir FROM demandeur WHERE id = 1").fetchone()["nir"]

    def test_the_socket_answers_records_and_pings(self, application: Program, client: httpx2.Client) -> None:
        with connect(f"{application.url.replace('http', 'ws')}/ws/dossiers", proxy=None) as opened:
            opened.send('{"id": 9}')
            assert json.loads(opened.recv()) == client.get("/api/demandeurs/9").json()
            opened.send('{"ping": 1}')
            assert json.loads(opened.recv()) == {"pong": 1}
            for unreadable in ("[", '{"id": "9"}', '{"id": 100000000000000000000}', "1"):
                opened.send(unreadable)
                assert "erreur" in json.loads(opened.recv())

    def test_a_slow_answer_comes(self, client: httpx2.Client) -> None:
        assert client.get("/lent?secondes=0.01").json() == {"attendu": 0.01}


class TestProcess:
    def test_a_second_program_on_a_taken_port_says_so(self, application: Program, database: Path) -> None:
        port = application.url.rsplit(":", 1)[1]
        command = [sys.executable, "-m", "gateway.demo.application", "--database", str(database), "--port", port]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert (ended.returncode, ended.stderr) == (1, f"127.0.0.1:{port} is already in use\n")

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_ends_it_silently_with_streams_open(
        self, database: Path, tmp_path: Path, number: signal.Signals
    ) -> None:
        port = free_port()
        with running(
            "gateway.demo.application", port, tmp_path / "log", "--database", str(database)
        ) as program, socket.create_connection(("127.0.0.1", port)) as stream:  # fmt: skip
            stream.sendall(b"GET /evenements HTTP/1.1\r\nHost: x\r\n\r\n")
            assert stream.recv(12) == b"HTTP/1.1 200"
            program.process.send_signal(number)
            assert program.process.wait(5) == 0
        assert program.log.read_bytes() == b""

    def test_it_ends_with_its_parent(self, database: Path, tmp_path: Path) -> None:
        port = free_port()
        command = [
            sys.executable, "-m", "gateway.demo.application", "--database", str(database), "--port", str(port),
            "--die-with-parent",
        ]  # fmt: skip
        parent_program = f"import subprocess; subprocess.Popen({command!r}); input()"
        parent = subprocess.Popen([sys.executable, "-c", parent_program], stdin=subprocess.PIPE)
        stream: socket.socket | None = None
        while stream is None:
            try:
                stream = socket.create_connection(("127.0.0.1", port))
            except ConnectionRefusedError:
                continue
        with stream:
            stream.settimeout(5)
            stream.sendall(b"GET /api/agences HTTP/1.1\r\nHost: x\r\n\r\n")
            assert stream.recv(1)
            parent.kill()
            parent.communicate()
            while stream.recv(65_536):
                pass

    def test_a_fault_is_answered_500_and_logged_without_what_was_sent(self, tmp_path: Path) -> None:
        empty = tmp_path / "empty.db"
        sqlite3.connect(empty).close()
        log = tmp_path / "log"
        port = free_port()
        with running("gateway.demo.application", port, log, "--database", str(empty)) as program:
            answer = httpx2.get(f"{program.url}/recherche?q=SECRETNAME", trust_env=False)
            assert (answer.status_code, answer.text) == (500, "Erreur interne")
        assert "OperationalError" in log.read_text()
        assert "SECRETNAME" not in log.read_text()
