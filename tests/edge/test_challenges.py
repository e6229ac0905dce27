"""What is asked by name: seen by its own person, confirmed with what would open it, for one credential and answer."""

from base64 import urlsafe_b64decode
from dataclasses import replace

import httpx2
import pytest
from authenticator import Authenticator

from gateway.core.assurance import Act, Challenge
from gateway.core.extraction import Class
from gateway.core.policy import ClassRule

from .conftest import ORIGIN, House
from .test_passkeys import NAVIGATE, SAME, STEP_UP, Somebody

ACT = Act("the request", Class.RESTRICTED, 200)


@pytest.fixture
async def bound(pages: httpx2.AsyncClient, house: House) -> tuple[Somebody, Authenticator, str]:
    """Alice with a key, who was asked to confirm one answer."""
    alice, key = Somebody(pages, house, await house.cookie()), Authenticator(ORIGIN)
    await alice.confirm_by_code()
    assert (await alice.add(key)).status_code == 200
    alice.session = await house.cookie()
    rules = {**alice.house.policy.classes, Class.RESTRICTED: ClassRule(Class.RESTRICTED, ("webauthn",), 300, bind=True)}
    alice.house.policy = replace(alice.house.policy, classes=rules)
    return alice, key, await offered(alice.house, alice.session)


async def offered(house: House, session: dict[str, str], credential: str = "session") -> str:
    caller = await house.caller(session)
    assert caller is not None
    label = {"en": "Export of health", "fr": "Export santé"}
    return await house.challenges.offer(
        Challenge(house.user, caller.credential_id, credential, "script", "restricted", "jobs", "export", label, ACT)
    )


async def test_what_the_authenticator_signs_covers_the_one_answer(bound: tuple[Somebody, Authenticator, str]) -> None:
    alice, _, name = bound
    plain, named = [(await alice.post(f"{STEP_UP}/options", said)).json() for said in ({}, {"challenge": name})]
    sizes = [len(urlsafe_b64decode(one["publicKey"]["challenge"] + "==")) for one in (plain, named)]
    assert sizes == [32, 64]


async def test_a_touch_makes_a_proof_for_that_answer_and_the_name_is_over(
    bound: tuple[Somebody, Authenticator, str],
) -> None:
    alice, key, name = bound
    asked = [(await alice.post(f"{STEP_UP}/options", {"challenge": name})).json() for _ in range(2)]
    answers = [{"ceremony": one["ceremony"], "credential": key.sign(one["publicKey"])} for one in asked]
    made = await alice.post(f"{STEP_UP}/verify", answers[0])
    assert made.json()["proof"]["fresh_for_s"] == {"restricted": 300}
    (proof,) = await alice.proofs()
    assert (proof.kind, proof.act) == ("webauthn", ACT)
    assert (await alice.post(f"{STEP_UP}/verify", answers[1])).status_code == 404


async def test_a_kind_that_would_not_open_it_burns_no_code(bound: tuple[Somebody, Authenticator, str]) -> None:
    alice, _, name = bound
    code = {"code": alice.house.code(), "challenge": name}
    alice.house.clock.forward(30)
    code["code"] = alice.house.code()
    refused = await alice.post("/.gateway/step-up/totp", code)
    assert (refused.status_code, refused.json()["kinds"]) == (401, ["webauthn"])
    assert (await alice.post("/.gateway/step-up/totp", {"code": code["code"]})).status_code == 200


async def test_another_session_of_the_same_person_does_not_confirm_it(
    bound: tuple[Somebody, Authenticator, str],
) -> None:
    alice, _, name = bound
    alice.session = await alice.house.cookie()
    assert (await alice.post(f"{STEP_UP}/options", {"challenge": name})).status_code == 404
    page = await alice.pages.get(f"/.gateway/step-up?code={name}", headers=alice.session | NAVIGATE)
    assert page.status_code == 404


@pytest.mark.parametrize(("language", "words"), [("en", "Export of health"), ("fr", "Export santé")])
async def test_the_page_says_what_leaves_how_much_and_for_whom(
    bound: tuple[Somebody, Authenticator, str], language: str, words: str
) -> None:
    alice, _, name = bound
    headers = alice.session | NAVIGATE | {"accept-language": language}
    page = await alice.pages.get(f"/.gateway/step-up?code={name}", headers=headers)
    assert all(said in page.text for said in (words, "200", "Agence Nord"))
    assert 'name="code"' not in page.text


async def test_an_owner_confirms_for_a_program_with_a_passkey(bound: tuple[Somebody, Authenticator, str]) -> None:
    alice, key, _ = bound
    token = await alice.house.token()
    name = await offered(alice.house, token, "token")
    page = await alice.pages.get(f"/.gateway/step-up?code={name}", headers=alice.session | NAVIGATE)
    assert page.status_code == 200 and "script" in page.text
    asked = (await alice.post(f"{STEP_UP}/options", {"challenge": name})).json()
    answer = {"ceremony": asked["ceremony"], "credential": key.sign(asked["publicKey"])}
    assert (await alice.post(f"{STEP_UP}/verify", answer)).status_code == 200
    caller = await alice.house.caller(token)
    assert caller is not None
    assert [(proof.kind, proof.act) for proof in caller.proofs] == [("webauthn", ACT)]
    assert await alice.proofs() == ()
    assert [one["token"] for one in alice.house.ledger if one.get("reason") == "confirmed_for_token"] == [
        caller.credential_id
    ]


async def test_a_program_does_not_confirm_what_a_session_was_asked(bound: tuple[Somebody, Authenticator, str]) -> None:
    alice, _, name = bound
    token = await alice.house.token()
    answer = await alice.pages.post(
        "/.gateway/step-up/totp", json={"code": alice.house.code(), "challenge": name}, headers=token | SAME
    )
    assert answer.status_code == 404
