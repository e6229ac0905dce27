"""Every refusal leaves as one right answer, for browsers and for clients, in two languages."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.extraction import Class
from gateway.core.reasons import Reason, Refusal
from gateway.edge import pages
from gateway.edge.answers import (
    STATUS,
    Rendered,
    Site,
    explain_reason,
    keeps_target,
    notice_detail,
    render,
)
from gateway.edge.asked import Asked, language, navigating
from gateway.edge.words import duration

SITE = Site("https://gate.example", "3949", frozenset({"https://app.example"}), "Register", disclose=True)
PROOF = Refusal(Reason.PROOF_REQUIRED, Class.SENSITIVE, ("webauthn", "totp"), 14400)


def asked(**changes: object) -> Asked:
    values: dict[str, object] = {
        "navigating": False,
        "language": "en",
        "method": b"GET",
        "target": b"/dossiers/7?x=%E9",
        "reference": "K7Q-4M2",
        "request_id": "req-1",
    } | changes
    return Asked(**values)  # type: ignore[arg-type]  # a test's own shorthand


def header(answer: Rendered, name: bytes) -> list[bytes]:
    return [value for field, value in answer.headers if field == name]


def test_every_reason_has_a_status() -> None:
    assert set(STATUS) == set(Reason)


@pytest.mark.parametrize("code", ["fr", "en"])
def test_catalogue_explains_every_reason_and_class_and_nothing_else(code: str) -> None:
    catalogue = tomllib.loads((pages.FOLDER / f"words.{code}.toml").read_text())
    assert set(catalogue["reasons"]) == {reason.value for reason in Reason}
    assert set(catalogue["classes"]) == {klass.word for klass in Class}
    assert set(catalogue["opened"]) == {klass.word for klass in Class}
    assert set(catalogue["limits"]) == {klass.word for klass in Class} | {"proof", "mandate", "misses", "outside"}
    assert all(len(words) == 2 and all(words) for words in catalogue["reasons"].values())


def test_catalogues_have_the_same_words_and_places() -> None:
    french, english = (
        tomllib.loads((pages.FOLDER / f"words.{code}.toml").read_text())["words"] for code in ("fr", "en")
    )
    places = re.compile(r"{\w+}")
    assert {key: sorted(places.findall(text)) for key, text in french.items()} == {
        key: sorted(places.findall(text)) for key, text in english.items()
    }


def test_every_word_is_used() -> None:
    used = "".join(path.read_text() for path in pages.FOLDER.glob("templates/*.html"))
    used += "".join(path.read_text() for path in Path(pages.FOLDER).parent.glob("*.py"))
    words = tomllib.loads((pages.FOLDER / "words.en.toml").read_text())["words"]
    assert [key for key in words if f'"{key}"' not in used and f"'{key}'" not in used] == []


def test_pages_avoid_the_trade_s_own_words() -> None:
    for code in ("fr", "en"):
        catalogue = tomllib.loads((pages.FOLDER / f"words.{code}.toml").read_text())
        said = json.dumps(catalogue["words"]) + json.dumps(list(catalogue["reasons"].values()))
        assert not re.search(r"budget|\bproof|preuve|challenge|\bscope|périmètre", said, re.IGNORECASE)


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST"])
@pytest.mark.parametrize("goes_to_a_page", [True, False])
def test_every_reason_renders_with_the_headers_of_all_answers(
    reason: Reason, method: bytes, goes_to_a_page: bool
) -> None:
    refusal = Refusal(reason, Class.SENSITIVE, ("totp",), 300, 90, 80, 60, 3600, "day", ("GET",), "rule", "INTERNAL")
    answer = render(refusal, request=asked(navigating=goes_to_a_page, method=method), site=SITE, sign_in_flow="k1")
    assert header(answer, b"x-request-id") == [b"req-1"]
    assert header(answer, b"x-gateway-reference") == [b"K7Q-4M2"]
    assert header(answer, b"cache-control") == [b"no-store"]
    assert header(answer, b"x-content-type-options") == [b"nosniff"]
    assert b"INTERNAL" not in answer.body
    assert all(name == name.lower() for name, _ in answer.headers)
    assert (answer.body == b"") == (method == b"HEAD" or answer.status == 303)


def test_problem_has_the_fields_of_the_contract() -> None:
    refusal = Refusal(Reason.TOO_MANY_PERSONS, Class.SENSITIVE, asked=350, limit=60, window_s=3600)
    answer = render(refusal, request=asked(), site=SITE)
    problem = json.loads(answer.body)
    assert answer.status == problem["status"] == 403
    assert header(answer, b"content-type") == [b"application/problem+json"]
    assert problem["type"] == "urn:gateway:problem:too_many_persons"
    assert problem["reference"] == "K7Q-4M2"
    assert (problem["class"], problem["persons"], problem["limit"], problem["window_s"]) == ("sensitive", 350, 60, 3600)
    assert (problem["title"], problem["detail"]) == explain_reason(Reason.TOO_MANY_PERSONS, "en")


def test_missing_proof_is_an_rfc_9470_challenge() -> None:
    answer = render(PROOF, request=asked(language="fr"), site=SITE)
    assert answer.status == 401
    assert header(answer, b"www-authenticate") == [
        b'Bearer error="insufficient_user_authentication", error_description="content of class sensitive needs a fresh '
        b'confirmation", acr_values="webauthn totp", max_age="14400", step_up_uri="https://gate.example/.gateway/step-up"'
    ]
    problem = json.loads(answer.body)
    assert (problem["kinds"], problem["max_age"]) == (["webauthn", "totp"], 14400)
    assert problem["step_up_uri"] == "https://gate.example/.gateway/step-up"


def test_no_caller_is_a_plain_challenge_and_a_wrong_token_an_invalid_one() -> None:
    plain = render(Refusal(Reason.NO_CALLER), request=asked(), site=SITE)
    wrong = render(Refusal(Reason.TOKEN_REVOKED), request=asked(kind_of_credential="token"), site=SITE)
    assert header(plain, b"www-authenticate") == [b"Bearer"]
    assert header(wrong, b"www-authenticate")[0].startswith(b'Bearer error="invalid_token"')


def test_retry_after_stands_only_where_waiting_opens_it() -> None:
    waits = render(Refusal(Reason.BUDGET_EXHAUSTED, retry_s=120), request=asked(), site=SITE)
    never = render(Refusal(Reason.BUDGET_EXHAUSTED), request=asked(), site=SITE)
    assert header(waits, b"retry-after") == [b"120"] and json.loads(waits.body)["retry_after_s"] == 120
    assert header(never, b"retry-after") == [] and "retry_after_s" not in json.loads(never.body)


def test_limits_stay_untold_where_the_policy_does_not_disclose_them() -> None:
    refusal = Refusal(Reason.BUDGET_EXHAUSTED, asked=3, limit=60, window_s=3600, budget="hour", retry_s=5)
    quiet = Site("https://gate.example", "3949")
    problem = json.loads(render(refusal, request=asked(), site=quiet).body)
    page = render(refusal, request=asked(navigating=True), site=quiet).body.decode()
    assert not {"persons", "limit", "window_s", "budget"} & problem.keys()
    assert "60" not in page


def test_method_not_listed_says_which_are() -> None:
    answer = render(Refusal(Reason.METHOD_NOT_LISTED, methods=("GET", "PUT")), request=asked(), site=SITE)
    assert (answer.status, header(answer, b"allow")) == (405, [b"GET, PUT"])


def test_withheld_content_keeps_the_application_s_status() -> None:
    answer = render(Refusal(Reason.CONTENT_WITHHELD), request=asked(), site=SITE, application_status=201)
    assert answer.status == json.loads(answer.body)["status"] == 201


@pytest.mark.parametrize(("said", "words"), [("en", "opens once"), ("fr", "s'ouvre une fois")])
def test_what_is_withheld_says_where_it_waits(said: str, words: str) -> None:
    refusal = Refusal(Reason.CONTENT_WITHHELD, pick_up="/.gateway/answers?id=a")
    problem = json.loads(render(refusal, request=asked(language=said), site=SITE, application_status=201).body)
    assert (problem["pick_up_uri"], problem["status"]) == ("/.gateway/answers?id=a", 201)
    assert words in problem["detail"]
    page = render(refusal, request=asked(language=said, navigating=True), site=SITE, application_status=201)
    assert (page.status, b'href="/.gateway/answers?id=a"' in page.body) == (201, True)


def test_cors_names_listed_origins_only() -> None:
    listed = render(PROOF, request=asked(origin="https://app.example"), site=SITE)
    other = render(PROOF, request=asked(origin="https://evil.example"), site=SITE)
    assert header(listed, b"access-control-allow-origin") == [b"https://app.example"]
    assert b"WWW-Authenticate" in header(listed, b"access-control-expose-headers")[0]
    assert header(other, b"access-control-allow-origin") == []
    assert header(listed, b"vary") == header(other, b"vary") == [b"Origin"]


def test_browser_without_a_session_goes_to_sign_in_with_a_key_and_no_address() -> None:
    answer = render(Refusal(Reason.NO_CALLER), request=asked(navigating=True), site=SITE, sign_in_flow="abc")
    assert answer.status == 303
    assert header(answer, b"location") == [b"https://gate.example/.gateway/sign-in?flow=abc"]


def test_form_without_a_session_is_not_sent_and_says_so() -> None:
    answer = render(Refusal(Reason.NO_CALLER), request=asked(navigating=True, method=b"POST"), site=SITE)
    assert answer.status == 401
    assert b"Not sent" in answer.body and b"go back" in answer.body


def test_step_up_page_stands_in_place_with_reason_form_and_limit() -> None:
    refusal = Refusal(Reason.PROOF_REQUIRED, Class.SENSITIVE, ("totp",), 14400, limit=40)
    answer = render(refusal, request=asked(navigating=True, signed_in=True), site=SITE, sign_in_flow="k-1")
    page = answer.body.decode()
    assert answer.status == 401
    assert "a social security number" in page and "4\N{NO-BREAK SPACE}hours and up to 40 files" in page
    assert 'action="/.gateway/step-up/totp"' in page and 'name="flow" value="k-1"' in page
    assert 'data-after="reload"' in page


def test_step_up_page_after_a_form_does_not_reload() -> None:
    page = render(PROOF, request=asked(navigating=True, method=b"POST"), site=SITE).body.decode()
    assert 'data-after="stay"' in page and "Your form was not sent" in page and 'name="flow"' not in page


def test_pages_escape_what_they_show_and_hold_no_inline_script() -> None:
    site = Site("https://gate.example", "<b>3949</b>", product="<script>alert(1)</script>")
    answer = render(Refusal(Reason.FROZEN), request=asked(navigating=True, reference='"><i>'), site=site)
    page = answer.body.decode()
    assert "<b>" not in page and "<i>" not in page and "alert(1)</script>" not in page
    assert "style=" not in page and "onclick" not in page
    assert header(answer, b"content-security-policy")[0].startswith(b"default-src 'none'; style-src 'self'")
    assert b"unsafe" not in header(answer, b"content-security-policy")[0]


def test_target_is_kept_only_for_what_is_asked_again_by_get() -> None:
    missing = Refusal(Reason.NO_CALLER)
    assert keeps_target(missing, asked(navigating=True))
    assert keeps_target(PROOF, asked(navigating=True, signed_in=True))
    assert not keeps_target(missing, asked(navigating=True, method=b"POST"))
    assert not keeps_target(missing, asked())
    assert not keeps_target(Refusal(Reason.FROZEN), asked(navigating=True))


@pytest.mark.parametrize(
    ("headers", "method", "expected"),
    [
        ([(b"sec-fetch-mode", b"navigate")], b"GET", True),
        ([(b"sec-fetch-mode", b"cors"), (b"accept", b"text/html")], b"GET", False),
        ([(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-mode", b"cors")], b"GET", False),
        ([(b"accept", b"text/html,*/*;q=0.8")], b"GET", True),
        ([(b"accept", b"text/html")], b"POST", True),
        ([(b"accept", b"text/html")], b"PUT", False),
        ([(b"accept", b"*/*")], b"GET", False),
        ([], b"GET", False),
    ],
)
def test_navigating(headers: list[tuple[bytes, bytes]], method: bytes, expected: bool) -> None:
    assert navigating(headers, method) is expected


@pytest.mark.parametrize(
    ("accepted", "cookie", "expected"),
    [
        ("fr-FR,fr;q=0.9,en;q=0.8", None, "fr"),
        ("de,en;q=0.5,fr;q=0.4", None, "en"),
        ("en;q=0.1,fr;q=0.2", None, "fr"),
        ("fr;q=0", None, "en"),
        ("fr;q=oops", None, "en"),
        (None, None, "en"),
        ("en", "fr", "fr"),
        ("fr", "xx", "fr"),
    ],
)
def test_language(accepted: str | None, cookie: str | None, expected: str) -> None:
    assert language(accepted, cookie) == expected


def test_notice_is_one_line_with_the_reference() -> None:
    for code in ("fr", "en"):
        notice = notice_detail(Refusal(Reason.BUDGET_EXHAUSTED), reference="K7Q-4M2", language=code)  # type: ignore[arg-type]  # of the tuple above
        assert "\n" not in notice and notice.endswith("K7Q-4M2")


@given(st.integers(0, 10**8))
def test_duration_never_says_less_than_it_is(seconds: int) -> None:
    count, unit = duration(seconds, "en").split()
    size = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}[unit.rstrip("s")]
    assert max(1, seconds) <= int(count) * size < 2 * max(1, seconds) + 1


@pytest.mark.parametrize("reason", [Reason.BUDGET_EXHAUSTED, Reason.PROOF_REQUIRED])
def test_who_is_stopped_or_asked_sees_what_happened_since_the_last_confirmation(reason: Reason) -> None:
    since = {"confirmed": True, "ago_s": 300, "here": "Firefox", "opened": [("this session", ["60 files"])]}
    refusal = Refusal(reason, Class.SENSITIVE, ("totp",), 14400)
    page = render(refusal, request=asked(navigating=True, signed_in=True), site=SITE, since=since).body.decode()
    assert "Since your last confirmation, 5\N{NO-BREAK SPACE}minutes ago" in page and "60 files" in page
    assert 'href="/.gateway/account#not-me"' in page
