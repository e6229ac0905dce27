"""WebAuthn (W3C Level 3), pure: options for a ceremony, and a verdict on what an authenticator answered.

Rules of this file:

1. User presence *and* user verification, always: the library asks for the first alone.
2. The origin is exactly ours, the relying party's hash too, and no frame of another origin was in between.
3. A signature counter is given back, not judged: only who remembers it in one step can say that it went back.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

CHALLENGE_BYTES = 32
CEREMONY_S = 300
"""How long a person has for one ceremony (W3C WebAuthn Level 3, 15.1: five minutes with user verification)."""
LONGEST_CREDENTIAL_ID = 1023
"""W3C WebAuthn Level 3, section 4, Credential ID."""
_TRANSPORTS = {one.value for one in AuthenticatorTransport}


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Who asks: the id of the relying party (a host), its name, and the one origin of this ceremony."""

    id: str
    name: str
    origin: str


@dataclass(frozen=True, slots=True)
class Registered:
    """A new credential: ids and keys as the authenticator made them (COSE key), its counter, how it is reached."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asserted:
    """A verified assertion and the counter it carried (0: this authenticator does not count)."""

    sign_count: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """An answer that is not accepted. ``why`` is for the ledger, in English."""

    why: str


def creation_options(
    party: RelyingParty, *, challenge: bytes, user_handle: bytes, login: str, name: str, known: Iterable[bytes]
) -> dict[str, Any]:
    """What a browser is asked to register: any kind of authenticator, discoverable where it can, user verified.

    ``user_handle``: opaque, at most 64 bytes; ``known``: credentials that this person has already.
    """
    options = generate_registration_options(
        rp_id=party.id,
        rp_name=party.name,
        user_id=user_handle,
        user_name=login,
        user_display_name=name,
        challenge=challenge,
        timeout=CEREMONY_S * 1000,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
    )
    return dict(json.loads(options_to_json(options)))


def request_options(party: RelyingParty, *, challenge: bytes, known: Mapping[bytes, tuple[str, ...]]) -> dict[str, Any]:
    """What a browser is asked to sign. ``known``: the person's credentials and how each is reached."""
    options = generate_authentication_options(
        rp_id=party.id,
        challenge=challenge,
        timeout=CEREMONY_S * 1000,
        allow_credentials=[
            PublicKeyCredentialDescriptor(
                id=one, transports=[AuthenticatorTransport(name) for name in transports if name in _TRANSPORTS]
            )
            for one, transports in known.items()
        ],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return dict(json.loads(options_to_json(options)))


def credential_id_of(answer: Mapping[str, Any]) -> bytes | None:
    """Which credential answers; ``None`` where that cannot be read."""
    said = answer.get("id")
    if not isinstance(said, str):
        return None
    try:
        found = base64.urlsafe_b64decode(said + "=" * (-len(said) % 4))
    except (ValueError, binascii.Error):
        return None
    return found if 0 < len(found) <= LONGEST_CREDENTIAL_ID else None


def verify_registration(answer: Mapping[str, Any], *, challenge: bytes, party: RelyingParty) -> Registered | Rejected:
    """Whether ``answer`` (the JSON of a PublicKeyCredential) is a new credential made for this ceremony."""
    if why := _framed(answer):
        return Rejected(why)
    try:
        verified = verify_registration_response(
            credential=dict(answer),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_presence=True,
            require_user_verification=True,
        )
    except Exception as fault:  # bytes from outside, read by a library that raises what its parsers raise
        return Rejected(_why(fault))
    if len(verified.credential_id) > LONGEST_CREDENTIAL_ID:
        return Rejected("the credential's id is too long")
    said = answer["response"].get("transports")
    transports = tuple(one for one in said if one in _TRANSPORTS) if isinstance(said, list) else ()
    return Registered(verified.credential_id, verified.credential_public_key, verified.sign_count, transports)


def verify_assertion(
    answer: Mapping[str, Any], *, challenge: bytes, party: RelyingParty, public_key: bytes
) -> Asserted | Rejected:
    """Whether ``answer`` is signed by the credential with this key, for this ceremony."""
    if why := _framed(answer):
        return Rejected(why)
    try:
        verified = verify_authentication_response(
            credential=dict(answer),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except Exception as fault:  # as above
        return Rejected(_why(fault))
    return Asserted(verified.new_sign_count)


def _framed(answer: Mapping[str, Any]) -> str | None:
    """Why the browser's own word on the ceremony (client data) rules it out, if it does."""
    response = answer.get("response")
    encoded = response.get("clientDataJSON") if isinstance(response, dict) else None
    if not isinstance(encoded, str):
        return "there is no client data"
    try:
        said = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (ValueError, RecursionError):
        return "the client data cannot be read"
    if not isinstance(said, dict):
        return "the client data are no object"
    if said.get("crossOrigin", False) is not False or "topOrigin" in said:
        return "made in a frame of another origin"
    return None


def _why(fault: Exception) -> str:
    return str(fault)[:200] if isinstance(fault, WebAuthnException) else type(fault).__name__
