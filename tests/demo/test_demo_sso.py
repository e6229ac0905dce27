"""The partner's single sign-on, rule by rule: first over a socket, then with a clock that the test holds."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from demo_programs import SSO_USERS, Program
from joserfc import jwt
from joserfc.jwk import KeySet

from gateway.demo.sso import Provider, create_sso

BACK = "https://client.example/back"
SECRET = ("gateway", "s3cret%3A%2B")


@dataclass
class Attempt:
    """One client's authorization request, with its verifier."""

    changes: dict[str, str | None] = field(default_factory=dict)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def fields(self) -> dict[str, str]:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        asked: dict[str, str | None] = {
            "client_id": "gateway", "redirect_uri": BACK, "response_type": "code", "scope": "openid profile",
            "state": "st", "nonce": "no", "code_challenge": challenge, "code_challenge_method": "S256", **self.changes,
        }  # fmt: skip
        return {name: value for name, value in asked.items() if value is not None}

    @property
    def path(self) -> str:
        return f"/authorize?{urlencode(self.fields)}"


def returned(answer: httpx2.Response) -> dict[str, str]:
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith(f"{BACK}?")
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def right(login: str = "h.lefevre", password: str = "éclair au café") -> dict[str, str]:  # noqa: S107 - a made-up user's
    return {"login": login, "password": password}


def redemption(attempt: Attempt, code: str, /, **changes: str) -> dict[str, str]:
    given = {"grant_type": "authorization_code", "redirect_uri": BACK, "code_verifier": attempt.verifier}
    return {**given, "code": code, **changes}


@pytest.fixture
def browser(sso: Program) -> Any:
    with httpx2.Client(base_url=sso.url, trust_env=False, timeout=60) as client:
        yield client


def signed_in(browser: httpx2.Client, **changes: str | None) -> tuple[Attempt, str]:
    attempt = Attempt(dict(changes))
    return attempt, returned(browser.post(attempt.path, data=right()))["code"]


class TestDiscovery:
    def test_it_names_itself_and_what_it_enforces(self, browser: httpx2.Client, sso: Program) -> None:
        known = browser.get("/.well-known/openid-configuration").json()
        assert known["issuer"] == sso.url
        assert known["code_challenge_methods_supported"] == ["S256"]
        assert known["authorization_response_iss_parameter_supported"] is True
        for name in ("authorization", "token", "userinfo", "end_session"):
            assert known[f"{name}_endpoint"].startswith(f"{sso.url}/")

    def test_the_published_key_is_public(self, browser: httpx2.Client) -> None:
        (key,) = browser.get("/jwks").json()["keys"]
        assert (key["kty"], key["crv"], key["alg"]) == ("EC", "P-256", "ES256")
        assert "d" not in key


class TestAuthorization:
    def test_nobody_signed_in_sees_the_login_page(self, browser: httpx2.Client) -> None:
        answer = browser.get(Attempt().path)
        assert answer.status_code == 200
        assert 'name="password"' in answer.text

    def test_a_right_password_gives_code_state_and_issuer(self, browser: httpx2.Client, sso: Program) -> None:
        answer = returned(browser.post(Attempt().path, data=right()))
        assert set(answer) == {"code", "state", "iss"}
        assert (answer["state"], answer["iss"]) == ("st", sso.url)

    def test_the_cookie_is_its_own_and_shut_to_scripts(self, browser: httpx2.Client) -> None:
        cookie = browser.post(Attempt().path, data=right()).headers["set-cookie"]
        assert cookie.startswith("demo_sso")
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie

    @pytest.mark.parametrize("given", [right(password="wrong"), right(login="nobody"), {}])
    def test_a_wrong_login_gives_neither_code_nor_cookie(self, browser: httpx2.Client, given: dict[str, str]) -> None:
        answer = browser.post(Attempt().path, data=given)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers

    def test_a_form_from_another_origin_is_refused(self, browser: httpx2.Client) -> None:
        answer = browser.post(Attempt().path, data=right(), headers={"origin": "https://evil.example"})
        assert answer.status_code == 403

    def test_a_second_request_needs_no_password(self, browser: httpx2.Client) -> None:
        signed_in(browser)
        assert "code" in returned(browser.get(Attempt().path))

    @pytest.mark.parametrize("changes", [{"prompt": "login"}, {"max_age": "0"}])
    def test_prompt_login_and_max_age_ask_again(self, browser: httpx2.Client, changes: dict[str, str | None]) -> None:
        signed_in(browser)
        assert browser.get(Attempt(changes).path).status_code == 200

    def test_prompt_none_never_asks(self, browser: httpx2.Client) -> None:
        assert returned(browser.get(Attempt({"prompt": "none"}).path))["error"] == "login_required"
        signed_in(browser)
        assert "code" in returned(browser.get(Attempt({"prompt": "none"}).path))
        answer = returned(browser.get(Attempt({"prompt": "none", "max_age": "0"}).path))
        assert answer["error"] == "login_required"

    @pytest.mark.parametrize("changes", [{"client_id": "x"}, {"redirect_uri": f"{BACK}/"}, {"redirect_uri": None}])
    def test_an_unknown_client_or_address_is_never_redirected(
        self, browser: httpx2.Client, changes: dict[str, str | None]
    ) -> None:
        assert browser.get(Attempt(changes).path).status_code == 400

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"response_type": "token"}, "unsupported_response_type"),
            ({"scope": "profile"}, "invalid_scope"),
            ({"code_challenge": None}, "invalid_request"),
            ({"code_challenge_method": "plain"}, "invalid_request"),
            ({"code_challenge_method": None}, "invalid_request"),
            ({"max_age": "-1"}, "invalid_request"),
            ({"prompt": "none login"}, "invalid_request"),
            ({"response_mode": "fragment"}, "invalid_request"),
            ({"request": "x"}, "request_not_supported"),
        ],
    )
    def test_a_wrong_request_goes_back_with_its_error(
        self, browser: httpx2.Client, changes: dict[str, str | None], error: str
    ) -> None:
        answer = returned(browser.get(Attempt(changes).path))
        assert (answer["error"], answer["state"]) == (error, "st")
        assert "code" not in answer

    def test_a_parameter_given_twice_is_400(self, browser: httpx2.Client) -> None:
        assert browser.get(f"{Attempt().path}&nonce=no").status_code == 400


class TestToken:
    def test_the_id_token_says_who_when_how_and_for_what(self, browser: httpx2.Client, sso: Program) -> None:
        attempt, code = signed_in(browser)
        answer = browser.post("/token", data=redemption(attempt, code), auth=SECRET)
        assert answer.headers["cache-control"] == "no-store"
        keys = KeySet.import_key_set(browser.get("/jwks").json())
        token = jwt.decode(answer.json()["id_token"], keys, algorithms=["ES256"])
        claims = token.claims
        assert (claims["iss"], claims["aud"], claims["sub"]) == (sso.url, "gateway", "u-1")
        assert (claims["nonce"], claims["amr"], claims["acr"]) == ("no", ["pwd"], "eidas1")
        assert claims["auth_time"] <= claims["iat"] < claims["exp"]
        assert claims["name"] == "Hélène Lefèvre"

    def test_it_says_at_which_level_and_how_as_the_user_s_entry_says(self, browser: httpx2.Client) -> None:
        attempt = Attempt()
        code = returned(browser.post(attempt.path, data=right("p.martin", "second")))["code"]
        answer = browser.post("/token", data=redemption(attempt, code), auth=SECRET)
        keys = KeySet.import_key_set(browser.get("/jwks").json())
        claims = jwt.decode(answer.json()["id_token"], keys, algorithms=["ES256"]).claims
        assert (claims["acr"], claims["amr"]) == ("eidas2", ["pwd", "hwk"])

    def test_the_secret_may_come_in_the_form(self, browser: httpx2.Client) -> None:
        attempt, code = signed_in(browser)
        form = redemption(attempt, code, client_id="gateway", client_secret="s3cret:+")
        assert browser.post("/token", data=form).status_code == 200

    def test_userinfo_answers_the_access_token(self, browser: httpx2.Client) -> None:
        attempt, code = signed_in(browser)
        access = browser.post("/token", data=redemption(attempt, code), auth=SECRET).json()["access_token"]
        claims = browser.get("/userinfo", headers={"authorization": f"Bearer {access}"}).json()
        assert claims == {"sub": "u-1", "name": "Hélène Lefèvre", "email": "h@x.example", "agency": "75011"}
        assert browser.get("/userinfo", headers={"authorization": "Bearer x"}).status_code == 401
        assert browser.get("/userinfo").status_code == 401

    def test_a_code_serves_once_and_its_second_use_takes_back_the_token(self, browser: httpx2.Client) -> None:
        attempt, code = signed_in(browser)
        access = browser.post("/token", data=redemption(attempt, code), auth=SECRET).json()["access_token"]
        again = browser.post("/token", data=redemption(attempt, code), auth=SECRET)
        assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})
        assert browser.get("/userinfo", headers={"authorization": f"Bearer {access}"}).status_code == 401

    @pytest.mark.parametrize("changes", [{"code_verifier": "x" * 43}, {"redirect_uri": f"{BACK}2"}, {"code": "x"}])
    def test_a_wrong_verifier_address_or_code_is_refused(self, browser: httpx2.Client, changes: dict[str, str]) -> None:
        attempt, code = signed_in(browser)
        answer = browser.post("/token", data=redemption(attempt, code, **changes), auth=SECRET)
        assert (answer.status_code, answer.json()) == (400, {"error": "invalid_grant"})

    def test_a_wrong_verifier_uses_the_code_up(self, browser: httpx2.Client) -> None:
        attempt, code = signed_in(browser)
        browser.post("/token", data=redemption(attempt, code, code_verifier="x"), auth=SECRET)
        assert browser.post("/token", data=redemption(attempt, code), auth=SECRET).status_code == 400

    def test_a_code_belongs_to_its_client(self, browser: httpx2.Client) -> None:
        attempt, code = signed_in(browser)
        answer = browser.post("/token", data=redemption(attempt, code), auth=("other", "other"))
        assert answer.json() == {"error": "invalid_grant"}

    def test_a_wrong_secret_is_401_and_leaves_the_code(self, browser: httpx2.Client) -> None:
        attempt, code = signed_in(browser)
        wrong = browser.post("/token", data=redemption(attempt, code), auth=("gateway", "no"))
        assert (wrong.status_code, wrong.json()) == (401, {"error": "invalid_client"})
        assert wrong.headers["www-authenticate"] == "Basic"
        assert browser.post("/token", data=redemption(attempt, code), auth=SECRET).status_code == 200

    def test_two_ways_to_authenticate_are_refused(self, browser: httpx2.Client) -> None:
        attempt, code = signed_in(browser)
        form = redemption(attempt, code, client_secret="s3cret:+")
        assert browser.post("/token", data=form, auth=SECRET).json() == {"error": "invalid_request"}

    def test_a_parameter_given_twice_is_400(self, browser: httpx2.Client) -> None:
        attempt, code = signed_in(browser)
        body = f"{urlencode(redemption(attempt, code))}&code={code}"
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = browser.post("/token", content=body, headers=headers, auth=SECRET)
        assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})


class TestLogout:
    def test_the_id_token_signs_out_and_goes_back(self, browser: httpx2.Client) -> None:
        attempt, code = signed_in(browser)
        hint = browser.post("/token", data=redemption(attempt, code), auth=SECRET).json()["id_token"]
        query = urlencode({"id_token_hint": hint, "post_logout_redirect_uri": BACK, "state": "bye"})
        assert browser.get(f"/end_session?{query}").headers["location"] == f"{BACK}?state=bye"
        assert browser.get(Attempt().path).status_code == 200

    def test_without_it_the_person_is_asked_first(self, browser: httpx2.Client) -> None:
        signed_in(browser)
        query = urlencode({"post_logout_redirect_uri": BACK})
        page = browser.get(f"/end_session?{query}")
        assert page.status_code == 200
        assert "code" in returned(browser.get(Attempt().path))
        (name, value) = re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', page.text)[0]
        assert browser.post("/end_session", data={name: value}).status_code == 200
        assert browser.get(Attempt().path).status_code == 200

    def test_an_unregistered_address_is_not_gone_to(self, browser: httpx2.Client) -> None:
        attempt, code = signed_in(browser)
        hint = browser.post("/token", data=redemption(attempt, code), auth=SECRET).json()["id_token"]
        query = urlencode({"id_token_hint": hint, "post_logout_redirect_uri": "https://evil.example/"})
        assert browser.get(f"/end_session?{query}").status_code == 200


class HeldTime:
    """Unix seconds that stand still until a test moves them."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def held() -> HeldTime:
    return HeldTime()


@pytest.fixture
async def visitor(held: Callable[[], float]) -> Any:
    application = create_sso(Provider("http://sso.example", SSO_USERS, held))
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=application), base_url="http://sso.example"
    ) as client:
        yield client


class TestTime:
    async def test_a_code_lives_sixty_seconds(self, visitor: httpx2.AsyncClient, held: HeldTime) -> None:
        for waited, status in ((59.9, 200), (60.0, 400)):
            attempt = Attempt()
            code = returned(await visitor.post(attempt.path, data=right()))["code"]
            held.now += waited
            answer = await visitor.post("/token", data=redemption(attempt, code), auth=SECRET)
            assert answer.status_code == status

    async def test_max_age_asks_once_the_sign_in_is_that_old(self, visitor: httpx2.AsyncClient, held: HeldTime) -> None:
        await visitor.post(Attempt().path, data=right())
        held.now += 99
        assert (await visitor.get(Attempt({"max_age": "100"}).path)).status_code == 303
        held.now += 1
        assert (await visitor.get(Attempt({"max_age": "100"}).path)).status_code == 200

    async def test_auth_time_is_that_of_the_password(self, visitor: httpx2.AsyncClient, held: HeldTime) -> None:
        await visitor.post(Attempt().path, data=right())
        signed_in_at = held.now
        held.now += 1_000
        attempt = Attempt()
        code = returned(await visitor.get(attempt.path))["code"]
        answer = await visitor.post("/token", data=redemption(attempt, code), auth=SECRET)
        keys = KeySet.import_key_set((await visitor.get("/jwks")).json())
        claims = jwt.decode(answer.json()["id_token"], keys, algorithms=["ES256"]).claims
        assert (claims["auth_time"], claims["iat"]) == (int(signed_in_at), int(held.now))

    async def test_ten_wrong_passwords_in_a_row_lock_for_a_quarter_of_an_hour(
        self, visitor: httpx2.AsyncClient, held: HeldTime
    ) -> None:
        async def tried(given: dict[str, str]) -> int:
            return (await visitor.post(Attempt().path, data=given)).status_code

        for _ in range(2):
            for _ in range(9):
                assert await tried(right(password="x")) == 401
            assert await tried(right()) == 303
        for _ in range(10):
            assert await tried(right(password="x")) == 401
        assert await tried(right()) == 401
        assert await tried(right("p.martin", "second")) == 303
        held.now += 899
        assert await tried(right()) == 401
        held.now += 1
        assert await tried(right()) == 303

    async def test_a_sign_in_ends_after_eight_hours(self, visitor: httpx2.AsyncClient, held: HeldTime) -> None:
        await visitor.post(Attempt().path, data=right())
        held.now += 8 * 3600
        assert (await visitor.get(Attempt().path)).status_code == 200
