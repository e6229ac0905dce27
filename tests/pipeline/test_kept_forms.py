"""A form that a question or the end of a session interrupted: byte for byte, once, by the same person."""

import re
from collections.abc import Callable

import pytest
from browsers import Browser, browser_of
from persons import Raw
from stack import Account, Stack, until
from wire import Answer

NAVIGATES = ("Sec-Fetch-Mode", "navigate")
FORM = "application/x-www-form-urlencoded"
BOUNDARY = "----WebKitFormBoundary7MA4YWxk"
MULTIPART = (
    (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="note"\r\n\r\nJ\u00e9r\u00f4me\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="cv"; filename="a\u0301.pdf"\r\n'
        f"Content-Type: application/pdf\r\n\r\n"
    ).encode()
    + bytes(range(256))
    + f"\r\n--{BOUNDARY}--\r\n".encode()
)
KINDS = [
    (FORM, b"a=1&b=%E9&c=+x&a=2"),
    (f"multipart/form-data; boundary={BOUNDARY}", MULTIPART),
    ("text/plain", b"note=one\r\ntwo=\xe9\xff\x00\r\n"),
    ('Text/Plain;charset="ISO-8859-1"', b"note=\xe9\r\n"),
    ('application/x-odd; a="b;c"', bytes(range(256)) * 4),
    ("", b"\x01\x02 no type at all"),
    (FORM, b""),
    ("text/plain", b"x" * (1024 * 1024)),
]


@pytest.fixture
def browser(stack: Stack, somebody: Account) -> Browser:
    return browser_of(stack, somebody)


def submit(
    there: Raw, browser: Browser, kind: str = FORM, body: bytes = b"a=1", *fields: tuple[str, str], query: str = ""
) -> Answer:
    typed = (("Content-Type", kind),) if kind else ()
    return browser.ask(there.path + query, *typed, NAVIGATES, *fields, method="POST", body=body)


def kept_at(page: Answer) -> str:
    found = re.search(rb'data-next="([^"]+)"', page.body)
    assert found is not None, page.body
    return found[1].decode()


def send(there: Raw, browser: Browser, location: str, query: str = "", *fields: tuple[str, str]) -> Answer:
    """Press the button of the page at ``location``."""
    body = f"gateway-kept={location.partition('?id=')[2]}".encode()
    return browser.ask(there.path + query, ("Content-Type", FORM), NAVIGATES, *fields, method="POST", body=body)


@pytest.mark.parametrize(("kind", "body"), KINDS, ids=[f"{kind[:20]} {len(body)}" for kind, body in KINDS])
def test_every_content_type_arrives_as_it_was(raw: Raw, browser: Browser, kind: str, body: bytes) -> None:
    there = raw.under("sensitive")
    there.says(b"{}")
    location = kept_at(submit(there, browser, kind, body, query="?x=%E9&y"))
    assert not there.received
    browser.confirm()
    page = browser.ask(location, NAVIGATES)
    assert f'action="{there.path}?x=%E9&amp;y"'.encode() in page.body
    assert send(there, browser, location, "?x=%E9&y").status == 200
    assert [value for name, value in browser.cookies.items() if "kept" in name] == [""]
    (received,) = there.received
    assert received.body == body
    assert [value.decode() for value in received.all("content-type")] == ([kind] if kind else [])
    assert received.target == f"{there.path}?x=%E9&y".encode()


def test_what_the_page_sends_is_never_forwarded_itself(raw: Raw, browser: Browser, somebody: Account) -> None:
    there = raw.under("save")
    there.says(b"{}")
    location = "/.gateway/kept?id=" + "a" * 24
    assert send(there, browser, location).status == 404
    by_token = f"gateway-kept={'a' * 24}".encode()
    assert there.ask(somebody, ("Content-Type", FORM), method="POST", body=by_token).status == 403
    assert not there.received


def test_nor_when_a_proxy_has_chunked_it(raw: Raw, browser: Browser) -> None:
    there = raw.under("save")
    there.says(b"{}")
    chunked = ("Transfer-Encoding", "chunked")
    for field, size in ((b"gateway-kept=" + b"a" * 24, 404), (b"longer=" + b"b" * 100, 200), (b"c=1", 200)):
        raw_body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(field), field)
        answer = browser.ask(there.path, ("Content-Type", FORM), NAVIGATES, chunked, method="POST", after=raw_body)
        assert answer.status == size
    assert [one.body for one in there.received] == [b"longer=" + b"b" * 100, b"c=1"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [(FORM, b"gateway-kept=short"), ("text/plain", b"gateway-kept=" + b"a" * 24), (FORM, b"gateway-kepd=" + b"a" * 24)],
)
def test_what_only_looks_like_it_is_the_application_s(raw: Raw, browser: Browser, kind: str, body: bytes) -> None:
    there = raw.under("save")
    there.says(b"{}")
    assert submit(there, browser, kind, body).status == 200
    assert [one.body for one in there.received] == [body]


def test_a_session_that_ended_on_the_page_that_sends_keeps_no_button(raw: Raw, browser: Browser) -> None:
    there = raw.under("sensitive")
    location = kept_at(submit(there, browser))
    browser.expire("seen")
    until(lambda: browser.ask("/.gateway/budget").reason == "no_caller", what="the end of the session")
    page = send(there, browser, location)
    assert page.status == 401
    assert b"flow=" not in page.body
    assert not there.received


@pytest.mark.parametrize("mode", ["cors", "no-cors", "same-origin"])
def test_what_a_script_sends_is_its_own_to_keep(raw: Raw, browser: Browser, mode: str) -> None:
    there = raw.under("sensitive")
    answer = browser.ask(there.path, ("Content-Type", FORM), ("Sec-Fetch-Mode", mode), method="POST", body=b"a=1")
    assert answer.reason == "proof_required"
    assert not any("kept" in name for name in browser.cookies)


# -- When the session has ended --


def ended(there: Raw, browser: Browser, field: str = "seen", *fields: tuple[str, str]) -> Answer:
    """A form sent once the session has ended by time."""
    there.says(b"{}")
    browser.expire(field)
    until(lambda: browser.ask("/.gateway/budget").reason == "no_caller", what="the end of the session")
    return submit(there, browser, FORM, b"a=typed", *fields)


def sign_in_flow(page: Answer) -> str:
    found = re.search(rb'/\.gateway/sign-in\?flow=([^"]+)"', page.body)
    assert found is not None, page.body
    return found[1].decode()


def led_to(browser: Browser, page: Answer) -> str:
    """Where signing in leads."""
    answer = browser.ask(f"/.gateway/sign-in?flow={sign_in_flow(page)}", NAVIGATES)
    assert answer.status == 303
    return answer.one("location") or ""


@pytest.mark.parametrize("field", ["seen", "expires_at"])
@pytest.mark.parametrize(("language", "words"), [("en", "sign in again, then send it"), ("fr", "connectez-vous de")])
def test_it_is_kept_and_sent_once_after_signing_in_again(
    raw: Raw, browser: Browser, field: str, language: str, words: str
) -> None:
    there = raw.under("save")
    page = ended(there, browser, field, ("Accept-Language", language))
    assert page.status == 401
    assert words.encode() in page.body
    browser.sign_in_again()
    location = led_to(browser, page)
    shown = browser.ask(location, NAVIGATES)
    assert (shown.status, there.path.encode() in shown.body) == (200, True)
    assert not there.received
    assert send(there, browser, location).status == 200
    assert send(there, browser, location).status == 404
    assert [one.body for one in there.received] == [b"a=typed"]


def test_the_half_comes_back_from_a_partner_but_with_no_other_site_s_form(raw: Raw, browser: Browser) -> None:
    there = raw.under("save")
    page = ended(there, browser)
    (kept,) = page.all("set-cookie")
    assert b"SameSite=Lax" in kept and b"HttpOnly" in kept and b"Secure" in kept
    browser.sign_in_again()
    location = led_to(browser, page)
    browser.site = "cross-site"
    assert send(there, browser, location).status == 403
    assert not there.received
    browser.site = "same-origin"
    assert send(there, browser, location).status == 200


def test_another_user_finds_nothing_and_sends_nothing(raw: Raw, browser: Browser) -> None:
    there = raw.under("save")
    page = ended(there, browser)
    other = browser_of(raw.stack, raw.stack.account())
    other.cookies |= {name: value for name, value in browser.cookies.items() if "kept" in name}
    location = led_to(other, page)
    assert other.ask(location, NAVIGATES).status == 404
    assert send(there, other, location).status == 404
    assert not there.received


def test_another_browser_of_the_same_person_sends_nothing(raw: Raw, browser: Browser) -> None:
    there = raw.under("save")
    page = ended(there, browser)
    other = browser_of(raw.stack, browser.account)
    assert send(there, other, led_to(other, page)).status == 404
    assert not there.received


def sign_out(browser: Browser) -> None:
    kept = dict(browser.cookies)
    assert browser.ask("/.gateway/sign-out", method="POST", body=b"").status == 200
    browser.cookies = kept


def not_me(browser: Browser) -> None:
    other = browser_of(browser.stack, browser.account)
    assert other.ask("/.gateway/not-me", ("Content-Type", FORM), method="POST", body=b"").status < 400


def forge(browser: Browser) -> None:
    browser.cookies = {name: value[::-1] for name, value in browser.cookies.items()}


@pytest.mark.parametrize("end", [sign_out, not_me, forge])
def test_what_was_ended_on_purpose_leaves_nothing_behind(
    raw: Raw, browser: Browser, end: Callable[[Browser], None]
) -> None:
    end(browser)
    until(lambda: browser.ask("/.gateway/budget").reason == "no_caller", what="the end of the session")
    page = submit(raw.under("save"), browser)
    assert page.status == 401
    assert not any("kept" in name for name in browser.cookies)
    assert b"flow=" not in page.body


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_what_another_site_sent_is_not_kept(raw: Raw, browser: Browser, site: str) -> None:
    browser.expire("seen")
    until(lambda: browser.ask("/.gateway/budget").reason == "no_caller", what="the end of the session")
    browser.site = site
    page = submit(raw.under("save"), browser)
    assert page.status == 401
    assert not any("kept" in name for name in browser.cookies)


def test_an_ended_session_opens_nothing_else(raw: Raw, browser: Browser) -> None:
    there = raw.under("save")
    ended(there, browser)
    assert browser.ask(there.path, ("Content-Type", FORM), method="POST", body=b"a=1").reason == "no_caller"
    assert browser.ask("/.gateway/account", NAVIGATES).status in (303, 401)
    assert not there.received
