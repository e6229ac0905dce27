"""One script in a page, where it can be placed without doubt, and exactly it in a page's own policy."""

import pytest

from gateway.edge.assist import PATH, Assist, assisted, widened

ORIGIN = "https://jobs.example"
ASSIST = Assist(ORIGIN, "https://gate.example/.gateway/step-up", "fr")
URL = f"{ORIGIN}{PATH}"
PAGE = b"<!doctype html>\n<html lang=fr><head>\n<title>A</title></head><body>\xe9</body></html>"


@pytest.mark.parametrize(
    ("policy", "elements"),
    [
        ("script-src 'self'", "'self' 'nonce-N'"),
        ("default-src 'none'", "'nonce-N'"),
        ("default-src 'self' https://a", "'self' https://a 'nonce-N'"),
        ("script-src 'self' 'unsafe-inline'", f"'self' 'unsafe-inline' {URL}"),
        ("script-src 'unsafe-inline' 'nonce-abc'", "'unsafe-inline' 'nonce-abc' 'nonce-N'"),
        (
            "script-src 'strict-dynamic' 'sha256-x' 'unsafe-inline'",
            "'strict-dynamic' 'sha256-x' 'unsafe-inline' 'nonce-N'",
        ),
        ("script-src https://a; script-src-elem https://b", "https://b 'nonce-N'"),
        ("SCRIPT-SRC 'NONE'", "'nonce-N'"),
        ("script-src 'self'; script-src *", "'self' 'nonce-N'"),
    ],
)
def test_a_policy_is_widened_by_this_script_alone(policy: str, elements: str) -> None:
    said = widened(policy.encode(), URL, "N").decode()
    kept = [one for one in policy.split("; ") if not one.startswith("script-src-elem")]
    assert said.split("; ") == [*kept, f"script-src-elem {elements}"]


@pytest.mark.parametrize("policy", ["", "style-src 'self'; img-src *", "frame-ancestors 'none'"])
def test_a_policy_that_says_nothing_of_scripts_stays(policy: str) -> None:
    assert widened(policy.encode(), URL, "N") == policy.encode()


def test_the_page_is_its_own_with_one_tag_first_in_the_head() -> None:
    made = assisted(PAGE, [], ASSIST)
    assert made is not None
    before, tag, after = made[0].partition(b"<script src=")[0], made[0], made[0].partition(b"</script>")[2]
    assert before + after == PAGE
    assert before.endswith(b"<head>")
    assert tag.count(b"<script") == 1


@pytest.mark.parametrize(
    "page",
    [
        b"{}",
        b"",
        b"<p>no head",
        b"<!-- <head> --><head>",
        b"<script>'<head>'</script>",
        b'<html data-q="a><img src=x onerror=alert(1)>"><p>',
        b"<html data-q='a<head>'><p>",
        b'<html data-q="a><p>',
        PAGE.replace(b"<title>", b"<meta name=a content='" + b"x" * 700 + b"'><meta charset=utf-8><title>"),
        PAGE.decode("latin-1").encode("utf-16"),
    ],
)
def test_where_it_cannot_be_placed_without_doubt_the_page_stays(page: bytes) -> None:
    assert assisted(page, [], ASSIST) is None


def test_without_a_head_it_stands_first_in_the_document() -> None:
    made = assisted(b"<HTML class=a><body>x", [], ASSIST)
    assert made is not None and made[0].startswith(b"<HTML class=a><script ")


def test_what_validates_the_old_bytes_does_not_leave_and_every_policy_is_widened() -> None:
    headers = [
        (b"ETag", b'"v1"'),
        (b"Last-Modified", b"x"),
        (b"Cache-Control", b"public"),
        (b"Content-Security-Policy", b"script-src 'self', default-src 'none'"),
        (b"content-security-policy", b"script-src 'self'"),
        (b"content-security-policy-report-only", b"script-src 'none'"),
        (b"X-Kept", b"1"),
    ]
    made = assisted(PAGE, headers, ASSIST)
    assert made is not None
    fields = made[1]
    assert fields[-1] == (b"cache-control", b"no-store")
    assert [name for name, _ in fields[:-1]] == [name for name, _ in headers[3:]]
    nonce = made[0].partition(b'nonce="')[2].partition(b'"')[0]
    assert sum(value.count(b"'nonce-" + nonce + b"'") for _, value in fields) == 3
    assert fields[2][1] == b"script-src 'none'"


def test_the_words_are_the_persons_and_every_byte_is_ascii() -> None:
    for language, words in (("fr", b"Confirmer"), ("en", b"Confirm")):
        made = assisted(PAGE.replace(b"\xe9", b""), [], Assist(ORIGIN, "https://gate.example/x?a=1&b=2", language))  # type: ignore[arg-type]
        assert made is not None and made[0].isascii()
        assert words in made[0] and b"a=1&amp;b=2" in made[0]


def test_only_where_it_would_help_values_are_offered_to_be_shown() -> None:
    plain, shows = (assisted(PAGE, [], Assist(ORIGIN, "https://g/", "en", one)) for one in (False, True))
    assert plain is not None and shows is not None
    assert (b"data-shows" in plain[0], b"data-shows" in shows[0]) == (False, True)
