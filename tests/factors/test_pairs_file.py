"""A file of old and new subjects: every mistake with its line, and nothing of what it says of people repeated."""

import pytest

from gateway.factors.pairs_file import MOST_PAIRS, read_pairs

HEAD = b"old_sub,new_sub\n"


@pytest.mark.parametrize(
    "content",
    [HEAD + b"1,a\n2,b\n", b"\xef\xbb\xbf" + HEAD + b"1,a\n2,b\n", b"new_sub;old_sub\r\na;1\r\n\r\nb;2\r\n"],
    ids=["plain", "bom", "semicolons-turned"],
)
def test_pairs_are_read(content: bytes) -> None:
    pairs, mistakes = read_pairs(content, one_issuer=True)
    assert [(one.old, one.new) for one in pairs] == [("1", "a"), ("2", "b")] and mistakes == ()


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"", 1, "nobody"),
        (b"old,new\n1,a\n", 1, "must name the columns"),
        (HEAD + b"1,a,x\n", 2, "3 values for 2 columns"),
        (HEAD + b"1,\n", 2, "new_sub is empty"),
        (HEAD + b"1,a\n1,b\n", 3, "old_sub stands in line 2"),
        (HEAD + b"1,a\n2,a\n", 3, "two people cannot become one"),
        (HEAD + b"1,1\n", 2, "nothing changes"),
        (HEAD + b"1,a\na,b\n", 3, "new_sub of line 2"),
        (HEAD + b"1,\xff\n", 2, "no text in UTF-8"),
        (HEAD + b'1,"a\n', 2, "quotation mark"),
        (HEAD + b"1," + b"a" * 256 + b"\n", 2, "no subject"),
        (HEAD + b"".join(b"%d,n%d\n" % (one, one) for one in range(MOST_PAIRS + 1)), MOST_PAIRS + 2, "split"),
    ],
    ids=[
        "empty",
        "heading",
        "columns",
        "blank",
        "old-twice",
        "one-person",
        "same",
        "chain",
        "bytes",
        "quote",
        "long",
        "huge",
    ],
)
def test_a_mistake_is_told_with_its_line(content: bytes, line: int, words: str) -> None:
    _, mistakes = read_pairs(content, one_issuer=True)
    assert [one.line for one in mistakes] == [line] and words in mistakes[0].text
