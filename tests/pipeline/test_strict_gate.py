"""What is refused before anybody is asked who they are, and before anything is forwarded."""

import re

import pytest
import wire
from persons import RAW, Raw
from stack import Account, Stack


def refused(stack: Stack, raw_request: bytes) -> tuple[int, str]:
    answer = wire.send(stack.port, raw_request)
    return answer.status, answer.reason


def test_two_hosts_are_refused(raw: Raw, somebody: Account) -> None:
    answer = raw.ask(somebody, ("Host", "raw.test"))
    assert answer.status == 400
    assert not raw.received


@pytest.mark.parametrize("host", ["elsewhere.test", "raw.test:81", "raw.test@x", "raw.test/", ""])
def test_a_host_of_nobody_is_refused(raw: Raw, somebody: Account, host: str) -> None:
    assert raw.ask(somebody, host=host).status == 400
    assert not raw.received


def test_a_host_in_capitals_is_the_same_host(raw: Raw, somebody: Account) -> None:
    raw.says(b"{}")
    assert raw.ask(somebody, host="RAW.test").status == 200


def test_two_credentials_are_refused(raw: Raw, somebody: Account) -> None:
    answer = raw.ask(somebody, ("Gateway-Authorization", f"Bearer {somebody.token}"))
    assert (answer.status, answer.reason) == (400, "ambiguous_credentials")
    assert not raw.received


def test_a_token_beside_our_cookie_is_refused(raw: Raw, somebody: Account) -> None:
    answer = raw.ask(somebody, ("Cookie", "__Host-gateway=abc"))
    assert (answer.status, answer.reason) == (400, "ambiguous_credentials")


def test_the_same_credential_header_twice_is_refused(raw: Raw, somebody: Account) -> None:
    assert raw.ask(somebody, somebody.bearer).status == 400
    assert not raw.received


def test_nobody_is_refused(raw: Raw) -> None:
    answer = raw.ask(None)
    assert (answer.status, answer.reason, answer.one("www-authenticate")) == (401, "no_caller", "Bearer")
    assert not raw.received


def test_an_unknown_token_is_refused(raw: Raw) -> None:
    assert raw.ask(None, ("Authorization", "Bearer gwt_nobody")).reason == "token_unknown"
    assert not raw.received


@pytest.mark.parametrize(
    "target",
    ["//x", "/a//b", "/a/../b", "/a/%2e%2e/b", "/a%2fb", "/a%2Fb", "/a;b", "/a%5cb", "/a%00", "/a%0a", "/%252e", "/a%"],
)
def test_an_ambiguous_target_is_refused(stack: Stack, somebody: Account, target: str) -> None:
    answer = stack.ask(target, somebody, host=RAW)
    assert (answer.status, answer.reason) == (400, "ambiguous_target")


def test_connection_may_not_name_what_decides(raw: Raw, somebody: Account) -> None:
    line = wire.request(raw.path, RAW, somebody.bearer).replace(
        b"Connection: close", b"Connection: close, authorization"
    )
    assert refused(raw.stack, line) == (400, "malformed_request")
    assert not raw.received


@pytest.mark.parametrize(
    "fields",
    [
        (("Transfer-Encoding", "gzip, chunked"),),
        (("Transfer-Encoding", "identity"), ("Transfer-Encoding", "chunked")),
        (("Transfer_Encoding", "chunked"), ("Transfer-Encoding", "chunked")),
        (("Transfer_Encoding", "x"),),
    ],
)
def test_a_body_framed_in_two_ways_is_refused(raw: Raw, somebody: Account, fields: tuple[tuple[str, str], ...]) -> None:
    line = wire.request(raw.path, RAW, somebody.bearer, *fields, method="POST")
    assert refused(raw.stack, line + b"0\r\n\r\n")[0] == 400
    assert not raw.received


def test_a_preflight_is_answered_and_never_forwarded(raw: Raw) -> None:
    asking = (("Origin", "https://front.example"), ("Access-Control-Request-Method", "PUT"))
    answer = raw.ask(None, *asking, ("Access-Control-Request-Headers", "x-a"), method="OPTIONS")
    assert answer.status == 204
    assert answer.one("access-control-allow-origin") == "https://front.example"
    assert answer.one("access-control-allow-methods") == "PUT"
    assert answer.one("access-control-allow-headers") == "x-a"
    assert not raw.received


def test_a_preflight_of_an_unknown_origin_is_allowed_nothing(raw: Raw) -> None:
    asking = (("Origin", "https://evil.example"), ("Access-Control-Request-Method", "PUT"))
    answer = raw.ask(None, *asking, method="OPTIONS")
    assert not [name for name, _ in answer.headers if name.startswith(b"access-control-allow")]
    assert not raw.received


def test_our_refusals_can_be_read_by_a_listed_origin(raw: Raw) -> None:
    answer = raw.ask(None, ("Origin", "https://front.example"))
    assert answer.one("access-control-allow-origin") == "https://front.example"
    assert "WWW-Authenticate" in (answer.one("access-control-expose-headers") or "")


def test_a_method_that_the_route_does_not_list_is_refused_with_those_it_does(raw: Raw, somebody: Account) -> None:
    there = raw.under("save")
    answer = there.ask(somebody, method="DELETE")
    assert (answer.status, answer.one("allow")) == (405, "POST, PUT")
    assert not there.received


@pytest.mark.parametrize("method", ["TRACE", "TRACK"])
def test_a_method_that_echoes_is_never_forwarded(raw: Raw, somebody: Account, method: str) -> None:
    assert raw.ask(somebody, method=method).status == 405
    assert not raw.received


def test_a_denied_route_is_refused(raw: Raw, somebody: Account) -> None:
    there = raw.under("denied")
    answer = there.ask(somebody)
    assert (answer.status, answer.reason) == (403, "denied_by_rule")
    assert not there.received


def test_the_id_of_every_answer_is_its_reference_in_long(raw: Raw) -> None:
    from gateway.passage import reference_of

    answer = raw.ask(None)
    assert answer.one("x-gateway-reference") == reference_of(answer.one("x-request-id") or "")


def test_each_request_of_a_connection_is_its_own_callers(raw: Raw, stack: Stack) -> None:
    """Kept alive and sent ahead of time: the second request is nobody's, whoever asked the first."""
    raw.says(b"{}")
    first, second = stack.account(), stack.account()
    lines = [wire.request(raw.path, RAW, one.bearer) for one in (first, second)]
    kept = lines[0].replace(b"Connection: close\r\n", b"")
    nobody = wire.request(raw.path, RAW)
    with wire.connect(stack.port) as connection:
        connection.sendall(kept + lines[1].replace(b"Connection: close\r\n", b"") + nobody)
        received = wire.rest(connection)
    assert re.findall(rb"HTTP/1\.1 (\d+)", received) == [b"200", b"200", b"401"]
    assert [one.all("x-gateway-user") for one in raw.received] == [[first.user.encode()], [second.user.encode()]]
