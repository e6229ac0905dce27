"""A maker's CSV: taken whole, or every mistake with its line; and nothing of a secret in any message."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.factors.token_files import MOST_TOKENS, read_csv
from gateway.factors.totp import Oath

SECRET = b"12345678901234567890"
HEX = SECRET.hex()
BASE32 = base64.b32encode(SECRET).decode()
HEADING = "serial,secret,algorithm,digits,period\n"


def told(text: str | bytes) -> list[tuple[int, str]]:
    content = text.encode() if isinstance(text, str) else text
    return [(one.line, one.text) for one in read_csv(content)[1]]


@pytest.mark.parametrize(
    ("line", "oath"),
    [
        (f"A1,{HEX},SHA1,6,30", Oath(SECRET)),
        (f"A1,{BASE32},,,", Oath(SECRET)),
        (f"A1,{BASE32.lower()},sha-256,8,60", Oath(SECRET, "SHA256", 8, 60)),
        (f"A1, {HEX.upper()} ,HMAC-SHA512,8,30", Oath(SECRET, "SHA512", 8, 30)),
        (f'"A1","{HEX[:20]} {HEX[20:]}","HmacSHA1","6","60"', Oath(SECRET, "SHA1", 6, 60)),
        (f"A1,{base64.b32encode(SECRET[:16]).decode()},,,", Oath(SECRET[:16])),
    ],
)
def test_a_line_is_a_token(line: str, oath: Oath) -> None:
    tokens, mistakes = read_csv(f"{HEADING}{line}\n".encode())
    assert not mistakes
    assert [(one.serial, one.oath, one.line) for one in tokens] == [("A1", oath, 2)]


def test_columns_are_named_in_any_order_and_cut_in_the_french_way() -> None:
    content = f"\ufeffSecret;Serial\r\n{HEX};A1\r\n\r\n{HEX[2:]}00;A2\r\n".encode()
    tokens, mistakes = read_csv(content)
    assert not mistakes
    assert [(one.serial, one.line) for one in tokens] == [("A1", 2), ("A2", 4)]


def test_without_a_heading_all_five_columns_stand_in_order() -> None:
    tokens, mistakes = read_csv(f"A1,{HEX},SHA256,8,60\nA2,{HEX[2:]}00,,,\n".encode())
    assert not mistakes
    assert [(one.serial, one.oath.digits, one.line) for one in tokens] == [("A1", 8, 1), ("A2", 6, 2)]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "no token"),
        (HEADING, 1, "no token"),
        (f"A1,{HEX}\n", 1, "must name the columns"),
        (f"number,seed,hash,digits,period\nA1,{HEX},,,\n", 1, "must name the columns"),
        (f"serial,secret,secret\nA1,{HEX},{HEX}\n", 1, "names a column twice"),
        (f"serial,secret,pin\nA1,{HEX},1\n", 1, "none of"),
        (f"{HEADING}A1,{HEX}\n", 2, "2 values for 5 columns"),
        (f"{HEADING}A 1\t,{HEX},,,\nA[1],{HEX},,,\n", 3, "serial number"),
        (f"{HEADING},{HEX},,,\n", 2, "serial number"),
        (f"{HEADING}A1,0189,,,\n", 2, "16 to 128 bytes"),
        (f"{HEADING}A1,{'00' * 129},,,\n", 2, "16 to 128 bytes"),
        (f"{HEADING}A1,not one!,,,\n", 2, "neither hexadecimal nor base 32"),
        (f"{HEADING}A1,,,,\n", 2, "16 to 128 bytes"),
        (f"{HEADING}A1,{HEX},MD5,,\n", 2, "SHA1, SHA256 or SHA512"),
        (f"{HEADING}A1,{HEX},,7,\n", 2, "6 or 8"),
        (f"{HEADING}A1,{HEX},,,45\n", 2, "30 or 60"),
        (f"{HEADING}A1,{HEX},,,\nA1,{HEX[2:]}00,,,\n", 3, "stands in line 2 already"),
        (f"{HEADING}A1,{HEX},,,\nA2,{BASE32},,,\n", 3, "has the secret of line 2"),
        (f'{HEADING}"A1,{HEX},,,\n', 2, "quotation mark"),
    ],
)
def test_a_mistake_says_its_line_and_what_to_do(text: str, line: int, says: str) -> None:
    found = told(text)
    assert any(at == line and says in message for at, message in found), found


def test_all_mistakes_are_told_at_once() -> None:
    assert [line for line, _ in told(f"{HEADING}A1,x,,,\nA2,{HEX},,,\nA3,{HEX[2:]}00,,9,\n")] == [2, 4]


def test_what_is_no_text_is_said_with_its_line() -> None:
    assert told(HEADING.encode() + b"A1,\xff\xfe,,,\n") == [
        (2, "this is no text in UTF-8: save the file as CSV in UTF-8")
    ]


def test_too_many_are_too_many() -> None:
    lines = "".join(f"{number},{number:040x},,,\n" for number in range(MOST_TOKENS + 1))
    assert told(HEADING + lines) == [(MOST_TOKENS + 2, f"more than {MOST_TOKENS} tokens: split the file")]


@given(st.lists(st.sampled_from([HEX, BASE32, "MD5", "7", "A1", "", HEX[:-1]]), min_size=5, max_size=5))
def test_no_message_shows_what_could_be_a_secret(cells: list[str]) -> None:
    for _, message in told(HEADING + ",".join(cells) + "\n" + ",".join(cells[::-1]) + "\n"):
        for secret in (HEX, BASE32, HEX[:-1]):
            assert secret not in message or secret in (cells[0], cells[-1])


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(content: bytes) -> None:
    tokens, mistakes = read_csv(content)
    assert tokens or mistakes
