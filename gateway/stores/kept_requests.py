"""A person's interrupted form, kept for one sending: no work is lost to a question that came in between."""

import secrets
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass

from gateway.keyring import KeyRing
from gateway.ports import Clock
from gateway.stores.connection import Store
from gateway.stores.halved import Halved, Owner

ANY_SESSION = ""
"""The family of what is kept for a user whose session has ended: any later one of theirs may send it."""


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A request as it came. ``target``: path and query; ``referer``: what the application may check, or empty."""

    method: str
    target: str
    host: str
    content_type: str
    referer: str
    body: bytes


class KeptRequests:
    """The kept requests in the store. The other half of the key is in a cookie that no script reads."""

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._halved = Halved("kept", store, keyring, clock)

    async def keep(self, user: str, family: str, request: KeptRequest) -> tuple[str, str] | None:
        """Keep a request; its id and the browser's half of the key, or ``None`` where the family keeps enough."""
        half = secrets.token_urlsafe(32)
        value = {**asdict(request), "body": b64encode(request.body).decode()}
        kept_id = await self._halved.keep(Owner(user, family), value, half)
        return (kept_id, half) if kept_id else None

    async def look(self, user: str, family: str, kept_id: str, half: str) -> KeptRequest | None:
        """What is kept, and stays; ``None`` where it is over, was sent, or is another's."""
        _, found = await self._find(user, family, kept_id, half)
        return found

    async def take(self, user: str, family: str, kept_id: str, half: str) -> KeptRequest | None:
        """Take what is kept, once; another's hands leave it where it is."""
        owner, found = await self._find(user, family, kept_id, half)
        return found if found and await self._halved.drop(owner, kept_id) else None

    async def _find(self, user: str, family: str, kept_id: str, half: str) -> tuple[Owner, KeptRequest | None]:
        owner = Owner(user, family)
        for owner in (Owner(user, family), Owner(user, ANY_SESSION)):
            said = await self._halved.look(owner, kept_id, half)
            if said is not None:
                return owner, KeptRequest(**{**said, "body": b64decode(said["body"])})
        return owner, None
