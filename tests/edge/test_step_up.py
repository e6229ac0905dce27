"""A code opens what it should, once, for who typed it on our own page; the ledger hears of every try."""

import asyncio
import json

import httpx2
import pytest

from gateway.core.assurance import Proof
from gateway.edge.step_up import Posted, read_posted
from gateway.stores.connection import Store

from .conftest import ORIGIN, House

SAME = {"sec-fetch-site": "same-origin"}
NAVIGATE = {"sec-fetch-mode": "navigate", "accept": "text/html"}
TOTP = "/.gateway/step-up/totp"


async def proofs_of(house: House, headers: dict[str, str]) -> tuple[Proof, ...]:
    caller = await house.caller(headers)
    assert caller is not None
    return caller.proofs


async def test_token_gets_a_proof_of_its_own(pages: httpx2.AsyncClient, house: House) -> None:
    token, sibling = await house.token(), await house.token()
    answer = await pages.post(TOTP, json={"code": house.code()}, headers=token)
    assert answer.status_code == 200
    fresh = {"personal": 28_800, "sensitive": 14_400}
    assert answer.json() == {"proof": {"kind": "totp", "verified_at": int(house.clock.now()), "fresh_for_s": fresh}}
    (proof,) = await proofs_of(house, token)
    assert (proof.user, proof.verified_at) == (house.user, house.clock.now())
    assert "set-cookie" not in answer.headers
    assert await proofs_of(house, sibling) == ()


async def test_session_gets_a_new_cookie_with_its_proof_and_the_old_one_never_has_it(
    pages: httpx2.AsyncClient, house: House
) -> None:
    before = await house.cookie()
    answer = await pages.post(TOTP, json={"code": house.code()}, headers=before | SAME)
    after = {"cookie": answer.headers["set-cookie"].split(";")[0]}
    assert answer.status_code == 200 and after != before
    assert len(await proofs_of(house, after)) == 1
    assert await proofs_of(house, before) == ()


async def test_one_code_posted_a_hundred_times_at_once_opens_once(pages: httpx2.AsyncClient, house: House) -> None:
    tokens, code = [await house.token() for _ in range(4)], house.code()
    posts = (pages.post(TOTP, json={"code": code}, headers=tokens[number % 4]) for number in range(100))
    answers = await asyncio.gather(*posts)
    assert sum(answer.status_code == 200 for answer in answers) == 1
    assert sum([len(await proofs_of(house, token)) for token in tokens]) == 1


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
    answer = await pages.post(TOTP, json={"code": house.code()}, headers=await house.cookie() | headers)
    assert answer.status_code == (200 if allowed else 403)
    assert allowed or answer.json()["type"] == "urn:gateway:problem:bad_origin"
    (record,) = house.ledger
    assert record["kind"] == ("factor" if allowed else "refusal")


async def test_machine_cannot_confirm(pages: httpx2.AsyncClient, house: House) -> None:
    headers = await house.token("machine")
    posted = await pages.post(TOTP, json={"code": house.code()}, headers=headers)
    page = await pages.get("/.gateway/step-up", headers=headers)
    assert posted.status_code == page.status_code == 403
    assert posted.json()["type"] == page.json()["type"] == "urn:gateway:problem:machine_token"
    assert await proofs_of(house, headers) == ()
    assert [record["reason"] for record in house.ledger] == ["machine_token", "machine_token"]


async def test_wrong_and_used_codes_say_so_and_are_recorded(pages: httpx2.AsyncClient, house: House) -> None:
    token, right, wrong = await house.token(), house.code(), house.wrong_code()
    answers = [await pages.post(TOTP, json={"code": code}, headers=token) for code in (wrong, right, right)]
    assert [answer.status_code for answer in answers] == [403, 200, 403]
    assert answers[0].json()["type"] == "urn:gateway:problem:code_rejected"
    assert answers[2].json()["type"] == "urn:gateway:problem:code_used"
    assert [(one["kind"], one["verdict"], one.get("reason")) for one in house.ledger] == [
        ("factor", "refusal", "code_rejected"),
        ("factor", "accepted", None),
        ("factor", "refusal", "code_used"),
    ]
    written = json.dumps([{**one, "mac": "", "prev": ""} for one in house.ledger])
    assert right not in written and wrong not in written


async def test_too_many_tries_say_how_long_to_wait(pages: httpx2.AsyncClient, house: House) -> None:
    token = await house.token()
    for _ in range(5):
        await pages.post(TOTP, json={"code": house.wrong_code()}, headers=token)
        house.clock.forward(30)
    answer = await pages.post(TOTP, json={"code": house.code()}, headers=token)
    assert (answer.status_code, answer.json()["type"]) == (429, "urn:gateway:problem:too_many_tries")
    assert int(answer.headers["retry-after"]) == answer.json()["retry_after_s"] == 900 - 5 * 30
    assert await proofs_of(house, token) == ()


async def test_what_cannot_be_a_code_is_no_try(pages: httpx2.AsyncClient, house: House) -> None:
    token = await house.token()
    for typed in ("12345", "1234567", "abcdef", "１２３４５６", "") * 2:
        assert (await pages.post(TOTP, json={"code": typed}, headers=token)).status_code == 403
    assert (await pages.post(TOTP, json={"code": house.code()}, headers=token)).status_code == 200


async def test_success_is_recorded_with_who_and_what(pages: httpx2.AsyncClient, house: House) -> None:
    token = await house.token()
    answer = await pages.post(TOTP, json={"code": house.code()}, headers=token)
    (record,) = house.ledger
    caller = await house.caller(token)
    assert caller is not None
    assert record["ref"] == answer.headers["x-gateway-reference"]
    assert record["caller"] == {
        "user": house.user,
        "partner": "agency",
        "credential": caller.credential_id,
        "credential_kind": "token",
        "client": "127.0.0.1",
    }
    assert record["proof"]["credential"].startswith("f_")


async def test_nothing_opens_without_its_record(pages: httpx2.AsyncClient, house: House) -> None:
    token = await house.token()
    await house.records.aclose()
    answer = await pages.post(TOTP, json={"code": house.code()}, headers=token)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:gateway:problem:ledger_unavailable")
    assert await proofs_of(house, token) == ()


async def test_no_factor_says_so(house: House) -> None:
    async with house.client() as pages:
        answer = await pages.post(TOTP, json={"code": house.code()}, headers=await house.token())
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:gateway:problem:no_factor")


async def test_token_revoked_meanwhile_gets_no_proof(pages: httpx2.AsyncClient, house: House) -> None:
    token = await house.token()
    await pages.get("/.gateway/budget", headers=token)
    caller = await house.caller(token)
    assert caller is not None and await house.tokens.revoke(caller.credential_id)
    answer = await pages.post(TOTP, json={"code": house.code()}, headers=token)
    assert answer.status_code == 401


async def test_store_down_is_503_in_page_and_problem(house: House) -> None:
    headers = await house.cookie()
    async with house.client(store=Store("unix:///nowhere/s")) as pages:
        problem = await pages.post(TOTP, json={"code": house.code()}, headers=headers | SAME)
        page = await pages.get("/.gateway/step-up", headers=headers | NAVIGATE)
    assert problem.status_code == page.status_code == 503
    assert problem.json()["type"] == "urn:gateway:problem:store_unavailable"
    assert page.headers["content-type"].startswith("text/html")


async def test_form_without_script_goes_on_to_the_kept_target(pages: httpx2.AsyncClient, house: House) -> None:
    flow = await house.keep_target("/dossiers/7?q=a%20b")
    headers = await house.cookie() | SAME | NAVIGATE
    answer = await pages.post(
        TOTP, data={"code": f"{house.code()[:3]} {house.code()[3:]}", "flow": flow}, headers=headers
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/dossiers/7?q=a%20b")
    assert "__Host-gateway=" in answer.headers["set-cookie"]


async def test_form_with_a_wrong_code_comes_back_with_the_target_still_kept(
    pages: httpx2.AsyncClient, house: House
) -> None:
    flow = await house.keep_target()
    session = await house.cookie()
    wrong = await pages.post(TOTP, data={"code": house.wrong_code(), "flow": flow}, headers=session | SAME | NAVIGATE)
    assert wrong.status_code == 403
    assert (
        f'value="{flow}"' in wrong.text
        and 'aria-invalid="true"' in wrong.text
        and "The code is not right" in wrong.text
    )
    right = await pages.post(TOTP, data={"code": house.code(), "flow": flow}, headers=session | SAME | NAVIGATE)
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
async def test_target_stays_on_this_host(pages: httpx2.AsyncClient, house: House, kept: dict[str, str]) -> None:
    flow = await house.keep_target(**kept)
    headers = await house.cookie() | SAME | NAVIGATE
    answer = await pages.post(TOTP, data={"code": house.code(), "flow": flow}, headers=headers)
    assert answer.headers["location"] == "/.gateway/account"


async def test_two_credentials_are_ambiguous(pages: httpx2.AsyncClient, house: House) -> None:
    token = await house.token()
    twice = {"gateway-authorization": token["authorization"]} | await house.cookie()
    answer = await pages.post(TOTP, json={"code": house.code()}, headers=twice | SAME)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:gateway:problem:ambiguous_credentials")


async def test_foreign_authorization_beside_a_credential_of_ours_is_not_ours(
    pages: httpx2.AsyncClient, house: House
) -> None:
    session = await house.cookie()
    foreign = await pages.get("/.gateway/budget", headers=session | {"authorization": "Bearer of-the-application"})
    ours = await pages.get("/.gateway/budget", headers=session | {"authorization": "Bearer gwt_x"})
    assert (foreign.status_code, ours.status_code) == (200, 400)


async def test_cookie_twice_is_ambiguous(pages: httpx2.AsyncClient, house: House) -> None:
    value = await house.sign_in()
    answer = await pages.get("/.gateway/budget", headers={"cookie": f"__Host-gateway={value}; __Host-gateway={value}"})
    assert answer.status_code == 400


async def test_large_body_is_refused(pages: httpx2.AsyncClient, house: House) -> None:
    answer = await pages.post(TOTP, json={"code": "1" * 5000}, headers=await house.token())
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
