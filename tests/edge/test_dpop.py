"""A DPoP proof counts for exactly one request, one token and one key, or not at all."""

import base64
import json

import pytest
from dpop_client import DpopClient, b64
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from gateway.edge.dpop import AROUND_S, MAX_BYTES, Shown, same_address, token_hash, verify_proof

NOW = 1_800_000_000.0
URL = "https://gate.example/dossiers/7"
TOKEN = "eyJ0.eyJz.c2ln"
CLIENT = DpopClient()
RSA = RSAKey.generate_key(2048, private=True)
ES384 = ECKey.generate_key("P-384", private=True)
ED25519 = OKPKey.generate_key("Ed25519", private=True)

RFC_KEY = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo"
    "RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
)
"""The header of every proof in RFC 9449, and so its key; its thumbprint is in section 6.1."""
RFC_THUMBPRINT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
RFC_4_1 = (
    f"{RFC_KEY}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2V"
    "uIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)
RFC_7_1 = (
    f"{RFC_KEY}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90"
    "ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9."
    "2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)
RFC_TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
RFC_URL = "https://resource.example.org/protectedresource"


def verify(proof: str, *, method: str = "GET", url: str = URL, token: str = TOKEN, now: float = NOW) -> Shown | str:
    return verify_proof(proof, method=method, url=url, token=token, now=now)


def right(client: DpopClient = CLIENT, **more: object) -> str:
    return client.proof("GET", URL, TOKEN, now=NOW, **more)  # type: ignore[arg-type]


def test_the_proof_of_rfc_9449_section_7_1_is_right_for_its_request() -> None:
    shown = verify(RFC_7_1, url=RFC_URL, token=RFC_TOKEN, now=1_562_262_620)
    assert shown == Shown(RFC_THUMBPRINT, "e1j3V_bKic8-LAEB", None)


def test_the_hash_of_rfc_9449_s_token_is_the_one_in_its_proof() -> None:
    assert token_hash(RFC_TOKEN) == b"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


@pytest.mark.parametrize(
    ("method", "url", "token", "now"),
    [
        ("POST", RFC_URL, RFC_TOKEN, 1_562_262_620),
        ("get", RFC_URL, RFC_TOKEN, 1_562_262_620),
        ("GET", f"{RFC_URL}/", RFC_TOKEN, 1_562_262_620),
        ("GET", RFC_URL.replace("https", "http"), RFC_TOKEN, 1_562_262_620),
        ("GET", RFC_URL, f"{RFC_TOKEN}x", 1_562_262_620),
        ("GET", RFC_URL, RFC_TOKEN, 1_562_262_618 + AROUND_S + 1),
        ("GET", RFC_URL, RFC_TOKEN, 1_562_262_618 - AROUND_S - 1),
    ],
)
def test_it_is_wrong_for_any_other_request(method: str, url: str, token: str, now: float) -> None:
    assert isinstance(verify(RFC_7_1, method=method, url=url, token=token, now=now), str)


def test_the_proof_of_section_4_1_is_for_a_token_endpoint_and_names_no_token() -> None:
    told = verify(RFC_4_1, method="POST", url="https://server.example.com/token", token=RFC_TOKEN, now=1_562_262_616)
    assert told == "it is for another token"


@pytest.mark.parametrize(
    "client",
    [
        CLIENT,
        DpopClient(ES384, "ES384"),
        DpopClient(ED25519, "EdDSA"),
        DpopClient(RSA, "PS256"),
        DpopClient(RSA, "RS256"),
    ],
    ids=lambda one: one.alg,
)
def test_each_algorithm_that_counts(client: DpopClient) -> None:
    shown = verify(right(client, nonce="n"))
    assert isinstance(shown, Shown)
    assert (shown.thumbprint, shown.nonce) == (client.thumbprint, "n")


@pytest.mark.parametrize(
    "claims",
    [
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 257},
        {"htm": None},
        {"htm": "POST"},
        {"htm": "get"},
        {"htu": None},
        {"htu": 7},
        {"htu": "https://other.example/dossiers/7"},
        {"htu": "https://gate.example/dossiers/8"},
        {"htu": "http://gate.example/dossiers/7"},
        {"htu": "/dossiers/7"},
        {"iat": None},
        {"iat": str(NOW)},
        {"iat": True},
        {"iat": NOW - AROUND_S - 1},
        {"iat": NOW + AROUND_S + 1},
        {"ath": None},
        {"ath": 7},
        {"ath": b64(b"x" * 32)},
        {"ath": token_hash(TOKEN).decode() + "="},
        {"nonce": 7},
    ],
    ids=str,
)
def test_a_wrong_or_missing_claim_does_not_count(claims: dict[str, object]) -> None:
    assert isinstance(verify(right(claims=claims)), str)


@pytest.mark.parametrize(
    "header",
    [
        {"typ": None},
        {"typ": "JWT"},
        {"typ": "at+jwt"},
        {"alg": "none"},
        {"jwk": None},
        {"jwk": "key"},
        {"jwk": CLIENT.key.as_dict(private=True)},
        {"jwk": {**CLIENT.key.as_dict(private=False), "k": "AAAA"}},
        {"jwk": {**CLIENT.key.as_dict(private=False), "crv": "P-384"}},
        {"jwk": {**CLIENT.key.as_dict(private=False), "x": "AAAA"}},
        {"jwk": {**CLIENT.key.as_dict(private=False), "x": CLIENT.key.as_dict(private=False)["x"] + "="}},
        {"jwk": {"kty": "EC", "crv": "P-256", "x": 1, "y": 2}},
        {"jwk": RSA.as_dict(private=False)},
        {"jwk": {"kty": "oct", "k": b64(b"x" * 32)}},
        {"x5c": ["AAAA"]},
        {"zip": "DEF"},
        {"jku": "https://evil.example/keys"},
    ],
)
def test_a_header_that_is_not_as_it_should_be_does_not_count(header: dict[str, object]) -> None:
    assert isinstance(verify(right(header=header)), str)


def test_critical_extensions_do_not_count() -> None:
    head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": CLIENT.key.as_dict(private=False), "crit": ["x"], "x": 1}
    body = right().split(".")[1]
    signing = f"{b64(json.dumps(head).encode())}.{body}"
    signature = jws.JWSRegistry.algorithms["ES256"].sign(signing.encode(), CLIENT.key)
    assert isinstance(verify(f"{signing}.{b64(signature)}"), str)


def test_a_symmetric_key_does_not_count_nor_the_public_key_as_a_secret() -> None:
    secret = OctKey.generate_key(256)
    with_secret = DpopClient(secret, "HS256")
    assert isinstance(verify(right(with_secret, header={"jwk": secret.as_dict()})), str)
    confused = OctKey.import_key(b64(CLIENT.key.as_bytes(private=False)))
    assert isinstance(verify(right(header={"alg": "HS256"}, signed_by=confused)), str)


def test_another_key_s_signature_does_not_count() -> None:
    assert isinstance(verify(right(signed_by=ECKey.generate_key("P-256", private=True))), str)


def test_an_rsa_key_that_is_too_short_or_too_long_to_verify_does_not_count() -> None:
    short = {**RSA.as_dict(private=False), "n": b64(b"\xff" * 128)}
    assert verify(right(DpopClient(RSA, "PS256"), header={"jwk": short})) == "the key is too short or too long"
    long = {**RSA.as_dict(private=False), "n": b64(b"\xff" * 1024)}
    assert verify(right(DpopClient(RSA, "PS256"), header={"jwk": long})) == "the key is too short or too long"


def test_a_key_with_letters_that_base64_does_not_have_does_not_count() -> None:
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": {"kty": "EC", "crv": "P-256", "x": "\u00e9", "y": "AA"}}
    proof = f"{b64(json.dumps(header).encode())}.{b64(b'{}')}.{b64(bytes(64))}"
    assert verify(proof) == "the key is not well formed"


def test_base64_is_strict_and_the_proof_is_one_small_token() -> None:
    head, body, signature = right().split(".")
    assert isinstance(verify(f"{head}.{body}.{signature}="), str)
    assert isinstance(verify(f"{head}.{body}.{signature},{head}.{body}.{signature}"), str)
    assert isinstance(verify(f"{head}.{body}"), str)
    assert isinstance(verify(right(claims={"more": "x" * MAX_BYTES})), str)
    spaced = base64.urlsafe_b64encode(b"[]").decode()
    assert isinstance(verify(f"{spaced}.{body}.{signature}"), str)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://gate.example", "https://gate.example/"),
        ("HTTPS://GATE.Example:443/a", "https://gate.example/a"),
        ("http://localhost:80/a", "http://localhost/a"),
        ("https://gate.example/a?b=c#d", "https://gate.example/a"),
        ("https://gate.example/%7Ea%2fb", "https://gate.example/~a%2Fb"),
    ],
)
def test_one_address_written_in_two_ways(one: str, other: str) -> None:
    assert same_address(one, other)


@pytest.mark.parametrize(
    "one",
    [
        "https://gate.example/b/../a",
        "https://gate.example/%61b",
        "https://gate.example/A",
        "https://gate.example//a",
        "https://gate.example:8443/a",
        "https://user@gate.example/a",
        "https://gate.example.evil.example/a",
        "https://gate.example\\@evil.example/a",
        "https://gate.example/a\n",
        " https://gate.example/a",
        "https://gate.example:99999999/a",
        "ftp://gate.example/a",
        "//gate.example/a",
        "https:///a",
        "https://[/a",
        "",
    ],
)
def test_another_address_or_none_at_all(one: str) -> None:
    assert not same_address(one, "https://gate.example/a")
