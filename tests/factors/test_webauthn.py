"""An authenticator's answer counts for this ceremony and this origin, of a person who was there and verified."""

from typing import Any

import pytest
from authenticator import PRESENT, VERIFIED, Authenticator, b64
from hypothesis import given
from hypothesis import strategies as st

from gateway.factors.webauthn import (
    Asserted,
    Registered,
    Rejected,
    RelyingParty,
    creation_options,
    credential_id_of,
    request_options,
    verify_assertion,
    verify_registration,
)

ORIGIN = "http://localhost:8080"
PARTY = RelyingParty("localhost", "Gateway", ORIGIN)
CHALLENGE = bytes(range(32))
ASKED = {"challenge": b64(CHALLENGE)}


def registered(key: Authenticator) -> Registered | Rejected:
    return verify_registration(key.make(ASKED), challenge=CHALLENGE, party=PARTY)


def asserted(key: Authenticator, challenge: bytes = CHALLENGE) -> Asserted | Rejected:
    made = registered(Authenticator(ORIGIN, key=key.key, credential_id=key.credential_id))
    assert isinstance(made, Registered)
    return verify_assertion(key.sign(ASKED), challenge=challenge, party=PARTY, public_key=made.public_key)


def test_a_credential_is_registered_and_signs() -> None:
    key = Authenticator(ORIGIN, count=7)
    made = registered(key)
    assert isinstance(made, Registered)
    assert (made.credential_id, made.sign_count, made.transports) == (key.credential_id, 7, ("usb",))
    assert asserted(key) == Asserted(7)


@pytest.mark.parametrize(
    "wrong",
    [
        {"flags": PRESENT},
        {"flags": VERIFIED},
        {"flags": 0},
        {"origin": "http://localhost:8081"},
        {"origin": "https://localhost:8080"},
        {"origin": "http://localhost:8080.evil.example"},
        {"party": "evil.example"},
        {"more": {"crossOrigin": True}},
        {"more": {"crossOrigin": "false"}},
        {"more": {"topOrigin": "https://evil.example"}},
        {"more": {"type": "payment.get"}},
    ],
)
def test_neither_ceremony_accepts_what_is_not_ours(wrong: dict[str, Any]) -> None:
    key = Authenticator(**{"origin": ORIGIN, **wrong})
    assert isinstance(registered(key), Rejected)
    assert isinstance(asserted(key), Rejected)


def test_another_challenge_is_not_ours() -> None:
    assert isinstance(asserted(Authenticator(ORIGIN), bytes(32)), Rejected)


def test_another_key_signs_nothing() -> None:
    made = registered(Authenticator(ORIGIN))
    assert isinstance(made, Registered)
    answer = Authenticator(ORIGIN, credential_id=made.credential_id).sign(ASKED)
    verdict = verify_assertion(answer, challenge=CHALLENGE, party=PARTY, public_key=made.public_key)
    assert isinstance(verdict, Rejected)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
_MEMBERS = st.sampled_from(
    ["id", "rawId", "type", "response", "clientDataJSON", "attestationObject", "authenticatorData", "signature"]
)


@given(st.dictionaries(_MEMBERS, _JSON | st.dictionaries(_MEMBERS, _JSON, max_size=4), max_size=5))
def test_whatever_comes_is_a_verdict(answer: dict[str, Any]) -> None:
    assert isinstance(verify_registration(answer, challenge=CHALLENGE, party=PARTY), Rejected)
    assert isinstance(verify_assertion(answer, challenge=CHALLENGE, party=PARTY, public_key=b"\xa0"), Rejected)
    assert credential_id_of(answer) is None or isinstance(answer["id"], str)


@given(st.integers(0, 300))
def test_one_byte_changed_is_never_accepted(where: int) -> None:
    key = Authenticator(ORIGIN)
    made = registered(key)
    assert isinstance(made, Registered)
    answer = key.sign(ASKED)
    member = ("signature", "authenticatorData", "clientDataJSON")[where % 3]
    text = answer["response"][member]
    at = where % (len(text) - 2)  # the last character has bits that say nothing
    changed = text[:at] + "AB"[text[at] == "A"] + text[at + 1 :]
    answer["response"][member] = changed
    verdict = verify_assertion(answer, challenge=CHALLENGE, party=PARTY, public_key=made.public_key)
    assert isinstance(verdict, Rejected)


def test_options_ask_for_a_verified_person() -> None:
    made = creation_options(PARTY, challenge=CHALLENGE, user_handle=b"u", login="a", name="A", known=[b"k" * 16])
    assert made["authenticatorSelection"]["userVerification"] == "required"
    assert [one["id"] for one in made["excludeCredentials"]] == [b64(b"k" * 16)]
    asked = request_options(PARTY, challenge=CHALLENGE, known={b"k" * 16: ("usb", "teleport")})
    assert (asked["userVerification"], asked["rpId"], asked["challenge"]) == ("required", "localhost", b64(CHALLENGE))
    assert asked["allowCredentials"] == [{"id": b64(b"k" * 16), "type": "public-key", "transports": ["usb"]}]
