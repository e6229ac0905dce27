"""Recovery codes: ten of 80 random bits, shown once, each good for one confirmation that opens little.

Rules of this file:

1. A code is kept as HMAC-SHA-256 under a key outside the store; who reads the store cannot use it.
2. Finding is burning: one step, once. New codes end all the old ones.
3. A wrong one counts as a failed try of the person's codes, of whatever kind.
"""

import base64
import math
import secrets
from dataclasses import dataclass

from gateway.core.cooling import Binding
from gateway.keyring import KeyRing
from gateway.ports import Clock, CodeRejected
from gateway.stores import keys
from gateway.stores.connection import Script, Store
from gateway.stores.factors import MOST_TRIES

CODES = 10
CODE_BYTES = 10
"""80 bits: nobody finds one by trying, so a keyed hash is enough (no argon2: 140 ms and 64 MiB a try, measured)."""
CODE_CHARACTERS = 16
KIND = "recovery"
_ISSUE = Script("recovery_issue")
_BURN = Script("recovery_burn")
_AMBIGUOUS = str.maketrans("018", "OIB")


@dataclass(frozen=True, slots=True)
class Recovered:
    """A burnt code; it counts as a factor bound from afar at ``verified_at`` (Unix seconds). ``left``: codes unused."""

    verified_at: float
    left: int
    factor_id: str = KIND
    kind: str = KIND
    bound: str = str(Binding.REMOTE)

    @property
    def bound_at(self) -> float:
        """A code is bound when it is used: its cooling begins then."""
        return self.verified_at


def readable(code: str) -> str:
    """A code in groups of four, as it is printed."""
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def normalised(typed: str) -> str | None:
    """The code in what was typed: case, spaces and dashes are people's; ``None`` for what can be none."""
    if len(typed) > 64:
        return None
    code = "".join(typed.upper().split()).replace("-", "").translate(_AMBIGUOUS)
    alphabet = set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    return code if len(code) == CODE_CHARACTERS and set(code) <= alphabet else None


class RecoveryCodes:
    """The recovery codes in the store."""

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock

    async def issue(self, user: str) -> tuple[str, ...]:
        """Ten new codes, in groups of four; the old ones are over. They are shown once and kept by nobody."""
        codes = [base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode() for _ in range(CODES)]
        hashes = [self._keyring.recovery_hash(user, code) for code in codes]
        await self._store.run(_ISSUE, [keys.recovery(user)], hashes)
        return tuple(map(readable, codes))

    async def left(self, user: str) -> int:
        """How many codes are unused."""
        return int(await self._store.call("SCARD", keys.recovery(user)))

    async def burn(self, user: str, typed: str) -> Recovered | CodeRejected:
        """Use a code, once ever.

        Besides the reasons of ``CodeRejected``: ``no_factor``. Raises ``StoreUnavailable``.
        """
        code = normalised(typed)
        if code is None:
            return CodeRejected("code_wrong")  # not a try: it could never have been right
        now = self._clock.now()
        digest = self._keyring.recovery_hash(user, code)
        names = [keys.recovery(user), keys.tries(user)]
        verdict, *more = await self._store.run(
            _BURN, names, [digest, digest[:16], int(now * 1000), keys.TRY_WINDOW_S * 1000, MOST_TRIES]
        )
        match verdict:
            case b"accepted":
                return Recovered(now, int(more[0]))
            case b"wait":
                return CodeRejected("too_many_tries", math.ceil(more[0] / 1000))
            case b"none":
                return CodeRejected("no_factor")
            case _:
                return CodeRejected("code_wrong")
