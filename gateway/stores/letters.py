"""Letters: a code on paper with which a person, signed in as themselves, may bind a first factor.

Rules of this file:

1. A code is kept as HMAC-SHA-256 of it and of whose it is, under a key outside the store; one letter a person.
2. Finding is burning: one step, once; a wrong one counts as a failed try of the person's codes, of whatever kind.
"""

import base64
import math
import secrets
from collections.abc import Mapping

from gateway.keyring import KeyRing
from gateway.ports import Clock, CodeRejected
from gateway.stores import keys
from gateway.stores.connection import Argument, Script, Store
from gateway.stores.factors import MOST_TRIES
from gateway.stores.recovery import CODE_BYTES, normalised, readable

_BURN = Script("recovery_burn")


def new_code() -> str:
    """A letter's code, 80 random bits in groups of four; nobody keeps it."""
    return readable(base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode())


class Letters:
    """The codes of letters in the store."""

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock

    async def keep(self, codes: Mapping[str, str]) -> None:
        """Let each user's code hold for 30 days, all of them in one step; a person's older letter is over."""
        commands: list[tuple[Argument, ...]] = []
        for user, code in codes.items():
            key, digest = keys.letter(user), self._keyring.letter_hash(user, normalised(code) or "")
            commands += [("DEL", key), ("SADD", key, digest), ("EXPIRE", key, keys.LETTER_LIFETIME_S)]
        await self._store.calls(*commands, atomic=True)

    async def waiting(self, user: str) -> bool:
        """Whether a letter's code waits for ``user``."""
        return bool(await self._store.call("EXISTS", keys.letter(user)))

    async def burn(self, user: str, typed: str) -> CodeRejected | None:
        """Use the code of ``user``'s letter, once ever; ``None``: it was right.

        Besides the reasons of ``CodeRejected``: ``no_factor``, where no letter waits. Raises ``StoreUnavailable``.
        """
        code = normalised(typed)
        if code is None:
            return CodeRejected("code_wrong")  # not a try: it could never have been right
        digest = self._keyring.letter_hash(user, code)
        arguments: list[Argument] = [
            digest,
            digest[:16],
            int(self._clock.now() * 1000),
            keys.TRY_WINDOW_S * 1000,
            MOST_TRIES,
        ]
        verdict, *more = await self._store.run(_BURN, [keys.letter(user), keys.tries(user)], arguments)
        match verdict:
            case b"accepted":
                return None
            case b"wait":
                return CodeRejected("too_many_tries", math.ceil(more[0] / 1000))
            case b"none":
                return CodeRejected("no_factor")
            case _:
                return CodeRejected("code_wrong")
