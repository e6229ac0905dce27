"""Confirming with a passkey: a challenge, one touch, a proof.

Rules of this file:

1. A challenge is taken before anything is verified: whatever the answer, it serves once, for who asked and what for.
2. The origin is the one of the page that the person is on, and only where it belongs to the relying party.
3. A counter that does not go forward is two copies of one key: refused, and an alarm in the ledger.
"""

import json
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import Response

from gateway.core.assurance import Caller
from gateway.core.reasons import Reason, Refusal
from gateway.edge.context import Context, Identified
from gateway.edge.doors import Accepted, AcceptedFactor
from gateway.edge.step_up import Posted, accepted_proof, record_of, recorded, refused_on_record
from gateway.factors.webauthn import (
    CEREMONY_S,
    CHALLENGE_BYTES,
    Rejected,
    RelyingParty,
    credential_id_of,
    request_options,
    verify_assertion,
)

KIND = "webauthn"
CONFIRM = "webauthn-step-up"
LARGEST_ANSWER_BYTES = 32 * 1024
"""An attestation with its certificates and an RSA key has some 6 kB; two per mille have more than 16."""


async def ways(context: Context) -> Response:
    """``GET step-up/ways``: ``{"kinds": […]}``, what this person can confirm with; a page offers nothing else."""
    identified = await context.caller()
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    return context.document({"kinds": await context.doors.factors.kinds(identified.caller.user)})


async def options(context: Context) -> Response:
    """``POST step-up/webauthn/options``: ``{"ceremony", "publicKey"}`` for ``navigator.credentials.get``."""
    identified = await person(context)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    party = relying_party(context)
    if isinstance(party, Refusal):
        return await refused_on_record(context, identified.caller, party)
    held = await context.doors.passkeys.of(identified.caller.user)
    if not held:
        return await refused_on_record(context, identified.caller, Refusal(Reason.NO_PASSKEY))
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    ceremony = await keep_challenge(context, CONFIRM, identified.caller, challenge)
    asked = request_options(party, challenge=challenge, known={one.credential_id: one.transports for one in held})
    return context.document({"ceremony": ceremony, "publicKey": asked})


async def verify(context: Context) -> Response:
    """``POST step-up/webauthn/verify`` ``{"ceremony", "credential"}``: the same answer as a code has."""
    identified = await person(context)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    posted = await read_answer(context)
    if isinstance(posted, Refusal):
        return await context.refuse(posted)
    outcome = await _asserted(context, identified.caller, posted)
    if isinstance(outcome, Refusal):
        return await context.refuse(outcome)
    return await accepted_proof(context, identified, Posted("", None, by_form=False), outcome)


async def _asserted(context: Context, caller: Caller, posted: Mapping[str, Any]) -> Accepted | Refusal:
    challenge = await take_challenge(context, CONFIRM, caller, posted["ceremony"])
    if isinstance(challenge, Refusal):
        return await _rejected(context, caller, challenge, "no such challenge")
    party = relying_party(context)
    if isinstance(party, Refusal):
        return await _rejected(context, caller, party, party.detail)
    credential = credential_id_of(posted["credential"])
    held = {one.credential_id: one for one in await context.doors.passkeys.of(caller.user)}
    passkey = held.get(credential) if credential is not None else None
    if passkey is None:
        return await _rejected(context, caller, Refusal(Reason.PASSKEY_REJECTED), "no credential of this person")
    verdict = verify_assertion(posted["credential"], challenge=challenge, party=party, public_key=passkey.public_key)
    if isinstance(verdict, Rejected):
        return await _rejected(context, caller, Refusal(Reason.PASSKEY_REJECTED), verdict.why)
    moved = await context.doors.passkeys.used(caller.user, passkey.factor_id, verdict.sign_count)
    if moved != "moved":
        alarm = record_of(context, caller) | {
            "kind": "alarm",
            "reason": "signature_counter_went_back",
            "proof": {"kind": KIND, "credential": passkey.factor_id},
        }
        if moved == "back" and not await recorded(context, alarm, reserve=True):
            return Refusal(Reason.LEDGER_UNAVAILABLE)
        return await _rejected(context, caller, Refusal(Reason.PASSKEY_REJECTED), f"counter: {moved}")
    record = record_of(context, caller) | {
        "verdict": "accepted",
        "proof": {"kind": KIND, "credential": passkey.factor_id},
    }
    if not await recorded(context, record, reserve=False):
        return Refusal(Reason.LEDGER_UNAVAILABLE)
    now = context.doors.clock.now()
    return AcceptedFactor(passkey.factor_id, KIND, now, passkey.bound, passkey.bound_at)


async def _rejected(context: Context, caller: Caller, refusal: Refusal, why: str) -> Refusal:
    record = record_of(context, caller) | {
        "verdict": "refusal",
        "reason": str(refusal.reason),
        "detail": why,
        "proof": {"kind": KIND},
    }
    return refusal if await recorded(context, record, reserve=True) else Refusal(Reason.LEDGER_UNAVAILABLE)


async def person(context: Context) -> Identified | Refusal:
    """A person, on our own page where a cookie names them."""
    identified = await context.caller()
    if isinstance(identified, Refusal):
        return identified
    if identified.caller.is_machine:
        return Refusal(Reason.MACHINE_TOKEN)
    if identified.cookie is not None and not context.same_origin():
        return Refusal(Reason.BAD_ORIGIN)
    return identified


def relying_party(context: Context) -> RelyingParty | Refusal:
    """Our relying party for the page asked for: its id is the host of ``pages_url``, which the page's must be below."""
    pages = urlsplit(context.doors.pages_url)
    host = context.asked.host.partition(":")[0]
    party_id = pages.hostname or ""
    if host != party_id and not host.endswith(f".{party_id}"):
        return Refusal(Reason.BAD_ORIGIN, detail=f"{host} is not below {party_id}")
    return RelyingParty(party_id, context.doors.product, f"{pages.scheme}://{context.asked.host}")


async def keep_challenge(context: Context, purpose: str, caller: Caller, challenge: bytes) -> str:
    """Keep a challenge for one answer; returns the name of its ceremony."""
    kept = {"challenge": b64encode(challenge).decode(), "user": caller.user, "credential": caller.credential_id}
    return await context.doors.flows.keep(purpose, kept, CEREMONY_S)


async def take_challenge(context: Context, purpose: str, caller: Caller, ceremony: str) -> bytes | Refusal:
    """Take what was kept, once; refused where it was taken, is over, or another's."""
    kept = await context.doors.flows.take(purpose, ceremony)
    if kept is None or (kept["user"], kept["credential"]) != (caller.user, caller.credential_id):
        return Refusal(Reason.CEREMONY_OVER)
    return b64decode(str(kept["challenge"]))


async def read_answer(context: Context) -> Mapping[str, Any] | Refusal:
    """``{"ceremony": str, "credential": object}`` and what else came; nothing else is looked at here."""
    if (context.one_header(b"content-type") or "").partition(";")[0].strip().lower() != "application/json":
        return Refusal(Reason.MALFORMED_REQUEST)
    body = await context.body(LARGEST_ANSWER_BYTES)
    if isinstance(body, Refusal):
        return body
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return Refusal(Reason.MALFORMED_REQUEST)
    if not isinstance(said, dict):
        return Refusal(Reason.MALFORMED_REQUEST)
    if not isinstance(said.get("ceremony"), str) or not isinstance(said.get("credential"), dict):
        return Refusal(Reason.MALFORMED_REQUEST)
    return said
