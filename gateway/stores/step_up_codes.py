"""Short codes for programs without a browser: the owner of a token confirms for it on any device (after RFC 8628).

Rules of this file:

1. A code opens nothing: it names a token to its own owner, who signs in and confirms with their factor.
2. One code a token and class at a time: a program that asks again and again fills no store.
"""

import secrets
from dataclasses import asdict, dataclass

import orjson

from gateway.keyring import KeyRing
from gateway.stores import keys
from gateway.stores.connection import Script, Store
from gateway.stores.invitations import ALPHABET, CODE_CHARACTERS

_OFFER = Script("step_up_code")


@dataclass(frozen=True, slots=True)
class AskedFor:
    """What a program was asked to confirm: for which user's token, and what it asked for."""

    user: str
    token_id: str
    token_name: str
    klass: str
    application: str
    route: str


class StepUpCodes:
    """The codes in the store."""

    def __init__(self, store: Store, keyring: KeyRing) -> None:
        self._store = store
        self._keyring = keyring

    async def offer(self, asked: AskedFor) -> str:
        """The code (``XXXX-XXXX``) that holds for this token and class, for ten minutes from its first offer."""
        code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARACTERS))
        code = f"{code[:4]}-{code[4:]}"
        names: list[bytes | str] = [keys.step_up_code_of(asked.token_id, asked.klass), self._name(code)]
        held = await self._store.run(_OFFER, names, [code, orjson.dumps(asdict(asked)), keys.STEP_UP_CODE_LIFETIME_S])
        return str(held.decode())

    async def look(self, code: str) -> AskedFor | None:
        """What a code stands for; ``None`` where it is over, was used, or never was."""
        said = await self._store.call("GET", self._name(code))
        return AskedFor(**orjson.loads(said)) if said else None

    async def take(self, code: str) -> AskedFor | None:
        """Use a code, once."""
        said = await self._store.call("GETDEL", self._name(code))
        if said is None:
            return None
        asked = AskedFor(**orjson.loads(said))
        await self._store.call("DEL", keys.step_up_code_of(asked.token_id, asked.klass))
        return asked

    def _name(self, code: str) -> bytes:
        plain = "".join(one for one in code[:64].upper() if one in ALPHABET)
        return keys.step_up_code(self._keyring.token_hash(f"step-up:{plain}"))
