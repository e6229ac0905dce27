"""What the application may believe: a short-lived token that anybody verifies with the published keys (RFC 7519)."""

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from small_application import CALLER, with_caller

from gateway.assertion import LIFETIME_S, RENEWED_AFTER_S, AssertionSigner
from gateway.keyring import KeyRing

NOW = 1_800_000_000.5
PAGES = "https://gate.example"


@pytest.fixture
def signer(keyring: KeyRing) -> AssertionSigner:
    return AssertionSigner(keyring.assertion_key, PAGES)


def opened(keyring: KeyRing, token: str) -> jwt.Token:
    return jwt.decode(token, KeySet.import_key_set(keyring.jwks()), algorithms=["ES256"])


def test_the_published_keys_verify_it_and_it_says_who_asks_whom(keyring: KeyRing, signer: AssertionSigner) -> None:
    token = opened(keyring, signer.sign(CALLER, "jobs", NOW))
    assert token.claims == {
        "iss": PAGES, "aud": "jobs", "sub": "u_1", "partner": "north", "partner_iss": "https://sso.example",
        "partner_sub": "camille", "kind": "person", "iat": 1_800_000_000, "exp": 1_800_000_120,
    }  # fmt: skip
    assert token.header == {"alg": "ES256", "kid": keyring.assertion_key.kid, "typ": "JWT"}


def test_a_changed_one_is_not_believed(keyring: KeyRing, signer: AssertionSigner) -> None:
    head, claims, seal = signer.sign(CALLER, "jobs", NOW).split(".")
    other = signer.sign(with_caller(user="u_2", credential_id="t_2"), "jobs", NOW).split(".")[1]
    assert claims != other
    with pytest.raises(JoseError):
        opened(keyring, f"{head}.{other}.{seal}")


def test_published_keys_hold_nothing_private(keyring: KeyRing) -> None:
    assert all(set(key) == {"kty", "crv", "alg", "use", "kid", "x", "y"} for key in keyring.jwks()["keys"])


def test_it_is_kept_for_a_minute_and_then_renewed(signer: AssertionSigner) -> None:
    made = signer.sign(CALLER, "jobs", NOW)
    assert signer.sign(CALLER, "jobs", NOW + RENEWED_AFTER_S - 1) == made
    assert signer.sign(CALLER, "jobs", NOW + RENEWED_AFTER_S) != made
    assert LIFETIME_S - RENEWED_AFTER_S >= 60


def test_a_clock_set_back_makes_a_new_one(signer: AssertionSigner) -> None:
    assert signer.sign(CALLER, "jobs", NOW) != signer.sign(CALLER, "jobs", NOW - 1)


@pytest.mark.parametrize(("field", "value"), [("credential_id", "t_2"), ("application", "other")])
def test_each_credential_and_application_has_its_own(
    keyring: KeyRing, signer: AssertionSigner, field: str, value: str
) -> None:
    first = signer.sign(CALLER, "jobs", NOW)
    caller = with_caller(credential_id=value) if field == "credential_id" else CALLER
    second = signer.sign(caller, value if field == "application" else "jobs", NOW)
    assert first != second
    assert opened(keyring, second).claims["aud"] == ("other" if field == "application" else "jobs")
