"""A code opens what it should, once, for who typed it on our own page; the ledger hears of every try."""

import httpx2
import pytest

from gateway.core.assurance import Caller
from gateway.edge.step_up import Posted, read_posted
from gateway.ports import CodeRejected

from .conftest import CODE, ORIGIN, House

SAME = {"sec-fetch-site": "same-origin"}
NAVIGATE = {"sec-fetch-mode": "navigate", "accept": "text/html"}
TOTP = "/.gateway/step-up/totp"


def cookie(value: str) -> dict[str, str]:
    return {"cookie": f"__Host-gateway={value}"}


def token_of(house: House, kind: str = "person") -> dict[str, str]:
    house.by_bearer["tok"] = Caller("u-alice", "agency", "i", "sub-alice", "Alice", kind, "token", "t-1")
    return {"authorization": "Bearer tok"}


async def test_token_gets_a_proof_of_its_own(pages: httpx2.AsyncClient, house: House) -> None:
    answer = await pages.post(TOTP, json={"code": CODE}, headers=token_of(house))
    assert answer.status_code == 200
    assert answer.json() == {
        "proof": {
            "kind": "totp",
            "verified_at": int(house.at),
            "fresh_for_s": {"personal": 28_800, "sensitive": 14_400},
        }
    }
    (proof,) = house.by_bearer["tok"].proofs
    assert (proof.user, proof.credential_id, proof.verified_at) == ("u-alice", "t-1", house.at)
    assert "set-cookie" not in answer.headers
    assert house.forgotten == ["t-1"]


async def test_session_gets_a_new_cookie_with_its_proof(pages: httpx2.AsyncClient, house: House) -> None:
    before = house.sign_in()
    answer = await pages.post(TOTP, json={"code": CODE}, headers=cookie(before) | SAME)
    after = answer.headers["set-cookie"].split(";")[0].removeprefix("__Host-gateway=")
    assert answer.status_code == 200
    assert before not in house.by_cookie and len(house.by_cookie[after].proofs) == 1


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, False),
        ({"sec-fetch-site": "cross-site", "origin": ORIGIN}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "https://localhost:8080"}, False),
        ({"origin": ORIGIN}, True),
        ({"sec-fetch-site": "same-origin"}, True),
    ],
    ids=str,
)
async def test_cookie_needs_our_own_page(
    pages: httpx2.AsyncClient, house: House, headers: dict[str, str], allowed: bool
) -> None:
    answer = await pages.post(TOTP, json={"code": CODE}, headers=cookie(house.sign_in()) | headers)
    assert answer.status_code == (200 if allowed else 403)
    assert allowed or answer.json()["type"] == "urn:gateway:problem:bad_origin"
    assert bool(house.used_codes) is allowed
    assert len(house.ledger) == 1


async def test_machine_cannot_confirm(pages: httpx2.AsyncClient, house: House) -> None:
    headers = token_of(house, "machine")
    posted = await pages.post(TOTP, json={"code": CODE}, headers=headers)
    page = await pages.get("/.gateway/step-up", headers=headers)
    assert posted.status_code == page.status_code == 403
    assert posted.json()["type"] == page.json()["type"] == "urn:gateway:problem:machine_token"
    assert not house.used_codes


@pytest.mark.parametrize(
    ("rejected", "status", "reason"),
    [
        (CodeRejected("code_wrong"), 403, "code_rejected"),
        (CodeRejected("code_used"), 403, "code_used"),
        (CodeRejected("too_many_tries", 300), 429, "too_many_tries"),
        (CodeRejected("factor_stopped"), 403, "factor_stopped"),
    ],
)
async def test_rejection_says_why_and_is_recorded(
    pages: httpx2.AsyncClient, house: House, rejected: CodeRejected, status: int, reason: str
) -> None:
    house.rejections["000000"] = rejected
    answer = await pages.post(TOTP, json={"code": "000000"}, headers=token_of(house))
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:gateway:problem:{reason}")
    assert answer.headers.get("retry-after") == (str(rejected.retry_s) if rejected.retry_s else None)
    (record,) = house.ledger
    assert (record["kind"], record["verdict"], record["reason"]) == ("factor", "refusal", reason)
    assert "000000" not in str(record)
    assert house.by_bearer["tok"].proofs == ()


async def test_success_is_recorded_without_the_code(pages: httpx2.AsyncClient, house: House) -> None:
    answer = await pages.post(TOTP, json={"code": CODE}, headers=token_of(house))
    (record,) = house.ledger
    assert record["verdict"] == "accepted" and record["ref"] == answer.headers["x-gateway-reference"]
    assert record["caller"] == {
        "user": "u-alice",
        "partner": "agency",
        "credential": "t-1",
        "credential_kind": "token",
        "client": "127.0.0.1",
    }
    assert CODE not in str(record)


async def test_nothing_opens_without_its_record(pages: httpx2.AsyncClient, house: House) -> None:
    house.ledger_full = True
    answer = await pages.post(TOTP, json={"code": CODE}, headers=token_of(house))
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:gateway:problem:ledger_unavailable")
    assert house.by_bearer["tok"].proofs == ()


async def test_no_factor_says_so(pages: httpx2.AsyncClient, house: House) -> None:
    house.enrolled.clear()
    answer = await pages.post(TOTP, json={"code": CODE}, headers=token_of(house))
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:gateway:problem:no_factor")


async def test_store_down_is_503_in_page_and_problem(pages: httpx2.AsyncClient, house: House) -> None:
    headers = cookie(house.sign_in())
    house.store_down = True
    problem = await pages.post(TOTP, json={"code": CODE}, headers=headers | SAME)
    page = await pages.get("/.gateway/step-up", headers=headers | NAVIGATE)
    assert problem.status_code == page.status_code == 503
    assert problem.json()["type"] == "urn:gateway:problem:store_unavailable"
    assert page.headers["content-type"].startswith("text/html")


async def test_form_without_script_goes_on_to_the_kept_target(pages: httpx2.AsyncClient, house: House) -> None:
    flow = await house.keep("return", {"target": "/dossiers/7?q=a%20b", "host": "localhost:8080"}, 60)
    headers = cookie(house.sign_in()) | SAME | NAVIGATE
    answer = await pages.post(TOTP, data={"code": "123 456", "flow": flow}, headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/dossiers/7?q=a%20b")
    assert "__Host-gateway=" in answer.headers["set-cookie"]


async def test_form_with_a_wrong_code_comes_back_with_the_target_still_kept(
    pages: httpx2.AsyncClient, house: House
) -> None:
    flow = await house.keep("return", {"target": "/dossiers/7", "host": "localhost:8080"}, 60)
    session = cookie(house.sign_in())
    wrong = await pages.post(TOTP, data={"code": "999999", "flow": flow}, headers=session | SAME | NAVIGATE)
    assert wrong.status_code == 403
    assert (
        f'value="{flow}"' in wrong.text
        and 'aria-invalid="true"' in wrong.text
        and "The code is not right" in wrong.text
    )
    right = await pages.post(TOTP, data={"code": CODE, "flow": flow}, headers=session | SAME | NAVIGATE)
    assert right.headers["location"] == "/dossiers/7"


@pytest.mark.parametrize(
    "kept",
    [
        {"target": "//evil.example/", "host": "localhost:8080"},
        {"target": "/\\evil.example", "host": "localhost:8080"},
        {"target": "https://evil.example/", "host": "localhost:8080"},
        {"target": "/dossiers/7", "host": "other.example"},
        {"target": "/a\r\nx: y", "host": "localhost:8080"},
    ],
    ids=lambda kept: repr(kept["target"]),
)
async def test_target_stays_on_this_host(pages: httpx2.AsyncClient, house: House, kept: dict[str, object]) -> None:
    flow = await house.keep("return", kept, 60)
    headers = cookie(house.sign_in()) | SAME | NAVIGATE
    answer = await pages.post(TOTP, data={"code": CODE, "flow": flow}, headers=headers)
    assert answer.headers["location"] == "/.gateway/account"


async def test_two_credentials_are_ambiguous(pages: httpx2.AsyncClient, house: House) -> None:
    token_of(house)
    twice = {"gateway-authorization": "Bearer tok"} | cookie(house.sign_in())
    answer = await pages.post(TOTP, json={"code": CODE}, headers=twice | SAME)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:gateway:problem:ambiguous_credentials")


async def test_foreign_authorization_beside_a_credential_of_ours_is_not_ours(
    pages: httpx2.AsyncClient, house: House
) -> None:
    session = cookie(house.sign_in())
    foreign = await pages.get("/.gateway/budget", headers=session | {"authorization": "Bearer of-the-application"})
    ours = await pages.get("/.gateway/budget", headers=session | {"authorization": "Bearer gwt_x"})
    assert (foreign.status_code, ours.status_code) == (200, 400)


async def test_cookie_twice_is_ambiguous(pages: httpx2.AsyncClient, house: House) -> None:
    value = house.sign_in()
    answer = await pages.get("/.gateway/budget", headers={"cookie": f"__Host-gateway={value}; __Host-gateway={value}"})
    assert answer.status_code == 400


async def test_large_body_is_refused(pages: httpx2.AsyncClient, house: House) -> None:
    answer = await pages.post(TOTP, json={"code": "1" * 5000}, headers=token_of(house))
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b'{"code": 123456}', "application/json"),
        (b'{"nothing": "x"}', "application/json"),
        (b"code=123456&code=654321", "application/x-www-form-urlencoded"),
        (b"code", "application/x-www-form-urlencoded"),
        (b"code=\xff", "application/x-www-form-urlencoded"),
        (b'{"code": "123456"}', "text/plain"),
        (b'{"code": "123456"}', None),
    ],
)
def test_body_that_is_no_code_is_malformed(body: bytes, media_type: str | None) -> None:
    assert not isinstance(read_posted(body, media_type), Posted)


def test_spaces_in_a_code_are_people_s() -> None:
    assert read_posted(b'{"code": " 123 456 "}', "application/json; charset=utf-8") == Posted("123456", None, False)
