"""Whether a token that is bound to a key comes with a proof of that key for this very request (RFC 9449).

Rules of this file:

1. A bound token is good with the ``DPoP`` scheme alone, and that scheme with a bound token alone.
2. A nonce is ours of this minute or the last, made of a key that every node has: nothing is kept of it.
3. A proof's id is kept last, when all else is right, and once: what comes again is a replay.
"""

from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

from gateway.core.assurance import Caller
from gateway.core.canonical import Headers, folded
from gateway.core.reasons import Reason, Refusal
from gateway.edge.asked import Asked
from gateway.edge.credentials import DPOP, Credential
from gateway.edge.dpop import verify_proof
from gateway.ports import Clock

NONCE_S = 60


class Seen(Protocol):
    """Ids of proofs. :raises StoreUnavailable:"""

    async def first(self, thumbprint: str, jti: str) -> bool: ...


class Possession:
    """Judges proofs for requests below one origin's scheme."""

    def __init__(self, pages_url: str, nonce_of: Callable[[int], str], seen: Seen, clock: Clock) -> None:
        self._scheme = urlsplit(pages_url).scheme
        self._nonce_of = nonce_of
        self._seen = seen
        self._clock = clock

    @property
    def nonce(self) -> str:
        """What a proof made now must name."""
        return self._nonce_of(int(self._clock.now() // NONCE_S))

    def matters(self, credential: Credential, caller: Caller) -> bool:
        """Whether a key has to be shown, or was: else ``shown`` has nothing against it."""
        return credential.kind == "token" and (bool(caller.key) or credential.scheme == DPOP)

    async def shown(self, credential: Credential, caller: Caller, headers: Headers, asked: Asked) -> Refusal | None:
        """Why the caller's token does not count in this request, if so. To be asked once for each request."""
        if credential.kind != "token":
            return None
        if not caller.key:
            return None if credential.scheme != DPOP else _binding("the token is bound to no key")
        if credential.scheme != DPOP:
            return _binding("the token is bound to a key")
        proofs = [value for name, value in headers if folded(name) == b"dpop"]
        if len(proofs) != 1:
            return self._refused(Reason.INVALID_DPOP_PROOF, f"there are {len(proofs)} proofs")
        now = self._clock.now()
        url = f"{self._scheme}://{asked.host}{asked.target.partition(b'?')[0].decode('latin-1')}"
        method = asked.method.decode("latin-1")
        proof = proofs[0].decode("latin-1").strip()
        shown = verify_proof(proof, method=method, url=url, token=credential.value, now=now)
        if isinstance(shown, str):
            return self._refused(Reason.INVALID_DPOP_PROOF, shown)
        if shown.thumbprint != caller.key:
            return _binding("the token is bound to another key")
        minute = int(now // NONCE_S)
        if shown.nonce not in (self._nonce_of(minute), self._nonce_of(minute - 1)):
            return self._refused(Reason.USE_DPOP_NONCE, "the nonce is missing or not of now")
        if not await self._seen.first(shown.thumbprint, shown.jti):
            return self._refused(Reason.INVALID_DPOP_PROOF, "the proof came before")
        return None

    def _refused(self, reason: Reason, why: str) -> Refusal:
        return Refusal(reason, detail=why, nonce=self.nonce)


def _binding(why: str) -> Refusal:
    return Refusal(Reason.INVALID_DPOP_BINDING, detail=why)
