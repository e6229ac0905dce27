"""One script tag for an application's pages, where its table says ``assist = true``: it confirms in a small window.

Rules of this file:

1. One tag is inserted and nothing else changed; where it cannot be placed without doubt, the page goes as it came.
2. A policy of the page's own (CSP) is widened by exactly this script; what cannot be widened safely is left alone.
3. The script is ours and the same for everybody: nothing of the caller or the answer stands in the tag.
"""

import html
import re
import secrets
from dataclasses import dataclass

from gateway.core.canonical import Headers, folded
from gateway.edge.words import Language, say

PATH = "/.gateway/static/assist.js"
_CSP = b"content-security-policy"
_FIELDS = rb"""(?:\s(?:[^<>"']|"[^"<>]*"|'[^'<>]*')*)?"""
"""Of a tag: an attribute that holds ``>`` could end it elsewhere than it seems."""
_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!doctype[^<>]*>\s*)?(?:<html%b>\s*)?(?:<head%b>)?" % (_FIELDS, _FIELDS), re.IGNORECASE
)
_ENCODING_WITHIN_BYTES = 1024
"""Where browsers look for the page's encoding (HTML, 4.2.5.5): the tag must not push it out."""
_NO_LONGER_TRUE = frozenset(
    {
        b"etag",
        b"last-modified",
        b"content-md5",
        b"digest",
        b"content-digest",
        b"repr-digest",
        b"cache-control",
        b"expires",
    }
)
_WORDS = ("assist_bar", "assist_confirm", "assist_again", "assist_cancel", "assist_show")


@dataclass(frozen=True, slots=True)
class Assist:
    """What the tag says. ``step_up``: the window's address; ``origin``: of the page; ``shows``: offer to unmask."""

    origin: str
    step_up: str
    language: Language
    shows: bool = False


def assisted(body: bytes, headers: Headers, assist: Assist) -> tuple[bytes, Headers] | None:
    """A page and its header fields with the script in them; ``None``: as they came."""
    nonce = secrets.token_urlsafe(16)
    tag = _tag(assist, nonce)
    at = _place(body, len(tag))
    if at is None:
        return None
    fields: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        if folded(name) in _NO_LONGER_TRUE:
            continue
        if folded(name) == _CSP:
            value = b", ".join(widened(one, f"{assist.origin}{PATH}", nonce) for one in value.split(b","))
        fields.append((name, value))
    fields.append((b"cache-control", b"no-store"))  # a nonce serves once
    return body[:at] + tag + body[at:], fields


def widened(policy: bytes, url: str, nonce: str) -> bytes:
    """A content security policy (CSP Level 3) that also runs our script, and nothing else more.

    Where ``'unsafe-inline'`` holds, a nonce would switch it off: then the script's exact address is added instead.
    """
    directives = [one.split() for one in policy.decode("latin-1").split(";") if one.split()]
    known: dict[str, list[str]] = {}
    for name, *sources in directives:
        known.setdefault(name.lower(), sources)
    in_force = next((known[name] for name in ("script-src-elem", "script-src", "default-src") if name in known), None)
    if in_force is None:
        return policy
    strict = any(one.lower().startswith(("'nonce-", "'sha", "'strict-dynamic'")) for one in in_force)
    inline = any(one.lower() == "'unsafe-inline'" for one in in_force) and not strict
    sources = [one for one in in_force if one.lower() != "'none'"] + [url if inline else f"'nonce-{nonce}'"]
    kept = [" ".join(one) for one in directives if one[0].lower() != "script-src-elem"]
    return "; ".join([*kept, " ".join(["script-src-elem", *sources])]).encode("latin-1")


def _place(body: bytes, size_bytes: int) -> int | None:
    """Where the tag goes: first in the head, so that it is there before any script of the page asks for anything."""
    found = _START.match(body)
    if found is None or b"<" not in found[0]:
        return None
    encoding = body[:_ENCODING_WITHIN_BYTES].lower().find(b"charset")
    pushed_out = encoding >= 0 and encoding + size_bytes > _ENCODING_WITHIN_BYTES - 64
    return None if pushed_out else found.end()


def _tag(assist: Assist, nonce: str) -> bytes:
    said = {name.removeprefix("assist_"): say(name, assist.language) for name in _WORDS}
    facts = {"step-up": assist.step_up, "lang": assist.language, **said} | ({"shows": ""} if assist.shows else {})
    data = " ".join(f'data-{name}="{html.escape(value)}"' for name, value in facts.items())
    return f'<script src="{PATH}" nonce="{nonce}" {data}></script>'.encode("ascii", "xmlcharrefreplace")
