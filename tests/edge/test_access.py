"""What one is signed in with: seen on the account page, ended there, one by one or all but this."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from .conftest import ISSUER, House

SAME = {"sec-fetch-site": "same-origin"}
NAVIGATE = {"sec-fetch-mode": "navigate", "accept": "text/html"}
ACCOUNT, END = "/.gateway/account", "/.gateway/account/end"


async def _id(house: House, headers: dict[str, str]) -> str:
    caller = await house.caller(headers)
    assert caller is not None
    return caller.credential_id


async def _others(house: House) -> tuple[dict[str, str], dict[str, str]]:
    """A session and a token of somebody else's."""
    bob = {"issuer": ISSUER, "sub": "sub-bob", "partner": "agency", "name": "Bob", "login": "bob"}
    cookie = await house.sessions.open(**bob)
    token, _ = await house.tokens.issue(**bob, expires_at=house.clock.now() + 1000)
    return {"cookie": f"__Host-gateway={cookie}"}, {"authorization": f"Bearer {token}"}


async def test_every_session_and_token_is_listed_and_this_one_marked(pages: httpx2.AsyncClient, house: House) -> None:
    who = {"issuer": ISSUER, "sub": "sub-alice", "partner": "agency", "name": "Alice", "login": "alice"}
    await house.sessions.open(**who, network="192.0.2.0/24", browser="Firefox")
    mine, token = await house.cookie(), await house.token()
    text = (await pages.get(ACCOUNT, headers=mine | NAVIGATE)).text
    assert "Firefox · 192.0.2.0/24" in text and "Token script" in text and await _id(house, token) in text
    assert text.count("this session ·") == 1
    assert f'value="{await _id(house, mine)}"' not in text


@pytest.mark.parametrize("kind", ["session", "token"])
async def test_one_of_ones_own_is_ended_and_recorded(pages: httpx2.AsyncClient, house: House, kind: str) -> None:
    mine, other = await house.cookie(), await (house.cookie() if kind == "session" else house.token())
    kept, ended = await house.cookie(), await _id(house, other)
    answer = await pages.post(END, headers=mine | SAME | NAVIGATE, data={"which": ended})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{ACCOUNT}?ended")
    assert await house.caller(other) is None
    assert await house.caller(mine) is not None is not await house.caller(kept)
    record = house.ledger[-1]
    assert (record["kind"], record["reason"], record["ended"]) == ("session", "access_ended", ended)
    assert record["sessions_ended"] + record["tokens_revoked"] == 1
    assert "It has ended" in (await pages.get(f"{ACCOUNT}?ended", headers=mine | NAVIGATE)).text


async def test_all_others_end_and_this_one_goes_on(pages: httpx2.AsyncClient, house: House) -> None:
    mine, other, token = await house.cookie(), await house.cookie(), await house.token()
    copied = dict(mine)
    answer = await pages.post(END, headers=mine | SAME, data={"which": "others"})
    mine = {"cookie": answer.headers["set-cookie"].partition(";")[0]}
    assert await house.caller(mine) is not None
    assert await house.caller(other) is None is await house.caller(token)
    # nor does a copy of the cookie itself go on
    assert await house.caller(copied) is None
    assert (house.ledger[-1]["sessions_ended"], house.ledger[-1]["tokens_revoked"]) == (1, 1)


async def test_what_is_somebody_elses_goes_on_and_nothing_tells_whether_it_exists(
    pages: httpx2.AsyncClient, house: House
) -> None:
    mine, theirs = await house.cookie(), await _others(house)
    before = len(house.ledger)
    for which in [await _id(house, one) for one in theirs] + ["s_0000000000000000", "", "*"]:
        answer = await pages.post(END, headers=mine | SAME, data={"which": which})
        assert answer.headers.get("location", ACCOUNT) == ACCOUNT
    await pages.post(END, headers=mine | SAME, data={"which": "others"})
    assert [await house.caller(one) is not None for one in theirs] == [True, True]
    assert len(house.ledger) == before


async def test_another_site_and_a_token_end_nothing(pages: httpx2.AsyncClient, house: House) -> None:
    mine, other = await house.cookie(), await house.cookie()
    token = await house.token()
    for headers in (mine | {"sec-fetch-site": "cross-site"}, mine, token | SAME):
        answer = await pages.post(END, headers=headers, data={"which": "others"})
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:gateway:problem:bad_origin")
    assert await house.caller(other) is not None
    assert 'action="/.gateway/account/end"' not in (await pages.get(ACCOUNT, headers=token | NAVIGATE)).text


async def test_nothing_is_done_for_who_was_signed_out_while_the_form_was_coming(
    pages: httpx2.AsyncClient, house: House
) -> None:
    mine, token = await house.cookie(), await house.token()

    async def form() -> AsyncIterator[bytes]:
        yield b"which="
        await pages.post("/.gateway/sign-out", headers=mine | SAME)
        yield b"others"

    typed = {"content-type": "application/x-www-form-urlencoded"}
    answer = await pages.post(END, headers=mine | SAME | typed, content=form())
    assert await house.caller(mine) is None
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:gateway:problem:no_caller")
    assert await house.caller(token) is not None
