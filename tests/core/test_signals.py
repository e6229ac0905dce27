"""What a partner signals is believed only when everything about it is right."""

from typing import Any

import pytest

from gateway.core.signals import (
    CREDENTIAL_CHANGE,
    LOGGED_OUT,
    RISK_LEVEL_CHANGE,
    SESSION_REVOKED,
    VERIFICATION,
    Disbelieved,
    Signal,
    event_of,
    logout_of,
)

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


def test_a_session_s_name_may_be_4_096_characters_long() -> None:
    sid = "s" * 4_096
    said = logout_of(changed(LOGOUT, {"sub": None, "sid": sid}), ISSUER, CLIENT, NOW)
    assert said == Signal("j1", None, sid, True, False, NOW + 120)
    subject = {"format": "complex", "user": SUBJECT, "session": {"format": "opaque", "id": sid}}
    event = event_of(changed(EVENT, {"sub_id": subject}), ISSUER, CLIENT, NOW)
    assert isinstance(event, Signal)
    assert (event.sub, event.sid) == ("42", sid)


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
        {"sub": "s" * 256, "sid": None},
        {"sub": None, "sid": "s" * 4_097},
    ],
    ids=str,
)
def test_a_wrong_logout_token_ends_nothing(changes: dict[str, Any]) -> None:
    assert isinstance(logout_of(changed(LOGOUT, changes), ISSUER, CLIENT, NOW), Disbelieved)


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


@pytest.mark.parametrize("kind", [VERIFICATION, RISK_LEVEL_CHANGE, "https://x/unheard-of"])
@pytest.mark.parametrize("subject", [SUBJECT, {"format": "opaque", "id": "stream"}, {"format": "email"}, None], ids=str)
def test_an_event_of_another_kind_is_noted_and_ends_nothing(kind: str, subject: object) -> None:
    signal = event_of(changed(EVENT, {"events": {kind: {}}, "sub_id": subject}), ISSUER, CLIENT, NOW)
    assert isinstance(signal, Signal) and not signal.ends


SESSION = {"format": "opaque", "id": "s1"}


@pytest.mark.parametrize(
    ("beside", "sid"),
    [
        ({"session": SESSION}, "s1"),
        ({"session": SESSION, "tenant": {"format": "opaque", "id": "t"}}, "s1"),
        ({"device": {"format": "opaque", "id": "d"}}, None),
        ({"session": {"format": "iss_sub", "iss": ISSUER, "sub": "s1"}}, None),
        ({"session": {"format": "opaque", "id": 1}}, None),
    ],
    ids=str,
)
def test_of_a_complex_subject_that_session_is_meant_or_all_of_the_user_s(
    beside: dict[str, Any], sid: str | None
) -> None:
    signal = event_of({**EVENT, "sub_id": {"format": "complex", "user": SUBJECT, **beside}}, ISSUER, CLIENT, NOW)
    assert isinstance(signal, Signal) and (signal.sub, signal.sid) == ("42", sid)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"iss": "https://other.example"}, "invalid_issuer"),
        ({"aud": "other"}, "invalid_audience"),
        ({"iat": NOW - 8 * 86_400}, "invalid_request"),
        ({"jti": None}, "invalid_request"),
        ({"events": {}}, "invalid_request"),
        ({"events": {SESSION_REVOKED: {}, CREDENTIAL_CHANGE: {}}}, "invalid_request"),
        ({"events": {SESSION_REVOKED: "x"}}, "invalid_request"),
        ({"sub_id": {"format": "iss_sub", "iss": "https://other.example", "sub": "42"}}, "invalid_request"),
        ({"sub_id": {"format": "iss_sub", "iss": ISSUER, "sub": 42}}, "invalid_request"),
        ({"sub_id": {"format": "email", "email": "a@b"}}, "invalid_request"),
        ({"sub_id": {"format": "opaque", "id": "42"}}, "invalid_request"),
        ({"sub_id": {"format": "complex", "session": SESSION}}, "invalid_request"),
        ({"sub_id": {"format": "complex", "user": {"format": "email", "email": "a@b"}}}, "invalid_request"),
        ({"sub_id": "42"}, "invalid_request"),
        ({"sub_id": None}, "invalid_request"),
    ],
    ids=str,
)
def test_a_wrong_event_ends_nothing_and_has_its_error(changes: dict[str, Any], error: str) -> None:
    wrong = event_of(changed(EVENT, changes), ISSUER, CLIENT, NOW)
    assert isinstance(wrong, Disbelieved) and wrong.error == error
