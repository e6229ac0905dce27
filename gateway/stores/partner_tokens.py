"""Partners' access tokens as the store knows them, and the ids of proofs that came with them (RFC 9449)."""

import math
from typing import Protocol

from gateway.core.identity import Known
from gateway.keyring import KeyRing
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Argument, Script, Store
from gateway.stores.identities import Identities

_REGISTER = Script("access_token")


class Person(Protocol):
    """Whose token it is, as their partner says."""

    @property
    def issuer(self) -> str: ...

    @property
    def sub(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def login(self) -> str: ...

    @property
    def agency(self) -> str: ...


class AccessToken(Protocol):
    """A partner's token that is believed. Times: Unix seconds."""

    @property
    def partner(self) -> str: ...

    @property
    def person(self) -> Person: ...

    @property
    def kind(self) -> str: ...

    @property
    def client_id(self) -> str: ...

    @property
    def jti(self) -> str: ...

    @property
    def issued_at(self) -> float: ...

    @property
    def expires_at(self) -> float: ...


class PartnerTokens:
    """The tokens that partners' programs have come with."""

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock
        self._identities = Identities(store, keyring, clock)

    def id_of(self, access: AccessToken) -> str:
        """Under what a token is known: the same for every form of it."""
        parts = (access.partner, access.person.issuer, access.person.sub, access.client_id, access.jti)
        # each with its length: the partner may write in them whatever would stand between them
        said = "".join(f"{len(part)}:{part}" for part in parts)
        return f"{keys.FROM_PARTNER}{self._keyring.token_hash(said).hex()[:24]}"

    async def known(self, access: AccessToken) -> Known:
        """Whose token it is."""
        return await self._identities.of(access.person.issuer, access.person.sub)

    async def ended(self, access: AccessToken, user: str) -> bool:
        """Whether it was issued before all tokens of its user were ended; it is good for nothing then."""
        until = await self._store.call("GET", keys.not_before(user))
        return until is not None and access.issued_at <= float(until)

    async def register(self, name: str, access: AccessToken, user: str | None = None) -> None:
        """Make a token known under ``name`` until it expires; one that is known stays as it is, stopped ones too.

        ``user``: whose it is, where that is not its identity's own.
        """
        person = access.person
        token_id, user = self.id_of(access), user or self._keyring.user_id(person.issuer, person.sub)
        lives_s = math.ceil(max(0.0, access.expires_at - self._clock.now())) + keys.MINUTE_S
        fields = {
            "user": user,
            "issuer": person.issuer,
            "sub": person.sub,
            "partner": access.partner,
            "name": access.client_id or person.name,
            "login": person.login,
            "kind": access.kind,
            "agency": person.agency,
            "issued_at": repr(access.issued_at),
            "expires_at": repr(access.expires_at),
            "max_persons": "",
        }
        names: list[bytes | str] = [
            keys.token_by_hash(self._keyring.token_hash(name)),
            keys.token(token_id),
            keys.tokens_of(user),
            keys.not_before(user),
        ]
        flat: list[Argument] = [part for pair in fields.items() for part in pair]
        await self._store.run(_REGISTER, names, [token_id, lives_s, access.issued_at, *flat])


class SeenProofs:
    """Ids of proofs of possession, each good once."""

    def __init__(self, store: Store, keyring: KeyRing) -> None:
        self._store = store
        self._keyring = keyring

    async def first(self, thumbprint: str, jti: str) -> bool:
        """Whether the key of ``thumbprint`` has not shown a proof of this id before. :raises StoreUnavailable:"""
        name = keys.possession(self._keyring.token_hash(f"dpop:{thumbprint}:{jti}"))
        return bool(await self._store.call("SET", name, "1", "NX", "EX", keys.POSSESSION_LIFETIME_S))
