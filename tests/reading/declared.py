"""A small policy's rules, numbers of persons from the domain's published samples, and their spellings."""

import re

from hypothesis import strategies as st

from gateway.core.extraction import Class
from gateway.core.policy import FieldRule, UniqueKind
from gateway.reading.rules import LinkTemplate, Rules

NIR = UniqueKind("nir", Class.SENSITIVE, ("nir", "*nir", "numerosecu*"), "nir")
AGENCY = UniqueKind("agency", Class.INTERNAL, ("numeroagence",), r"\d{11}|\d{7}[\dA-Z]")
FIELDS = (
    FieldRule("name", Class.INTERNAL, ("nom", "prenom")),
    FieldRule("email", Class.PERSONAL, ("email*", "courriel")),
    FieldRule("disability", Class.RESTRICTED, ("rqth",)),
)
LINKS = (LinkTemplate("agency", Class.INTERNAL, re.compile(r"^/usagers/(?P<id>\d{11})(?:[?#].*)?$")),)
RULES = Rules(FIELDS, (NIR, AGENCY), LINKS, mints="jetonUsager")
ALL = frozenset({"nir", "agency", "name", "email", "disability"})
WHOLE = (
    "295109912611193",
    "253072A07300443",
    "253072B07300470",
    "141068078200557",
    "341068078200554",
    "269054958815780",
)
SEPARATORS = ("", " ", ".", "-", "/", "_", "\u00a0", "\u202f", "\u2009", "\u2011", "–", "\u200b")


def grouped(number: str, separator: str) -> str:
    """A number of 15 characters in its usual groups."""
    return separator.join((number[0], number[1:3], number[3:5], number[5:7], number[7:10], number[10:13], number[13:]))


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, str]:
    """A number, and one way to write it."""
    number = draw(st.sampled_from(WHOLE))
    text = grouped(number, draw(st.sampled_from(SEPARATORS)))
    if draw(st.booleans()):
        text = "".join(chr(ord(char) + 0xFEE0) if char.isdigit() else char for char in text)
    return number[:13], text.lower() if draw(st.booleans()) else text


def digits_of(text: str) -> str:
    return "".join(char for char in text if char.isalnum())
