"""The answer of an executed request that waits for its caller's confirmation.

The other half of the key is the token itself, or in a cookie that no script reads.
"""

import secrets
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass

from gateway.keyring import KeyRing
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Store
from gateway.stores.halved import Halved, Owner


@dataclass(frozen=True, slots=True)
class SealedAnswer:
    """An answer as the application gave it, and what it was an answer to.

    ``reference``: of the request; ``target``: path and query; ``klass``: the request's class when it was executed, as a
    word; ``persons``: kind and value of whom it named, ``None``: unclear or nobody; ``headers``: in Latin-1;
    ``has_body``, ``content_length``: as in ``gateway.upstream.Answer``.
    """

    reference: str
    method: str
    target: str
    host: str
    klass: str
    persons: list[tuple[str, str]] | None
    unclear: bool
    status: int
    headers: list[tuple[str, str]]
    has_body: bool
    content_length: int | None
    body: bytes


class SealedAnswers:
    """The sealed answers in the store."""

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._halved = Halved("answer", store, keyring, clock)
        self._store = store
        self._keyring = keyring

    async def keep(
        self, user: str, credential_id: str, answer: SealedAnswer, half: str | None
    ) -> tuple[str, str] | None:
        """Seal an answer with ``half``, or with a half that is made here: its id and the half.

        ``None``: enough of this credential's are sealed.
        """
        half = half or secrets.token_urlsafe(32)
        value = {**asdict(answer), "body": b64encode(answer.body).decode()}
        sealed_id = await self._halved.keep(Owner(user, credential_id), value, half)
        return (sealed_id, half) if sealed_id else None

    async def look(self, user: str, credential_id: str, sealed_id: str, half: str) -> SealedAnswer | None:
        """What is sealed, and stays; ``None`` where it is over, was picked up, or is another's."""
        said = await self._halved.look(Owner(user, credential_id), sealed_id, half)
        return SealedAnswer(**{**said, "body": b64decode(said["body"])}) if said else None

    async def claim(self, sealed_id: str) -> bool:
        """Whether this pick-up is the one that is decided now: the others need not be charged for nothing."""
        claimed = self._claim(sealed_id)
        return bool(await self._store.call("SET", claimed, b"1", "NX", "EX", keys.PICK_UP_CLAIM_S))

    async def let_go(self, sealed_id: str) -> None:
        """Let another pick-up try."""
        await self._store.call("DEL", self._claim(sealed_id))

    async def spend(self, user: str, credential_id: str, sealed_id: str) -> bool:
        """End the keeping, right before the first byte leaves; true for the one caller who did."""
        return await self._halved.drop(Owner(user, credential_id), sealed_id)

    def _claim(self, sealed_id: str) -> bytes:
        return keys.pick_up(self._keyring.token_hash(f"pick-up:{sealed_id}"))
