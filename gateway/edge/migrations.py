"""Migrations that wait for signatures: officers see what each is, and sign or refuse.

Rules of this file:

1. Two officers sign, each in a session of their own, and confirm this very act with a settled factor. Who started it by
   the command is no signature: that is the word of whoever has the command line.
2. The ledger knows of each person before they are carried. Broken off, signing once more finishes it.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence

from starlette.responses import Response

from gateway.core.assurance import Caller, Proof, changing
from gateway.core.enrolment import Act, may
from gateway.core.identity import Pair, merges_of
from gateway.core.reasons import Reason, Refusal
from gateway.edge import words
from gateway.edge.acts import confirmed
from gateway.edge.context import Context, Identified
from gateway.edge.doors import Migration
from gateway.edge.notices import IDENTITY_CARRIED, tell
from gateway.edge.passkeys import person
from gateway.edge.step_up import record_of, recorded, refused_on_record

SIGNATURES = 2
SEE_WITHIN_S = 4 * 3600
PEOPLE_PER_RECORD = 100
DONE = ("carried", "already")


async def migrations_page(context: Context) -> Response:
    """``GET migrations``: what waits for a signature."""
    identified = await context.caller()
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    if (refusal := _refused(context, identified)) is not None:
        return await refused_on_record(context, identified.caller, refusal)
    return await _listed(context, identified.caller)


async def migrations(context: Context) -> Response:
    """``POST migrations`` (a form with ``migration``, and ``sign`` or ``refuse``)."""
    identified = await person(context)
    if isinstance(identified, Refusal):
        return await context.refuse(identified)
    if (refusal := _refused(context, identified)) is not None:
        return await refused_on_record(context, identified.caller, refusal)
    said = await context.form()
    if isinstance(said, Refusal):
        return await context.refuse(said)
    waiting = await context.doors.migrations.waiting()
    migration = next((one for one in waiting if one.id == said.get("migration")), None)
    if migration is None or ("sign" in said) is ("refuse" in said):
        return await _listed(context, identified.caller, done="gone")
    if "refuse" in said:
        return await _refuse(context, identified.caller, migration)
    if migration.signed == (identified.caller.user,):
        return await refused_on_record(context, identified.caller, Refusal(Reason.INVITATION_REFUSED))
    return await _sign(context, identified, migration)


def _refused(context: Context, identified: Identified) -> Refusal | None:
    if identified.cookie is None or not may(context.doors.policy(), identified.caller, Act.MIGRATE):
        return Refusal(Reason.ROLE_REQUIRED)
    if changing(identified.caller, context.doors.clock.now(), SEE_WITHIN_S, removing=True) is None:
        return Refusal(Reason.PROOF_REQUIRED, kinds=("webauthn", "totp"), max_age_s=SEE_WITHIN_S)
    return None


async def _refuse(context: Context, caller: Caller, migration: Migration) -> Response:
    if not await recorded(context, _record(context, caller, migration, "refused"), reserve=False):
        return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
    await context.doors.migrations.end(migration.id)
    return await _listed(context, caller, done="refused")


async def _sign(context: Context, identified: Identified, migration: Migration) -> Response:
    caller, said = identified.caller, {"migration": migration.id, "sign": "1"}
    partners = {"old": _name(context, migration.old), "new": _name(context, migration.new)}
    label: dict[str, str] = {
        language: words.say("migrations_act", language, people=migration.people, **partners)
        for language in words.LANGUAGES
    }
    proof = await confirmed(context, identified, "migrate", migration.id, label, said)
    if isinstance(proof, Response):
        return proof
    if not await recorded(context, _record(context, caller, migration, "signed", proof), reserve=False):
        return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
    if await context.doors.migrations.sign(migration.id, caller.user) < SIGNATURES:
        return await _listed(context, caller, done="first")
    outcomes = await _carry(context, caller, migration)
    if outcomes is None:
        return await context.refuse(Refusal(Reason.LEDGER_UNAVAILABLE))
    await context.doors.migrations.end(migration.id)
    done = sum(outcomes[one] for one in DONE)
    return await _listed(context, caller, done="signed", people=done, left_out=outcomes.total() - done)


async def _carry(context: Context, caller: Caller, migration: Migration) -> Counter[str] | None:
    """Carry everybody; what became of how many, or ``None``: the ledger cannot be written, and it is not finished."""
    doors, outcomes = context.doors, Counter[str]()
    pairs = await doors.migrations.pairs(migration.id)
    shares = await doors.identities.share(migration.new, migration.old) if migration.new != migration.old else ""
    for start in range(0, len(pairs), PEOPLE_PER_RECORD):
        part = pairs[start : start + PEOPLE_PER_RECORD]
        listed = [[pair.old, pair.new, pair.user] for pair in part]
        record = _record(context, caller, migration, "carried") | {"pairs": listed}
        if not await recorded(context, record, reserve=False):
            return None
        for pair in part:
            outcome = await doors.identities.carry(pair, partners=(migration.old, migration.new))
            outcomes[outcome] += 1
            if outcome in DONE:
                await doors.access.end_others(pair.new, but="")
            if outcome == "carried":
                await tell(context, caller, IDENTITY_CARRIED, user=pair.user, partner=migration.old)
    # Once now, and once more when no worker knows anybody by what they were: what they took until then counts too.
    await _merge(context, migration, pairs, shares)
    await asyncio.sleep(doors.settles_s)
    await _merge(context, migration, pairs, shares)
    return outcomes


async def _merge(context: Context, migration: Migration, pairs: Sequence[Pair], shares: str) -> None:
    doors = context.doors
    for pair in pairs:
        if (await doors.identities.known(pair.new)).user == pair.user:
            merges = merges_of(doors.policy(), pair, migration.new, shares, doors.clock.now())
            await doors.identities.merge(merges)


def _record(
    context: Context, caller: Caller, migration: Migration, event: str, proof: Proof | None = None
) -> dict[str, object]:
    record = record_of(context, caller) | {"kind": "identity", "event": event, "verdict": "accepted"}
    record |= {"from": migration.old, "to": migration.new, "fingerprint": migration.fingerprint}
    return record | ({"proof": {"kind": proof.kind, "credential": proof.factor_id}} if proof else {})


async def _listed(
    context: Context, caller: Caller, *, done: str | None = None, people: int = 0, left_out: int = 0
) -> Response:
    now = context.doors.clock.now()
    listed = [
        {
            "id": one.id,
            "old": _name(context, one.old),
            "new": _name(context, one.new),
            "people": one.people,
            "by": one.by,
            "signed": one.signed,
            "own": one.signed == (caller.user,),
            "fingerprint": one.fingerprint,
            "ago_s": max(0.0, now - one.at),
        }
        for one in await context.doors.migrations.waiting()
    ]
    values = {"migrations": listed, "done": done, "people": people, "left_out": left_out}
    return context.page("migrations", values, status=404 if done == "gone" else 200)


def _name(context: Context, partner: str) -> str:
    known = context.doors.partners.get(partner)
    return f"{known.name} ({partner})" if known else partner
