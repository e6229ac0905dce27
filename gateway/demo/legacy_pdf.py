"""A real PDF by hand: one page with one line of text, and an attachment that gives it the size of a scan."""

from __future__ import annotations

import random
from typing import Final

_PADDING_BYTES: Final = 200_000


def _literal(text: str) -> bytes:
    """A PDF string in the standard encoding's Latin part (ISO 32000-1 §7.3.4.2)."""
    return b"(" + text.encode("latin-1", "replace").translate(_ESCAPES) + b")"


_ESCAPES: Final = bytes(32 if code in b"()\\" else code for code in range(256))


def curriculum_vitae(person: int, name: str) -> bytes:
    """A PDF of about 200 kB that says `CV de NAME`; the same bytes for the same person."""
    text = b"BT /F1 24 Tf 72 760 Td " + _literal(f"CV de {name}") + b" Tj ET"
    padding = random.Random(person).randbytes(_PADDING_BYTES)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(padding), padding),
    ]
    document = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    start = len(document)
    document += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    document += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    document += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(document)
