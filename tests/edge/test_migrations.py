"""A migration: two officers sign it, each with a confirmation of this act, or one refuses it."""

from dataclasses import replace

import httpx2
import pytest

from gateway.core.identity import Pair, State
from gateway.core.policy import RoleRule

from .conftest import House
from .test_invite import NAVIGATE
from .test_passkeys import SAME, Somebody

PAGE = "/.gateway/migrations"
PAIRS = (Pair("u_old", "u_new", "u_old"),)


@pytest.fixture
async def alice(pages: httpx2.AsyncClient, house: House) -> Somebody:
    """An officer who has just confirmed."""
    house.policy = replace(house.policy, roles=(RoleRule("officer", "agency", "sub-alice", ("agency",)),))
    alice = Somebody(pages, house, await house.cookie())
    await alice.confirm_by_code()
    return alice


async def test_another_officer_signs_and_everybody_waits_to_be_confirmed(
    alice: Somebody,
) -> None:
    house = alice.house
    started = await house.migrations.start("agency", "mission", PAIRS, by="u_other")
    await house.migrations.sign(started.id, "u_other")
    shown = await alice.pages.get(PAGE, headers=alice.session | NAVIGATE)
    assert started.fingerprint in shown.text and "Sign" in shown.text
    data = {"migration": started.id, "sign": "1"}
    asked = await alice.pages.post(PAGE, data=data, headers=alice.session | SAME | NAVIGATE)
    assert asked.status_code == 401
    assert (await house.identities.known("u_new")).state is State.OWN
    name = asked.text.split('name="challenge" value="')[1].split('"')[0]
    house.clock.forward(30)
    assert (await alice.post("/.gateway/step-up/totp", {"code": house.code(), "challenge": name})).status_code == 200
    signed = await alice.pages.post(PAGE, data=data, headers=alice.session | SAME | NAVIGATE)
    assert signed.status_code == 200 and "Signed: 1 people" in signed.text
    known = await house.identities.known("u_new")
    assert (known.user, known.state) == ("u_old", State.WAITING)
    events = [(one["event"], one.get("pairs")) for one in house.ledger if one["kind"] == "identity"]
    assert events == [("signed", None), ("carried", [["u_old", "u_new", "u_old"]])]
    assert await house.migrations.waiting() == ()


async def test_one_officer_s_signatures_carry_nobody_whoever_is_said_to_have_started_it(alice: Somebody) -> None:
    house = alice.house
    started = await house.migrations.start("agency", "mission", PAIRS, by="u_other")
    data, headers = {"migration": started.id, "sign": "1"}, alice.session | SAME | NAVIGATE
    asked = await alice.pages.post(PAGE, data=data, headers=headers)
    name = asked.text.split('name="challenge" value="')[1].split('"')[0]
    house.clock.forward(30)
    assert (await alice.post("/.gateway/step-up/totp", {"code": house.code(), "challenge": name})).status_code == 200
    first = await alice.pages.post(PAGE, data=data, headers=alice.session | SAME | NAVIGATE)
    assert first.status_code == 200 and "another officer" in first.text and house.user in first.text
    again = await alice.pages.post(PAGE, data=data, headers=alice.session | SAME | NAVIGATE)
    assert again.status_code == 403
    assert (await house.identities.known("u_new")).state is State.OWN


async def test_who_has_signed_cannot_sign_again_and_may_refuse(alice: Somebody) -> None:
    house = alice.house
    started = await house.migrations.start("agency", "mission", PAIRS, by="u_other")
    await house.migrations.sign(started.id, house.user)
    headers = alice.session | SAME | NAVIGATE
    own = await alice.pages.post(PAGE, data={"migration": started.id, "sign": "1"}, headers=headers)
    assert own.status_code == 403 and (await house.identities.known("u_new")).state is State.OWN
    refused = await alice.pages.post(PAGE, data={"migration": started.id, "refuse": "1"}, headers=headers)
    assert "Refused" in refused.text and await house.migrations.waiting() == ()


async def test_nobody_without_the_role_sees_it(alice: Somebody) -> None:
    alice.house.policy = replace(alice.house.policy, roles=())
    assert (await alice.pages.get(PAGE, headers=alice.session)).json()["type"].endswith("role_required")
