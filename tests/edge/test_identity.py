"""Somebody whose partner calls them by another name: nothing opens before a factor of theirs confirms it, then all."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest
import pytest_asyncio

from gateway.core.identity import Pair, State
from gateway.core.policy import PartnerRule
from gateway.edge.partner import Partner
from gateway.stores.freezes import Freezes

from .conftest import House, RunningProvider
from .test_enrol_totp import begun as totp_begun
from .test_enrol_totp import code_of, finish
from .test_invite import ask
from .test_passkeys import SAME, Somebody
from .test_sign_in import NAVIGATE, Browser, begun
from .test_signals import EVENTS, LOGOUT, SET, told

HTML = NAVIGATE | {"accept": "text/html"}
STEP_UP = "/.gateway/step-up/totp"


@pytest_asyncio.fixture
async def browser(house: House, partner: Partner, provider: RunningProvider) -> AsyncIterator[Browser]:
    """A browser at the partner's new provider; Alice, who can confirm, was known here by another issuer."""
    await house.enrol()
    async with house.client(partner) as client:
        yield Browser(client, provider)


@pytest.fixture
def new(house: House, provider: RunningProvider) -> str:
    return house.keyring.user_id(provider.issuer, "sub-alice")


@pytest_asyncio.fixture
async def carried(house: House, new: str) -> Pair:
    """Two officers have said that Alice is who she is; it has settled."""
    pair = Pair(house.user, new, house.user)
    assert await house.identities.carry(pair, partners=("agency-before", "agency")) == "carried"
    house.clock.forward(2)
    return pair


async def signed_in(browser: Browser) -> httpx2.Response:
    return await browser.get(await browser.at_the_partner(await begun(browser)))


def somebody(browser: Browser, house: House) -> Somebody:
    return Somebody(browser.pages, house, {"cookie": f"__Host-gateway={browser.cookies['__Host-gateway']}"})


async def test_an_old_factor_confirms_it_and_everything_old_ends(browser: Browser, house: House, carried: Pair) -> None:
    old_session, old_token = await house.cookie(), await house.token()
    assert (await signed_in(browser)).status_code == 303
    caller = await browser.caller(house)
    assert caller is not None and (caller.user, caller.unconfirmed) == (house.user, carried.new)
    assert await house.caller(old_session) is not None
    alice = somebody(browser, house)
    await alice.confirm_by_code()
    caller = await house.caller(alice.session)
    assert caller is not None and (caller.user, caller.unconfirmed, len(caller.proofs)) == (house.user, "", 1)
    assert (await alice.pages.get("/.gateway/account", headers=alice.session)).status_code == 200
    assert await house.caller(old_session) is None and await house.caller(old_token) is None
    assert (await house.identities.known(house.user)).state is State.GONE
    (record,) = [one for one in house.ledger if one["kind"] == "identity"]
    said = (record["event"], record["identity"], record["user"], record["caller"]["partner"])
    assert said == ("confirmed", carried.new, house.user, "agency")


async def test_of_several_that_confirm_at_once_one_goes_on(browser: Browser, house: House, carried: Pair) -> None:
    several = []
    for _ in range(3):
        browser.cookies.clear()
        await signed_in(browser)
        several.append(somebody(browser, house))
    codes = await house.recovery.issue(house.user)
    confirming = (
        one.post("/.gateway/step-up/recovery", {"code": code}) for one, code in zip(several, codes, strict=False)
    )
    statuses = [answer.status_code for answer in await asyncio.gather(*confirming)]
    assert statuses.count(200) == 1 and statuses.count(401) == 2
    callers = [await house.caller(one.session) for one in several]
    (caller,) = [one for one in callers if one is not None]
    assert statuses[callers.index(caller)] == 200 and not caller.unconfirmed


async def test_the_next_time_nobody_asks(browser: Browser, house: House, carried: Pair) -> None:
    await signed_in(browser)
    await somebody(browser, house).confirm_by_code()
    browser.cookies.clear()
    await signed_in(browser)
    caller = await browser.caller(house)
    assert caller is not None and (caller.user, caller.unconfirmed) == (house.user, "")


READ = ("account", "budget", "enrol?change", "notices", "people", "invite", "window")
DONE = ("account/end", "not-me", "notices", "people", "invite", "recovery/codes", "reason")


async def test_whoever_holds_the_new_name_alone_gets_nothing(browser: Browser, house: House, carried: Pair) -> None:
    before = await house.cookie()
    await house.recovery.issue(house.user)
    await house.invitations.invite(house.user, by="u_ref", role="referent", in_person=True)
    await house.invitations.invite(house.user, by="u_off", role="officer", in_person=True)
    await signed_in(browser)
    thief = somebody(browser, house)
    for path in READ:
        answer = await thief.pages.get(f"/.gateway/{path}", headers=thief.session)
        assert (path, answer.status_code) == (path, 401)
    for path in DONE:
        answer = await thief.pages.post(f"/.gateway/{path}", data={"until": "1"}, headers=thief.session | SAME)
        assert (path, answer.status_code) == (path, 401)
    for path in ("enrol/webauthn/options", "enrol/totp", "enrol/remove"):
        answer = await thief.pages.post(f"/.gateway/{path}", data={"factor": "f"}, headers=thief.session | SAME)
        assert (path, answer.status_code) == (path, 401)
    assert (await thief.post(STEP_UP, {"code": house.wrong_code()})).status_code == 403
    assert await house.caller(before) is not None
    assert (await house.people.standing(house.user)).closed_from is None
    assert await house.invitations.waiting(house.user) == "vouched"
    caller = await house.caller(thief.session)
    assert caller is not None and caller.proofs == () and caller.unconfirmed == carried.new


@pytest.mark.parametrize(
    ("language", "lead", "help_title", "next_step"),
    [
        ("en", "has changed how it signs you in", "It does not work?", "Ask for an invitation"),
        ("fr", "a changé sa façon de vous connecter", "Cela ne marche pas ?", "Demander une invitation"),
    ],
    ids=["en", "fr"],
)
async def test_who_fails_to_confirm_is_told_what_to_do(
    browser: Browser, house: House, carried: Pair, language: str, lead: str, help_title: str, next_step: str
) -> None:
    await signed_in(browser)
    headers = somebody(browser, house).session | HTML | SAME | {"accept-language": language}
    asked = await browser.pages.get("/.gateway/account", headers=headers)
    failed = await browser.pages.post(STEP_UP, data={"code": house.wrong_code()}, headers=headers)
    alone = await browser.pages.get("/.gateway/step-up", headers=headers)
    assert [one.status_code for one in (asked, failed, alone)] == [401, 403, 200]
    for page in (asked, failed, alone):
        assert all(words in page.text for words in (lead, help_title, next_step))
        assert "not-me" not in page.text


async def test_who_has_lost_the_old_factor_is_vouched_for_by_two_and_confirms_with_what_they_bind(
    browser: Browser, house: House, carried: Pair
) -> None:
    await signed_in(browser)
    alice = somebody(browser, house)
    request = await house.invitations.asked(await ask(alice))
    assert request is not None and (request.user, request.identity) == (house.user, carried.new)
    for by, role in (("u_ref", "referent"), ("u_off", "officer")):
        assert (await alice.pages.post("/.gateway/enrol/totp", headers=alice.session | SAME)).status_code == 401
        await house.invitations.invite(house.user, by=by, role=role, in_person=True, identity=carried.new)
    ceremony, secret = await totp_begun(alice)
    assert (await finish(alice, ceremony, code_of(secret, house))).status_code == 303
    house.clock.forward(30)
    assert (await alice.post(STEP_UP, {"code": code_of(secret, house)})).status_code == 200
    caller = await house.caller(alice.session)
    assert caller is not None and caller.unconfirmed == "" and caller.proofs[0].bound == "vouched"


async def test_an_identity_that_is_over_signs_nobody_in(browser: Browser, house: House, new: str) -> None:
    await house.identities.carry(Pair(new, house.user, new), partners=("agency", "agency-after"))
    await house.identities.confirm(house.user)
    answer = await signed_in(browser)
    assert (answer.status_code, "has been replaced" in answer.text) == (403, True)
    assert await browser.caller(house) is None
    assert house.ledger[-1]["reason"] == "identity_gone"


async def test_who_was_given_a_name_just_now_waits_two_seconds(browser: Browser, house: House, new: str) -> None:
    await house.identities.carry(Pair(house.user, new, house.user), partners=("agency", "agency"))
    answer = await signed_in(browser)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    house.clock.forward(2)
    assert (await signed_in(browser)).status_code == 303


async def test_frozen_stays_frozen_under_both_names(browser: Browser, house: House, carried: Pair) -> None:
    await Freezes(house.store, house.keyring).freeze("user", house.user, by="officer", reason="", now=house.clock.now())
    assert (await signed_in(browser)).status_code == 403
    assert await house.caller(await house.cookie()) is None


async def test_no_seat_is_taken_twice_and_nobody_is_new_by_it(browser: Browser, house: House, new: str) -> None:
    await house.seats.take("agency-before", house.user, ripe=True)
    house.policy = replace(house.policy, partners={"agency": PartnerRule(house.policy.budgets, seats=1)})
    await house.identities.carry(Pair(house.user, new, house.user), partners=("agency-before", "agency"))
    house.clock.forward(2)
    assert (await signed_in(browser)).status_code == 303
    alice = somebody(browser, house)
    await alice.confirm_by_code()
    (proof,) = await alice.proofs()
    assert proof.cooling(house.clock.now()) is None
    assert await house.seats.rows("agency-before") == []


@pytest.mark.parametrize("event", ["session-revoked", "credential-change", "logout"])
async def test_what_the_new_partner_says_reaches_nobody_before_it_is_confirmed(
    browser: Browser, house: House, carried: Pair, provider: RunningProvider, event: str
) -> None:
    session = await house.cookie()

    async def tell() -> int:
        token = await told(provider, event)
        if event == "logout":
            return (await browser.pages.post(LOGOUT, data={"logout_token": token})).status_code
        return (await browser.pages.post(EVENTS, content=token.encode(), headers=SET)).status_code

    assert await tell() in (200, 202)
    assert await house.caller(session) is not None
    await house.identities.confirm(carried.new)
    assert await tell() in (200, 202)
    assert await house.caller(session) is None


async def tell(browser: Browser, provider: RunningProvider, event: str) -> None:
    """The new partner says it of Alice."""
    token = await told(provider, event)
    if event == "logout":
        answer = await browser.pages.post(LOGOUT, data={"logout_token": token})
    else:
        answer = await browser.pages.post(EVENTS, content=token.encode(), headers=SET)
    assert answer.status_code in (200, 202)


@pytest.mark.parametrize("event", ["session-revoked", "credential-change", "logout"])
async def test_the_new_partner_ends_what_waits_to_be_confirmed_and_it_confirms_nothing(
    browser: Browser, house: House, carried: Pair, provider: RunningProvider, event: str
) -> None:
    old, under_way = await house.cookie(), await browser.at_the_partner(await begun(browser))
    flow = dict(browser.cookies)
    await signed_in(browser)
    assert await browser.caller(house) is not None
    thief = somebody(browser, house)
    house.clock.forward(1)
    await tell(browser, provider, event)
    assert await browser.caller(house) is None
    answer = await thief.post(STEP_UP, {"code": house.code()})
    assert answer.status_code == 401 and (await house.identities.known(carried.new)).unconfirmed
    browser.cookies = flow
    assert (await browser.get(under_way)).status_code == 403 and await browser.caller(house) is None
    assert await house.caller(old) is not None
    (record,) = [one for one in house.ledger if one["kind"] == "signal"]
    assert (record["sessions_ended"], record["caller"]["user"]) == (1, carried.new)


async def test_what_another_worker_has_ended_confirms_nothing(browser: Browser, house: House, carried: Pair) -> None:
    await signed_in(browser)
    alice = somebody(browser, house)
    assert (await alice.pages.get("/.gateway/step-up", headers=alice.session)).status_code == 200
    assert await house.signals.end(carried.new, None) == 1
    assert (await alice.post(STEP_UP, {"code": house.code()})).status_code == 401
    assert (await house.identities.known(carried.new)).unconfirmed


async def test_a_logout_by_session_id_ends_what_waits_to_be_confirmed_and_after_that_too(
    house: House, carried: Pair, provider: RunningProvider
) -> None:
    who = {"issuer": provider.issuer, "sub": "sub-alice", "partner": "agency", "name": "Alice", "login": "alice"}
    old = await house.sessions.open(**who, sid="s-1", user=house.user)
    cookies = [
        await house.sessions.open(**who, sid=sid, user=house.user, unconfirmed=carried.new) for sid in ("s-1", "s-2")
    ]
    first, second = ({"cookie": f"__Host-gateway={cookie}"} for cookie in cookies)
    whose = await house.signals.user_of("agency", "s-1")
    assert whose == carried.new and await house.signals.end(whose, "s-1") == 1
    assert await house.caller(first) is None and await house.caller({"cookie": f"__Host-gateway={old}"}) is not None
    waiting = await house.caller(second)
    assert waiting is not None
    await house.identities.confirm(carried.new)
    await house.sessions.settle(waiting.credential_id)
    assert await house.signals.user_of("agency", "s-2") == house.user
    assert await house.signals.end(house.user, "s-2") == 1
    assert await house.caller(second) is None


async def test_a_credential_changed_before_it_is_confirmed_lets_what_confirms_it_cool(
    browser: Browser, house: House, new: str, provider: RunningProvider
) -> None:
    await house.seats.take("agency-before", house.user, ripe=True)
    await house.identities.carry(Pair(house.user, new, house.user), partners=("agency-before", "agency"))
    house.clock.forward(2)
    await tell(browser, provider, "credential-change")
    house.clock.forward(1)
    await signed_in(browser)
    alice = somebody(browser, house)
    await alice.confirm_by_code()
    caller = await house.caller(alice.session)
    assert caller is not None and caller.proofs[0].cooling(house.clock.now()) is not None
