"""A passkey opens what it should, once, where and for whom it was asked; changing what one confirms with is harder."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from authenticator import PRESENT, Authenticator

from gateway.core import decide
from gateway.core.assurance import Proof
from gateway.core.extraction import Class
from gateway.core.reasons import Reason, Refusal
from gateway.stores.connection import Store

from .conftest import ORIGIN, House

SAME = {"sec-fetch-site": "same-origin"}
NAVIGATE = {"sec-fetch-mode": "navigate", "accept": "text/html"}
STEP_UP, ENROL = "/.gateway/step-up/webauthn", "/.gateway/enrol/webauthn"
DAY_S = 86_400


@dataclass
class Somebody:
    """Alice at a browser."""

    pages: httpx2.AsyncClient
    house: House
    session: dict[str, str]

    async def post(self, path: str, body: Any = None, **more: str) -> httpx2.Response:
        answer = await self.pages.post(path, json=body or {}, headers=self.session | SAME | more)
        if "set-cookie" in answer.headers:
            self.session = {"cookie": answer.headers["set-cookie"].split(";")[0]}
        return answer

    async def confirm_by_code(self) -> None:
        assert (await self.post("/.gateway/step-up/totp", {"code": self.house.code()})).status_code == 200

    async def add(self, key: Authenticator, name: str = "blue key") -> httpx2.Response:
        asked = (await self.post(f"{ENROL}/options")).json()
        answer = {"ceremony": asked["ceremony"], "credential": key.make(asked["publicKey"]), "name": name}
        return await self.post(f"{ENROL}/verify", answer)

    async def asked(self) -> dict[str, Any]:
        return dict((await self.post(f"{STEP_UP}/options")).json())

    async def touch(self, key: Authenticator) -> httpx2.Response:
        asked = await self.asked()
        return await self.post(
            f"{STEP_UP}/verify", {"ceremony": asked["ceremony"], "credential": key.sign(asked["publicKey"])}
        )

    async def proofs(self) -> tuple[Proof, ...]:
        caller = await self.house.caller(self.session)
        assert caller is not None
        return caller.proofs


@pytest.fixture
async def alice(pages: httpx2.AsyncClient, house: House) -> Somebody:
    return Somebody(pages, house, await house.cookie())


@pytest.fixture
async def keyed(alice: Somebody) -> tuple[Somebody, Authenticator]:
    """Alice, not confirmed, with a key that is ripe."""
    key = Authenticator(ORIGIN)
    await alice.confirm_by_code()
    assert (await alice.add(key)).status_code == 200
    alice.session = await alice.house.cookie()
    return alice, key


async def test_who_has_confirmed_adds_a_key_and_confirms_with_it(alice: Somebody) -> None:
    key = Authenticator(ORIGIN)
    await alice.confirm_by_code()
    added = await alice.add(key)
    assert added.status_code == 200 and added.json()["name"] == "blue key"
    alice.session = await alice.house.cookie()
    answer = await alice.touch(key)
    assert answer.status_code == 200
    told = answer.json()["proof"]
    assert (told["kind"], told["fresh_for_s"]) == ("webauthn", {"restricted": 300})
    (proof,) = await alice.proofs()
    assert (proof.kind, proof.factor_id, proof.bound) == ("webauthn", added.json()["factor"], "coded")
    assert [one.get("reason") for one in alice.house.ledger if one["kind"] == "factor"].count("factor_bound") == 1


async def test_nobody_adds_a_key_who_has_not_just_confirmed(alice: Somebody) -> None:
    assert (await alice.post(f"{ENROL}/options")).status_code == 401
    await alice.confirm_by_code()
    asked = (await alice.post(f"{ENROL}/options")).json()
    alice.house.clock.forward(301)
    answer = {"ceremony": asked["ceremony"], "credential": Authenticator(ORIGIN).make(asked["publicKey"])}
    assert (await alice.post(f"{ENROL}/verify", answer)).status_code == 401
    assert await alice.house.passkeys.of(alice.house.user) == ()


async def test_a_key_of_less_than_two_days_changes_nothing(keyed: tuple[Somebody, Authenticator]) -> None:
    alice, key = keyed
    assert (await alice.touch(key)).status_code == 200
    assert (await alice.post(f"{ENROL}/options")).status_code == 401
    alice.house.clock.forward(2 * DAY_S)
    alice.session = await alice.house.cookie()
    assert (await alice.touch(key)).status_code == 200
    assert (await alice.post(f"{ENROL}/options")).status_code == 200


async def test_a_key_opens_for_two_days_what_added_it_and_then_all_and_adds_a_ripe_one(
    keyed: tuple[Somebody, Authenticator],
) -> None:
    alice, key = keyed
    policy, now = alice.house.policy, alice.house.clock.now
    assert (await alice.touch(key)).status_code == 200
    caller = await alice.house.caller(alice.session)
    assert caller is not None
    young = decide.standing(policy, caller, Class.RESTRICTED, now())
    assert isinstance(young, Refusal) and young.reason is Reason.FACTOR_COOLING
    alice.house.clock.forward(2 * DAY_S)
    alice.session = await alice.house.cookie()
    await alice.touch(key)
    caller = await alice.house.caller(alice.session)
    assert caller is not None
    assert isinstance(decide.standing(policy, caller, Class.RESTRICTED, now()), decide.Standing)
    await alice.add(Authenticator(ORIGIN), "second")
    assert sorted(one.bound for one in await alice.house.passkeys.of(alice.house.user)) == ["coded", "own"]


async def test_a_key_added_under_a_recovery_code_cools_too_and_removes_nothing(
    keyed: tuple[Somebody, Authenticator],
) -> None:
    alice, _ = keyed
    code = (await alice.house.recovery.issue(alice.house.user))[0]
    assert (await alice.post("/.gateway/step-up/recovery", {"code": code})).status_code == 200
    new = Authenticator(ORIGIN)
    assert (await alice.add(new, "new")).status_code == 200
    (first, second) = await alice.house.passkeys.of(alice.house.user)
    assert {first.bound, second.bound} == {"coded", "remote"}
    alice.session = await alice.house.cookie()
    await alice.touch(new)
    assert [one.bound for one in await alice.proofs()] == ["remote"]
    removed = await alice.pages.post(
        "/.gateway/enrol/remove", data={"factor": first.factor_id}, headers=alice.session | SAME
    )
    assert removed.status_code == 401
    assert len(await alice.house.passkeys.of(alice.house.user)) == 2


async def test_one_challenge_answered_a_hundred_times_at_once_opens_once(
    keyed: tuple[Somebody, Authenticator],
) -> None:
    alice, key = keyed
    token = await alice.house.token()
    asked = (await alice.pages.post(f"{STEP_UP}/options", headers=token)).json()
    answer = {"ceremony": asked["ceremony"], "credential": key.sign(asked["publicKey"])}
    answers = await asyncio.gather(
        *(alice.pages.post(f"{STEP_UP}/verify", json=answer, headers=token) for _ in range(100))
    )
    assert sorted(one.status_code for one in answers) == [200] + [403] * 99
    caller = await alice.house.caller(token)
    assert caller is not None and len(caller.proofs) == 1


async def test_a_challenge_is_good_for_who_asked_alone(keyed: tuple[Somebody, Authenticator]) -> None:
    alice, key = keyed
    asked = await alice.asked()
    alice.session = await alice.house.cookie()
    answer = {"ceremony": asked["ceremony"], "credential": key.sign(asked["publicKey"])}
    refused = await alice.post(f"{STEP_UP}/verify", answer)
    assert refused.json()["type"].endswith("ceremony_over")
    assert await alice.proofs() == ()


async def test_a_challenge_to_add_is_none_to_confirm(keyed: tuple[Somebody, Authenticator]) -> None:
    alice, key = keyed
    alice.house.clock.forward(30)
    await alice.confirm_by_code()
    asked = (await alice.post(f"{ENROL}/options")).json()
    answer = {"ceremony": asked["ceremony"], "credential": key.sign(asked["publicKey"])}
    assert (await alice.post(f"{STEP_UP}/verify", answer)).json()["type"].endswith("ceremony_over")


async def test_a_challenge_ends_after_five_minutes(keyed: tuple[Somebody, Authenticator]) -> None:
    alice, key = keyed
    asked = await alice.asked()
    alice.house.clock.forward(301)
    answer = {"ceremony": asked["ceremony"], "credential": key.sign(asked["publicKey"])}
    assert (await alice.post(f"{STEP_UP}/verify", answer)).json()["type"].endswith("ceremony_over")


@pytest.mark.parametrize("wrong", [{"flags": PRESENT}, {"origin": "http://evil.example"}, {"party": "evil.example"}])
async def test_what_is_wrong_opens_nothing_and_is_recorded(
    keyed: tuple[Somebody, Authenticator], wrong: dict[str, Any]
) -> None:
    alice, key = keyed
    for name, value in wrong.items():
        setattr(key, name, value)
    answer = await alice.touch(key)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:gateway:problem:passkey_rejected")
    assert await alice.proofs() == ()
    assert alice.house.ledger[-1]["reason"] == "passkey_rejected"


async def test_anothers_key_opens_nothing(keyed: tuple[Somebody, Authenticator]) -> None:
    alice, _ = keyed
    assert (await alice.touch(Authenticator(ORIGIN))).json()["type"].endswith("passkey_rejected")


async def test_a_cloned_key_is_refused_and_raises_an_alarm(keyed: tuple[Somebody, Authenticator]) -> None:
    alice, key = keyed
    key.count = 9
    assert (await alice.touch(key)).status_code == 200
    alice.session = await alice.house.cookie()
    key.count = 8
    assert (await alice.touch(key)).json()["type"].endswith("passkey_rejected")
    assert await alice.proofs() == ()
    alarms = [one["reason"] for one in alice.house.ledger if one["kind"] == "alarm"]
    assert alarms == ["signature_counter_went_back"]


async def test_without_a_passkey_the_answer_says_so(alice: Somebody) -> None:
    assert (await alice.post(f"{STEP_UP}/options")).json()["type"].endswith("no_passkey")


@pytest.mark.parametrize("path", [f"{STEP_UP}/options", f"{STEP_UP}/verify", f"{ENROL}/options", f"{ENROL}/verify"])
async def test_another_site_begins_no_ceremony(alice: Somebody, path: str) -> None:
    await alice.confirm_by_code()
    answer = await alice.pages.post(path, json={}, headers=alice.session | {"sec-fetch-site": "cross-site"})
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:gateway:problem:bad_origin")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"ceremony": 1, "credential": {}}', b"[" * 20_000, b'"x"'])
async def test_what_cannot_be_read_is_a_400(keyed: tuple[Somebody, Authenticator], body: bytes) -> None:
    alice, _ = keyed
    kind = {"content-type": "application/json"}
    answer = await alice.pages.post(f"{STEP_UP}/verify", content=body, headers=alice.session | SAME | kind)
    assert answer.status_code == 400


async def test_the_page_lists_keys_and_takes_one_away(keyed: tuple[Somebody, Authenticator]) -> None:
    alice, _ = keyed
    alice.house.clock.forward(3 * DAY_S)
    alice.session = await alice.house.cookie()
    page = await alice.pages.get("/.gateway/enrol", headers=alice.session | NAVIGATE)
    assert "blue key" in page.text and "/.gateway/enrol/remove" not in page.text
    await alice.confirm_by_code()
    page = await alice.pages.get("/.gateway/enrol", headers=alice.session | NAVIGATE)
    assert "/.gateway/enrol/remove" in page.text and "passkey-add" in page.text
    (one,) = await alice.house.passkeys.of(alice.house.user)
    gone = await alice.pages.post(
        "/.gateway/enrol/remove", data={"factor": one.factor_id}, headers=alice.session | SAME
    )
    assert gone.status_code == 303
    assert await alice.house.passkeys.of(alice.house.user) == ()
    assert alice.house.ledger[-1]["reason"] == "factor_removed"


async def removed(alice: Somebody, factor_id: str) -> httpx2.Response:
    return await alice.pages.post("/.gateway/enrol/remove", data={"factor": factor_id}, headers=alice.session | SAME)


async def test_a_key_that_was_taken_away_opens_nothing_more(keyed: tuple[Somebody, Authenticator]) -> None:
    alice, key = keyed
    alice.house.clock.forward(3 * DAY_S)
    alice.session = await alice.house.cookie()
    assert (await alice.touch(key)).status_code == 200
    elsewhere = Somebody(alice.pages, alice.house, await alice.house.cookie())
    await elsewhere.confirm_by_code()
    (one,) = await alice.house.passkeys.of(alice.house.user)
    assert (await removed(elsewhere, one.factor_id)).status_code == 303
    assert await alice.proofs() == ()
    assert (await alice.post(f"{ENROL}/options")).status_code == 401
    assert [proof.kind for proof in await elsewhere.proofs()] == ["totp"]


async def test_who_begins_to_add_a_key_and_is_taken_away_meanwhile_adds_none(
    keyed: tuple[Somebody, Authenticator],
) -> None:
    alice, key = keyed
    alice.house.clock.forward(3 * DAY_S)
    alice.session = await alice.house.cookie()
    assert (await alice.touch(key)).status_code == 200
    asked = (await alice.post(f"{ENROL}/options")).json()
    (one,) = await alice.house.passkeys.of(alice.house.user)
    assert await alice.house.passkeys.remove(alice.house.user, one) == "removed"
    answer = {"ceremony": asked["ceremony"], "credential": Authenticator(ORIGIN).make(asked["publicKey"])}
    assert (await alice.post(f"{ENROL}/verify", answer)).status_code == 401
    assert await alice.house.passkeys.of(alice.house.user) == ()


async def test_a_page_is_told_what_there_is_to_confirm_with(alice: Somebody) -> None:
    before = len(alice.house.ledger)
    assert (await alice.pages.get("/.gateway/step-up/ways", headers=alice.session)).json() == {"kinds": ["totp"]}
    assert (await alice.pages.get("/.gateway/step-up/ways")).status_code == 401
    assert len(alice.house.ledger) == before
    await alice.confirm_by_code()
    await alice.add(Authenticator(ORIGIN))
    told = await alice.pages.get("/.gateway/step-up/ways", headers=alice.session)
    assert told.json() == {"kinds": ["totp", "webauthn"]}


@pytest.mark.parametrize("body", [b"factor", b"a=1&b=2&c=3&d=4&e=5", b"factor=\xe9"])
async def test_a_form_that_cannot_be_read_removes_nothing(keyed: tuple[Somebody, Authenticator], body: bytes) -> None:
    alice, _ = keyed
    alice.house.clock.forward(30)
    await alice.confirm_by_code()
    answer = await alice.pages.post("/.gateway/enrol/remove", content=body, headers=alice.session | SAME)
    assert answer.status_code == 400
    assert len(await alice.house.passkeys.of(alice.house.user)) == 1


async def test_the_page_asks_to_confirm_in_place_and_never_in_vain(alice: Somebody) -> None:
    async def look() -> httpx2.Response:
        return await alice.pages.get("/.gateway/enrol?change", headers=alice.session | NAVIGATE)

    answer = await look()
    assert answer.status_code == 401 and 'data-after="reload"' in answer.text
    await alice.confirm_by_code()
    assert "passkey-add" in (await look()).text
    key = Authenticator(ORIGIN)
    await alice.add(key)
    alice.session = await alice.house.cookie()
    await alice.touch(key)  # too young to change anything: asking again would open nothing
    answer = await look()
    assert answer.status_code == 200 and "passkey-add" not in answer.text


async def test_no_key_opens_or_is_bound_without_its_record(keyed: tuple[Somebody, Authenticator]) -> None:
    alice, key = keyed
    alice.house.clock.forward(30)
    await alice.confirm_by_code()
    before = await alice.proofs()
    asked = (await alice.post(f"{ENROL}/options")).json()
    to_confirm = await alice.asked()
    await alice.house.records.aclose()
    made = {"ceremony": asked["ceremony"], "credential": Authenticator(ORIGIN).make(asked["publicKey"])}
    signed = {"ceremony": to_confirm["ceremony"], "credential": key.sign(to_confirm["publicKey"])}
    (held,) = await alice.house.passkeys.of(alice.house.user)
    answers = [
        await alice.post(f"{ENROL}/verify", made),
        await alice.post(f"{STEP_UP}/verify", signed),
        await removed(alice, held.factor_id),
    ]
    assert [answer.status_code for answer in answers] == [503] * 3
    assert await alice.house.passkeys.of(alice.house.user) == (held,)
    assert await alice.proofs() == before


@pytest.mark.parametrize(
    "path", [f"{STEP_UP}/options", f"{STEP_UP}/verify", f"{ENROL}/verify", "/.gateway/enrol/remove"]
)
async def test_a_lost_store_begins_and_ends_no_ceremony(house: House, path: str) -> None:
    headers = await house.cookie()
    async with house.client(store=Store("unix:///nowhere/s")) as pages:
        answer = await pages.post(path, json={}, headers=headers | SAME)
    assert answer.json()["type"] == "urn:gateway:problem:store_unavailable"


async def test_a_browser_remembers_how_its_person_confirmed_last(pages: httpx2.AsyncClient, house: House) -> None:
    cookie, key, code = await house.cookie(), Authenticator(ORIGIN), "/.gateway/step-up/totp"
    answer = await pages.post(code, json={"code": house.code()}, headers=cookie | SAME)
    session, way = answer.headers.get_list("set-cookie")
    assert way == "gateway_way=totp; Path=/; SameSite=Lax; Max-Age=31536000"
    alice = Somebody(pages, house, {"cookie": session.split(";")[0]})
    await alice.add(key)
    assert (await alice.touch(key)).headers.get_list("set-cookie")[1].startswith("gateway_way=webauthn;")
    spare = {"code": (await house.recovery.issue(house.user))[0]}
    assert "gateway_way" not in (await alice.post("/.gateway/step-up/recovery", spare)).headers["set-cookie"]
    house.clock.forward(30)
    token = await pages.post(code, json={"code": house.code()}, headers=await house.token())
    assert token.status_code == 200 and "set-cookie" not in token.headers
