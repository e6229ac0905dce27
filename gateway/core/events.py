"""What we signal to a partner about one of its people, as claims of security event tokens (RFC 8417).

Sources: CAEP 1.0, 2 and 3.1 and 3.8; OpenID Shared Signals Framework 1.0, 8.1.4; RFC 9493, 3.2.3. Who signs and for
whom is added when a token is sent: one that waits for a day is signed with the key of that day.
"""

from collections.abc import Mapping

from gateway.core.signals import RISK_LEVEL_CHANGE, SESSION_REVOKED, VERIFICATION

Claims = Mapping[str, object]
_FROZEN = {"en": "The gateway has stopped this person's access.", "fr": "La passerelle a arrêté l'accès."}
_UNFROZEN = {"en": "The gateway lets this person go on.", "fr": "La passerelle a rétabli l'accès."}


def frozen(issuer: str, sub: str, now: float, jti: str) -> tuple[Claims, ...]:
    """An officer has frozen one of the partner's people. ``jti``: of the transaction, from which each has its own.

    Why is told neither the partner nor whoever reads on the way.
    """
    return (
        _event(issuer, sub, now, jti, RISK_LEVEL_CHANGE, _risk("HIGH") | {"reason_admin": _FROZEN}),
        _event(issuer, sub, now, jti, SESSION_REVOKED, {"reason_admin": _FROZEN}),
    )


def unfrozen(issuer: str, sub: str, now: float, jti: str) -> tuple[Claims, ...]:
    """An officer lets one of the partner's people go on."""
    risk = _risk("LOW") | {"previous_level": "HIGH", "reason_admin": _UNFROZEN}
    return (_event(issuer, sub, now, jti, RISK_LEVEL_CHANGE, risk),)


def verification(stream: str, now: float, jti: str) -> Claims:
    """Whether the partner takes our tokens at all."""
    return {
        "jti": jti,
        "iat": int(now),
        "sub_id": {"format": "opaque", "id": stream},
        "events": {VERIFICATION: {"state": jti}},
    }


def kind_of(claims: Claims) -> str:
    """The last word of the event's type, such as ``session-revoked``."""
    events = claims["events"]
    return next(iter(events)).rpartition("/")[2] if isinstance(events, Mapping) else ""


def _risk(level: str) -> dict[str, object]:
    return {"principal": "USER", "current_level": level, "risk_reason": "ADMINISTRATIVE_ACTION"}


def _event(issuer: str, sub: str, now: float, jti: str, kind: str, said: Mapping[str, object]) -> Claims:
    return {
        "jti": f"{jti}.{kind.rpartition('/')[2]}",
        "txn": jti,
        "iat": int(now),
        "sub_id": {"format": "iss_sub", "iss": issuer, "sub": sub},
        "events": {kind: {"event_timestamp": int(now), "initiating_entity": "admin", **said}},
    }
