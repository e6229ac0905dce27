"""What was hidden does not come back into the application, and what was executed was executed once."""

import json
import re
import urllib.parse
import urllib.request

from running_demo import Caller, RunningDemo, at_once
from wire import request

RECORDS = 100


def _numbers_of(demo: RunningDemo) -> dict[int, str]:
    with demo.sqlite() as rows:
        return dict(rows.execute("SELECT id, nir FROM demandeur"))


def _masked(demo: RunningDemo, caller: Caller, numbers: list[int]) -> dict[int, dict[str, object]]:
    """Records as a caller without a confirmation gets them: in a list, with the numbers masked."""
    query = urllib.parse.urlencode({"id": ",".join(map(str, numbers))})
    answer = demo.ask(caller, f"/api/demandeurs?{query}")
    assert answer.status == 200
    assert demo.seen(answer.raw) == set()
    records = json.loads(answer.body)["demandeurs"]
    assert all(re.fullmatch(r"\d{5}x*xMASKx", one["nir"]) for one in records)
    return {one["id"]: one for one in records}


def _save(demo: RunningDemo, caller: Caller, number: int, kind: str, body: bytes) -> bytes:
    method, target = (
        ("PUT", f"/api/demandeurs/{number}") if "json" in kind else ("POST", f"/dossiers/{number}/modifier")
    )
    return request(target, demo.host, caller.bearer, ("Content-Type", kind), method=method, body=body)


def _executed(demo: RunningDemo) -> int:
    """Requests with an unsafe method that the application has seen."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{demo.upstream}/compteur") as answer:
        said: int = json.load(answer)["requetes_non_sures"]
        return said


def test_masked_records_are_never_saved(running: RunningDemo) -> None:
    reader = running.caller()
    # Nothing but the mask stands in the way of this one.
    writer = running.another_token(reader, max_persons=200)
    assert running.step_up(writer).status == 200
    numbers = running.ids[200 : 200 + RECORDS]
    masked = _masked(running, reader, numbers)
    assert list(masked) == numbers
    before, executed = _numbers_of(running), _executed(running)

    as_json = [_save(running, writer, n, "application/json", json.dumps(masked[n]).encode()) for n in numbers]
    fields = {n: {k: v for k, v in masked[n].items() if isinstance(v, str)} for n in numbers}
    kind = "application/x-www-form-urlencoded"
    as_form = [_save(running, writer, n, kind, urllib.parse.urlencode(fields[n]).encode()) for n in numbers]
    answers = at_once(running.port, [*as_json, *as_form])

    assert {(one.status, one.reason) for one in answers} == {(409, "masked_value_returned")}
    assert _executed(running) == executed
    assert _numbers_of(running) == before
    # The same way in is open for what was not masked (for somebody whose hour is not used up by those hundred).
    writer = running.proven()
    note = json.dumps({"note": "vu ce jour", "nir": before[numbers[0]]}).encode()
    saved = running.ask(
        writer, f"/api/demandeurs/{numbers[0]}", ("Content-Type", "application/json"), method="PUT", body=note
    )
    assert saved.status == 200
    assert json.loads(saved.body)["note"] == "vu ce jour"
    assert _numbers_of(running) == before


def test_what_is_executed_is_executed_once_and_its_result_is_not_lost(running: RunningDemo) -> None:
    caller, number = running.caller(), running.ids[301]
    executed = _executed(running)
    body = json.dumps({"id": [number]}).encode()
    kind = ("Content-Type", "application/json")
    answer = running.ask(caller, "/api/demandeurs", kind, method="POST", body=body)
    assert _executed(running) == executed + 1
    assert answer.status == 200
    assert running.seen(answer.raw) == set()
    (record,) = json.loads(answer.body)["demandeurs"]
    assert record["id"] == number
    assert re.fullmatch(r"\d{5}x*xMASKx", record["nir"])
    assert running.report(caller)["persons"] == 1
