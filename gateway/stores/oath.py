"""Code generators at rest: the secret, how codes are made from it and how it was bound, sealed for one place.

What was sealed before generators could differ is the secret alone: SHA-1, 6 digits, 30 s.
"""

import base64
from dataclasses import dataclass
from typing import Final

import orjson

from gateway.core.cooling import Binding
from gateway.factors.totp import Oath
from gateway.keyring import KeyRing, Unsealable

_MARK: Final = b"oath:"


@dataclass(frozen=True, slots=True)
class Bound:
    """A generator that is somebody's, and how it became so; ``bound_at``: Unix seconds."""

    oath: Oath
    bound: str = str(Binding.OWN)
    bound_at: float = 0.0


def seal_factor(keyring: KeyRing, bound: Bound, user: str, factor_id: str) -> bytes:
    """Seal a generator as one factor of one user, and of nobody else."""
    return _seal(keyring, bound, ("oath", user, factor_id))


def unseal_factor(keyring: KeyRing, sealed: bytes, user: str, factor_id: str) -> Bound:
    """The reverse of ``seal_factor``; raises ``Unsealable``."""
    if sealed.startswith(_MARK):
        return _unseal(keyring, sealed, ("oath", user, factor_id))
    return Bound(Oath(keyring.unseal(sealed, _context("totp", user, factor_id))))


def seal_stock(keyring: KeyRing, oath: Oath, serial: str) -> bytes:
    """Seal a generator that is nobody's yet."""
    return _seal(keyring, Bound(oath), ("stock", serial))


def unseal_stock(keyring: KeyRing, sealed: bytes, serial: str) -> Oath:
    """The reverse of ``seal_stock``; raises ``Unsealable``."""
    return _unseal(keyring, sealed, ("stock", serial)).oath


def _seal(keyring: KeyRing, one: Bound, place: tuple[str, ...]) -> bytes:
    oath, secret = one.oath, base64.b64encode(one.oath.secret).decode()
    plain = orjson.dumps([secret, oath.algorithm, oath.digits, oath.period_s, one.bound, one.bound_at])
    return _MARK + keyring.seal(plain, _context(*place))


def _unseal(keyring: KeyRing, sealed: bytes, place: tuple[str, ...]) -> Bound:
    plain = keyring.unseal(sealed.removeprefix(_MARK), _context(*place))
    try:
        secret, algorithm, digits, period_s, bound, bound_at = orjson.loads(plain)
        return Bound(Oath(base64.b64decode(secret), algorithm, digits, period_s), str(Binding(bound)), bound_at)
    except (ValueError, TypeError) as fault:
        raise Unsealable("made by another version") from fault


def _context(*place: str) -> str:
    return orjson.dumps(place).decode()
