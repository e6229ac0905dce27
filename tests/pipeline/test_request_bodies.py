"""What is looked at in a request's body before it travels on."""

import json

import pytest
import wire
from persons import RAW, Raw, as_json, nir
from stack import Account, until


def mask_of(raw: Raw, account: Account) -> str:
    """A masked number as the gateway wrote it into an answer."""
    raw.app.says("/mask-source", as_json({"nir": nir(9_001)}))
    shown = json.loads(raw.stack.ask("/mask-source", account, host=RAW).body)["nir"]
    assert "xMASKx" in shown
    return str(shown)


def multipart(value: str) -> tuple[str, bytes]:
    part = f'--Bo0\r\nContent-Disposition: form-data; name="nir"\r\n\r\n{value}\r\n--Bo0--\r\n'
    return "multipart/form-data; boundary=Bo0", part.encode()


@pytest.mark.parametrize("media", ["form", "json", "multipart", "part", "xml", "text", "untyped", "lines"])
def test_a_masked_value_that_comes_back_is_refused(raw: Raw, somebody: Account, media: str) -> None:
    mask = mask_of(raw, somebody)
    bodies = {
        "form": ("application/x-www-form-urlencoded", f"nom=a&nir={mask.replace(' ', '+')}".encode()),
        "json": ("application/json", as_json({"a": [{"nir": mask}]})),
        "multipart": multipart(mask),
        "part": multipart(json.dumps({"a": {"nir": mask.replace("x", "\\u0078")}}).replace("\\\\", "\\")),
        "text": ("text/plain", as_json({"nir": mask})),
        "untyped": ("", as_json({"nir": mask})),
        "lines": ("application/x-ndjson", b'{"a":1}\n' + as_json({"nir": mask}) + b"\n"),
        "xml": ("application/xml", f"<r><nir>{mask}</nir></r>".encode()),
    }
    kind, body = bodies[media]
    there = raw.under("save")
    fields = (("Content-Type", kind),) if kind else ()
    answer = there.ask(somebody, *fields, method="POST", body=body)
    assert (answer.status, answer.reason) == (409, "masked_value_returned")
    assert not there.received


def test_a_masked_value_in_the_query_is_refused(raw: Raw, somebody: Account) -> None:
    mask = mask_of(raw, somebody)
    answer = raw.ask(somebody, query=f"nir={mask}")
    assert (answer.status, answer.reason) == (409, "masked_value_returned")
    assert not raw.received


def test_a_masked_value_in_a_long_streamed_body_breaks_the_forwarding_off(raw: Raw, somebody: Account) -> None:
    there = raw.under("save")
    there.says(b"{}")
    body = as_json({"long": "x" * 400_000, "nir": mask_of(raw, somebody)})
    answer = there.ask(somebody, ("Content-Type", "application/json"), method="POST", body=body)
    assert (answer.status, answer.reason) == (409, "masked_value_returned")
    assert all(len(one.body) < len(body) for one in there.received)


def test_a_body_that_stalls_is_refused(raw: Raw, somebody: Account) -> None:
    line = wire.request(raw.path, RAW, somebody.bearer, ("Content-Type", "application/json"), method="POST", body=b"")
    with wire.connect(raw.stack.port) as connection:
        connection.sendall(line.replace(b"Content-Length: 0", b"Content-Length: 10") + b'{"a"')
        answer = wire.parse(wire.rest(connection))
    assert (answer.status, answer.reason) == (408, "body_stalled")
    assert not raw.received


def test_a_body_that_stalls_while_it_is_forwarded_is_refused(raw: Raw, somebody: Account) -> None:
    there = raw.under("unread")
    line = wire.request(there.path, RAW, somebody.bearer, method="POST", body=b"")
    with wire.connect(raw.stack.port) as connection:
        connection.sendall(line.replace(b"Content-Length: 0", b"Content-Length: 10") + b"abc")
        answer = wire.parse(wire.rest(connection))
    assert (answer.status, answer.reason) == (408, "body_stalled")


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_beyond_its_routes_limit_is_refused(raw: Raw, somebody: Account, framing: str) -> None:
    there = raw.under("small-body")
    there.says(b"{}")
    kind, body = ("Content-Type", "text/plain"), b"x" * 1_001
    if framing == "length":
        answer = there.ask(somebody, kind, method="POST", body=body)
    else:
        chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        line = wire.request(there.path, RAW, somebody.bearer, kind, ("Transfer-Encoding", "chunked"), method="POST")
        answer = wire.send(raw.stack.port, line + chunks)
    assert (answer.status, answer.reason) == (413, "body_too_large")


def test_a_body_of_its_routes_limit_passes(raw: Raw, somebody: Account) -> None:
    there = raw.under("small-body")
    there.says(b"{}")
    answer = there.ask(somebody, ("Content-Type", "text/plain"), method="POST", body=b"x" * 1_000)
    assert answer.status == 200
    assert there.received[0].body == b"x" * 1_000


def test_a_body_that_names_the_person_must_fit_in_memory(raw: Raw, somebody: Account) -> None:
    there = raw.under("find")
    body = as_json({"nir": "1", "long": "x" * 70_000})
    answer = there.ask(somebody, ("Content-Type", "application/json"), method="POST", body=body)
    assert (answer.status, answer.reason) == (413, "body_too_large")
    assert not there.received


def test_a_long_upload_is_passed_on_while_it_comes(raw: Raw, somebody: Account) -> None:
    """The application has read the first part before the client sends the second."""
    there = raw.under("unread")

    def script(exchange) -> None:  # type: ignore[no-untyped-def]  # a script of the application
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    there.runs(script)
    line = wire.request(
        there.path, RAW, somebody.bearer, ("Content-Type", "video/mp4"), method="PUT", body=b""
    ).replace(b"Content-Length: 0", b"Content-Length: 4")
    with wire.connect(raw.stack.port) as connection:
        connection.sendall(line + b"ab")
        until(lambda: there.received or None, what="the head of the request")
        connection.sendall(b"cd")
        assert wire.parse(wire.rest(connection)).status == 200
    assert there.received[0].body == b"abcd"
