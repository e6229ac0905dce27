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
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import Response

from gateway.core.assurance import Caller, Challenge
from gateway.core.reasons import Reason, Refusal
from gateway.edge import asking
from gateway.edge.context import Context, Identified
from gateway.edge.step_up import Posted, accepted_proof, challenge_of, record_of, recorded, refused_on_record
from gateway.edge.ways import Accepted, AcceptedFactor
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
    identified = await context.caller(anywhere=True)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    kinds = await context.doors.factors.kinds(identified.caller.user)
    here = not isinstance(relying_party(context), Refusal)
    return context.document({"kinds": [kind for kind in kinds if here or kind != KIND]})


async def options(context: Context) -> Response:
    """``POST step-up/webauthn/options`` ``{"challenge"}``: ``{"ceremony", "publicKey"}`` for ``credentials.get``.

    ``challenge``: the name of what is confirmed, if any; what the authenticator signs then covers it.
    """
    identified = await person(context, anywhere=True)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    party = relying_party(context)
    if isinstance(party, Refusal):
        return await refused_on_record(context, identified.caller, party)
    held = await context.doors.passkeys.of(identified.caller.user)
    if not held:
        return await refused_on_record(context, identified.caller, Refusal(Reason.NO_PASSKEY))
    about = await _about(context)
    if isinstance(about, Refusal):
        return await context.refuse(about)
    named = Posted("", None, by_form=False, challenge=about)
    asked_for = await challenge_of(context, identified, named, KIND)
    if isinstance(asked_for, Refusal):
        return await refused_on_record(context, identified.caller, asked_for)
    challenge = secrets.token_bytes(CHALLENGE_BYTES) + _covered(asked_for)
    ceremony = await keep_challenge(context, CONFIRM, identified.caller, challenge, about=about)
    asked = request_options(party, challenge=challenge, known={one.credential_id: one.transports for one in held})
    return context.document({"ceremony": ceremony, "publicKey": asked})


async def verify(context: Context) -> Response:
    """``POST step-up/webauthn/verify`` ``{"ceremony", "credential"}``: the same answer as a code has."""
    identified = await person(context, anywhere=True)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    posted = await read_answer(context)
    if isinstance(posted, Refusal):
        return await context.refuse(posted)
    caller = identified.caller
    ceremony = await take_challenge(context, CONFIRM, caller, posted["ceremony"])
    if isinstance(ceremony, Refusal):
        return await context.refuse(await _rejected(context, caller, ceremony, "no such challenge"))
    named = Posted("", None, by_form=False, challenge=ceremony.about)
    asked_for = await challenge_of(context, identified, named, KIND)
    if isinstance(asked_for, Refusal):
        return await refused_on_record(context, caller, asked_for)
    outcome = await _asserted(context, caller, posted, ceremony.challenge)
    if isinstance(outcome, Refusal):
        return await context.refuse(outcome)
    return await accepted_proof(context, identified, named, outcome, asked_for)


async def _asserted(
    context: Context, caller: Caller, posted: Mapping[str, Any], challenge: bytes
) -> Accepted | Refusal:
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


async def person(context: Context, *, anywhere: bool = False, unconfirmed: bool = False) -> Identified | Refusal:
    """A person, on our own page where a cookie names them; ``anywhere``, ``unconfirmed``: as ``Context.caller``."""
    identified = await context.caller(anywhere=anywhere, unconfirmed=unconfirmed)
    if isinstance(identified, Refusal):
        return identified
    if identified.caller.is_machine:
        return Refusal(Reason.MACHINE_TOKEN)
    if identified.cookie is not None and not context.same_origin():
        return Refusal(Reason.BAD_ORIGIN)
    return identified


def relying_party(context: Context) -> RelyingParty | Refusal:
    """Our relying party for the page asked for: its id is the host of ``pages_url``, which the page's must be below."""
    pages, host = urlsplit(context.doors.pages_url), context.asked.host
    known = host == pages.netloc or host in context.doors.hosts
    if not known or not asking.passkeys_work_on(context.doors.pages_url, host):
        return Refusal(Reason.BAD_ORIGIN, detail=f"{host} is not below {pages.hostname}")
    return RelyingParty(pages.hostname or "", context.doors.product, f"{pages.scheme}://{host}")


async def _about(context: Context) -> str | Refusal | None:
    """The name of what is confirmed, in a body that may be empty."""
    body = await context.body()
    if isinstance(body, Refusal):
        return body
    try:
        said = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return Refusal(Reason.MALFORMED_REQUEST)
    name = said.get("challenge") if isinstance(said, dict) else None
    return name if isinstance(name, str) and name else None


def _covered(challenge: Challenge | None) -> bytes:
    """What the authenticator signs besides a random number: the one answer that is confirmed."""
    if challenge is None or challenge.act is None:
        return b""
    act = challenge.act
    said = [challenge.credential_id, challenge.application, challenge.route, act.request, act.klass.word, act.most]
    return sha256(json.dumps(said).encode()).digest()


@dataclass(frozen=True, slots=True)
class Ceremony:
    """A challenge that was taken: its bytes, and the name of what it confirms, if any."""

    challenge: bytes
    about: str | None


async def keep_challenge(
    context: Context, purpose: str, caller: Caller, challenge: bytes, *, about: str | None = None
) -> str:
    """Keep a challenge for one answer; returns the name of its ceremony."""
    kept = {
        "challenge": b64encode(challenge).decode(),
        "user": caller.user,
        "credential": caller.credential_id,
        "about": about,
    }
    return await context.doors.flows.keep(purpose, kept, CEREMONY_S)


async def take_challenge(context: Context, purpose: str, caller: Caller, ceremony: str) -> Ceremony | Refusal:
    """Take what was kept, once; refused where it was taken, is over, or another's."""
    kept = await context.doors.flows.take(purpose, ceremony)
    if kept is None or (kept["user"], kept["credential"]) != (caller.user, caller.credential_id):
        return Refusal(Reason.CEREMONY_OVER)
    about = kept.get("about")
    return Ceremony(b64decode(str(kept["challenge"])), about if isinstance(about, str) else None)


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
