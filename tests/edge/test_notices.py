"""A change of how one confirms is told: at the next sign-in, on the account page, until another session has seen it."""

import re
from dataclasses import replace

import httpx2
import pytest
from authenticator import Authenticator

from gateway.edge.words import change
from gateway.ports import StoreUnavailable

from .conftest import ORIGIN, House
from .test_invite import ROLES, ask, invite, session_of, user
from .test_passkeys import Somebody
from .test_recovery import confirmed

SAME = {"sec-fetch-site": "same-origin"}
NAVIGATE = {"sec-fetch-mode": "navigate", "accept": "text/html"}
ACCOUNT, NOTICES, MAKE = "/.gateway/account", "/.gateway/notices", "/.gateway/recovery/codes"


async def told(house: House, whose: str | None = None) -> list[str]:
    return [one.kind for one in await house.notices.of(whose or house.user)]


async def shown(pages: httpx2.AsyncClient, session: dict[str, str]) -> tuple[str, str | None]:
    """The account page, and what "seen" would be said of."""
    text = (await pages.get(ACCOUNT, headers=session | NAVIGATE)).text
    found = re.search(r'name="until" value="([^"]+)"', text)
    return text, found and found.group(1)


async def test_new_recovery_codes_are_told_and_only_another_session_has_seen_it(
    pages: httpx2.AsyncClient, house: House
) -> None:
    mine, other = await confirmed(pages, house), await house.cookie()
    await pages.post(MAKE, headers=mine | SAME | NAVIGATE)
    text, until = await shown(pages, mine)
    assert "New recovery codes were made" in text and until is None
    text, until = await shown(pages, other)
    assert "New recovery codes were made" in text and until is not None
    await pages.post(NOTICES, headers=mine | SAME, data={"until": until})
    assert await told(house) == ["recovery_codes_made"]
    answer = await pages.post(NOTICES, headers=other | SAME, data={"until": until})
    assert (answer.status_code, answer.headers["location"]) == (303, ACCOUNT)
    assert await told(house) == []


async def test_another_site_and_a_token_have_seen_nothing(pages: httpx2.AsyncClient, house: House) -> None:
    await house.notices.add(house.user, "agency", "invited", reference="", by="operator")
    session, token = await house.cookie(), await house.token()
    for headers in (session, session | {"sec-fetch-site": "cross-site"}, token | SAME):
        answer = await pages.post(NOTICES, headers=headers, data={"until": "9e99"})
        assert answer.json()["type"] == "urn:gateway:problem:bad_origin"
    assert await told(house) == ["invited"]


@pytest.mark.parametrize("body", ["", "until=x", "until=1&until", "\xff"])
async def test_a_malformed_form_is_refused(pages: httpx2.AsyncClient, house: House, body: str) -> None:
    session = await house.cookie()
    answer = await pages.post(NOTICES, headers=session | SAME, content=body.encode("latin-1"))
    assert answer.json()["type"] == "urn:gateway:problem:malformed_request"


async def test_the_notices_stand_between_signing_in_and_what_was_wanted(
    pages: httpx2.AsyncClient, house: House
) -> None:
    session, flow = await house.cookie(), await house.keep_target()
    before = await pages.get(f"{NOTICES}?flow={flow}", headers=session | NAVIGATE)
    assert (before.status_code, before.headers["location"]) == (303, "/dossiers/7")
    await house.notices.add(house.user, "agency", "factor_bound", reference="K7Q-4M2", by="s_thief")
    flow = await house.keep_target()
    page = await pages.get(f"{NOTICES}?flow={flow}", headers=session | NAVIGATE)
    assert "A way to confirm was added" in page.text and "K7Q-4M2" in page.text and f'value="{flow}"' in page.text
    answer = await pages.post(NOTICES, headers=session | SAME, data={"until": "9e99", "flow": flow})
    assert (answer.status_code, answer.headers["location"]) == (303, "/dossiers/7")


async def test_who_is_invited_hears_of_it(pages: httpx2.AsyncClient, house: House) -> None:
    house.policy = replace(house.policy, roles=ROLES)
    alice, lea = (
        Somebody(pages, house, await house.cookie()),
        Somebody(pages, house, await session_of(house, "sub-lea")),
    )
    await alice.confirm_by_code()
    await invite(alice, await ask(lea), yes="1")
    assert await told(house, await user(lea)) == ["invited"]
    assert await told(house) == []


async def test_a_key_added_and_taken_away_is_told(pages: httpx2.AsyncClient, house: House) -> None:
    alice = Somebody(pages, house, await house.cookie())
    await alice.confirm_by_code()
    factor = (await alice.add(Authenticator(ORIGIN))).json()["factor"]
    assert await told(house) == ["factor_bound"]
    answer = await pages.post("/.gateway/enrol/remove", data={"factor": factor}, headers=alice.session | SAME)
    assert answer.status_code == 303
    assert sorted(await told(house)) == ["factor_bound", "factor_removed"]


async def test_not_me_is_told(pages: httpx2.AsyncClient, house: House) -> None:
    session = await house.cookie()
    await pages.post("/.gateway/not-me", headers=session | SAME)
    assert await told(house) == ["not_me"]


async def test_a_change_is_made_whatever_becomes_of_its_notice(
    pages: httpx2.AsyncClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object, **__: object) -> None:
        raise StoreUnavailable("gone")

    session = await confirmed(pages, house)
    monkeypatch.setattr(house.notices, "add", unavailable)
    answer = await pages.post(MAKE, headers=session | SAME | NAVIGATE)
    assert answer.status_code == 200 and await house.recovery.left(house.user) == 10


@pytest.mark.parametrize("kind", ["token_assigned", "token_issued", "letter_made", "letter_used", "reopened"])
def test_every_change_has_its_words(kind: str) -> None:
    assert change(kind, "en") != change(kind, "fr")
