"""What we signal is what CAEP and RFC 8417 say, of one of the partner's own people, and without why."""

from gateway.core.events import frozen, kind_of, unfrozen, verification
from gateway.core.signals import RISK_LEVEL_CHANGE, SESSION_REVOKED

NOW = 1_800_000_000.9
ISSUER, SUB = "https://sso.example", "42"


def test_a_freeze_is_a_high_risk_and_a_revoked_session_of_that_subject() -> None:
    risk, revoked = frozen(ISSUER, SUB, NOW, "j")
    assert [list(one["events"]) for one in (risk, revoked)] == [[RISK_LEVEL_CHANGE], [SESSION_REVOKED]]  # type: ignore[call-overload]
    for one in (risk, revoked):
        assert one["sub_id"] == {"format": "iss_sub", "iss": ISSUER, "sub": SUB}
        assert (one["iat"], one["txn"]) == (1_800_000_000, "j")
        assert one.keys().isdisjoint({"exp", "sub", "nonce"})
    said = risk["events"][RISK_LEVEL_CHANGE]  # type: ignore[index]
    assert (said["principal"], said["current_level"], said["initiating_entity"]) == ("USER", "HIGH", "admin")
    assert risk["jti"] != revoked["jti"]


def test_whoever_goes_on_is_a_low_risk_again() -> None:
    (risk,) = unfrozen(ISSUER, SUB, NOW, "j")
    said = risk["events"][RISK_LEVEL_CHANGE]  # type: ignore[index]
    assert (said["current_level"], said["previous_level"]) == ("LOW", "HIGH")


def test_a_verification_names_the_stream_and_nobody() -> None:
    said = verification("gateway", NOW, "j")
    assert said["sub_id"] == {"format": "opaque", "id": "gateway"}
    assert kind_of(said) == "verification"
