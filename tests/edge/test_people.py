"""The people page: who may look, who may act, on whom, and nothing without a confirmation and a record."""

from dataclasses import replace

import httpx2
import pytest

from gateway.core.policy import RoleRule
from gateway.factors.totp import Oath
from gateway.stores.closures import Closures
from gateway.stores.factors import Factors

from .conftest import ISSUER, House
from .test_invite import INVITE, NAVIGATE, ask, confirming, session_of, user
from .test_passkeys import SAME, Somebody

PEOPLE = "/.gateway/people"
BY_LOGIN = {"login": "sub-lea", "partner": "agency"}
ALL = ("end", "start", "freeze", "unfreeze", "reopen")


def name(house: House, *roles: str, sub: str = "sub-alice", serves: str = "agency") -> None:
    more = tuple(RoleRule(role, "agency", sub, (serves,)) for role in roles)
    house.policy = replace(house.policy, roles=(*house.policy.roles, *more))


@pytest.fixture
async def alice(pages: httpx2.AsyncClient, house: House) -> Somebody:
    """Alice has just confirmed; which role she has, each test says."""
    alice = Somebody(pages, house, await house.cookie())
    await alice.confirm_by_code()
    return alice


@pytest.fixture
async def lea(pages: httpx2.AsyncClient, house: House) -> Somebody:
    """Somebody new, without a factor."""
    return Somebody(pages, house, await session_of(house, "sub-lea"))


async def look(who: Somebody, said: dict[str, str], **headers: str) -> httpx2.Response:
    return await who.pages.post(PEOPLE, data=said, headers=who.session | SAME | NAVIGATE | headers)


async def do(who: Somebody, act: str, whom: Somebody, **said: str) -> httpx2.Response:
    return await look(who, {**(said or BY_LOGIN), "act": act, "user": await user(whom)})


def reasons(house: House) -> list[object]:
    return [one.get("reason") for one in house.ledger]


@pytest.mark.parametrize("role", ["help_desk", "officer", "dpo", "auditor"])
async def test_who_has_the_role_sees_how_somebody_stands_and_it_is_recorded(
    alice: Somebody, lea: Somebody, role: str
) -> None:
    name(alice.house, role)
    assert "Find the person" in (await alice.pages.get(PEOPLE, headers=alice.session | NAVIGATE)).text
    page = (await look(alice, BY_LOGIN)).text
    assert await user(lea) in page and "Agence Nord" in page and "no way to confirm yet" in page
    (seen,) = [one for one in alice.house.ledger if one.get("reason") == "user_seen"]
    assert (seen["user"], seen["role"]) == (await user(lea), role)
    by_code = (await look(alice, {"code": await ask(lea)})).text
    assert "Name of sub-lea" in by_code


@pytest.mark.parametrize("role", ["referent", "operator", None])
async def test_nobody_else_sees_anybody(alice: Somebody, lea: Somebody, role: str | None) -> None:
    if role:
        name(alice.house, role)
    assert (await alice.pages.get(PEOPLE, headers=alice.session)).json()["type"].endswith("role_required")
    answer = await look(alice, BY_LOGIN)
    assert answer.status_code == 403 and await user(lea) not in answer.text
    assert reasons(alice.house)[-2:] == ["role_required", "role_required"]


async def test_a_token_of_theirs_sees_nobody(alice: Somebody, lea: Somebody, house: House) -> None:
    name(house, "officer")
    token = await house.token()
    await alice.pages.post("/.gateway/step-up/totp", json={"code": house.code()}, headers=token)
    for answer in (
        await alice.pages.get(PEOPLE, headers=token),
        await alice.pages.post(PEOPLE, data=BY_LOGIN, headers=token),
    ):
        assert answer.json()["type"].endswith("role_required")


@pytest.mark.parametrize("said", [BY_LOGIN | {"login": "sub-alice"}, {"login": "alice", "partner": "agency"}])
async def test_nobody_is_found_who_is_oneself_or_unknown(alice: Somebody, lea: Somebody, said: dict[str, str]) -> None:
    name(alice.house, "officer")
    answer = await look(alice, said)
    assert answer.status_code == 403 and "Nobody is found" in answer.text


async def test_of_two_who_say_one_login_both_are_shown_and_one_is_chosen_by_account(
    alice: Somebody, pages: httpx2.AsyncClient, house: House
) -> None:
    name(house, "officer")
    both = []
    for sub in ("sub-camille", "sub-mallory"):
        who = {"issuer": ISSUER, "sub": sub, "partner": "agency", "name": f"Name of {sub}"}
        cookie = await house.sessions.open(**who, login="camille")
        both.append(Somebody(pages, house, {"cookie": f"__Host-gateway={cookie}"}))
        house.clock.forward(130)
    camille, mallory = both
    users = [await user(one) for one in both]
    said = {"login": "camille", "partner": "agency"}
    for several in (said, said | {"act": "freeze"}):
        page = (await look(alice, several)).text
        for one, sub, ago in zip(
            users, ("sub-camille", "sub-mallory"), ("5\u00a0minutes ago", "3\u00a0minutes ago"), strict=True
        ):
            assert f'name="user" value="{one}"' in page
            assert f"<dd>Name of {sub}</dd>" in page and f"<dd>{sub}</dd>" in page and page.count(ago) == 2
    assert reasons(house)[-4:] == ["user_seen"] * 4 and {one["user"] for one in house.ledger[-4:]} == set(users)
    assert not any([(await house.people.standing(one)).frozen for one in users])
    assert users[0] in (chosen := (await look(alice, said | {"user": users[0]})).text) and users[1] not in chosen
    assert (await look(alice, said | {"user": await user(alice)})).status_code == 403
    assert "stopped, everywhere" in (await do(alice, "freeze", mallory, **said)).text
    assert [(await house.people.standing(one)).frozen for one in users] == [False, True]
    assert await house.caller(camille.session) is not None


async def test_who_says_the_login_of_whoever_looks_is_shown_alone(alice: Somebody, house: House) -> None:
    name(house, "officer")
    await house.sessions.open(issuer=ISSUER, sub="sub-mallory", partner="agency", name="Alice Martin", login="alice")
    page = (await look(alice, {"login": "alice", "partner": "agency"})).text
    assert house.keyring.user_id(ISSUER, "sub-mallory") in page and house.user not in page


async def test_the_help_desk_sees_its_own_partners_people_alone(alice: Somebody, pages: httpx2.AsyncClient) -> None:
    name(alice.house, "help_desk")
    stranger = Somebody(pages, alice.house, await session_of(alice.house, "sub-max", "mission"))
    form = (await alice.pages.get(PEOPLE, headers=alice.session | NAVIGATE)).text
    assert "Agence Nord" in form and "Mission locale" not in form
    for said in ({"login": "sub-max", "partner": "mission"}, {"code": await ask(stranger)}):
        for act in ({}, {"act": "end", "user": await user(stranger)}):
            answer = await look(alice, said | act)
            assert answer.status_code == 403 and await user(stranger) not in answer.text
    assert await alice.house.caller(stranger.session) is not None


async def test_looking_needs_a_confirmation_of_this_half_day_and_a_change_one_of_five_minutes(
    alice: Somebody, lea: Somebody
) -> None:
    name(alice.house, "officer")
    alice.house.clock.forward(301)
    assert (await look(alice, BY_LOGIN)).status_code == 200
    for act in ALL:
        assert (await do(alice, act, lea)).status_code == 401
    assert not (await alice.house.people.standing(await user(lea))).frozen
    assert await alice.house.caller(lea.session) is not None
    alice.house.clock.forward(4 * 3600)
    alice.session = await alice.house.cookie()
    assert (await look(alice, BY_LOGIN)).status_code == 401
    assert (await alice.pages.get(PEOPLE, headers=alice.session | NAVIGATE)).status_code == 401


async def test_a_recovery_code_is_no_confirmation_for_this(pages: httpx2.AsyncClient, house: House) -> None:
    name(house, "officer")
    alice = Somebody(pages, house, await house.cookie())
    code = (await house.recovery.issue(house.user))[0]
    assert (await alice.post("/.gateway/step-up/recovery", {"code": code})).status_code == 200
    assert (await look(alice, BY_LOGIN)).status_code == 401


@pytest.mark.parametrize("act", ["", "end", "freeze"])
async def test_another_site_neither_looks_nor_acts(alice: Somebody, lea: Somebody, act: str) -> None:
    name(alice.house, "officer")
    said = BY_LOGIN | ({"act": act, "user": await user(lea)} if act else {})
    answer = await look(alice, said, **{"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403 and await user(lea) not in answer.text
    assert await alice.house.caller(lea.session) is not None


@pytest.mark.parametrize("role", ["help_desk", "officer"])
async def test_sessions_end_at_once(alice: Somebody, lea: Somebody, role: str) -> None:
    name(alice.house, role)
    page = await do(alice, "end", lea)
    assert "Every session has ended" in page.text
    assert await alice.house.caller(lea.session) is None and await alice.house.caller(alice.session) is not None
    (ended,) = [one for one in alice.house.ledger if one.get("reason") == "sessions_ended"]
    assert ended["role"] == role and ended["user"] != alice.house.user


async def test_an_officer_stops_an_access_lets_it_go_on_and_opens_it_again(
    alice: Somebody, lea: Somebody, house: House
) -> None:
    name(house, "officer")
    whom = await user(lea)
    assert "stopped, everywhere" in (await do(alice, "freeze", lea)).text
    assert await house.caller(lea.session) is None and (await house.people.standing(whom)).frozen
    said = BY_LOGIN | {"user": whom}
    assert "goes on" in (await look(alice, said | {"act": "unfreeze"})).text
    await Closures(house.store, house.clock).not_me(whom, but="")
    assert "at their own word" in (await look(alice, BY_LOGIN)).text
    assert "Open again" in (await look(alice, said | {"act": "reopen"})).text
    assert (await house.people.standing(whom)).closed_from is None
    assert [one.kind for one in await house.notices.of(whom)] == ["reopened"]
    assert [reasons(house).count(one) for one in ("user_frozen", "user_unfrozen", "user_reopened")] == [1, 1, 1]


@pytest.mark.parametrize(
    ("role", "acts"),
    [("help_desk", ("freeze", "unfreeze", "reopen")), ("dpo", ALL), ("auditor", ALL), ("officer", ("start",))],
)
async def test_who_may_not_act_does_not(alice: Somebody, lea: Somebody, role: str, acts: tuple[str, ...]) -> None:
    name(alice.house, role)
    code = await ask(lea)
    shown = (await look(alice, {"code": code})).text
    for act in acts:
        assert f'value="{act}"' not in shown
        assert "page is for others" in (await do(alice, act, lea, code=code)).text
    assert await alice.house.caller(lea.session) is not None
    assert await alice.house.invitations.started("agency") == ()


@pytest.mark.parametrize("act", ["reopen", "unfreeze"])
async def test_what_is_not_there_to_do_is_not_done(alice: Somebody, lea: Somebody, act: str) -> None:
    name(alice.house, "officer")
    assert (await do(alice, act, lea)).status_code == 403
    assert "invitation_refused" in reasons(alice.house)


async def test_an_act_that_there_is_not_is_malformed(alice: Somebody, lea: Somebody) -> None:
    name(alice.house, "officer")
    assert (await do(alice, "promote", lea)).status_code == 400


async def test_who_was_seen_is_who_is_stopped_whoever_said_their_login_since(
    alice: Somebody, lea: Somebody, pages: httpx2.AsyncClient
) -> None:
    name(alice.house, "officer")
    cookie = await alice.house.sessions.open(
        issuer="https://agency.example", sub="sub-eve", partner="agency", name="Eve", login="sub-lea"
    )
    eve = Somebody(pages, alice.house, {"cookie": f"__Host-gateway={cookie}"})
    stranger = Somebody(pages, alice.house, await session_of(alice.house, "sub-max"))
    assert (await do(alice, "freeze", stranger, **BY_LOGIN)).status_code == 403
    assert (await do(alice, "freeze", lea)).status_code == 200
    assert await alice.house.caller(lea.session) is None
    for one in (eve, stranger):
        assert await alice.house.caller(one.session) is not None


async def test_what_cannot_be_recorded_is_not_done(alice: Somebody, lea: Somebody) -> None:
    name(alice.house, "officer")
    await alice.house.records.aclose()
    for answer in (await look(alice, BY_LOGIN), await do(alice, "end", lea), await do(alice, "freeze", lea)):
        assert answer.status_code == 503 and await user(lea) not in answer.text
    assert await alice.house.caller(lea.session) is not None


async def started(alice: Somebody, lea: Somebody) -> Somebody:
    """The help desk (Alice) has started an invitation; a referent who has just confirmed."""
    name(alice.house, "help_desk")
    name(alice.house, "referent", sub="sub-ref")
    code = await ask(lea)
    assert "must invite them" in (await do(alice, "start", lea, code=code)).text
    referent = Somebody(alice.pages, alice.house, await session_of(alice.house, "sub-ref"))
    whose = await user(referent)
    await Factors(alice.house.store, alice.house.keyring, alice.house.clock).enrol_totp(whose, b"a secret of twenty b")
    await referent.confirm_by_code()
    return referent


async def sign(who: Somebody, whom: Somebody, **more: str) -> httpx2.Response:
    data = {"started": await user(whom), **more}
    return await confirming(who, data)


async def test_what_the_help_desk_starts_binds_nothing_until_a_referent_signs(alice: Somebody, lea: Somebody) -> None:
    referent = await started(alice, lea)
    house, whom = alice.house, await user(lea)
    assert await house.invitations.waiting(whom) is None
    listed = (await referent.pages.get(INVITE, headers=referent.session | NAVIGATE)).text
    assert "Started by the help desk" in listed and "Name of sub-lea" in listed
    assert "Name of sub-lea" in (await sign(referent, lea)).text and await house.invitations.waiting(whom) is None
    assert "10 files in two days" in (await sign(referent, lea, yes="1")).text
    assert await house.invitations.waiting(whom) == "remote"
    assert await house.invitations.started("agency") == ()
    assert [reasons(house).count(one) for one in ("invitation_started", "invited")] == [1, 1]


async def test_who_started_an_invitation_does_not_sign_it_whatever_else_they_are(
    alice: Somebody, lea: Somebody
) -> None:
    await started(alice, lea)
    name(alice.house, "referent", "officer")
    assert "Name of sub-lea" not in (await alice.pages.get(INVITE, headers=alice.session | NAVIGATE)).text
    assert (await sign(alice, lea, yes="1")).status_code == 403
    assert await alice.house.invitations.waiting(await user(lea)) is None


async def test_nobody_signs_for_people_of_another_partner_for_themselves_or_without_a_start(
    alice: Somebody, lea: Somebody
) -> None:
    referent = await started(alice, lea)
    name(alice.house, "officer", sub="sub-lea")
    house = alice.house
    assert (await sign(referent, referent, yes="1")).status_code == 403
    house.policy = replace(house.policy, roles=(RoleRule("referent", "agency", "sub-ref", ("mission",)),))
    assert "Name of sub-lea" not in (await referent.pages.get(INVITE, headers=referent.session | NAVIGATE)).text
    assert (await sign(referent, lea, yes="1")).status_code == 403
    assert await house.invitations.waiting(await user(lea)) is None


async def test_the_help_desk_signs_nothing(alice: Somebody, lea: Somebody) -> None:
    await started(alice, lea)
    assert (await sign(alice, lea, yes="1")).status_code == 403
    assert await alice.house.invitations.waiting(await user(lea)) is None


async def test_nothing_is_started_by_login_or_for_who_has_a_factor(alice: Somebody, lea: Somebody) -> None:
    name(alice.house, "help_desk")
    assert (await do(alice, "start", lea)).status_code == 403
    code = await ask(lea)
    await Factors(alice.house.store, alice.house.keyring).enrol_totp(await user(lea), b"a secret of twenty b")
    assert (await do(alice, "start", lea, code=code)).status_code == 403
    assert await alice.house.invitations.started("agency") == ()


async def test_the_account_page_says_ones_roles(alice: Somebody) -> None:
    page = (await alice.pages.get("/.gateway/account", headers=alice.session | NAVIGATE)).text
    assert "Your roles" not in page and PEOPLE not in page and INVITE not in page
    name(alice.house, "officer", "dpo", "operator")
    page = (await alice.pages.get("/.gateway/account", headers=alice.session | NAVIGATE)).text
    assert "officer, data protection officer, operator" in page and PEOPLE in page and INVITE in page


async def test_factors_cooling_and_limits_are_shown_and_no_secret(alice: Somebody, lea: Somebody, house: House) -> None:
    name(house, "auditor")
    factors = Factors(house.store, house.keyring, house.clock)
    await factors.enrol_oath(await user(lea), Oath(b"a secret of twenty b"), bound="remote")
    caller = await house.caller(lea.session)
    assert caller is not None and "None: they have opened no file lately" in (await look(alice, BY_LOGIN)).text
    await house.taken(caller, 7)
    house.clock.forward(3600)
    alice.session = await house.cookie()
    await alice.confirm_by_code()
    page = (await look(alice, BY_LOGIN)).text
    assert "7 of 150" in page and "opens only a part for 47" in page and "Code application" in page


async def test_what_was_lately_refused_is_shown_with_its_reference(alice: Somebody, lea: Somebody) -> None:
    name(alice.house, "help_desk")
    refused = await lea.post("/.gateway/enrol/webauthn/options")
    page = (await look(alice, BY_LOGIN)).text
    assert refused.json()["reference"] in page and "You need an invitation" in page
