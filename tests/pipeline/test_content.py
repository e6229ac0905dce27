"""What an answer is taken for, what is read of it, and what may rest in a cache."""

import gzip
import zlib

import pytest
from persons import Raw, as_json, nir, record
from stack import Account

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(5_000)
VALIDATORS = ('ETag: "v1"', "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT", "Cache-Control: public", "Vary: X")


def taken(raw: Raw, account: Account, budget: str = "sensitive-hour") -> int:
    return raw.stack.used(account, budget)


def test_a_number_is_masked_without_a_proof(raw: Raw, somebody: Account) -> None:
    raw.says(as_json(record(11)))
    answer = raw.ask(somebody)
    assert answer.status == 200
    assert nir(11).encode() not in answer.body
    assert b"xMASKx" in answer.body
    assert taken(raw, somebody) == 0


def test_a_number_leaves_with_a_proof_and_is_charged(raw: Raw, proven: Account) -> None:
    raw.says(as_json(record(12)))
    answer = raw.ask(proven)
    assert nir(12).encode() in answer.body
    assert taken(raw, proven) == 1
    assert raw.stack.record_of(answer)["persons"][0]["clear"] == ["identite", "nir"]


def test_a_route_of_a_class_asks_for_its_proof_before_anything_is_forwarded(raw: Raw, somebody: Account) -> None:
    there = raw.under("sensitive")
    answer = there.ask(somebody)
    assert (answer.status, answer.reason) == (401, "proof_required")
    assert "insufficient_user_authentication" in (answer.one("www-authenticate") or "")
    assert not there.received


def test_what_is_not_inspected_passes_unread(raw: Raw, somebody: Account) -> None:
    there = raw.under("unread")
    there.says(as_json(record(13)), "application/json", *VALIDATORS)
    answer = there.ask(somebody)
    assert answer.body == as_json(record(13))
    assert answer.one("etag") == '"v1"'
    assert taken(raw, somebody) == 0


def test_an_image_that_is_one_costs_nobody(raw: Raw, somebody: Account) -> None:
    raw.says(PNG, "image/png", *VALIDATORS)
    answer = raw.ask(somebody)
    assert answer.body == PNG
    assert answer.one("etag") == '"v1"'


@pytest.mark.parametrize("media_type", ["image/png", "font/woff2", "audio/mpeg", "application/wasm"])
def test_a_number_disguised_as_media_does_not_leave(raw: Raw, somebody: Account, media_type: str) -> None:
    raw.says(as_json(record(14)), media_type)
    answer = raw.ask(somebody)
    assert answer.status == 401
    assert nir(14).encode() not in answer.raw


def test_a_number_in_a_style_sheet_is_found(raw: Raw, somebody: Account) -> None:
    raw.says(b"a{content:'%s'}" % nir(15).encode(), "text/css")
    assert nir(15).encode() not in raw.ask(somebody).raw


def test_unreadable_content_is_charged_by_its_size(raw: Raw, proven: Account) -> None:
    raw.says(b"%PDF-1.4" + bytes(6_800 - 8), "application/pdf")
    answer = raw.ask(proven)
    assert (answer.status, len(answer.body)) == (200, 6_800)
    assert taken(raw, proven) == 10
    assert raw.stack.record_of(answer)["unnamed"] == 10


def test_unreadable_content_without_a_length_is_charged_by_its_size(raw: Raw, proven: Account) -> None:
    body = b"%PDF-1.4" + bytes(6_800 - 8)
    raw.answers(b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\n\r\n" + body, close=True)
    assert raw.ask(proven).body == body
    assert taken(raw, proven) == 10


def test_unreadable_content_of_one_person_is_one_whatever_its_size(raw: Raw, proven: Account) -> None:
    raw.app.says("/file/77", b"%PDF-1.4" + bytes(200_000), "application/pdf")
    there = Raw(raw.stack, raw.app, "/file/77")
    assert len(there.ask(proven).body) == 200_008
    assert taken(raw, proven) == 1


def test_unreadable_content_needs_its_proof(raw: Raw, somebody: Account) -> None:
    raw.says(b"%PDF-1.4" + bytes(100), "application/pdf")
    answer = raw.ask(somebody)
    assert (answer.status, answer.reason) == (401, "proof_required")


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_coded_content_is_decoded_and_read(raw: Raw, somebody: Account, coding: str) -> None:
    plain = as_json(record(16))
    coded = gzip.compress(plain) if coding == "gzip" else zlib.compress(plain)
    raw.says(coded, "application/json", f"Content-Encoding: {coding}")
    answer = raw.ask(somebody)
    assert answer.status == 200
    assert answer.one("content-encoding") is None
    assert b"xMASKx" in answer.body
    assert nir(16).encode() not in answer.body


def test_an_application_is_asked_for_plain_content(raw: Raw, somebody: Account) -> None:
    raw.says(b"{}")
    raw.ask(somebody, ("Accept-Encoding", "gzip, br"))
    assert raw.received[0].all("accept-encoding") == [b"identity"]


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "x"])
def test_content_in_an_unknown_coding_is_unreadable(raw: Raw, somebody: Account, coding: str) -> None:
    raw.says(as_json(record(17)), "application/json", f"Content-Encoding: {coding}")
    answer = raw.ask(somebody)
    assert answer.status == 401
    assert nir(17).encode() not in answer.raw


def test_a_bomb_is_not_unfolded(raw: Raw, proven: Account) -> None:
    raw.says(gzip.compress(b'"' + b"a" * 50_000_000), "application/json", "Content-Encoding: gzip")
    answer = raw.ask(proven)
    assert answer.status in (200, 401, 403, 429)
    assert len(answer.body) < 100_000


def test_a_document_too_large_to_be_read_whole_is_refused(raw: Raw, proven: Account) -> None:
    raw.says(as_json({"a": "x" * 600_000}))
    answer = raw.ask(proven)
    assert (answer.status, answer.reason) == (403, "too_large_to_read")


def test_a_classified_answer_rests_in_no_cache(raw: Raw, proven: Account) -> None:
    raw.says(as_json(record(18)), "application/json", *VALIDATORS)
    answer = raw.ask(proven)
    assert answer.all("cache-control") == [b"no-store"]
    assert answer.all("vary") == [b"Cookie, Authorization, Gateway-Authorization"]
    assert answer.all("etag") == answer.all("last-modified") == []


def test_a_masked_answer_rests_in_no_cache(raw: Raw, somebody: Account) -> None:
    raw.says(as_json(record(19)), "application/json", *VALIDATORS)
    answer = raw.ask(somebody)
    assert answer.all("cache-control") == [b"no-store"]
    assert answer.all("etag") == []


def test_an_answer_without_findings_keeps_its_validators(raw: Raw, somebody: Account) -> None:
    raw.says(as_json({"ok": True}), "application/json", *VALIDATORS)
    answer = raw.ask(somebody)
    assert answer.one("etag") == '"v1"'
    assert answer.all("cache-control") == [b"public"]


def test_a_number_in_a_header_is_charged(raw: Raw, proven: Account) -> None:
    raw.says(b"{}", "application/json", f"X-Nir: {nir(20)}")
    assert raw.ask(proven).status == 200
    assert taken(raw, proven) == 1


def test_a_number_in_a_header_does_not_leave_without_a_proof(raw: Raw, somebody: Account) -> None:
    raw.says(b"{}", "application/json", f"X-Nir: {nir(21)}")
    answer = raw.ask(somebody)
    assert answer.status == 401
    assert nir(21).encode() not in answer.raw


@pytest.mark.parametrize("status", [201, 302, 400, 404, 500])
def test_an_answer_of_any_status_is_read(raw: Raw, somebody: Account, status: int) -> None:
    raw.says(as_json(record(22)), status=status)
    answer = raw.ask(somebody)
    assert answer.status == status
    assert nir(22).encode() not in answer.raw


def test_a_refusal_of_a_known_caller_is_recorded_with_its_reference(raw: Raw, somebody: Account) -> None:
    answer = raw.under("sensitive").ask(somebody)
    recorded = raw.stack.record_of(answer)
    assert (recorded["kind"], recorded["reason"]) == ("challenge", "proof_required")
    assert recorded["ref"] == answer.one("x-gateway-reference")


@pytest.mark.parametrize("media_type", ["text/plain", "text/html", "text/csv", "application/json", "application/xml"])
@pytest.mark.parametrize("charset", ["", "; charset=utf-16"])
def test_plain_bytes_behind_a_mark_of_utf_16_do_not_leave(
    raw: Raw, somebody: Account, media_type: str, charset: str
) -> None:
    raw.says(b'\xff\xfe[\x00"\x00]\x00\n\x00' + as_json(record(23)) + b"  ", media_type + charset)
    answer = raw.ask(somebody)
    assert nir(23).encode() not in answer.raw


@pytest.mark.parametrize(
    "media_type",
    [
        "image/svg+xml",
        "application/javascript",
        "text/javascript",
        "text/calendar",
        "text/vcard",
        "text/markdown",
        "text/tab-separated-values",
        "application/vnd.ms-excel",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "application/vnd.api+json",
        "application/ld+json",
        "application/problem+json",
        "application/atom+xml",
        "application/xhtml+xml",
        "multipart/mixed; boundary=a",
        "message/http",
        "text/html; charset=utf-7",
        "application/json; charset=ebcdic-cp-fr",
        "x",
        "",
    ],
)
def test_a_number_leaves_as_no_media_type(raw: Raw, somebody: Account, media_type: str) -> None:
    raw.says(b"(" + as_json(record(24)) + b")", media_type)
    assert nir(24).encode() not in raw.ask(somebody).raw


def test_the_length_of_a_persons_record_is_not_told_by_head(raw: Raw, proven: Account) -> None:
    there = raw.under("sensitive")
    there.answers(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1234\r\n\r\n")
    answer = there.ask(proven, method="HEAD")
    assert (answer.status, answer.one("content-length")) == (200, None)
