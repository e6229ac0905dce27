"""A store that was emptied: nothing leaves until it has been rebuilt, then everybody is counted as before."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from persons import Raw, as_json, nir, record
from scripted_application import ScriptedApplication
from stack import Account, Stack, running_stack, until
from traffic import admin

from gateway.core.assurance import Mandate
from gateway.core.extraction import Class

GATEWAY = """
[applications.raw]
hosts = ["raw.test"]
upstream = "{upstream}"

[applications.observed]
hosts = ["observed.test"]
upstream = "{upstream}"
mode = "observe"
"""

ROUTES = """
[[routes]]
name = "find"
application = "raw"
path = "/find/{rest:*}"
methods = ["POST"]
person = "body:/nir"
read = true
lookup = true

[[routes]]
name = "news"
application = "raw"
path = "/news/{rest:*}"
class = "public"
inspect = false
"""


@pytest.fixture
def own(app: ScriptedApplication) -> Iterator[Stack]:
    """A gateway of one's own, two workers."""
    upstream = f"http://127.0.0.1:{app.port}"
    more = {"gateway.toml": GATEWAY.format(upstream=upstream), "policy.toml": ROUTES}
    with running_stack(upstream, workers=2, more=more) as stack:
        yield stack


def usages(stack: Stack, account: Account) -> dict[str, int]:
    return {one["name"]: one["used"] for one in json.loads(stack.get("/.gateway/budget", account).body)["budgets"]}


def counted(stack: Stack) -> dict[bytes, int]:
    """How many stand in every budget of the store."""
    names = sorted(stack.thread.call(stack.thread.store.call("KEYS", "b:*")))
    return {name: stack.thread.call(stack.thread.store.call("ZCARD", name)) for name in names}


def rebuild(stack: Stack, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "budget", "rebuild", "--config", str(stack.directory), "--json", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_an_emptied_store_stays_closed_until_its_budgets_are_counted_anew(own: Stack, app: ScriptedApplication) -> None:
    raw = Raw(own, app, "/lost")
    somebody, machine = own.account(), own.account(kind="machine")
    own.mandate(machine, Mandate(Class.SENSITIVE, 100, 86_400, time.time() + 3600, "officer"))
    assert own.step_up(somebody).status == 200
    raw.says(as_json([record(n) for n in range(7)] + [{"nom": "Personne", "email": "a@b.example"}]))
    assert raw.ask(somebody).status == 200
    assert raw.ask(machine).status == 200
    assert raw.ask(somebody, host="observed.test").status == 200
    raw.says(as_json([record(3), record(20)]))
    assert raw.ask(somebody).status == 200
    finding = raw.under("find")
    finding.says(b"{}")
    asked = as_json({"nir": nir(900)})
    json_body = ("Content-Type", "application/json")
    assert finding.ask(somebody, json_body, method="POST", body=asked).status == 200
    raw.says(b"%PDF-1.7" + b"x" * 2_000, "application/pdf")
    assert raw.ask(somebody).status == 200
    before, shown = counted(own), usages(own, somebody)
    assert shown["sensitive-hour"] >= 8 and shown["misses-hour"] == 1
    assert any(name.startswith(b"b:mandate:") for name in before)
    assert any(name.startswith(b"b:proof:") for name in before)
    assert any(name.startswith(b"b:o:") for name in before)
    refused = rebuild(own)
    assert refused.returncode == 1 and "the store is whole" in refused.stderr

    own.thread.call(own.thread.store.call("FLUSHALL"))
    again = own.another_token(somebody)
    raw.says(as_json([{"nom": "Nouveau", "id": 5}]))
    assert raw.ask(again).status == 503
    done = rebuild(own)
    assert done.returncode == 0, done.stderr
    assert counted(own) == before
    assert {one["event"] for one in own.records() if one["kind"] == "operator"} == {"rebuild"}
    until(lambda: raw.ask(again).status == 200, what="the gateway's taking up again")
    now = usages(own, again)
    assert now["sensitive-hour"] == shown["sensitive-hour"]
    assert now["internal-hour"] == shown["internal-hour"] + 1


def test_while_the_store_is_away_what_is_everybody_s_passes_and_all_else_is_refused_in_words(
    own: Stack, app: ScriptedApplication
) -> None:
    raw, somebody = Raw(own, app, "/lost"), own.account()
    news = raw.under("news")
    news.says(b"<p>Closed on Monday</p>", "text/html")
    raw.says(as_json([{"plain": True}]))
    assert news.ask(somebody).status == raw.ask(somebody).status == 200
    own.embedded.stop()
    until(lambda: raw.ask(somebody).reason == "store_unavailable", what="the store's absence")
    answer = news.ask(somebody)
    assert (answer.status, answer.body) == (200, b"<p>Closed on Monday</p>")
    until(lambda: admin(own, "GET", "/healthz/deep")[0] == 503, what="word of it")
    assert admin(own, "GET", "/readyz")[0] == 200
