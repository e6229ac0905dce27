"""Proofs that serve one answer: claimed by one request before anything is forwarded or released for it.

Rules of this file:

1. Claiming is one atomic step in the store: of two requests at once, one has the proof, and the other asks for its own.
2. A claim is never given back: what came of the answer is not known everywhere.
"""

from collections.abc import Sequence
from typing import Protocol

from gateway.core.assurance import ACT_LIVES_S, Caller, Proof
from gateway.core.extraction import Identifier
from gateway.core.policy import Policy
from gateway.passage import Passage


class Claims(Protocol):
    """Where proofs for one answer are claimed."""

    async def claim(self, proof: Proof) -> bool: ...


class Hasher(Protocol):
    """Keyed hashes of a request and of whom it names."""

    def person_hash(self, identifier: Identifier) -> bytes: ...

    def request_hash(self, method: bytes, host: str, target: bytes) -> str: ...


async def claim(passage: Passage, proof: Proof, claims: Claims) -> None:
    """Claim ``proof`` for this request, or note that another has it. Raises ``StoreUnavailable``."""
    if passage.caller is None:
        raise TypeError("a proof is claimed only for a known caller")
    mine = await claims.claim(proof)
    (passage.held if mine else passage.spent).add(proof.id)
    passage.caller = passage.marked(passage.caller)


def request_of(passage: Passage, hasher: Hasher) -> str:
    """What a proof for one answer is made for: method, host, target, and whom header and body name."""
    persons = sorted(hasher.person_hash(one) for one in passage.persons or ())
    return hasher.request_hash(passage.method, passage.host, b"\0".join([passage.raw_target, *persons]))


def acts_of(caller: Caller | None) -> Sequence[Proof]:
    """The proofs that were made for one request, and not yet claimed for this one."""
    return [one for one in caller.proofs if one.act and not one.held] if caller else ()


async def claim_acts(
    passage: Passage, proofs: Sequence[Proof], policy: Policy, now: float, claims: Claims, hasher: Hasher
) -> None:
    """Claim those of ``proofs`` that were made for exactly this request, lately enough for its class."""
    request = request_of(passage, hasher)
    for proof in proofs:
        if proof.act is None or proof.act.request != request:
            continue
        lasts_s = policy.classes[proof.act.klass].max_age_s or ACT_LIVES_S
        if -2.0 <= now - proof.verified_at <= lasts_s:
            await claim(passage, proof, claims)
