"""What a person confirms with: seen, added and taken away, on a page of their own.

Rules of this file:

1. A change needs a fresh proof by a factor that is there already; a young one may add, never take away.
2. What is added under a young factor is as young: a recovery code begets nothing that opens more.
3. The ledger knows of every change before the person is told that it is done.
"""

import secrets
from collections.abc import Sequence
from urllib.parse import parse_qsl

from starlette.responses import Response

from gateway.core.assurance import Caller, Proof, changing
from gateway.core.cooling import Binding, cooling_of, invited_as
from gateway.core.policy import BY_PARTNER
from gateway.core.reasons import Reason, Refusal
from gateway.edge.asking import passkeys_work_on
from gateway.edge.context import Context, Identified
from gateway.edge.notices import FACTOR_BOUND, FACTOR_REMOVED, tell
from gateway.edge.passkeys import KIND, keep_challenge, person, read_answer, relying_party, take_challenge
from gateway.edge.step_up import record_of, recorded, refused_on_record
from gateway.factors.webauthn import CHALLENGE_BYTES, Rejected, creation_options, verify_registration

ENROL = "webauthn-enrol"
CHANGE_WITHIN_S = 300
"""How fresh a proof must be to change what one confirms with."""
LONGEST_NAME = 40
CONFIRM_FIRST = Refusal(Reason.PROOF_REQUIRED, kinds=("webauthn", "totp"), max_age_s=CHANGE_WITHIN_S)


async def enrol_page(context: Context) -> Response:
    """``GET enrol``: what there is, and how to add one; ``enrol?change`` asks to confirm first, in place."""
    identified = await context.caller(unconfirmed=True)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    if identified.caller.is_machine:
        return await context.refuse(Refusal(Reason.MACHINE_TOKEN))
    if not passkeys_work_on(context.doors.pages_url, context.asked.host):
        return context.go(f"{context.doors.pages_url}{context.asked.target.decode('latin-1')}")
    caller, now = identified.caller, context.doors.clock.now()
    if "change" in context.request.query_params and not _confirmed(caller, now):
        return await context.refuse(CONFIRM_FIRST)
    return context.page("enrol", await enrol_values(context, caller))


async def enrol_values(context: Context, caller: Caller) -> dict[str, object]:
    """What the page shows of ``caller``."""
    now = context.doors.clock.now()
    kinds = await context.doors.factors.kinds(caller.user)
    invited = suffices(await context.doors.invitations.waiting(caller.invited_as), kinds)
    # what a person has is not told to who only says that it is them
    passkeys = () if caller.unconfirmed else await context.doors.passkeys.of(caller.user)
    return {
        "passkeys": passkeys,
        "cooling": {one.factor_id for one in passkeys if cooling_of(one.bound, one.bound_at, now)},
        "kinds": kinds,
        "first": not kinds and not invited,
        "invited": invited,
        "may_add": invited or changing(caller, now, CHANGE_WITHIN_S, removing=False) is not None,
        "may_remove": changing(caller, now, CHANGE_WITHIN_S, removing=True) is not None,
        "now": now,
        "letter_error": None,
    }


async def options(context: Context) -> Response:
    """``POST enrol/webauthn/options``: ``{"ceremony", "publicKey"}`` for ``navigator.credentials.create``."""
    permitted = await allowed(context, removing=False)
    if isinstance(permitted, Response):
        return permitted
    identified, _ = permitted
    caller = identified.caller
    party = relying_party(context)
    if isinstance(party, Refusal):
        return await refused_on_record(context, caller, party)
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    held = await context.doors.passkeys.of(caller.user)
    asked = creation_options(
        party,
        challenge=challenge,
        user_handle=caller.user.encode(),
        login=caller.name,
        name=caller.name,
        known=[one.credential_id for one in held],
    )
    ceremony = await keep_challenge(context, ENROL, caller, challenge)
    return context.document({"ceremony": ceremony, "publicKey": asked})


async def verify(context: Context) -> Response:
    """``POST enrol/webauthn/verify`` ``{"ceremony", "credential", "name"}``: ``{"factor", "name"}``."""
    permitted = await allowed(context, removing=False)
    if isinstance(permitted, Response):
        return permitted
    identified, proof = permitted
    caller = identified.caller
    posted = await read_answer(context)
    if isinstance(posted, Refusal):
        return await context.refuse(posted)
    ceremony = await take_challenge(context, ENROL, caller, posted["ceremony"])
    party = relying_party(context)
    if isinstance(ceremony, Refusal):
        return await refused_on_record(context, caller, ceremony)
    if isinstance(party, Refusal):
        return await refused_on_record(context, caller, party)
    made = verify_registration(posted["credential"], challenge=ceremony.challenge, party=party)
    if isinstance(made, Rejected):
        return await refused_on_record(context, caller, Refusal(Reason.PASSKEY_REJECTED, detail=made.why))
    how = await how_bound(context, caller, proof, KIND)
    if how is None:
        return await refused_on_record(context, caller, Refusal(Reason.INVITATION_REQUIRED))
    record = record_of(context, caller) | {
        "verdict": "accepted",
        "reason": "factor_bound",
        "proof": {"kind": proof.kind, "credential": proof.factor_id} if proof else {"kind": "invitation"},
        "detail": f"{KIND}, bound {how}",
    }
    if not await recorded(context, record, reserve=False):
        return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
    name = name_of(posted.get("name"))
    by = proof.factor_id if proof else ""
    bound = await context.doors.passkeys.bind(caller.user, made, name=name, bound=how, by=by)
    if bound == "stale":
        return await refused_on_record(context, caller, CONFIRM_FIRST)
    if bound in ("taken", "full"):
        return await refused_on_record(context, caller, Refusal(Reason.PASSKEY_REJECTED, detail=bound))
    await tell(context, caller, FACTOR_BOUND)
    return context.document({"factor": bound, "name": name})


async def remove(context: Context) -> Response:
    """``POST enrol/remove`` (a form with ``factor``): take a passkey away; never the last way to confirm."""
    permitted = await allowed(context, removing=True)
    if isinstance(permitted, Response):
        return permitted
    identified, proof = permitted
    caller = identified.caller
    body = await context.body()
    if isinstance(body, Refusal):
        return await context.refuse(body)
    try:
        wanted = dict(parse_qsl(body.decode("ascii"), strict_parsing=True, max_num_fields=4)).get("factor")
    except ValueError:
        return await context.refuse(Refusal(Reason.MALFORMED_REQUEST))
    passkey = next((one for one in await context.doors.passkeys.of(caller.user) if one.factor_id == wanted), None)
    if passkey is None:
        return await context.refuse(Refusal(Reason.NOT_FOUND))
    record = record_of(context, caller) | {
        "verdict": "accepted",
        "reason": "factor_removed",
        "proof": {"kind": proof.kind if proof else KIND, "credential": passkey.factor_id},
    }
    if not await recorded(context, record, reserve=False):
        return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
    removed = await context.doors.passkeys.remove(caller.user, passkey, by=proof.factor_id if proof else "")
    if removed in ("last", "stale"):
        refusal = Refusal(Reason.LAST_FACTOR) if removed == "last" else CONFIRM_FIRST
        return await refused_on_record(context, caller, refusal)
    await tell(context, caller, FACTOR_REMOVED)
    context.doors.callers.forget(caller.user)
    return context.go("/.gateway/enrol")


def _confirmed(caller: Caller, now: float) -> bool:
    """Whether a confirmation is there at all: one that changes nothing yet is not asked for again."""
    own = (proof for proof in caller.proofs if proof.kind != BY_PARTNER)
    return any(now - proof.verified_at <= CHANGE_WITHIN_S for proof in own)


def name_of(said: object) -> str:
    """A passkey's name as its person gave it: printable, short, never empty."""
    text = "".join(one for one in said if one.isprintable()).strip()[:LONGEST_NAME] if isinstance(said, str) else ""
    return text or "—"


async def how_bound(context: Context, caller: Caller, proof: Proof | None, kind: str) -> str | None:
    """How a factor of ``kind`` is about to be bound: as that of ``proof`` was, else by the invitation, used up by this.

    What a ripe factor adds is ripe, however that one was bound once; a passkey added with a code is as good as a code.
    """
    if proof is None:
        kinds = await context.doors.factors.kinds(caller.user)
        bound = await context.doors.invitations.take(caller.invited_as)
        return invited_as(bound, observing=context.doors.observing) if bound and suffices(bound, kinds) else None
    if proof.cooling(context.doors.clock.now()):
        return proof.bound
    stronger = kind == KIND and proof.kind != KIND
    return invited_as(Binding.CODED, observing=context.doors.observing) if stronger else str(Binding.OWN)


def suffices(invitation: str | None, kinds: Sequence[str]) -> bool:
    """Whether an invitation lets somebody bind a factor without a proof who has factors of ``kinds``.

    Any does for a first one. Who has lost what they confirm with is vouched for in person by two: one alone, or from
    afar, is how accounts are talked away.
    """
    return invitation is not None and (not kinds or invitation == Binding.VOUCHED)


async def allowed(context: Context, *, removing: bool) -> tuple[Identified, Proof | None] | Response:
    """Who may change, under which proof; without one only who is invited, as ``suffices`` says."""
    identified = await person(context, unconfirmed=True)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    if identified.cookie is None:
        return await refused_on_record(context, identified.caller, Refusal(Reason.BAD_ORIGIN))
    proof = changing(identified.caller, context.doors.clock.now(), CHANGE_WITHIN_S, removing=removing)
    if proof is None and not removing:
        kinds = await context.doors.factors.kinds(identified.caller.user)
        if suffices(await context.doors.invitations.waiting(identified.caller.invited_as), kinds):
            return identified, None
        if not kinds:
            return await refused_on_record(context, identified.caller, Refusal(Reason.INVITATION_REQUIRED))
    if proof is None:
        return await refused_on_record(context, identified.caller, CONFIRM_FIRST)
    return identified, proof
