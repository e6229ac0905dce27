"""What a partner signals is believed only when everything about it is right."""

from typing import Any

import pytest

from gateway.core.signals import CREDENTIAL_CHANGE, LOGGED_OUT, SESSION_REVOKED, Signal, event_of, logout_of

NOW = 1_800_000_000.0
ISSUER, CLIENT = "https://sso.example", "gateway"
COMMON: dict[str, Any] = {"iss": ISSUER, "aud": CLIENT, "iat": NOW, "jti": "j1"}
LOGOUT: dict[str, Any] = {**COMMON, "sub": "42", "sid": "s1", "exp": NOW + 60, "events": {LOGGED_OUT: {}}}
SUBJECT = {"format": "iss_sub", "iss": ISSUER, "sub": "42"}
EVENT: dict[str, Any] = {**COMMON, "sub_id": SUBJECT, "events": {SESSION_REVOKED: {}}}


def changed(claims: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (claims | changes).items() if value is not None}


def test_a_right_logout_token_ends_that_session() -> None:
    assert logout_of(LOGOUT, ISSUER, CLIENT, NOW) == Signal("j1", "42", "s1", True, False, NOW + 120)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": None},
        {"iat": NOW - 601},
        {"iat": NOW + 61},
        {"iat": None},
        {"iat": True},
        {"exp": NOW - 61},
        {"exp": None},
        {"jti": None},
        {"jti": ""},
        {"nonce": "n"},
        {"events": {}},
        {"events": {LOGGED_OUT: "x"}},
        {"events": None},
        {"sub": None, "sid": None},
        {"sub": 42, "sid": None},
    ],
    ids=str,
)
def test_a_wrong_logout_token_ends_nothing(changes: dict[str, Any]) -> None:
    assert isinstance(logout_of(changed(LOGOUT, changes), ISSUER, CLIENT, NOW), str)


@pytest.mark.parametrize(
    "subject", [SUBJECT, {"format": "complex", "user": SUBJECT}, {"iss": ISSUER, "sub": "42"}], ids=str
)
@pytest.mark.parametrize(("kind", "is_change"), [(SESSION_REVOKED, False), (CREDENTIAL_CHANGE, True)])
def test_a_right_event_names_its_subject_at_the_top_or_inside(subject: object, kind: str, is_change: bool) -> None:
    for claims in (
        changed(EVENT, {"sub_id": subject, "events": {kind: {}}}),
        changed(EVENT, {"sub_id": None, "events": {kind: {"subject": subject}}}),
    ):
        signal = event_of(claims, ISSUER, CLIENT, NOW)
        assert isinstance(signal, Signal)
        assert (signal.sub, signal.ends, signal.changed) == ("42", True, is_change)


def test_an_event_of_another_kind_is_noted_and_ends_nothing() -> None:
    signal = event_of(changed(EVENT, {"events": {"https://x/assurance-level-change": {}}}), ISSUER, CLIENT, NOW)
    assert isinstance(signal, Signal) and not signal.ends


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"aud": "other"},
        {"iat": NOW - 8 * 86_400},
        {"jti": None},
        {"events": {}},
        {"events": {SESSION_REVOKED: {}, CREDENTIAL_CHANGE: {}}},
        {"events": {SESSION_REVOKED: "x"}},
        {"sub_id": {"format": "iss_sub", "iss": "https://other.example", "sub": "42"}},
        {"sub_id": {"format": "email", "email": "a@b"}},
        {"sub_id": None},
    ],
    ids=str,
)
def test_a_wrong_event_ends_nothing(changes: dict[str, Any]) -> None:
    assert isinstance(event_of(changed(EVENT, changes), ISSUER, CLIENT, NOW), str)
