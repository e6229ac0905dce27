"""One button: the thief is out, the person stays, and what is sensitive is closed to both."""

import httpx2

from gateway.core.extraction import Class

from .conftest import House

SAME = {"sec-fetch-site": "same-origin"}
NAVIGATE = {"sec-fetch-mode": "navigate", "accept": "text/html"}
NOT_ME = "/.gateway/not-me"


async def test_the_thief_is_out_and_the_person_stays(pages: httpx2.AsyncClient, house: House) -> None:
    mine, thiefs, token = await house.cookie(), await house.cookie(), await house.token()
    page = await pages.get("/.gateway/account", headers=mine | NAVIGATE)
    assert f'action="{NOT_ME}"' in page.text
    answer = await pages.post(NOT_ME, headers=mine | SAME | NAVIGATE)
    assert answer.status_code == 200 and "3949" in answer.text
    assert await house.caller(thiefs) is None and await house.caller(token) is None
    copied, mine = mine, {"cookie": answer.headers["set-cookie"].partition(";")[0]}
    assert await house.caller(copied) is None
    caller = await house.caller(mine)
    assert caller is not None and caller.closed_from is Class.SENSITIVE
    (alarm,) = [one for one in house.ledger if one["kind"] == "alarm"]
    assert (alarm["reason"], alarm["sessions_ended"], alarm["tokens_revoked"]) == ("not_me", 1, 1)
    assert alarm["caller"]["user"] == house.user
    closed = await pages.get("/.gateway/account", headers=mine | NAVIGATE)
    assert "Sensitive files are closed" in closed.text


async def test_one_of_the_same_family_on_another_host_is_out_too(pages: httpx2.AsyncClient, house: House) -> None:
    mine = await house.cookie()
    caller = await house.caller(mine)
    assert caller is not None
    sibling = {"cookie": f"__Host-gateway={await house.sessions.join(caller.credential_id, sees=0)}"}
    assert await house.caller(sibling) is not None
    assert (await pages.post(NOT_ME, headers=mine | SAME)).status_code == 200
    assert await house.caller(sibling) is None


async def test_another_site_and_a_token_end_nothing(pages: httpx2.AsyncClient, house: House) -> None:
    mine, other = await house.cookie(), await house.cookie()
    for headers in (mine | {"sec-fetch-site": "cross-site"}, mine, await house.token()):
        answer = await pages.post(NOT_ME, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:gateway:problem:bad_origin")
    assert await house.caller(other) is not None
