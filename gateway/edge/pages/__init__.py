"""Pages in HTML: templates, and the headers that keep them in their frame."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.edge.words import Language, duration, say

FOLDER = Path(__file__).parent
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    # "no-referrer" would make browsers send "Origin: null" with our own forms
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(name: str, language: Language, **values: object) -> bytes:
    """One page in ``language``; templates reach the catalogue by ``say`` and ``duration``."""

    def say_here(key: str, **places: object) -> str:
        return say(key, language, **places)

    def duration_here(seconds: float) -> str:
        return duration(seconds, language)

    template = _environment().get_template(f"{name}.html")
    return template.render(language=language, say=say_here, duration=duration_here, **values).encode()
