"""Names as a legacy register spells them."""

import unicodedata


def without_accents(text: str) -> str:
    """`text` without accents and ligatures."""
    decomposed = unicodedata.normalize("NFKD", text.replace("œ", "oe").replace("Œ", "OE"))
    return "".join(character for character in decomposed if not unicodedata.combining(character))
