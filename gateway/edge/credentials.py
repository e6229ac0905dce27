"""The one credential of a request: our session cookie, or a token of ours or a partner's.

Two together are ambiguous. A foreign ``Authorization`` beside a credential of ours belongs to the application.
"""

from collections.abc import Callable, Mapping
from dataclasses import field

from gateway.core.assurance import Caller
from gateway.core.canonical import Fields, Headers, joined
from gateway.core.policy import TOTP, WEBAUTHN
from gateway.core.reasons import Reason, Refusal
from gateway.core.values import frozen
from gateway.ports import NoCaller

SESSION_COOKIE = b"__Host-gateway"
TOKEN_PREFIX = "gwt_"  # noqa: S105  (what tokens begin with, no token)
BEARER, DPOP = "bearer", "dpop"
_SCHEMES = (BEARER, DPOP)

_REASONS: Mapping[str, Reason] = {
    "unknown": Reason.TOKEN_UNKNOWN,
    "expired": Reason.TOKEN_EXPIRED,
    "revoked": Reason.TOKEN_REVOKED,
}


@frozen
class Credential:
    """What a request shows to say who asks: ``kind`` is ``session``, ``token`` or ``none``.

    ``scheme``: how a token is shown, ``bearer`` or ``dpop``; ``ours``: it says of itself that it is for the gateway.
    """

    kind: str
    value: str = ""
    scheme: str = field(default=BEARER, compare=False)
    ours: bool = field(default=False, compare=False)


NOBODY = Credential("none")


def is_own(token: str) -> bool:
    """Whether a token says of itself that the gateway has issued it."""
    return token.startswith(TOKEN_PREFIX)


def credential_of(headers: Headers, fields: Fields, recognises: Callable[[str], bool] = is_own) -> Credential | Refusal:
    """The one credential of a request; two together are ambiguous, and so is our cookie given twice.

    ``recognises``: whether a token is one for the gateway to judge, of a partner's.
    """
    found: list[Credential] = []
    if b"cookie" in fields:
        cookies = joined(headers, b"cookie", b"; ") or b""
        ours = [value for name, value in pairs(cookies) if name == SESSION_COOKIE]
        if len(ours) > 1:
            return Refusal(Reason.AMBIGUOUS_CREDENTIALS, detail="the session cookie stands twice")
        if ours and ours[0]:
            found.append(Credential("session", ours[0].decode("latin-1")))
    own = fields.get(b"gateway-authorization")
    if own is not None:
        scheme, token = _shown(own) or (BEARER, "")
        found.append(Credential("token", token, scheme, ours=True))
    authorization = fields.get(b"authorization")
    shown = _shown(authorization) if authorization else None
    if shown is not None:
        scheme, token = shown
        for_us = is_own(token) or recognises(token)
        if for_us or not found:
            found.append(Credential("token", token, scheme, for_us))
    if len(found) > 1:
        return Refusal(Reason.AMBIGUOUS_CREDENTIALS, detail="two credentials in one request")
    return found[0] if found else NOBODY


def refusal_of(found: NoCaller, kind: str = "token") -> Refusal:
    """Why nobody was found by a credential of this kind, as a refusal."""
    if kind != "token":
        return Refusal(Reason.FROZEN if found.reason == "frozen" else Reason.NO_CALLER)
    reason = _REASONS.get(found.reason)
    return Refusal(Reason(found.reason) if reason is None else reason)


def confirm_first(caller: Caller) -> Refusal:
    """Why a session opens nothing before a confirmation: its identity is new, or where it is used from."""
    new, detail = bool(caller.unconfirmed), "" if caller.unconfirmed else "a new place"
    kinds = (WEBAUTHN, TOTP)
    return Refusal(Reason.PROOF_REQUIRED, kinds=kinds, elsewhere=not new, unconfirmed=new, detail=detail)


def pairs(cookies: bytes) -> list[tuple[bytes, bytes]]:
    """The names and values of cookies, in order."""
    found = []
    for part in cookies.split(b";"):
        name, _, value = part.strip().partition(b"=")
        found.append((name.strip(), value.strip()))
    return found


def _shown(value: bytes) -> tuple[str, str] | None:
    scheme, _, token = value.strip().partition(b" ")
    known = scheme.lower().decode("latin-1")
    return (known, token.strip().decode("latin-1")) if known in _SCHEMES else None
