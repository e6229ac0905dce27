"""Finding one's partner: by address, hint, entry or list; whoever guesses learns nothing from how we answer."""

import re
from dataclasses import replace
from urllib.parse import urlsplit

import httpx2
import pytest

from gateway.edge.partner import Partner
from gateway.edge.realms import domain_of, of_domain

from .conftest import ORIGIN, House, RunningProvider

NAVIGATE = {"sec-fetch-mode": "navigate", "sec-fetch-site": "same-origin"}
FLOW = "abcdefghijklmnopqrst"


@pytest.mark.parametrize(
    ("given", "domain"),
    [
        ("alice@agency.example", "agency.example"),
        (" Alice@Agency.Example. ", "agency.example"),
        ("agency.example", "agency.example"),
        ("a@b@agency.example", "agency.example"),
        ("alice@régie.example", "xn--rgie-bpa.example"),
        ("alice@", ""),
        ("", ""),
        ("@", ""),
        ("alice@a..b", ""),
        ("alice@" + "x" * 64 + ".example", ""),
        ("x" * 400 + "@agency.example", ""),
    ],
)
def test_the_domain_is_what_stands_after_the_at(given: str, domain: str) -> None:
    assert domain_of(given) == domain


def test_a_domain_is_its_partner_s_and_no_other_that_ends_like_it() -> None:
    one = Partner("agency", "Agency", "https://a.example", "gateway", domains=("agency.example",))
    assert of_domain([one], "agency.example") == "agency"
    for other in ("", "example", "x.agency.example", "notagency.example"):
        assert of_domain([one], other) is None


@pytest.fixture
def partners(partner: Partner) -> tuple[Partner, Partner]:
    agency = replace(partner, domains=("agency.example",))
    return agency, Partner("mission", "Mission locale", "https://mission.example", "gateway", "secret")


async def typed(client: httpx2.AsyncClient, email: str, **form: str) -> httpx2.Response:
    return await client.post("/.gateway/sign-in", data={"email": email} | form, headers=NAVIGATE)


def onward(answer: httpx2.Response) -> str:
    address = answer.headers["refresh"].removeprefix("0; url=")
    assert address.startswith("/.gateway/sign-in?way=") and address.replace("&", "&amp;") in answer.text
    return str(address)


async def test_an_address_leads_to_its_partner_and_back_to_what_was_wanted(
    house: House, partners: tuple[Partner, ...], provider: RunningProvider
) -> None:
    async with house.client(*partners) as client:
        address = onward(await typed(client, "alice@agency.example", flow=FLOW))
        begun = await client.get(address, headers=NAVIGATE)
        assert begun.headers["location"].startswith(f"{provider.issuer}/authorize?")


async def test_what_is_typed_is_answered_alike_whether_it_is_known_or_not(
    house: House, partners: tuple[Partner, ...]
) -> None:
    def shape(answer: httpx2.Response) -> tuple[int, list[tuple[str, str]], str]:
        varying = r"way=[\w.-]{400,}|[0-9a-f]{32}|[0-9A-F]{3}-[0-9A-F]{3}"
        headers = [(name, re.sub(varying, "…", value)) for name, value in answer.headers.items()]
        return answer.status_code, headers, re.sub(varying, "…", answer.text)

    async with house.client(*partners) as client:
        known, *others = [
            shape(await typed(client, email)) for email in ("a@agency.example", "a@b.example", "a", "", "x" * 500)
        ]
    assert all(other == known for other in others)


async def test_guesses_get_one_answer_that_names_nobody(house: House, partners: tuple[Partner, ...]) -> None:
    house.chooser = False
    async with house.client(*partners) as client:
        pages = [
            await client.get(onward(await typed(client, "a@nobody.example")), headers=NAVIGATE),
            await client.get("/.gateway/sign-in?partner=nobody", headers=NAVIGATE),
            await client.get("/.gateway/sign-in/nobody", headers=NAVIGATE),
        ]
    assert {page.status_code for page in pages} == {404}
    assert len({page.text for page in pages}) == 1
    assert "Agence Nord" not in pages[0].text and "Mission" not in pages[0].text


async def test_nothing_of_an_address_but_its_domain_is_kept_or_shown(
    house: House, partners: tuple[Partner, ...]
) -> None:
    async with house.client(*partners) as client:
        answer = await typed(client, "alice.martin@agency.example")
    way = onward(answer).removeprefix("/.gateway/sign-in?way=")
    assert house.flows.handed_back("way", way) == {"domain": "agency.example".ljust(253)}
    assert "alice.martin" not in answer.text


@pytest.mark.parametrize(
    "path", ["sign-in?hint=alice%40agency.example", "sign-in?hint=agency.example", "sign-in/agency"]
)
async def test_a_hint_and_an_entry_lead_straight_on(
    house: House, partners: tuple[Partner, ...], provider: RunningProvider, path: str
) -> None:
    house.chooser = False
    async with house.client(*partners) as client:
        begun = await client.get(f"/.gateway/{path}", headers=NAVIGATE)
    assert begun.headers["location"].startswith(f"{provider.issuer}/authorize?")


async def test_a_hint_that_leads_nowhere_is_none(house: House, partners: tuple[Partner, ...]) -> None:
    async with house.client(*partners) as client:
        hinted = await client.get("/.gateway/sign-in?hint=nobody.example", headers=NAVIGATE)
        plain = await client.get("/.gateway/sign-in", headers=NAVIGATE)
    assert (hinted.status_code, hinted.text) == (200, plain.text)


@pytest.mark.parametrize("chooser", [True, False])
async def test_partners_are_listed_only_where_the_house_says_so(
    house: House, partners: tuple[Partner, ...], chooser: bool
) -> None:
    house.chooser = chooser
    async with house.client(*partners) as client:
        page = (await client.get("/.gateway/sign-in", headers=NAVIGATE)).text
    assert ("Agence Nord" in page) is chooser
    assert 'type="email"' in page


async def test_a_hint_survives_the_way_from_another_host(house: House, partners: tuple[Partner, ...]) -> None:
    async with house.client(*partners) as client:
        answer = await client.get(
            "/.gateway/sign-in?hint=agency.example", headers=NAVIGATE | {"host": "desk.localhost:8080"}
        )
    location = urlsplit(answer.headers["location"])
    assert f"{location.scheme}://{location.netloc}" == ORIGIN and "hint=agency.example" in location.query


async def test_another_site_types_nothing(house: House, partners: tuple[Partner, ...]) -> None:
    async with house.client(*partners) as client:
        answer = await client.post("/.gateway/sign-in", data={"email": "a"}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403


@pytest.mark.parametrize("form", [{"flow": "x"}, {"flow": "https://evil.example"}, {str(at): "" for at in range(9)}])
async def test_a_form_that_we_never_wrote_is_refused(
    house: House, partners: tuple[Partner, ...], form: dict[str, str]
) -> None:
    async with house.client(*partners) as client:
        assert (await typed(client, "a@agency.example", **form)).status_code == 400
