"""A session for another host: once, within a minute, on that host, in the browser that asked for it."""

import asyncio

import httpx2
import pytest

from gateway.core.assurance import Caller

from .conftest import ORIGIN, House

OTHER = "desk.localhost:8080"
NAVIGATE = {"sec-fetch-mode": "navigate", "accept": "text/html"}


class Desk:
    """A browser at the other host: nobody yet. ``jar``: its cookies there."""

    def __init__(self, pages: httpx2.AsyncClient, house: House) -> None:
        self.pages, self.house, self.jar = pages, house, ""

    async def get(self, path: str, jar: str | None = None, host: str = OTHER) -> httpx2.Response:
        cookie = self.jar if jar is None else jar
        headers = {"host": host, **NAVIGATE} | ({"cookie": cookie} if cookie else {})
        return await self.pages.get(path, headers=headers)

    async def asks(self, target: str = "/consultation?a=1") -> str:
        """Go somewhere without a session; the path kept where to. Gives the address at the pages' host."""
        flow = await self.house.keep_target(target, OTHER)
        answer = await self.get(f"/.gateway/sign-in?flow={flow}")
        assert answer.status_code == 303
        self.jar = answer.headers["set-cookie"].partition(";")[0]
        location: str = answer.headers["location"]
        assert location.startswith(f"{ORIGIN}/.gateway/sign-in?flow=")
        return location.removeprefix(ORIGIN)

    async def ticket(self) -> str:
        """A ticket for who is signed in at the pages' host."""
        here = (await self.house.cookie())["cookie"]
        answer = await self.get(await self.asks(), here, "localhost:8080")
        location: str = answer.headers["location"]
        assert location.startswith(f"http://{OTHER}/.gateway/ticket?ticket=")
        return location.removeprefix(f"http://{OTHER}")


@pytest.fixture
def desk(pages: httpx2.AsyncClient, house: House) -> Desk:
    return Desk(pages, house)


async def who(house: House, answer: httpx2.Response) -> Caller | None:
    return await house.caller({"cookie": answer.headers["set-cookie"].partition(";")[0]})


async def test_the_session_is_of_the_same_family_and_the_person_where_they_wanted_to_be(
    desk: Desk, house: House
) -> None:
    answer = await desk.get(await desk.ticket())
    assert (answer.status_code, answer.headers["location"]) == (303, "/consultation?a=1")
    caller = await who(house, answer)
    assert caller is not None and caller.user == house.user
    families = await house.store.call("SMEMBERS", f"us:{house.user}")
    assert caller.credential_id.encode() in families


async def test_a_ticket_used_a_hundred_times_at_once_opens_once(desk: Desk) -> None:
    ticket = await desk.ticket()
    answers = await asyncio.gather(*(desk.get(ticket) for _ in range(100)))
    assert sorted(answer.status_code for answer in answers) == [303] + [403] * 99


@pytest.mark.parametrize("jar", ["", "__Host-gateway-flow=" + "A" * 43])
async def test_another_browsers_ticket_signs_nobody_in(desk: Desk, jar: str) -> None:
    ticket = await desk.ticket()
    answer = await desk.get(ticket, jar)
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    # and it is over: whoever tried it has used it up
    assert (await desk.get(ticket)).status_code == 403


async def test_a_ticket_serves_the_host_that_it_was_made_for(desk: Desk) -> None:
    ticket = await desk.ticket()
    assert (await desk.get(ticket, host="localhost:8080")).status_code == 403


async def test_a_ticket_is_good_for_a_minute(desk: Desk, house: House) -> None:
    ticket = await desk.ticket()
    house.clock.forward(61)
    assert (await desk.get(ticket)).status_code == 403


async def test_a_ticket_of_a_session_that_has_ended_opens_nothing(desk: Desk, house: House) -> None:
    ticket = await desk.ticket()
    for family in await house.store.call("SMEMBERS", f"us:{house.user}"):
        await house.sessions.end_family(family.decode())
    assert (await desk.get(ticket)).status_code == 403


async def test_nobody_is_sent_to_a_host_that_is_not_ours(desk: Desk, house: House) -> None:
    here = (await house.cookie())["cookie"]
    for kept in ({"host": "evil.example"}, {"host": OTHER}, {"host": "", "browser": "x"}):
        flow = house.flows.hand_out("return", {"target": "/x", **kept}, 60)
        answer = await desk.get(f"/.gateway/sign-in?flow={flow}", here, "localhost:8080")
        assert answer.headers["location"] == "/.gateway/account"


async def signed_in(desk: Desk) -> str:
    """A session at the other host; gives its cookie."""
    answer = await desk.get(await desk.ticket())
    cookie: str = answer.headers["set-cookie"].partition(";")[0]
    return cookie


async def proofs_of(house: House, cookie: str) -> int:
    caller = await house.caller({"cookie": cookie})
    assert caller is not None
    return len(caller.proofs)


async def test_what_is_confirmed_in_a_window_comes_back_by_a_ticket_and_a_stolen_cookie_gains_nothing(
    desk: Desk, house: House
) -> None:
    stolen = await signed_in(desk)
    opened = await desk.get("/.gateway/window", f"{stolen}; {desk.jar}")
    assert opened.status_code == 303
    jar = opened.headers["set-cookie"].partition(";")[0]
    page = opened.headers["location"].removeprefix(ORIGIN)
    # the same family at the pages' own host
    family = (await house.caller({"cookie": stolen})).credential_id  # type: ignore[union-attr]
    here = f"__Host-gateway={await house.sessions.join(family, sees=0)}"
    assert 'data-next="/.gateway/sign-in?flow=' in (await desk.get(page, here, "localhost:8080")).text
    same = {"sec-fetch-site": "same-origin", "cookie": here}
    confirmed = await desk.pages.post("/.gateway/step-up/totp", json={"code": house.code()}, headers=same)
    here = confirmed.headers["set-cookie"].partition(";")[0]
    assert (await proofs_of(house, here), await proofs_of(house, stolen)) == (1, 0)

    flow = page.partition("flow=")[2]
    back = await desk.get(f"/.gateway/sign-in?flow={flow}", here, "localhost:8080")
    ticket = back.headers["location"].removeprefix(f"http://{OTHER}")
    done = await desk.get(ticket, f"{stolen}; {jar}")
    assert (done.status_code, done.headers["location"]) == (303, "/.gateway/window-done")
    renewed = done.headers["set-cookie"].partition(";")[0]
    assert (await proofs_of(house, renewed), await proofs_of(house, stolen)) == (1, 0)
    house.clock.forward(11)
    assert await house.caller({"cookie": stolen}) is None


async def test_a_cookie_stolen_before_a_confirmation_gains_it_by_no_ticket(desk: Desk, house: House) -> None:
    here = (await house.cookie())["cookie"]
    opened = await desk.get("/.gateway/window", here)
    jar, flow = opened.headers["set-cookie"].partition(";")[0], opened.headers["location"].partition("flow=")[2]
    same = {"sec-fetch-site": "same-origin", "cookie": here}
    assert (
        await desk.pages.post("/.gateway/step-up/totp", json={"code": house.code()}, headers=same)
    ).status_code == 200
    # within the ten seconds that the old cookie lives on
    back = await desk.get(f"/.gateway/sign-in?flow={flow}", here, "localhost:8080")
    sibling = await desk.get(back.headers["location"].removeprefix(f"http://{OTHER}"), jar)
    assert sibling.status_code == 303
    assert await proofs_of(house, sibling.headers["set-cookie"].partition(";")[0]) == 0


async def test_another_persons_session_at_the_pages_host_does_not_come_back(desk: Desk, house: House) -> None:
    cookie = await signed_in(desk)
    opened = await desk.get("/.gateway/window", f"{cookie}; {desk.jar}")
    flow = opened.headers["location"].partition("flow=")[2]
    other = await house.sessions.open(
        issuer="https://agency.example", sub="sub-bob", partner="agency", name="B", login="b"
    )
    back = await desk.get(f"/.gateway/sign-in?flow={flow}", f"__Host-gateway={other}", "localhost:8080")
    assert back.headers["location"] == "/.gateway/account"


async def test_a_window_is_opened_for_a_session_alone(desk: Desk, house: House) -> None:
    token = await house.token()
    answer = await desk.pages.get("/.gateway/window", headers=token | {"host": OTHER})
    assert answer.status_code == 400
    assert (await desk.get("/.gateway/window")).headers["location"].startswith(f"http://{OTHER}/.gateway/sign-in")


async def test_a_ticket_ends_another_persons_session_on_that_host(desk: Desk, house: House) -> None:
    other = await house.sessions.open(
        issuer="https://agency.example", sub="sub-bob", partner="agency", name="B", login="b"
    )
    ticket = await desk.ticket()
    assert (await desk.get(ticket, f"__Host-gateway={other}; {desk.jar}")).status_code == 303
    assert await house.caller({"cookie": f"__Host-gateway={other}"}) is None


async def test_every_ticket_is_on_record(desk: Desk, house: House) -> None:
    ticket = await desk.ticket()
    await desk.get(ticket, "")
    await desk.get(await desk.ticket())
    said = [(one["verdict"], one["reason"]) for one in house.ledger if one["kind"] == "sign_in"]
    assert said == [("refusal", "sign_in_failed"), ("accepted", "ticket")]


async def test_passkeys_are_added_where_they_work(house: House) -> None:
    house.pages_url = "http://gate.localhost:8080"
    async with house.client() as client:
        answer = await client.get("/.gateway/enrol?change", headers=await house.cookie() | NAVIGATE)
    assert answer.headers["location"] == "http://gate.localhost:8080/.gateway/enrol?change"
