"""From what a partner asserts to who comes in: claims by their names, and whom of them the house lets in. Pure.

Rules of this file:

1. A claim that the partner's table names must be there and be what it should be; nobody comes in with half a record.
2. What is signed in the ID token goes before userinfo.
3. Whoever the partner signs in is not yet let in: the house has lists of its own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.core.reasons import Reason, Refusal
from gateway.edge.id_token import Claims
from gateway.edge.partner import Allowed, ClaimPath, Partner

LONGEST = 200
MOST_ROLES = 200
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom a partner has signed in and the house lets in."""

    issuer: str
    sub: str
    name: str
    login: str
    organisation: str = ""
    agency: str = ""
    roles: tuple[str, ...] = ()
    sid: str | None = None


def admitted(claims: Claims, userinfo: Mapping[str, Any], partner: Partner) -> Person | Refusal:
    """The person of these claims, else why they do not come in."""
    sources = (claims.said, userinfo)
    said: dict[str, str] = {}
    for name in ("user", "name", "organisation", "agency"):
        path: ClaimPath | None = getattr(partner.claims, name)
        value = "" if path is None else _text(_at(sources, path))
        if value is None:
            return _lacks(name, path, "one line of text")
        said[name] = value
    roles = () if partner.claims.roles is None else _roles(_at(sources, partner.claims.roles))
    if roles is None:
        return _lacks("roles", partner.claims.roles, f"a list of at most {MOST_ROLES} texts")
    person = Person(
        issuer=claims.issuer,
        sub=claims.sub,
        name=said["name"] or claims.name,
        login=said["user"] or claims.login,
        organisation=said["organisation"],
        agency=said["agency"],
        roles=roles,
        sid=claims.sid,
    )
    outside = kept_out_by(partner.allow, person)
    return person if outside is None else Refusal(Reason.NOT_ADMITTED, detail=f"not in allow.{outside}")


class Described(Protocol):
    """Somebody as their partner says: a person who comes in, or a caller who came in before."""

    @property
    def sub(self) -> str: ...

    @property
    def organisation(self) -> str: ...

    @property
    def roles(self) -> tuple[str, ...]: ...


def kept_out_by(allow: Allowed, person: Described) -> str | None:
    """The name of the house's list that somebody is not on; ``None``: they are on all that there are."""
    lists = (
        ("organisations", allow.organisations, (person.organisation,)),
        ("roles", allow.roles, person.roles),
        ("subjects", allow.subjects, (person.sub,)),
    )
    return next((name for name, allowed, theirs in lists if allowed is not None and allowed.isdisjoint(theirs)), None)


def _lacks(name: str, path: ClaimPath | None, what: str) -> Refusal:
    claim = ".".join(path or ())
    return Refusal(Reason.CLAIM_MISSING, detail=f"the claim {claim} ({name}) is missing or not {what}")


def _at(sources: tuple[Mapping[str, Any], ...], path: ClaimPath) -> object:
    for source in sources:
        value: object = source
        for part in path:
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            return value
    return None


def _text(value: object) -> str | None:
    plain = isinstance(value, str) and 0 < len(value) <= LONGEST and not _UNPRINTABLE.search(value)
    return str(value) if plain and str(value).strip() else None


def _roles(value: object) -> tuple[str, ...] | None:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or len(listed) > MOST_ROLES:
        return None
    roles = [role for role in map(_text, listed) if role is not None]
    return tuple(dict.fromkeys(roles)) if len(roles) == len(listed) else None
