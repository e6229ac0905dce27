"""What lies under ``/.gateway/``, and that nothing else does."""

import httpx2
import pytest

from gateway.keyring import KeyRing

from .conftest import ORIGIN, House, undisclosed

NAVIGATE = {"sec-fetch-mode": "navigate"}


async def test_budget_is_the_contract_s_and_keeps_silent_alarms_silent(pages: httpx2.AsyncClient, house: House) -> None:
    headers = await house.cookie()
    caller = await house.caller(headers)
    assert caller is not None
    await house.taken(caller, 7)
    house.clock.forward(600)
    budgets = (await pages.get("/.gateway/budget", headers=headers)).json()["budgets"]
    assert [one["name"] for one in budgets] == ["hour", "day", "lookups"]
    assert budgets[0] == {
        "name": "hour",
        "scope": "user",
        "class": "sensitive",
        "limit": 60,
        "used": 7,
        "window_s": 3600,
        "next_free_s": 3000,
    }


async def test_budget_tells_nothing_where_the_policy_does_not_disclose(pages: httpx2.AsyncClient, house: House) -> None:
    house.policy = undisclosed(house.policy)
    assert (await pages.get("/.gateway/budget", headers=await house.cookie())).json() == {"budgets": []}
    page = await pages.get("/.gateway/account", headers=await house.cookie() | NAVIGATE)
    assert "meter" not in page.text and "does not show the figures" in page.text


async def test_budget_counts_the_proof_that_is_fresh(pages: httpx2.AsyncClient, house: House) -> None:
    headers = await house.cookie()
    answer = await pages.post(
        "/.gateway/step-up/totp", json={"code": house.code()}, headers=headers | {"sec-fetch-site": "same-origin"}
    )
    renewed = {"cookie": answer.headers["set-cookie"].split(";")[0]}
    scopes = [one["scope"] for one in (await pages.get("/.gateway/budget", headers=renewed)).json()["budgets"]]
    assert "proof" in scopes


async def test_account_shows_person_limits_and_sign_out(pages: httpx2.AsyncClient, house: House) -> None:
    headers = await house.cookie()
    caller = await house.caller(headers)
    assert caller is not None
    await house.taken(caller, 7)
    page = (await pages.get("/.gateway/account", headers=headers | NAVIGATE)).text
    assert "Alice Martin" in page and "Agence Nord" in page
    assert "7 of 60" in page and 'data-in-s="3600"' in page
    assert 'method="post" action="/.gateway/sign-out"' in page


async def test_account_without_a_session_goes_to_sign_in_and_comes_back(
    pages: httpx2.AsyncClient, house: House
) -> None:
    answer = await pages.get("/.gateway/account", headers=NAVIGATE)
    assert answer.status_code == 303
    flow = answer.headers["location"].removeprefix(f"{ORIGIN}/.gateway/sign-in?flow=")
    assert house.flows.handed_back("return", flow) == {"target": "/.gateway/account", "host": "localhost:8080"}


async def test_client_without_a_session_gets_a_problem(pages: httpx2.AsyncClient) -> None:
    answer = await pages.get("/.gateway/budget")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("path", ["/.gateway/", "/.gateway/nothing", "/.gateway/account/", "/elsewhere"])
async def test_unknown_paths_are_not_found_by_our_own_answer(pages: httpx2.AsyncClient, path: str) -> None:
    answer = await pages.get(path)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:gateway:problem:not_found")


async def test_wrong_method_says_which_is_right(pages: httpx2.AsyncClient) -> None:
    answer = await pages.get("/.gateway/step-up/totp")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_static_files_have_a_validator_and_a_type(pages: httpx2.AsyncClient) -> None:
    for name, media_type in (
        ("style.css", "text/css"),
        ("step-up.js", "text/javascript"),
        ("mark.svg", "image/svg+xml"),
    ):
        first = await pages.get(f"/.gateway/static/{name}")
        assert first.status_code == 200 and first.headers["content-type"].startswith(media_type)
        again = await pages.get(f"/.gateway/static/{name}", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert (await pages.get("/.gateway/static/..%2Fwords.en.toml")).status_code == 404


async def test_language_switch_goes_back_only_to_this_host(pages: httpx2.AsyncClient) -> None:
    ours = await pages.get("/.gateway/language?to=fr", headers={"referer": f"{ORIGIN}/dossiers/7?a=1"})
    theirs = await pages.get("/.gateway/language?to=fr", headers={"referer": "https://evil.example/x"})
    slashes = await pages.get("/.gateway/language?to=fr", headers={"referer": f"{ORIGIN}//evil.example/x"})
    assert ours.headers["location"] == "/dossiers/7?a=1"
    assert theirs.headers["location"] == slashes.headers["location"] == "/.gateway/account"
    assert ours.headers["set-cookie"].startswith("gateway_lang=fr;")
    assert (await pages.get("/.gateway/language?to=xx")).status_code == 400


async def test_chosen_language_outweighs_the_browser_s(pages: httpx2.AsyncClient, house: House) -> None:
    headers = {"cookie": f"__Host-gateway={await house.sign_in()}; gateway_lang=fr", "accept-language": "en"}
    page = await pages.get("/.gateway/account", headers=headers | NAVIGATE)
    assert '<html lang="fr">' in page.text and "Vos plafonds" in page.text


async def test_sign_in_offers_the_partners_and_carries_the_key_on(pages: httpx2.AsyncClient) -> None:
    page = (await pages.get("/.gateway/sign-in?flow=abcdefghijklmnopqrst", headers=NAVIGATE)).text
    assert 'href="/.gateway/sign-in?partner=mission&amp;flow=abcdefghijklmnopqrst"' in page
    assert "Agence Nord" in page


@pytest.mark.parametrize("query", ["flow=a&flow=b", "flow=%22%3E", "partner=agency&partner=mission", "flow=https://x"])
async def test_sign_in_refuses_what_we_never_wrote(pages: httpx2.AsyncClient, query: str) -> None:
    assert (await pages.get(f"/.gateway/sign-in?{query}")).status_code == 400


async def test_an_unknown_partner_is_not_found(pages: httpx2.AsyncClient) -> None:
    assert (await pages.get("/.gateway/sign-in?partner=nobody")).status_code == 404


async def test_fault_in_a_page_says_nothing_of_itself(
    pages: httpx2.AsyncClient, house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(_: KeyRing) -> dict[str, object]:
        raise ValueError("secret-value")

    monkeypatch.setattr(KeyRing, "jwks", break_down)
    answer = await pages.get("/.gateway/jwks.json")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:gateway:problem:internal_fault")
    assert "secret-value" not in answer.text + caplog.text
    assert answer.headers["x-gateway-reference"] in caplog.text
