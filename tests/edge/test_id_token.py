"""An ID token is believed only when everything about it is right."""

import base64
import json
from collections.abc import Mapping

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from gateway.edge.id_token import Claims, verify_id_token
from gateway.edge.partner import Partner

NOW = 1_800_000_000.0
NONCE = "n" * 43
KEY = ECKey.generate_key("P-256", {"kid": "k1"}, private=True)
OTHER = ECKey.generate_key("P-256", {"kid": "k1"}, private=True)
RSA = RSAKey.generate_key(2048, {"kid": "r1"}, private=True)
KEYS = KeySet([KEY])
PARTNER = Partner("agency", "Agency", "https://sso.example", "gateway", "secret")
CLAIMS: dict[str, object] = {
    "iss": "https://sso.example",
    "aud": "gateway",
    "sub": "42",
    "name": "Alice Martin",
    "exp": NOW + 300,
    "iat": NOW,
    "nonce": NONCE,
    "auth_time": NOW - 10,
}
REGISTRY = jws.JWSRegistry(strict_check_header=False, algorithms=["ES256", "RS256", "HS256", "none"])


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def signed(changes: Mapping[str, object] | None = None, header: Mapping[str, object] | None = None, key=KEY) -> str:  # type: ignore[no-untyped-def]  # any key
    claims = {name: value for name, value in (CLAIMS | dict(changes or {})).items() if value is not None}
    full = {"alg": "ES256", "kid": "k1", **(header or {})}
    return jws.serialize_compact(full, json.dumps(claims), key, registry=REGISTRY)


def verify(token: str, partner: Partner = PARTNER, keys: KeySet = KEYS, max_age_s: int | None = None) -> Claims | str:
    return verify_id_token(token, partner=partner, keys=keys, nonce=NONCE, now=NOW, max_age_s=max_age_s)


def test_right_token_is_believed() -> None:
    assert verify(signed()) == Claims("https://sso.example", "42", "Alice Martin", "42", NOW - 10, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://sso.example/"},
        {"iss": None},
        {"aud": "other"},
        {"aud": ["gateway", "other"]},
        {"aud": ["gateway", "other"], "azp": "other"},
        {"aud": None},
        {"azp": "other"},
        {"exp": NOW - 60},
        {"exp": None},
        {"exp": "never"},
        {"exp": True},
        {"iat": NOW + 61},
        {"iat": NOW - 601},
        {"iat": None},
        {"nonce": "m" * 43},
        {"nonce": None},
        {"nonce": ["n" * 43]},
        {"sub": None},
        {"sub": ""},
        {"sub": 42},
        {"sub": "x" * 256},
    ],
    ids=str,
)
def test_wrong_claim_is_refused(changes: dict[str, object]) -> None:
    assert isinstance(verify(signed(changes)), str)


def test_several_audiences_need_us_as_authorised_party() -> None:
    assert isinstance(verify(signed({"aud": ["gateway", "other"], "azp": "gateway"})), Claims)


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"jku": "https://evil.example/keys"},
        {"jwk": KEY.as_dict(private=False)},
        {"x5u": "https://evil.example/x"},
        {"zip": "DEF"},
        {"b64": True},
        {"typ": "logout+jwt"},
        {"typ": "at+jwt"},
        {"kid": 7},
    ],
    ids=lambda header: next(iter(header)) + str(next(iter(header.values())))[:8],
)
def test_header_that_brings_anything_of_its_own_is_refused(header: dict[str, object]) -> None:
    full = {"alg": "ES256", "kid": "k1", **header}
    head, body = b64(json.dumps(full).encode()), b64(json.dumps(CLAIMS).encode())
    model = jws.JWSRegistry.algorithms["ES256"]
    token = f"{head}.{body}.{b64(model.sign(f'{head}.{body}'.encode(), KEY))}"
    assert isinstance(verify(token), str)


def test_key_of_another_is_refused() -> None:
    assert isinstance(verify(signed(key=OTHER)), str)
    assert isinstance(verify(signed(header={"kid": "k2"}, key=OTHER)), str)


def test_algorithm_is_the_partner_s_and_never_the_token_s() -> None:
    both = KeySet([KEY, RSA])
    token = signed(header={"alg": "RS256", "kid": "r1"}, key=RSA)
    assert verify(token, keys=both) == "the algorithm is not the partner's"
    rsa_partner = Partner("agency", "Agency", "https://sso.example", "gateway", "secret", ("RS256",))
    assert isinstance(verify(token, rsa_partner, both), Claims)


def test_symmetric_and_empty_signatures_are_refused_whatever_the_partner_s_entry_says() -> None:
    lax = Partner("agency", "Agency", "https://sso.example", "gateway", "secret", ("HS256", "none", "ES256"))
    secret = OctKey.generate_key(256, {"kid": "k1"})
    assert isinstance(verify(signed(header={"alg": "HS256"}, key=secret), lax, KeySet([secret])), str)
    head = b64(b'{"alg":"none"}')
    assert isinstance(verify(f"{head}.{b64(json.dumps(CLAIMS).encode())}.", lax), str)


def test_base64_is_strict() -> None:
    head, body, signature = signed().split(".")
    odd = {"Q": "R", "g": "h", "w": "x", "A": "B"}.get(signature[-1])
    assert odd is not None
    for last in (f"{signature}==", f"{signature}=", f"{signature[:-1]}{odd}", f"{signature[:-2]}+/"):
        assert verify(f"{head}.{body}.{last}") == "not strict base64url"
    assert verify(f"{head}.{body}\n.{signature}") == "not strict base64url"
    assert isinstance(verify(f"{head}.{body}.{signature}.x"), str)


def test_lately_asked_needs_a_late_sign_in() -> None:
    assert isinstance(verify(signed(), max_age_s=60), Claims)
    assert isinstance(verify(signed({"auth_time": NOW - 500}), max_age_s=60), str)
    assert isinstance(verify(signed({"auth_time": None}), max_age_s=60), str)


@pytest.mark.parametrize("token", ["", ".", "..", "a.b", "é.é.é", "e30.e30.", "W10.e30.e30", "x" * 20_000])
def test_what_is_no_token_is_refused(token: str) -> None:
    assert isinstance(verify(token), str)
