"""Our cookies are read once or not at all, and set with every guard that browsers know."""

import pytest

from gateway.edge import cookies


def test_name_twice_is_ambiguous_also_over_split_fields() -> None:
    for headers in (
        [(b"cookie", b"__Host-gateway=a; __Host-gateway=b")],
        [(b"cookie", b"__Host-gateway=a"), (b"cookie", b"x=1; __Host-gateway=a")],
    ):
        with pytest.raises(cookies.AmbiguousCookie):
            cookies.read(headers, cookies.SESSION)


def test_value_among_others_is_found() -> None:
    headers = [(b"cookie", b"theme=dark; __Host-gateway=abc-1_2"), (b"cookie", b"other=2")]
    assert cookies.read(headers, cookies.SESSION) == "abc-1_2"
    assert cookies.read(headers, cookies.FLOW) is None
    assert cookies.read([(b"cookie", b"__Host-gateway=")], cookies.SESSION) is None


def test_value_that_we_never_set_is_refused() -> None:
    with pytest.raises(cookies.AmbiguousCookie):
        cookies.read([(b"cookie", b'__Host-gateway="abc"')], cookies.SESSION)


@pytest.mark.parametrize("made", [cookies.session("abc"), cookies.end_session(), cookies.flow("abc", 600)])
def test_secret_cookies_carry_every_guard(made: tuple[bytes, bytes]) -> None:
    name, value = made
    assert name == b"set-cookie"
    assert value.startswith(b"__Host-")
    assert {b"Path=/", b"Secure", b"HttpOnly", b"SameSite=Lax"} <= set(value.split(b"; "))
    assert b"Domain" not in value
