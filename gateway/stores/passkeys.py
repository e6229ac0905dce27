"""Passkeys and security keys at rest: public keys, counters, names.

Rules of this file:

1. A credential belongs to one person; whoever registers it second is refused.
2. A counter moves forward only, in the step that reads it: of two copies of one key the second is noticed.
3. The last way to confirm cannot be taken away.
4. A factor that was taken away changes nothing any more: ``by`` is looked at in the step that changes.
"""

import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Literal

import orjson

from gateway.factors.webauthn import Registered
from gateway.keyring import KeyRing
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Script, Store
from gateway.stores.encoding import texts

MOST = 10
"""Passkeys of one person: two devices, two keys and room for what is replaced."""
_PREFIX = b"webauthn:"
_BIND = Script("passkey_bind")
_USED = Script("passkey_used")
_REMOVE = Script("passkey_remove")


@dataclass(frozen=True, slots=True)
class Passkey:
    """One credential of a person. ``bound``: how (``core.cooling.Binding``), ``bound_at``: Unix seconds."""

    factor_id: str
    credential_id: bytes
    public_key: bytes
    transports: tuple[str, ...]
    name: str
    bound: str
    bound_at: float


class Passkeys:
    """The passkeys in the store."""

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock

    async def bind(
        self, user: str, made: Registered, *, name: str, bound: str, by: str = ""
    ) -> str | Literal["taken", "full", "stale"]:
        """Bind a credential to ``user``; its factor's id (``f_…``), or why not. ``by``: the factor confirming it."""
        factor_id = f"f_{secrets.token_hex(8)}"
        said = {
            "credential_id": b64encode(made.credential_id).decode(),
            "public_key": b64encode(made.public_key).decode(),
            "transports": list(made.transports),
        }
        info = {
            "name": name,
            "bound": bound,
            "bound_at": repr(self._clock.now()),
            "sign_count": str(made.sign_count),
        }
        flat = [part for pair in info.items() for part in pair]
        names: list[bytes | str] = [
            keys.factors(user),
            keys.factor(factor_id),
            self._owner(made.credential_id),
            keys.removed_factor(by),
        ]
        verdict = (await self._store.run(_BIND, names, [factor_id, orjson.dumps(said), user, MOST, *flat])).decode()
        if verdict == "bound":
            return factor_id
        return "taken" if verdict == "taken" else "stale" if verdict == "stale" else "full"

    async def of(self, user: str) -> tuple[Passkey, ...]:
        """The passkeys of a user, the oldest first."""
        factors = await self._store.call("HGETALL", keys.factors(user))
        held = {name[len(_PREFIX) :].decode(): said for name, said in factors.items() if name.startswith(_PREFIX)}
        ids = list(held)
        if not ids:
            return ()
        answers = await self._store.calls(*(("HGETALL", keys.factor(one)) for one in ids))
        found = [_passkey(one, held[one], texts(answer)) for one, answer in zip(ids, answers, strict=True) if answer]
        return tuple(sorted(found, key=lambda one: one.bound_at))

    async def used(self, user: str, factor_id: str, sign_count: int) -> Literal["moved", "back", "gone"]:
        """Move a counter; ``back``: it did not go forward, so there are two copies of this key."""
        verdict = await self._store.run(_USED, [keys.factors(user), keys.factor(factor_id)], [factor_id, sign_count])
        return "moved" if verdict == b"moved" else "back" if verdict == b"back" else "gone"

    async def remove(self, user: str, passkey: Passkey, *, by: str = "") -> Literal["removed", "last", "gone", "stale"]:
        """Unbind a passkey, and end what it confirmed; ``last``: nothing else would be left."""
        names: list[bytes | str] = [
            keys.factors(user),
            keys.factor(passkey.factor_id),
            self._owner(passkey.credential_id),
            keys.removed_factor(passkey.factor_id),
            keys.removed_factor(by),
        ]
        verdict = await self._store.run(_REMOVE, names, [passkey.factor_id, keys.PROOF_LIFETIME_S])
        match verdict:
            case b"removed":
                return "removed"
            case b"last":
                return "last"
            case b"stale":
                return "stale"
            case _:
                return "gone"

    def _owner(self, credential_id: bytes) -> bytes:
        return keys.credential(self._keyring.token_hash(f"webauthn:{credential_id.hex()}"))


def _passkey(factor_id: str, said: bytes, info: dict[str, str]) -> Passkey:
    credential = orjson.loads(said)
    return Passkey(
        factor_id,
        b64decode(credential["credential_id"]),
        b64decode(credential["public_key"]),
        tuple(credential["transports"]),
        info["name"],
        info["bound"],
        float(info["bound_at"]),
    )
