"""Tokens: opaque and recognisable; the store knows only their hashes."""

import secrets
import string
import zlib
from dataclasses import dataclass

from gateway.core.assurance import Mandate, Proof
from gateway.keyring import KeyRing
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Argument, Script, Store
from gateway.stores.encoding import mandate_of, mandate_text, proof_text, texts

PREFIX = "gwt_"
RANDOM_CHARACTERS = 43
"""256 bits in base 62."""

CHECKSUM_CHARACTERS = 6
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ATTACH = Script("attach")
_INDEX = Script("token_index")


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token as operators see it. Times: Unix seconds."""

    id: str
    user: str
    issuer: str
    sub: str
    partner: str
    name: str
    login: str
    kind: str
    issued_at: float
    expires_at: float
    max_persons: int | None
    mandate: Mandate | None
    revoked_at: float | None
    agency: str = ""


def checksum(body: str) -> str:
    """CRC-32 of a token's random part in base 62: tells a mistyped or invented token without asking the store."""
    value, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_CHARACTERS):
        value, digit = divmod(value, 62)
        digits = _ALPHABET[digit] + digits
    return digits


def well_formed(token: str) -> bool:
    """Whether this can be one of our tokens at all."""
    body = token.removeprefix(PREFIX)
    if not (token.startswith(PREFIX) and token.isascii() and len(body) == RANDOM_CHARACTERS + CHECKSUM_CHARACTERS):
        return False
    return secrets.compare_digest(checksum(body[:RANDOM_CHARACTERS]), body[RANDOM_CHARACTERS:])


class Tokens:
    """The tokens in the store."""

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock

    async def issue(
        self,
        *,
        issuer: str,
        sub: str,
        user: str = "",
        partner: str,
        name: str,
        login: str,
        kind: str = "person",
        expires_at: float,
        max_persons: int | None = None,
        agency: str = "",
    ) -> tuple[str, str]:
        """Make a token of kind ``person`` or ``machine``; returns it (it is shown once) and its id.

        ``user``: for whom the identity stands (empty: itself); ``agency``: whose persons are inside for it
        (``core.inside``).
        """
        if kind not in ("person", "machine"):
            raise ValueError("a token is of kind person or machine")
        body = "".join(secrets.choice(_ALPHABET) for _ in range(RANDOM_CHARACTERS))
        token, token_id = PREFIX + body + checksum(body), f"t_{secrets.token_hex(8)}"
        fields = {
            "user": user or self._keyring.user_id(issuer, sub),
            "issuer": issuer,
            "sub": sub,
            "partner": partner,
            "name": name,
            "login": login,
            "kind": kind,
            "issued_at": repr(self._clock.now()),
            "expires_at": repr(float(expires_at)),
            "max_persons": "" if max_persons is None else str(max_persons),
            "agency": agency,
        }
        flat = [part for pair in fields.items() for part in pair]
        await self._store.calls(
            ("HSET", keys.token(token_id), *flat),
            ("SADD", keys.TOKENS, token_id),
            ("SADD", keys.tokens_of(fields["user"]), token_id),
            ("SET", keys.token_by_hash(self._keyring.token_hash(token)), token_id),
            atomic=True,
        )
        return token, token_id

    async def index(self) -> int:
        """Put tokens that were issued before users had sets into their users' sets, once ever; how many."""
        return int(await self._store.run(_INDEX, [keys.TOKENS, keys.TOKENS_INDEXED], []))

    async def rows(self) -> list[TokenRow]:
        """Every token, the newest first; revoked and expired ones too."""
        ids = sorted(one.decode() for one in await self._store.call("SMEMBERS", keys.TOKENS))
        answers = await self._store.calls(*(("HGETALL", keys.token(one)) for one in ids)) if ids else []
        rows = [_row(one, texts(answer)) for one, answer in zip(ids, answers, strict=True) if answer]
        return sorted(rows, key=lambda row: -row.issued_at)

    async def revoke(self, token_id: str) -> bool:
        """Stop a token for ever; false where there is none."""
        return await self._set(token_id, "revoked_at", repr(self._clock.now()))

    async def set_mandate(self, token_id: str, mandate: Mandate | None) -> bool:
        """Give a machine's token a mandate, or take it back; false where there is no such token."""
        return await self._set(token_id, "mandate", mandate_text(mandate) if mandate else b"")

    async def attach_proof(self, token_id: str, proof: Proof) -> bool:
        """Keep a proof made with this token; false for a token that is gone or a machine's."""
        names = [keys.token(token_id), keys.proofs(token_id)]
        arguments: list[Argument] = [proof.id, proof_text(proof), self._clock.now(), keys.PROOF_LIFETIME_S]
        return bool(await self._store.run(_ATTACH, names, arguments))

    async def _set(self, token_id: str, field: str, value: str | bytes) -> bool:
        if not await self._store.call("SISMEMBER", keys.TOKENS, token_id):
            return False  # ids are never removed: nothing can come between
        await self._store.call("HSET", keys.token(token_id), field, value)
        return True


def _row(token_id: str, said: dict[str, str]) -> TokenRow:
    return TokenRow(
        token_id,
        user=said["user"],
        issuer=said["issuer"],
        sub=said["sub"],
        partner=said["partner"],
        name=said["name"],
        login=said["login"],
        kind=said["kind"],
        issued_at=float(said["issued_at"]),
        expires_at=float(said["expires_at"]),
        max_persons=int(said["max_persons"]) if said["max_persons"] else None,
        mandate=mandate_of(said.get("mandate", "").encode()),
        revoked_at=float(said["revoked_at"]) if "revoked_at" in said else None,
        agency=said.get("agency", ""),
    )
