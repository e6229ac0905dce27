"""What somebody says why they need a file: a sentence for the ledger, where no number of a person may stand."""

from typing import Final

from gateway.reading.findings import masked_spans
from gateway.reading.identifiers import find_nirs

SHORTEST: Final = 10
LONGEST: Final = 500


def why_of(text: str) -> str | None:
    """The sentence, its blanks single and numbers of persons masked; ``None`` where it is too short, long or odd."""
    plain = " ".join(text.split())
    if not (SHORTEST <= len(plain) <= LONGEST and plain.isprintable()):
        return None
    return masked_spans(plain, [(number.start, number.end) for number in find_nirs(plain)])
