"""Factors at rest, and their verification: counted before it is looked at, burnt in one step.

Rules of this file:

1. A try is counted before anybody compares it; only the success that follows takes it back.
2. A step of a factor is accepted once ever, whichever of the neighbouring ones it is.
3. A wrong code counts again in the next step, where it is a new guess; a used one counts once.
"""

import math
import secrets
from dataclasses import dataclass

import orjson

from gateway.factors.totp import PERIOD_S, matching_step, normalised
from gateway.keyring import KeyRing, Unsealable
from gateway.ports import Clock, CodeRejected, StoreUnavailable
from gateway.stores import keys
from gateway.stores.connection import Argument, Script, Store

MOST_TRIES = 5
MOST_FAILURES = 100
LONGEST_CODE = 64
_TRY = Script("totp_try")
_ACCEPT = Script("totp_accept")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A verified factor and how it was bound (``core.cooling.Binding``); times in Unix seconds."""

    factor_id: str
    kind: str
    verified_at: float
    bound: str = "own"
    bound_at: float = 0.0


class Factors:
    """The factors in the store, their secrets sealed."""

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock

    async def enrol_totp(self, user: str, secret: bytes) -> str:
        """Bind a TOTP secret to ``user``; returns the factor's id."""
        factor_id = f"f_{secrets.token_hex(8)}"
        await self._store.call(
            "HSET", keys.factors(user), f"totp:{factor_id}", self._keyring.seal(secret, _context(user, factor_id))
        )
        return factor_id

    async def remove(self, user: str, factor_id: str) -> bool:
        """Unbind a TOTP factor; false where there is none."""
        removed, _ = await self._store.calls(
            ("HDEL", keys.factors(user), f"totp:{factor_id}"),
            ("HDEL", keys.failures(user), factor_id),
            atomic=True,
        )
        return bool(removed)

    async def kinds(self, user: str) -> tuple[str, ...]:
        """The kinds of factor that ``user`` can confirm with."""
        names = await self._store.call("HKEYS", keys.factors(user))
        return tuple(sorted({name.decode().split(":")[0] for name in names}))

    async def verify_totp(self, user: str, code: str) -> Accepted | CodeRejected:
        """Verify a code, once ever.

        Besides the reasons of ``CodeRejected``: ``no_factor``. Raises ``StoreUnavailable``.
        """
        now = self._clock.now()
        step = int(now // PERIOD_S)
        typed = normalised(code[:LONGEST_CODE]) or "?"
        attempt = self._keyring.token_hash(f"totp:{user}:{step}:{typed}")[:16]
        names = [keys.factors(user), keys.tries(user), keys.failures(user)]
        verdict, *more = await self._store.run(
            _TRY, names, [attempt, int(now * 1000), keys.TRY_WINDOW_S * 1000, MOST_TRIES, MOST_FAILURES]
        )
        match verdict:
            case b"none":
                return CodeRejected("no_factor")
            case b"stopped":
                return CodeRejected("factor_stopped")
            case b"wait":
                return CodeRejected("too_many_tries", math.ceil(more[0] / 1000))
        for factor_id, sealed in zip(more[::2], more[1::2], strict=True):
            matched = matching_step(self._unsealed(user, factor_id.decode(), sealed), typed, now)
            if matched is not None:
                return await self._accept(user, factor_id.decode(), matched, attempt, now)
        return CodeRejected("code_wrong")

    def _unsealed(self, user: str, factor_id: str, sealed: bytes) -> bytes:
        try:
            return self._keyring.unseal(sealed, _context(user, factor_id))
        except Unsealable as fault:
            raise StoreUnavailable(f"factor {factor_id}: {fault}") from fault

    async def _accept(
        self, user: str, factor_id: str, step: int, attempt: bytes, now: float
    ) -> Accepted | CodeRejected:
        used = self._keyring.token_hash(f"used:{factor_id}:{step}")[:16]
        names = [keys.factors(user), keys.tries(user), keys.failures(user), keys.used_steps(factor_id)]
        oldest = int((now - keys.STEP_MEMORY_S) // PERIOD_S)
        arguments: list[Argument] = [
            attempt,
            int(now * 1000),
            factor_id,
            step,
            oldest,
            2 * keys.STEP_MEMORY_S,
            used,
            keys.TRY_WINDOW_S * 1000,
            MOST_FAILURES,
        ]
        verdict = await self._store.run(_ACCEPT, names, arguments)
        match verdict:
            case b"accepted":
                return Accepted(factor_id, "totp", now)
            case b"used":
                return CodeRejected("code_used")
            case _:
                return CodeRejected("code_wrong")


def _context(user: str, factor_id: str) -> str:
    return orjson.dumps(["totp", user, factor_id]).decode()
