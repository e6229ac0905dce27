"""One A4 page for each letter, French above English: what to open, what to do, and the code in large print."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from fpdf import FPDF

from gateway.factors.people_file import PRINTED_IN

MARGIN_MM: Final = 22
LINE_MM: Final = 5.2
WIDTH_MM: Final = 210 - 2 * MARGIN_MM


@dataclass(frozen=True, slots=True)
class Letter:
    """What stands in one person's letter alone; ``partner``: their organisation's name."""

    name: str
    login: str
    partner: str
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sender:
    """What stands in every letter; ``ends_at``: Unix seconds; ``observing``: what is bound now is ripe at once."""

    pages_url: str
    help_desk: str
    ends_at: float
    observing: bool = False


WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "fr": {
        "title": "Votre premier moyen de confirmer que c'est vous",
        "why": "Bonjour {name},\n\nPour ouvrir certains dossiers, vous confirmerez désormais que c'est bien vous."
        " Avec le code de cette lettre, vous installez votre premier moyen de le faire.",
        "steps": "1. Ouvrez {url} et connectez-vous avec votre compte de {partner} ({login}).\n"
        "2. Saisissez le code ci-dessous. Il sert une seule fois, jusqu'au {date}.\n"
        "3. Ajoutez une clé d'accès ou une application de codes.{young}",
        "young": " Pendant deux jours, elle ouvre 10 dossiers.",
        "care": "Le code ne sert qu'avec votre propre compte. Ne le donnez à personne : personne ne vous le demandera."
        " Si l'enveloppe était ouverte ou pour toute question, appelez l'assistance{help_desk}.",
        "code": "Code",
        "date": "%d/%m/%Y",
    },
    "en": {
        "title": "Your first way to confirm that it is you",
        "why": "Dear {name},\n\nTo open some files, you will from now on confirm that it is you."
        " With the code in this letter, you set up your first way to do so.",
        "steps": "1. Open {url} and sign in with your account of {partner} ({login}).\n"
        "2. Type the code above. It works once, until {date}.\n"
        "3. Add a passkey or a code application.{young}",
        "young": " For two days, it opens 10 files.",
        "care": "The code works only with your own account. Give it to nobody: nobody will ask you for it."
        " If the envelope was open, or if you have a question, call the help desk{help_desk}.",
        "date": "%d %B %Y",
    },
}


def letters_pdf(letters: Sequence[Letter], sender: Sender) -> bytes:
    """The letters as one file, a page each; their names are ``people_file.printable``."""
    pdf = FPDF(format="A4")
    pdf.core_fonts_encoding = "windows-1252"
    pdf.set_auto_page_break(False)
    pdf.set_margins(MARGIN_MM, MARGIN_MM)
    pdf.set_lang("fr")
    pdf.set_title(WORDS["fr"]["title"])
    for letter in letters:
        _page(pdf, letter, sender)
    return bytes(pdf.output())


def _page(pdf: FPDF, letter: Letter, sender: Sender) -> None:
    pdf.add_page()
    pdf.set_xy(110, 45)  # where the window of an envelope is
    _text(pdf, 11, f"{letter.name}\n{letter.partner}", width=80)
    pdf.set_y(90)
    for language in WORDS:
        _part(pdf, language, letter, sender)


def _part(pdf: FPDF, language: str, letter: Letter, sender: Sender) -> None:
    words = WORDS[language]
    space = " : " if language == "fr" else ": "
    places = {
        "name": letter.name,
        "login": letter.login,
        "partner": letter.partner,
        "url": f"{sender.pages_url}/.gateway/enrol",
        "date": datetime.fromtimestamp(sender.ends_at, UTC).strftime(words["date"]),
        "help_desk": f"{space}{sender.help_desk}".replace(" ", "\N{NO-BREAK SPACE}") if sender.help_desk else "",
        "young": "" if sender.observing else words["young"],
    }
    _text(pdf, 14, words["title"], style="B")
    _text(pdf, 10.5, words["why"].format(**places))
    _text(pdf, 10.5, words["steps"].format(**places))
    if "code" in words:
        _text(pdf, 10.5, words["code"], align="C", gap_mm=0)
        _text(pdf, 26, letter.code, font="Courier", style="B", align="C", border=True)
    _text(pdf, 10.5, words["care"].format(**places), gap_mm=10)


def _text(
    pdf: FPDF,
    size: float,
    text: str,
    *,
    font: str = "Helvetica",
    style: str = "",
    align: str = "L",
    width: float = WIDTH_MM,
    gap_mm: float = 3,
    border: bool = False,
) -> None:
    pdf.set_font(font, style, size)
    height = LINE_MM * size / 10.5
    if border:
        pdf.set_y(pdf.get_y() + 1)
        height *= 1.6
    printed = text.encode(PRINTED_IN, "replace").decode(PRINTED_IN)
    pdf.multi_cell(width, height, printed, align=align, border=1 if border else 0, new_x="LMARGIN", new_y="NEXT")
    pdf.set_y(pdf.get_y() + gap_mm)
