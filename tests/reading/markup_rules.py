"""A small policy for the tests of HTML and XML, and spellings of numbers."""

import re

from hypothesis import strategies as st

from gateway.core.extraction import Class, Found, Identifier
from gateway.core.policy import FieldRule, UniqueKind
from gateway.reading.ports import Reading
from gateway.reading.rules import LinkTemplate, Rules

RULES = Rules(
    [
        FieldRule("nom", Class.INTERNAL, ("nom", "prenom")),
        FieldRule("telephone", Class.PERSONAL, ("tel*", "phone")),
        FieldRule("email", Class.PERSONAL, ("email", "courriel")),
        FieldRule("adresse", Class.PERSONAL, ("adresse", "ville")),
    ],
    [
        UniqueKind("nir", Class.SENSITIVE, ("nir", "*nir"), "nir", True),
        UniqueKind("numero", Class.INTERNAL, ("numero", "numerofrancetravail"), r"[0-9]{11}"),
    ],
    [LinkTemplate("numero", Class.INTERNAL, re.compile(r"^/dossiers/(?P<id>[0-9]{11})(?:/modifier)?(?:[?#].*)?$"))],
    mints="jetonUsager",
)
ALL = frozenset({"nir", "nom", "telephone", "email", "adresse", "numero"})
NIRS = {
    "295109912611193": "2951099126111",
    "253072A07300443": "253072A073004",
    "253072B07300470": "253072B073004",
    "141068078200557": "1410680782005",
    "269054958815780": "2690549588157",
}
GROUPS = (1, 2, 2, 2, 3, 3, 2)


@st.composite
def spelled(draw: st.DrawFn, *, entities: bool = True) -> tuple[str, str]:
    """A NIR as markup may spell it, and its 13 characters."""
    number = draw(st.sampled_from(sorted(NIRS)))
    separator = draw(st.sampled_from(["", "", " ", ".", "-", "\u00a0", "\u202f", "\u2009", "\u00ad", "\u200b"]))
    groups, position = [], 0
    for size in GROUPS:
        groups.append(number[position : position + size])
        position += size
    text = separator.join(groups)
    if entities:
        escaped = draw(st.sets(st.integers(0, len(text) - 1), max_size=4))
        style = draw(st.sampled_from(["&#{};", "&#x{:x};"]))
        text = "".join(style.format(ord(char)) if index in escaped else char for index, char in enumerate(text))
    return text, NIRS[number]


def numbers(reading: Reading) -> set[str]:
    """The NIRs of all persons."""
    return {one.value for record in reading.records for person in record.persons for one in person if one.kind == "nir"}


def persons(reading: Reading) -> list[list[Identifier]]:
    """The persons of all records, in order."""
    return [list(person) for record in reading.records for person in record.persons]


def found(reading: Reading) -> dict[str, list[bool]]:
    """For every category found, whether it can be masked, each time."""
    kinds: dict[str, list[bool]] = {}
    for one in (one for record in reading.records for one in record.found):
        assert isinstance(one, Found)
        kinds.setdefault(one.category, []).append(one.maskable)
    return kinds
