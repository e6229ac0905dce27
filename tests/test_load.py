"""The load test's own reading of answers, its comparison, its samples and its page. Nothing is asked of a gateway."""

import json
from pathlib import Path

import page
import people
import pytest
from taken import Compared, Taken, used
from watching import Used, Watch, size


def test_what_is_received_is_counted_once_and_a_masked_number_is_not_in_clear() -> None:
    taken = Taken()
    taken.record("a", b'{"id": 1, "nir": "191102B40259369"}')
    taken.record("a", b'{"id": 1, "nir": "19110xxxxxMASKx"}')
    taken.record("a", b'{"id": 2, "nir": "19506xxxxxMASKx"}')
    taken.listed("a", b'{"demandeurs": [{"id": 2}, {"id": 3}]}')
    taken.listed("a", b'[{"id": 4}]')
    taken.found("a", b'<a href="/dossiers/5">Ouvrir</a><a href="/static/6">')
    taken.page("a", 6, b'<dd id="nir">1 95 06 99 253 670 75</dd>')
    taken.page("a", 7, b'<dd id="nir">19506xxxxxMASKx</dd>')
    assert taken.persons["a"] == {1, 2, 3, 4, 5, 6, 7}
    assert taken.sensitive["a"] == {1, 6}


def test_an_export_counts_up_to_its_notice() -> None:
    taken = Taken()
    body = b"id;nir;nom\n1;191102B40259369;A\n2;195069925367075;B\ngateway: budget_exhausted;;\n"
    assert taken.exported("a", body) == 2
    assert taken.sensitive["a"] == {1, 2}


@pytest.mark.parametrize(
    ("counts", "difference"),
    [((5, 5, 5, 2, 2), 0), ((5, 6, 5, 2, 2), 1), ((5, 5, 3, 2, 2), 2), ((5, 5, 5, 2, 3), 1)],
    ids=["all agree", "the ledger says more", "the budget says less", "a number in clear was not counted"],
)
def test_the_difference_is_nought_only_where_all_agree(counts: tuple[int, int, int, int, int], difference: int) -> None:
    assert Compared("a", *counts).difference == difference


def test_what_a_budget_says_is_found_by_its_name() -> None:
    assert used([{"name": "a", "used": 1}, {"name": "b", "used": 2}], "b") == 2


def test_everybody_with_a_token_and_a_secret_plays_one_part_with_files_of_their_own(tmp_path: Path) -> None:
    users = [{"login": f"p{at}", "password": "x", "partner": "r", "totp_secret": "A"} for at in range(9)]
    tokens = [{"user": f"p{at}", "token": f"t{at}"} for at in range(8)]
    told = {"users": users, "tokens": tokens, "partners": [{"id": "r", "issuer": "http://localhost:1"}]}
    (tmp_path / "ready.json").write_text(json.dumps({**told, "samples": {"ids": list(range(1000))}}))
    everybody = people.read(tmp_path / "ready.json")
    assert [one.login for one in everybody] == [f"p{at}" for at in range(8)]
    assert len({record for one in everybody for record in one.records}) == 8 * people.FILES_EACH
    parts = people.parts(everybody)
    assert sorted(one.login for part in parts.values() for one in part) == [one.login for one in everybody]
    assert len(parts["thief"]) == len(parts["exporter"]) == 1


def test_samples_are_of_the_project_s_containers_alone() -> None:
    watch = Watch("docker")
    line = '{"Name": "%s", "CPUPerc": "%s%%", "MemUsage": "%s / 23GiB"}\n'
    watch.take(line % ("docker_gateway-1_1", "12.5", "155.5MiB") + line % ("other_x_1", "1", "1MiB"))
    watch.take(line % ("docker_gateway-1_1", "37.5", "100MiB"))
    assert list(watch.used) == ["gateway-1"]
    assert watch.used["gateway-1"].usual_cpu == 25
    assert watch.used["gateway-1"].most_bytes == int(155.5 * 2**20)


def test_a_size_that_is_none_is_said_so() -> None:
    assert size("1.5GiB") == 3 * 2**29
    with pytest.raises(ValueError, match="'--' is no size"):
        size("--")


def test_the_page_shows_figures_and_errors_as_text() -> None:
    results = page.Results(
        title="A day",
        seconds=10,
        clients=3,
        kinds=[page.Kind("record <JSON>", 1200, 1, 5, 20, 40)],
        containers={"gateway-1": Used([10.0, 30.0], 2**20)},
        compared=[Compared("camille", 60, 60, 60, 60, 61)],
        errors=[("record: 503 <b>", 1)],
        stolen=60,
        refused=7,
    )
    shown = page.page(results)
    for words in ("record &lt;JSON&gt;", "1,200", "120.0", "20 %", "30 %", "1 MiB", "60 / 7", "503 &lt;b&gt;"):
        assert words in shown
    assert results.difference == 1 and results.failures == 1
    assert "<script" not in shown
