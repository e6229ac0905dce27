"""While an application is only observed nothing is asked, masked or refused; everything is recorded."""

from persons import Raw, as_json, nir, record
from stack import Account
from wire import Answer

OBSERVED = "observed.test"


def ask(raw: Raw, account: Account | None, *fields: tuple[str, str | bytes], method: str = "GET") -> Answer:
    body = None if method == "GET" else b"{}"
    return raw.ask(account, *fields, method=method, body=body, host=OBSERVED)


def test_a_number_passes_unmasked_and_says_what_would_have_been(raw: Raw, somebody: Account) -> None:
    raw.says(as_json(record(41)))
    answer = ask(raw, somebody)
    assert answer.body == as_json(record(41))
    recorded = raw.stack.record_of(answer)
    assert (recorded["mode"], recorded["verdict"]) == ("observe", "release")
    assert recorded["persons"][0]["clear"]
    assert recorded["would_be"] == "mask"


def test_nobody_in_particular_may_ask(raw: Raw) -> None:
    raw.says(as_json(record(42)))
    answer = ask(raw, None)
    assert nir(42).encode() in answer.body
    assert raw.stack.record_of(answer)["caller"]["credential_kind"] == "anonymous"


def test_what_is_beyond_a_limit_passes_with_an_alarm(raw: Raw, proven: Account) -> None:
    raw.says(as_json([record(number) for number in range(20_000, 20_070)]))
    answer = ask(raw, proven)
    assert nir(20_069).encode() in answer.body
    assert len(raw.stack.record_of(answer, "answer")["persons"]) == 70
    assert raw.stack.record_of(answer, "alarm")["rule"] == "sensitive-hour"
    recorded = raw.stack.record_of(answer, "answer")
    assert (recorded["would_be"], recorded["reason"]) == ("refusal", "budget_exhausted")


def test_what_was_observed_is_not_charged(raw: Raw, somebody: Account) -> None:
    raw.says(as_json([record(number) for number in range(50)]))
    ask(raw, somebody)
    assert raw.stack.used(somebody, "sensitive-hour") == 0


def test_unreadable_content_passes(raw: Raw, somebody: Account) -> None:
    raw.says(b"%PDF-1.4" + bytes(9_000), "application/pdf")
    assert len(ask(raw, somebody).body) == 9_008


def test_a_stream_passes_whole(raw: Raw, somebody: Account) -> None:
    rows = b"nir;nom\r\n" + b"".join(f"{nir(n)};N\r\n".encode() for n in range(21_000, 21_080))
    raw.says(rows, "text/csv")
    answer = ask(raw, somebody)
    assert (answer.complete, answer.body) == (True, rows)


def test_the_gate_holds(raw: Raw, somebody: Account) -> None:
    raw.says(b"{}")
    assert raw.stack.ask("/a/../b", somebody, host=OBSERVED).status == 400
    answer = ask(raw, somebody, ("Gateway-Authorization", f"Bearer {somebody.token}"))
    assert answer.status == 400


def test_a_revoked_token_stays_out_too(raw: Raw, somebody: Account) -> None:
    raw.says(b"{}")
    raw.stack.revoke(somebody)
    ask(raw, somebody)
    assert somebody.token.encode() not in raw.received[0].raw


def test_forged_headers_and_our_token_stay_out(raw: Raw, somebody: Account) -> None:
    raw.says(b"{}")
    ask(raw, somebody, ("X-Gateway-User", "forged"))
    assert raw.received[0].all("x-gateway-user") == [somebody.user.encode()]
    assert somebody.token.encode() not in raw.received[0].raw


def test_the_applications_own_bearer_token_reaches_it(raw: Raw) -> None:
    raw.says(b"{}")
    ask(raw, None, ("Authorization", "Bearer of-the-application"))
    assert raw.received[0].all("authorization") == [b"Bearer of-the-application"]


def test_nobodys_request_carries_no_name_of_ours(raw: Raw) -> None:
    raw.says(b"{}")
    ask(raw, None, ("X-Gateway-User", "forged"))
    assert b"forged" not in raw.received[0].raw


def test_a_malformed_answer_is_still_refused(raw: Raw, somebody: Account) -> None:
    raw.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", close=True)
    assert ask(raw, somebody).status == 502


def test_a_post_is_passed_on(raw: Raw, somebody: Account) -> None:
    raw.says(as_json(record(43)))
    assert ask(raw, somebody, ("Content-Type", "application/json"), method="POST").body == as_json(record(43))
