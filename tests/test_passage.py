"""What is known of a request at once: its reference, who it comes from, and the one credential it shows."""

from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_application import small_application, small_passage

from gateway.core.canonical import fields_of
from gateway.core.reasons import Reason, Refusal
from gateway.edge.credentials import NOBODY, Credential, credential_of
from gateway.passage import (
    begin,
    client_of,
    forwards_authorization,
    reference_of,
    without_own_cookies,
)

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
TOKEN = b"gwt_abc"


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**98 - 1))
def test_a_reference_is_the_first_thirty_bits_and_can_be_read_aloud(number: int, rest: int) -> None:
    reference = reference_of(f"{number:032x}")
    assert len(reference) == 7
    assert reference[3] == "-"
    assert not set(reference) & set("ILOU")
    assert reference == reference_of(f"{(number >> 98 << 98) + rest:032x}")


def test_references_of_different_bits_differ() -> None:
    assert reference_of("0" * 32) == "000-000"
    assert reference_of("f" * 32) == "ZZZ-ZZZ"
    assert reference_of("00000004" + "0" * 24) == "000-001"


@pytest.mark.parametrize(
    ("peer", "said", "client"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.66, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.66, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, junk", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1,", "10.0.0.1"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("", "198.51.100.1", ""),
    ],
)
def test_only_trusted_peers_are_believed_hop_by_hop(peer: str, said: str | None, client: str) -> None:
    headers = [(b"x-forwarded-for", said.encode())] if said else []
    assert client_of({"client": (peer, 1)}, headers, TRUSTED) == client


def test_fields_of_one_name_are_one_list_and_any_spelling_is_meant() -> None:
    headers = [(b"X-Forwarded-For", b"192.0.2.66"), (b"X_Forwarded_For", b"198.51.100.1")]
    assert client_of({"client": ("10.0.0.1", 1)}, headers, TRUSTED) == "198.51.100.1"
    assert client_of({}, headers, TRUSTED) == ""


COOKIE = (b"cookie", b"a=1; __Host-gateway=S; b=2")
OURS = (b"authorization", b"Bearer " + TOKEN)
FOREIGN = (b"authorization", b"Bearer eyJ.x.y")
BASIC = (b"authorization", b"Basic eDp5")
OWN = (b"gateway-authorization", b"bearer  " + TOKEN)
BOTH = Reason.AMBIGUOUS_CREDENTIALS


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], NOBODY),
        ([(b"cookie", b"a=1")], NOBODY),
        ([(b"cookie", b"__Host-gateway=")], NOBODY),
        ([(b"cookie", b"__Host-gateway-x=S")], NOBODY),
        ([BASIC], NOBODY),
        ([COOKIE], Credential("session", "S")),
        ([(b"cookie", b"a=1"), (b"cookie", b"__Host-gateway=S")], Credential("session", "S")),
        ([OURS], Credential("token", "gwt_abc")),
        ([(b"AUTHORIZATION", b"bearer gwt_abc ")], Credential("token", "gwt_abc")),
        ([OWN], Credential("token", "gwt_abc")),
        ([(b"gateway_authorization", b"Bearer gwt_abc")], Credential("token", "gwt_abc")),
        ([(b"gateway-authorization", b"Basic eDp5")], Credential("token", "")),
        ([FOREIGN], Credential("token", "eyJ.x.y")),
        ([COOKIE, FOREIGN], Credential("session", "S")),
        ([COOKIE, BASIC], Credential("session", "S")),
        ([OWN, FOREIGN], Credential("token", "gwt_abc")),
        ([OWN, BASIC], Credential("token", "gwt_abc")),
        ([COOKIE, OURS], BOTH),
        ([COOKIE, OWN], BOTH),
        ([OWN, OURS], BOTH),
        ([(b"cookie", b"__Host-gateway=S; __Host-gateway=S")], BOTH),
        ([COOKIE, (b"cookie", b"__Host-gateway=T")], BOTH),
    ],
)
def test_the_one_credential(headers: list[tuple[bytes, bytes]], expected: Credential | Reason) -> None:
    found = credential_of(headers, fields_of(headers))
    assert (found.reason if isinstance(found, Refusal) else found) == expected


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        (b"a=1; b=2", b"a=1; b=2"),
        (b"a=1;b=2 ;", b"a=1;b=2 ;"),
        (b"__Host-gateway=S", None),
        (b"a=1; __Host-gateway=S; b=2", b"a=1; b=2"),
        (b"__Host-gateway=S; a=1", b"a=1"),
        (b"a=1; __Host-gateway-flow=F", b"a=1"),
        (b"gateway_lang=fr; a=\xe9", b"a=\xe9"),
        (b"gateway_way=totp; a=1", b"a=1"),
        (b"a=__Host-gateway=S", b"a=__Host-gateway=S"),
        (b" __Host-gateway = S ", None),
        (b"gateway_language=fr", b"gateway_language=fr"),
    ],
)
def test_our_cookies_never_travel_on_and_others_keep_their_bytes(sent: bytes, forwarded: bytes | None) -> None:
    assert without_own_cookies(sent) == forwarded


@pytest.mark.parametrize(
    ("kind", "headers", "forwarded"),
    [("token", [OURS], False), ("token", [OWN, FOREIGN], True), ("session", [COOKIE, FOREIGN], True)],
)
def test_authorization_is_the_application_s_where_something_else_named_the_caller(
    kind: str, headers: list[tuple[bytes, bytes]], forwarded: bool
) -> None:
    passage = small_passage(headers, small_application(), credential=Credential(kind, "x"))
    assert forwards_authorization(passage) is forwarded


async def nothing(*_: Any) -> Any:
    raise AssertionError("nothing is read or sent here")


def test_what_a_new_passage_knows() -> None:
    headers = [
        (b"host", b"JOBS.example"), (b"origin", b"https://o.example"), (b"sec-fetch-mode", b"navigate"),
        (b"cookie", b"gateway_lang=en"), (b"accept-language", b"fr"),
    ]  # fmt: skip
    scope = {
        "headers": headers, "method": "PUT", "path": "/a b", "raw_path": b"/a%20b", "query_string": b"q=1",
        "client": ("192.0.2.1", 9),
    }  # fmt: skip
    one, other = (begin(scope, nothing, nothing, ()) for _ in range(2))
    assert one.asked.target == b"/a%20b?q=1"
    assert one.asked.host == "jobs.example"
    assert one.asked.origin == "https://o.example"
    assert one.asked.navigating
    assert one.asked.language == "en"
    assert (one.method, one.client) == (b"PUT", "192.0.2.1")
    assert one.reference == one.asked.reference == reference_of(one.request_id)
    assert one.request_id != other.request_id
