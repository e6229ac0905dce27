"""The tour names what is there; the drawing of a theft says what happened."""

import io
import stat
from pathlib import Path

import httpx2
import orjson
import pytest
from rich.console import Console

from gateway.demo import ready, theft, tour
from gateway.demo.ready import Pids, Ready, ReadyPartner, ReadyToken, ReadyUser

SECRET = "M3PHNTVMLXXII2ZXSNLPEU2455SUDVQB"
TOLD = Ready(
    gateway="http://localhost:8080",
    upstream="http://127.0.0.1:1",
    admin="http://127.0.0.1:2",
    config="/tmp/gw/config",
    partners=(ReadyPartner("relais-emploi", "http://127.0.0.1:3"),),
    users=(ReadyUser("camille", "relais-emploi", "camille", "pass", SECRET),),
    tokens=(ReadyToken("desk", "gwt_x", "camille"),),
    ids=(2, 3),
)


def test_the_tour_ends_with_the_theft_and_needs_no_other_page() -> None:
    told = tour.steps(TOLD)
    assert told[-1][1] == ["gateway demo --theft"]
    typed = "\n".join(line for _, lines in told for line in lines)
    for words in (
        "http://localhost:8080/recherche",
        "pass",
        SECRET,
        "gwt_x",
        "/.gateway/step-up/totp",
        "/api/demandeurs/2",
    ):
        assert words in typed


def test_the_qr_code_is_drawn_on_a_terminal_only() -> None:
    for terminal in (True, False):
        shown = io.StringIO()
        tour.show(Console(file=shown, force_terminal=terminal, width=120), TOLD)
        assert ("▄" in shown.getvalue()) is terminal
    assert tour.otpauth(TOLD).startswith("otpauth://totp/")


def test_the_ready_file_is_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "ready.json"
    ready.write(file, TOLD.as_json(Pids((1,), (2, 3), (4,), (5,))))
    told = orjson.loads(file.read_bytes())
    assert told["pids"] == {"gateway": [1], "workers": [2, 3], "store": [4], "upstream": [5]}
    assert told["samples"]["ids"] == [2, 3]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["ready.json"]


@pytest.mark.parametrize(("marks", "words"), [([True] * 3, "never"), ([True, False, False], "sensitive-hour")])
def test_the_drawing_says_how_many_and_what_stopped_it(marks: list[bool], words: str) -> None:
    done = theft.Theft(0.0)
    for mark in marks:
        problem = {
            "type": "urn:gateway:problem:budget_exhausted",
            "budget": "sensitive-hour",
            "limit": 1,
            "window_s": 3600,
        }
        answer = httpx2.Response(200) if mark else httpx2.Response(429, json=problem)
        theft._take(done, answer)
    shown = io.StringIO()
    Console(file=shown, width=120).print(theft.drawn(done, done.taken, "camille"))
    assert words in shown.getvalue()
    assert (done.asked, done.taken) == (3, sum(marks))
