"""What travels to the application and back, byte for byte."""

import pytest
from persons import RAW, Raw
from stack import Account, Stack

OURS = {
    b"host",
    b"accept-encoding",
    b"x-gateway-user",
    b"x-gateway-partner",
    b"x-gateway-assertion",
    b"x-request-id",
    b"legacy-agent",
}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/css\r\n\r\nok"


@pytest.mark.parametrize(
    "rest",
    [
        "?q=l'%E9t%e9",
        "/a'b|c",
        "/%E9t%e9",
        "?a=%27%7c&a='&b=|",
        "?x=%zz%",
        "/caf%C3%A9",
        "?" + "k=v&" * 1_500,
        "?a[]=1&a[]=2;b",
    ],
)
def test_the_target_is_forwarded_byte_for_byte(raw: Raw, somebody: Account, rest: str) -> None:
    raw.app.otherwise = lambda exchange: exchange.send(OK)
    target = raw.path + rest
    answer = raw.stack.ask(target, somebody, host=RAW)
    assert answer.status == 200, answer
    sent = [one.target for one in raw.app.received if one.target.startswith(raw.path.encode())]
    assert sent == [target.encode("latin-1")]


def test_header_values_keep_their_bytes_and_repeats_their_order(raw: Raw, somebody: Account) -> None:
    raw.answers(OK)
    raw.ask(somebody, ("X-Name", b"Zo\xe9"), ("X-List", "b"), ("X-Other", "x"), ("X-List", "a"))
    (request,) = raw.received
    assert request.all("x-name") == [b"Zo\xe9"]
    assert request.all("x-list") == [b"b", b"a"]


def test_answer_headers_keep_their_bytes_and_repeats_their_order(raw: Raw, somebody: Account) -> None:
    fields = b"X-Nom: Zo\xe9\r\nSet-Cookie: b=2; Path=/\r\nX-L: 2\r\nSet-Cookie: a=1\r\nX-L: 1\r\n"
    raw.answers(OK.replace(b"Content-Type", fields + b"Content-Type"))
    answer = raw.ask(somebody)
    assert answer.all("x-nom") == [b"Zo\xe9"]
    assert answer.all("set-cookie") == [b"b=2; Path=/", b"a=1"]
    assert answer.all("x-l") == [b"2", b"1"]


def test_nothing_is_added_to_a_request_but_what_is_documented(raw: Raw, somebody: Account) -> None:
    raw.answers(OK)
    raw.ask(somebody, ("Accept", "*/*"))
    (request,) = raw.received
    assert {name.lower() for name, _ in request.headers} - {b"accept"} == OURS
    assert len(request.headers) == len(OURS) + 1


def test_nothing_is_added_to_an_answer_but_its_id_and_the_servers_own(raw: Raw, somebody: Account) -> None:
    raw.answers(OK)
    names = [name.lower() for name, _ in raw.ask(somebody).headers]
    added = {b"x-request-id", b"x-gateway-reference", b"server", b"date", b"connection"}
    assert sorted(names) == sorted({b"content-length", b"content-type"} | added)


def test_our_token_and_our_cookies_never_reach_the_application(raw: Raw, somebody: Account) -> None:
    raw.answers(OK)
    raw.ask(somebody, ("Cookie", "a=1; gateway_lang=fr; b=2; __Host-gateway-x=y"))
    (request,) = raw.received
    assert somebody.token.encode() not in request.raw
    assert request.all("cookie") == [b"a=1; b=2"]


def test_authorization_beside_our_own_header_is_the_applications(raw: Raw, somebody: Account) -> None:
    raw.answers(OK)
    raw.ask(None, ("Gateway-Authorization", f"Bearer {somebody.token}"), ("Authorization", "Basic dTpw"))
    (request,) = raw.received
    assert request.all("authorization") == [b"Basic dTpw"]
    assert somebody.token.encode() not in request.raw


@pytest.mark.parametrize(
    "name",
    [
        "X-Gateway-User",
        "X_Gateway_User",
        "x-gateway_partner",
        "X-Gateway-Assertion",
        "X-Request-Id",
        "X_Request_Id",
        "Legacy-Agent",
        "legacy_agent",
        "Legacy-Agency",
        "Legacy_Agency",
        "X-HTTP-Method-Override",
        "X_HTTP_METHOD_OVERRIDE",
        "X-Original-URL",
        "X-Forwarded-User",
    ],
)
def test_a_header_that_says_who_asks_is_never_a_clients(raw: Raw, somebody: Account, name: str) -> None:
    raw.answers(OK)
    raw.ask(somebody, (name, "forged"))
    (request,) = raw.received
    assert b"forged" not in request.raw


def test_the_application_is_told_who_asks(raw: Raw, somebody: Account) -> None:
    raw.answers(OK)
    answer = raw.ask(somebody)
    (request,) = raw.received
    assert request.all("x-gateway-user") == [somebody.user.encode()]
    assert request.all("x-gateway-partner") == [somebody.partner.encode()]
    assert request.all("x-request-id") == [(answer.one("x-request-id") or "").encode()]
    assert request.all("legacy-agent") == ["Zoé Tést".encode("latin-1")]
    assert request.all("legacy-agency") == []


def test_the_host_is_kept(raw: Raw, somebody: Account) -> None:
    raw.answers(OK)
    raw.ask(somebody)
    assert raw.received[0].all("host") == [RAW.encode()]


def test_a_replaced_host_is_mapped_back_in_the_answer(raw: Raw, somebody: Account) -> None:
    fields = (
        b"Location: http://intranet.example/next?a='b\r\nContent-Location: //intranet.example/x\r\n"
        b"Set-Cookie: s=1; Domain=.intranet.example; Path=/\r\n"
    )
    raw.answers(OK.replace(b"Content-Type", fields + b"Content-Type"))
    answer = raw.ask(somebody, host="replaced.test")
    assert raw.received[0].all("host") == [b"intranet.example"]
    assert answer.one("location") in ("http://replaced.test/next?a='b", "https://replaced.test/next?a='b")
    assert b"intranet.example" not in answer.raw
    assert answer.all("set-cookie") == [b"s=1; Domain=replaced.test; Path=/"]


def test_a_location_elsewhere_is_left_as_it_is(raw: Raw, somebody: Account) -> None:
    raw.answers(OK.replace(b"Content-Type", b"Location: https://other.example/a\r\nContent-Type"))
    assert raw.ask(somebody, host="replaced.test").one("location") == "https://other.example/a"


@pytest.mark.parametrize(
    "name", ["__Host-gateway", "__host-GATEWAY", "__Host-gateway-x", "gateway_lang", "=__Host-gateway"]
)
def test_a_cookie_with_our_name_is_never_the_applications_to_set(raw: Raw, somebody: Account, name: str) -> None:
    raw.answers(OK.replace(b"Content-Type", b"Set-Cookie: %s=x\r\nContent-Type" % name.encode()))
    assert raw.ask(somebody).all("set-cookie") == []


def test_hop_by_hop_fields_stay_on_their_hop(raw: Raw, somebody: Account) -> None:
    raw.answers(OK.replace(b"Content-Type", b"Connection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nContent-Type"))
    answer = raw.ask(somebody, ("Keep-Alive", "5"), ("TE", "trailers"))
    (request,) = raw.received
    assert request.all("keep-alive") == request.all("te") == request.all("connection") == []
    assert answer.all("x-hop") == answer.all("keep-alive") == []


def test_a_body_is_forwarded_byte_for_byte(raw: Raw, somebody: Account) -> None:
    raw.answers(OK)
    body = bytes(range(256)) * 1_000
    raw.ask(somebody, ("Content-Type", "application/octet-stream"), method="POST", body=body)
    assert raw.received[0].body == body


def test_interim_answers_do_not_end_an_exchange(raw: Raw, somebody: Account) -> None:
    raw.answers(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + OK)
    assert raw.ask(somebody).body == b"ok"


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_content_keeps_its_status(raw: Raw, somebody: Account, status: int) -> None:
    raw.answers(b'HTTP/1.1 %d X\r\nETag: "a"\r\n\r\n' % status)
    answer = raw.ask(somebody)
    assert (answer.status, answer.body, answer.one("etag")) == (status, b"", '"a"')


def test_head_is_forwarded_as_head(raw: Raw, somebody: Account) -> None:
    raw.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nContent-Type: text/css\r\n\r\n")
    answer = raw.ask(somebody, method="HEAD")
    assert raw.received[0].method == b"HEAD"
    assert (answer.status, answer.body, answer.one("content-length")) == (200, b"", "12345")


def test_the_demos_pages_come_through(stack: Stack, somebody: Account) -> None:
    assert stack.get("/static/style.css", somebody).status == 200
