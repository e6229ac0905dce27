"""Proofs that serve one answer: claimed by one request before anything is forwarded or released for it.

Rules of this file:

1. Claiming is one atomic step in the store: of two requests at once, one has the proof, and the other asks for its own.
2. A claim is never given back: what came of the answer is not known everywhere.
"""

from typing import Protocol

from gateway.core.assurance import Proof
from gateway.passage import Passage


class Claims(Protocol):
    """Where proofs for one answer are claimed."""

    async def claim(self, proof: Proof) -> bool: ...


async def claim(passage: Passage, proof: Proof, claims: Claims) -> None:
    """Claim ``proof`` for this request, or note that another has it. Raises ``StoreUnavailable``."""
    if passage.caller is None:
        raise TypeError("a proof is claimed only for a known caller")
    mine = await claims.claim(proof)
    (passage.held if mine else passage.spent).add(proof.id)
    passage.know(passage.caller)


async def claim_acts(passage: Passage, request: str, claims: Claims) -> None:
    """Claim every proof that was made for exactly this request (its keyed hash)."""
    proofs = passage.caller.proofs if passage.caller else ()
    for proof in proofs:
        if proof.act is not None and proof.act.request == request and not proof.held:
            await claim(passage, proof, claims)
