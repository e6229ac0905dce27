"""Factors at rest, and their verification: counted before it is looked at, burnt in one step.

Rules of this file:

1. A try is counted before anybody compares it; only the success that follows takes it back.
2. A step of a factor is accepted once ever, and none before the last accepted one: whatever its drift becomes.
3. A wrong code counts again in the next step, where it is a new guess; a used one counts once.
4. Only an accepted code moves the drift. One that is right but far away is a failure; with the code of the very next
   step, within ``NEXT_WITHIN`` periods, it tells what the generator's clock shows. Neither does alone.
"""

import math
import secrets
from dataclasses import dataclass

from gateway.factors.totp import PERIOD_S, REACH, WINDOW, Oath, matching_step, normalised
from gateway.keyring import KeyRing, Unsealable
from gateway.ports import Clock, CodeRejected, StoreUnavailable
from gateway.stores import keys
from gateway.stores.connection import Argument, Script, Store
from gateway.stores.oath import Bound, seal_factor, unseal_factor

MOST_TRIES = 5
MOST_FAILURES = 100
LONGEST_CODE = 64
NEXT_WITHIN = 3
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


@dataclass(frozen=True, slots=True)
class HeldFactor:
    """A code generator of somebody's; ``bound``: how (``core.cooling.Binding``), ``bound_at``: Unix seconds, or 0."""

    factor_id: str
    bound: str
    bound_at: float


@dataclass(frozen=True, slots=True)
class _Held:
    """A factor that may accept a code; ``awaited``: the step after a code that was right but far away."""

    factor_id: str
    oath: Oath
    bound: str
    bound_at: float
    drift: int
    awaited: int | None


class Factors:
    """The factors in the store, their secrets sealed."""

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock

    async def enrol_totp(self, user: str, secret: bytes) -> str:
        """Bind a telephone's TOTP secret to ``user``; returns the factor's id."""
        return await self.enrol_oath(user, Oath(secret))

    async def enrol_oath(self, user: str, oath: Oath, *, bound: str | None = None) -> str:
        """Bind a code generator to ``user``; returns the factor's id.

        ``bound``: how (``core.cooling.Binding``), counted from now; ``None``: it is as if it had always been there.
        """
        factor_id = new_factor_id()
        one = Bound(oath) if bound is None else Bound(oath, bound, self._clock.now())
        sealed = seal_factor(self._keyring, one, user, factor_id)
        await self._store.call("HSET", keys.factors(user), f"totp:{factor_id}", sealed)
        return factor_id

    async def remove(self, user: str, factor_id: str) -> bool:
        """Unbind a TOTP factor, and end what it confirmed; false where there is none."""
        removed, *_ = await self._store.calls(
            ("HDEL", keys.factors(user), f"totp:{factor_id}"),
            ("HDEL", keys.failures(user), factor_id),
            ("HDEL", keys.clocks(user), factor_id),
            ("SET", keys.removed_factor(factor_id), "1", "EX", keys.PROOF_LIFETIME_S),
            atomic=True,
        )
        return bool(removed)

    async def kinds(self, user: str) -> tuple[str, ...]:
        """The kinds of factor that ``user`` can confirm with."""
        names = await self._store.call("HKEYS", keys.factors(user))
        return tuple(sorted({name.decode().split(":")[0] for name in names}))

    async def held(self, user: str) -> tuple[HeldFactor, ...]:
        """The code generators of ``user``, without their secrets."""
        factors = await self._store.call("HGETALL", keys.factors(user))
        found = [self._held(user, name[5:], sealed, b"") for name, sealed in factors.items() if name[:5] == b"totp:"]
        return tuple(HeldFactor(one.factor_id, one.bound, one.bound_at) for one in found)

    async def verify_totp(self, user: str, code: str) -> Accepted | CodeRejected:
        """Verify a code, once ever.

        Besides the reasons of ``CodeRejected``: ``no_factor``. Raises ``StoreUnavailable``.
        """
        now = self._clock.now()
        counted_in = int(now // PERIOD_S)
        typed = normalised(code[:LONGEST_CODE]) or "?"
        attempt = self._keyring.token_hash(f"totp:{user}:{counted_in}:{typed}")[:16]
        names = [keys.factors(user), keys.tries(user), keys.failures(user), keys.clocks(user)]
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
        held = [self._held(user, *one) for one in zip(more[::3], more[1::3], more[2::3], strict=True)]
        for window in (WINDOW, REACH):
            for one in held:
                step = matching_step(one.oath, typed, now, drift=one.drift, window=window, awaited=one.awaited)
                if step is not None:
                    return await self._accept(user, one, step, attempt, now)
        return CodeRejected("code_wrong")

    def _held(self, user: str, name: bytes, sealed: bytes, clock: bytes) -> _Held:
        factor_id = name.decode()
        drift, _, far, _ = map(int, clock.split() or (0, -1, -1, 0))
        try:
            one = unseal_factor(self._keyring, sealed, user, factor_id)
        except Unsealable as fault:
            raise StoreUnavailable(f"factor {factor_id}: {fault}") from fault
        return _Held(factor_id, one.oath, one.bound, one.bound_at, drift, far + 1 if far >= 0 else None)

    async def _accept(self, user: str, held: _Held, step: int, attempt: bytes, now: float) -> Accepted | CodeRejected:
        used = self._keyring.token_hash(f"used:{held.factor_id}:{step}")[:16]
        names = [keys.factors(user), keys.tries(user), keys.failures(user), keys.clocks(user)]
        arguments: list[Argument] = [
            attempt,
            int(now * 1000),
            held.factor_id,
            step,
            held.oath.step_at(now),
            WINDOW,
            REACH,
            NEXT_WITHIN * held.oath.period_s * 1000,
            used,
            keys.TRY_WINDOW_S * 1000,
            MOST_FAILURES,
        ]
        match await self._store.run(_ACCEPT, names, arguments):
            case b"accepted":
                return Accepted(held.factor_id, "totp", now, held.bound, held.bound_at)
            case b"used":
                return CodeRejected("code_used")
            case b"next":
                return CodeRejected("code_next_needed")
            case _:
                return CodeRejected("code_wrong")


def new_factor_id() -> str:
    """An id that no factor has had."""
    return f"f_{secrets.token_hex(8)}"
