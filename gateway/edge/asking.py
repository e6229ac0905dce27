"""What a page says that asks to confirm: for what, with what, and where."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from gateway.core.extraction import Class
from gateway.edge import words
from gateway.edge.words import Language
from gateway.reading.why import LONGEST, SHORTEST

REASON_FLOW = "reason"
"""The kind of flow under which it is kept what a reason is asked for (value: ``asked_about``)."""


def step_up_values(
    language: Language,
    klass: Class | None = None,
    kinds: tuple[str, ...] = (),
    max_age_s: int | None = None,
    limit: int | None = None,
) -> dict[str, object]:
    """What the page needs that asks to confirm: for content of a class, or for none in particular."""
    return {
        "about": words.about(klass, language),
        "max_age_s": max_age_s,
        "limit": limit,
        "totp": not kinds or "totp" in kinds,
        "webauthn": not kinds or "webauthn" in kinds,
        "flow": None,
        "after": "stay",
        "sent": True,
        "error": None,
        "next": None,
        "challenge": "",
        "releases": None,
        "since": None,
        "elsewhere": False,
        "unconfirmed": False,
        "act": None,
        "again": None,
        "window": "",
        "at_partner": None,
    }


def next_of(window_flow: str) -> str | None:
    """Where a window goes on to once it has confirmed: back to the host that opened it, by a ticket."""
    return f"/.gateway/sign-in?flow={window_flow}" if window_flow else None


def window_of(pages_url: str, host: str, challenge: str | None) -> str:
    """Where a passkey is asked for, on behalf of a page of ``host`` that cannot ask itself; empty: it can."""
    named = f"?code={challenge}" if challenge else ""
    return "" if passkeys_work_on(pages_url, host) else f"/.gateway/window{named}"


def passkeys_work_on(pages_url: str, host: str) -> bool:
    """Whether a page of ``host`` may ask for a passkey of ours: the relying party's id is the host of ``pages_url``."""
    party, name = urlsplit(pages_url).hostname or "", host.rpartition(":")[0] or host
    return name == party or name.endswith(f".{party}")


def releases(
    language: Language, klass: Class, label: Mapping[str, str], most: int | None, recipient: str | None
) -> dict[str, object]:
    """What one answer would release, in words: what it is, how many files at most, to whom."""
    return {"what": label.get(language) or words.about(klass, language), "most": most, "recipient": recipient}


def asked_about(target: str, host: str, request: str, credential_id: str) -> dict[str, object]:
    """What a reason is asked for: where one goes on to, and the request (its keyed hash) and session that it serves."""
    return {"target": target, "host": host, "request": request, "credential": credential_id}


def reason_values(flow: str, persons: int | None = None, *, typed: str = "", error: bool = False) -> dict[str, object]:
    """What the page needs that asks why; ``persons``: of how many."""
    lengths = {"shortest": SHORTEST, "longest": LONGEST}
    return {"flow": flow, "persons": persons, "typed": typed, "error": error, **lengths}
