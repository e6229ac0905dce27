"""Signing in at a real provider: whole, once, in the browser that began, at the partner that was asked."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
import pytest_asyncio

from gateway.core.assurance import Caller
from gateway.core.policy import PartnerRule
from gateway.edge.client_auth import method_of
from gateway.edge.jwks import NotFetched
from gateway.edge.partner import Partner
from gateway.edge.partner_http import is_safe
from gateway.edge.provider import endpoints_of
from gateway.stores import keys

from .conftest import ORIGIN, House, RunningProvider
from .test_signals import SET, told

NAVIGATE = {"sec-fetch-mode": "navigate"}


class Browser:
    """A browser with cookies for us, and a partner's login page behind it."""

    def __init__(self, pages: httpx2.AsyncClient, provider: RunningProvider) -> None:
        self.pages = pages
        self.provider = provider
        self.cookies: dict[str, str] = {}

    async def get(self, path: str) -> httpx2.Response:
        return self._keep(await self.pages.get(path, headers=self._headers()))

    async def post(self, path: str, **headers: str) -> httpx2.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._keep(await self.pages.post(path, headers=self._headers() | names))

    def _headers(self) -> dict[str, str]:
        return NAVIGATE | {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}

    def _keep(self, answer: httpx2.Response) -> httpx2.Response:
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.split(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    async def caller(self, house: House) -> Caller | None:
        """Whom our cookie names, if anybody."""
        return await house.caller({"cookie": f"__Host-gateway={self.cookies.get('__Host-gateway', '')}"})

    async def at_the_partner(self, address: str) -> str:
        """Types login and password; the path that the partner sends the browser back to."""
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as outside:
            form = {"login": self.provider.login, "password": self.provider.password}
            answer = await outside.post(address, data=form)
        back = urlsplit(answer.headers["location"])
        assert f"{back.scheme}://{back.netloc}" == ORIGIN
        return f"{back.path}?{back.query}"


@pytest_asyncio.fixture
async def browser(house: House, partner: Partner, provider: RunningProvider) -> AsyncIterator[Browser]:
    async with house.client(partner) as client:
        yield Browser(client, provider)


async def begun(browser: Browser, path: str = "/.gateway/sign-in") -> str:
    answer = await browser.get(path)
    assert answer.status_code == 303
    return str(answer.headers["location"])


def changed(path: str, **parameters: str | None) -> str:
    parts = urlsplit(path)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | parameters
    return f"{parts.path}?{urlencode({name: value for name, value in query.items() if value is not None})}"


async def test_person_signs_in_and_goes_on_to_what_they_wanted(browser: Browser, house: House) -> None:
    flow = await house.keep_target()
    back = await browser.at_the_partner(await begun(browser, f"/.gateway/sign-in?flow={flow}"))
    answer = await browser.get(back)
    assert (answer.status_code, answer.headers["location"]) == (303, "/dossiers/7")
    caller = await browser.caller(house)
    assert caller is not None
    assert (caller.issuer, caller.sub, caller.partner) == (browser.provider.issuer, "sub-alice", "agency")
    assert caller.name == "Alice Martin"
    first, record = house.ledger
    assert (first["kind"], first["caller"]["user"]) == ("first_sight", caller.user)
    assert (record["kind"], record["verdict"]) == ("sign_in", "accepted")


async def test_a_session_knows_where_it_was_opened_from(browser: Browser, house: House) -> None:
    await browser.get(await browser.at_the_partner(await begun(browser)))
    caller = await browser.caller(house)
    assert caller is not None
    (session,), _ = await house.access.of(caller.user)
    assert (session.network, session.browser) == ("127.0.0.0/24", "other")


async def test_who_has_something_to_see_sees_it_first(browser: Browser, house: House) -> None:
    flow = await house.keep_target()
    back = await browser.at_the_partner(await begun(browser, f"/.gateway/sign-in?flow={flow}"))
    user = house.keyring.user_id(browser.provider.issuer, "sub-alice")
    await house.notices.add(user, "agency", "factor_bound", reference="", by="s_thief")
    assert (await browser.get(back)).headers["location"] == f"/.gateway/notices?flow={flow}"


@pytest.mark.parametrize("way", [None, "basic", "post"])
async def test_our_secret_goes_where_the_partner_takes_it(
    house: House, partner: Partner, provider: RunningProvider, way: str | None
) -> None:
    async with house.client(replace(partner, client_auth=way)) as client:
        browser = Browser(client, provider)
        back = await browser.at_the_partner(await begun(browser))
        assert (await browser.get(back)).status_code == 303


async def test_request_to_the_partner_is_bound_and_proves_possession(browser: Browser, house: House) -> None:
    query = parse_qs(urlsplit(await begun(browser)).query)
    kept = house.flows.handed_back("oidc", query["state"][0])
    assert kept is not None
    assert query["code_challenge_method"] == ["S256"] and query["response_type"] == ["code"]
    assert query["redirect_uri"] == [f"{ORIGIN}/.gateway/callback/agency"]
    assert min(len(query["state"][0]), len(query["nonce"][0])) >= 32
    assert query["nonce"] == [kept["nonce"]] and str(kept["verifier"]) not in str(query)
    assert browser.cookies["__Host-gateway-flow"] not in str(kept)


async def test_callback_works_once(browser: Browser, house: House) -> None:
    back = await browser.at_the_partner(await begun(browser))
    assert (await browser.get(back)).status_code == 303
    browser.cookies.pop("__Host-gateway")
    again = await browser.get(back)
    assert again.status_code == 403 and "__Host-gateway" not in browser.cookies
    assert house.ledger[-1]["reason"] == "sign_in_failed"


async def test_another_browser_cannot_use_the_callback(browser: Browser, house: House) -> None:
    back = await browser.at_the_partner(await begun(browser))
    browser.cookies["__Host-gateway-flow"] = "A" * 43
    assert (await browser.get(back)).status_code == 403
    assert await browser.caller(house) is None


async def test_old_session_dies_at_sign_in(browser: Browser, house: House) -> None:
    address = await begun(browser)
    planted = browser.cookies["__Host-gateway"] = await house.sign_in()
    await browser.get(await browser.at_the_partner(address))
    assert await house.caller({"cookie": f"__Host-gateway={planted}"}) is None
    assert browser.cookies["__Host-gateway"] != planted and await browser.caller(house) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"state": "A" * 43},
        {"state": None},
        {"code": None},
        {"code": "A" * 43},
        {"error": "access_denied"},
    ],
    ids=str,
)
async def test_answer_that_is_not_the_partner_s_signs_nobody_in(
    browser: Browser, house: House, changes: dict[str, str | None]
) -> None:
    back = await browser.at_the_partner(await begun(browser))
    answer = await browser.get(changed(back, **changes))
    assert answer.status_code == 403 and "__Host-gateway" not in browser.cookies
    assert "evil" not in answer.text and await browser.caller(house) is None


async def test_parameter_twice_is_malformed(browser: Browser, house: House) -> None:
    back = await browser.at_the_partner(await begun(browser))
    assert (await browser.get(f"{back}&state=x")).status_code == 400
    assert await browser.caller(house) is None


async def test_answer_for_one_partner_does_not_count_at_another(
    house: House, partner: Partner, provider: RunningProvider
) -> None:
    async with house.client(partner, replace(partner, id="other")) as client:
        browser = Browser(client, provider)
        back = await browser.at_the_partner(await begun(browser, "/.gateway/sign-in?partner=agency"))
        assert (await browser.get(back.replace("/agency", "/other"))).status_code == 403
        assert house.ledger[-1]["detail"] == "the state belongs to another partner"
        assert (await browser.get(back)).status_code == 403
    assert house.ledger[-1]["detail"] == "the state is used"
    assert await browser.caller(house) is None


async def test_algorithm_that_is_not_the_partner_s_signs_nobody_in(
    house: House, partner: Partner, provider: RunningProvider
) -> None:
    async with house.client(replace(partner, algorithms=("RS256",))) as client:
        browser = Browser(client, provider)
        answer = await browser.get(await browser.at_the_partner(await begun(browser)))
    assert answer.status_code == 403 and house.ledger[-1]["detail"] == "the algorithm is not the partner's"


async def test_nobody_is_signed_in_without_a_record(browser: Browser, house: House) -> None:
    back = await browser.at_the_partner(await begun(browser))
    await house.records.aclose()
    assert (await browser.get(back)).status_code == 503
    assert await browser.caller(house) is None


async def test_who_is_signed_in_goes_straight_on(browser: Browser, house: House) -> None:
    browser.cookies["__Host-gateway"] = await house.sign_in()
    flow = await house.keep_target()
    assert await begun(browser, f"/.gateway/sign-in?flow={flow}") == "/dossiers/7"


async def test_partner_out_of_reach_is_said(house: House) -> None:
    away = Partner("agency", "Agence Nord", "http://127.0.0.1:1", "gateway", "s")
    async with house.client(away) as client:
        answer = await client.get("/.gateway/sign-in", headers=NAVIGATE)
    assert answer.status_code == 503 and "does not answer" in answer.text
    assert house.ledger[-1]["reason"] == "partner_unreachable"


DOCUMENT = (
    b'{"issuer":"https://a.example","authorization_endpoint":"https://a.example/a",'
    b'"token_endpoint":"https://a.example/t","jwks_uri":"https://a.example/k"}'
)


def test_metadata_are_exactly_this_issuer_s() -> None:
    assert endpoints_of(DOCUMENT, "https://a.example").token == "https://a.example/t"
    for issuer in ("https://a.example/", "https://b.example"):
        with pytest.raises(NotFetched):
            endpoints_of(DOCUMENT, issuer)


@pytest.mark.parametrize(
    ("published", "table", "way"),
    [
        (None, None, "basic"),
        (["client_secret_post", "client_secret_basic"], None, "basic"),
        (["client_secret_post", "private_key_jwt"], None, "post"),
        (["private_key_jwt"], None, "basic"),
        ("client_secret_post", None, "basic"),
        (["client_secret_basic", "client_secret_post"], "post", "post"),
        (["client_secret_post"], "basic", "basic"),
    ],
)
def test_our_secret_goes_in_the_header_unless_table_or_metadata_want_it_in_the_form(
    published: object, table: str | None, way: str
) -> None:
    said = json.loads(DOCUMENT) | ({} if published is None else {"token_endpoint_auth_methods_supported": published})
    endpoints = endpoints_of(json.dumps(said).encode(), "https://a.example")
    partner = Partner("agency", "Agence Nord", "https://a.example", "gateway", "secret", client_auth=table)
    assert method_of(partner, endpoints) == f"client_secret_{way}"


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{}", DOCUMENT.replace(b"https://a.example/t", b"http://a.example/t")]
)
def test_metadata_with_unsafe_addresses_are_refused(document: bytes) -> None:
    with pytest.raises(NotFetched):
        endpoints_of(document, "https://a.example")


@pytest.mark.parametrize("address", [b"http://127.0.0.1:6379/t", b"http://localhost/t", b"https://localhost/t"])
def test_a_partner_elsewhere_does_not_make_us_call_this_machine(address: bytes) -> None:
    document = DOCUMENT.replace(b"https://a.example/t", address)
    with pytest.raises(NotFetched):
        endpoints_of(document, "https://a.example")
    more = DOCUMENT.replace(b"}", b',"userinfo_endpoint":"' + address + b'"}')
    assert endpoints_of(more, "https://a.example").userinfo is None
    here = document.replace(b'"https://a.example"', b'"http://127.0.0.1:8002"')
    assert endpoints_of(here, "http://127.0.0.1:8002").token == address.decode()


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://a.example", True),
        ("http://localhost:1", True),
        ("http://127.0.0.1", True),
        ("http://a.example", False),
        ("http://localhost.evil.example", False),
        ("http://localhost@evil.example", False),
        ("https://user:secret@a.example", False),
        ("ftp://localhost", False),
        ("https://", False),
        ("https://[", False),
        ("https://a.example/\r\nx: y", False),
        ("https://a.example/ x", False),
        ("https://é.example", False),
        (None, False),
    ],
)
def test_addresses_are_https_or_this_machine(url: object, safe: bool) -> None:
    assert is_safe(url) is safe


async def test_where_no_seat_is_left_nobody_new_comes_in_and_an_alarm_is_raised(browser: Browser, house: House) -> None:
    house.policy = replace(house.policy, partners={"agency": PartnerRule(seats=1, idle_s=600)})
    await house.seats.take("agency", "u_somebody")
    answer = await browser.get(await browser.at_the_partner(await begun(browser)))
    assert answer.status_code == 403 and "Your organisation has no place left" in answer.text
    assert "__Host-gateway" not in browser.cookies
    refusal, alarm = house.ledger
    assert (refusal["kind"], refusal["verdict"], refusal["reason"]) == ("sign_in", "refusal", "no_seat")
    assert (alarm["kind"], alarm["reason"], alarm["limit"]) == ("alarm", "no_seat", 1)
    await house.seats.leave("agency", "u_somebody")
    assert (await browser.get(await browser.at_the_partner(await begun(browser)))).status_code == 303
    assert await browser.caller(house) is not None
    house.clock.forward(600)  # the partner's sessions are idle for ten minutes at most
    assert await browser.caller(house) is None


async def test_who_was_seen_before_is_no_first_sight(browser: Browser, house: House) -> None:
    for _ in range(2):
        await browser.get(await browser.at_the_partner(await begun(browser)))
        browser.cookies.pop("__Host-gateway")
    assert [record["kind"] for record in house.ledger] == ["first_sight", "sign_in", "sign_in"]


async def test_while_everything_observes_everybody_has_a_seat_and_is_ripe(
    browser: Browser, house: House, partner: Partner
) -> None:
    house.policy = replace(house.policy, partners={"agency": PartnerRule(seats=1)})
    house.observing = True
    await house.seats.take("agency", "u_somebody")
    async with house.client(partner) as client:
        browser.pages = client
        assert (await browser.get(await browser.at_the_partner(await begun(browser)))).status_code == 303
    caller = await browser.caller(house)
    assert caller is not None
    assert len(await house.seats.rows("agency")) == 2
    assert await house.store.call("EXISTS", keys.first_sight(caller.user)) == 0


async def test_a_first_sight_that_is_not_recorded_is_none(
    browser: Browser, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = await browser.at_the_partner(await begun(browser))

    async def no(*_: object, **__: object) -> int:
        raise OSError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(type(house.records), "append", no)
        assert (await browser.get(back)).status_code == 503
    assert await house.seats.rows("agency") == []


async def test_a_thousand_beginnings_keep_nothing_in_the_store(browser: Browser, house: House) -> None:
    await begun(browser)
    before = await house.store.call("DBSIZE")
    for _ in range(1_000):
        await begun(browser)
    assert await house.store.call("DBSIZE") == before


async def test_what_anybody_can_send_back_is_counted_and_not_recorded(browser: Browser, house: House) -> None:
    back, before = await browser.at_the_partner(await begun(browser)), len(house.ledger)
    for sent in (changed(back, state=None), changed(back, state="A" * 43), back.replace("/agency", "/nobody")):
        assert (await browser.get(sent)).status_code == 403
    assert len(house.ledger) == before
    await house.records.flush_counts(now=house.clock.now())
    assert house.ledger[-1]["counts"] == [{"key": ["refusal", "-", "sign_in_failed"], "count": 3}]


async def test_an_id_of_nobody_is_answered_as_a_partner_s(browser: Browser, house: House) -> None:
    answers = [
        await browser.get(f"{ORIGIN}/.gateway/callback/{name}?code=x&state={'y' * 43}") for name in ("agency", "nobody")
    ]
    known, unknown = (re.sub(r"[0-9A-F]{3}-[0-9A-F]{3}|[0-9a-f]{32}", "", answer.text) for answer in answers)
    assert known == unknown and {answer.status_code for answer in answers} == {403}


async def test_a_network_that_begins_too_often_at_a_partner_that_is_called_each_time_waits(
    house: House, partner: Partner, provider: RunningProvider, clock
) -> None:
    called = replace(partner, par=True)
    async with house.client(called) as client:
        browser = Browser(client, provider)
        statuses = [(await browser.get("/.gateway/sign-in?partner=agency")).status_code for _ in range(62)]
        assert statuses[60:] == [429, 429] and 429 not in statuses[:60]
        clock.forward(2)
        assert (await browser.get("/.gateway/sign-in?partner=agency")).status_code != 429


@pytest.mark.parametrize("event", ["logout", "session-revoked", "credential-change"])
async def test_what_the_partner_ends_while_somebody_signs_in_opens_nothing(
    browser: Browser, house: House, event: str
) -> None:
    back = await browser.at_the_partner(await begun(browser))
    house.clock.forward(1)
    token = await told(browser.provider, event)
    if event == "logout":
        await browser.pages.post("/.gateway/back-channel-logout/agency", data={"logout_token": token})
    else:
        await browser.pages.post("/.gateway/events/agency", content=token.encode(), headers=SET)
    assert (await browser.get(back)).status_code == 403
    assert await browser.caller(house) is None
    assert house.ledger[-1]["detail"] == "ended by the partner or changed while signing in"
    house.clock.forward(1)
    assert (await browser.get(await browser.at_the_partner(await begun(browser)))).status_code == 303


@pytest.mark.parametrize(
    "host",
    [
        "localhost.",
        "LOCALHOST",
        "127.0.0.2",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",  # noqa: S104  (a name that must be refused)
        "[::1]",
        "[::ffff:7f00:1]",
        "10.0.0.5",
        "169.254.169.254",
        "redis",
        "redis.internal:6379",
        "gate.local",
        "a.b.corp",
        "a.example.",
        "user:secret@b.example",
        "ｌocalhost",
        "1.2.3.4",
    ],
)
def test_a_partner_elsewhere_does_not_make_us_call_within_our_house(host: str) -> None:
    document = DOCUMENT.replace(b"https://a.example/t", f"https://{host}/t".encode())
    with pytest.raises(NotFetched):
        endpoints_of(document, "https://a.example")


@pytest.mark.parametrize("host", ["b.example", "b.example:8443", "login.b.xn--p1ai"])
def test_a_partner_names_hosts_of_the_world_and_its_own(host: str) -> None:
    document = DOCUMENT.replace(b"https://a.example/t", f"https://{host}/t".encode())
    assert endpoints_of(document, "https://a.example").token == f"https://{host}/t"
    inside = DOCUMENT.replace(b"https://a.example", b"https://10.0.0.5:8443")
    assert endpoints_of(inside, "https://10.0.0.5:8443").token == "https://10.0.0.5:8443/t"
