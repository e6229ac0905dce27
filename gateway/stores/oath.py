"""Code generators at rest: the secret and how codes are made from it, sealed together for one place.

What was sealed before generators could differ is the secret alone: SHA-1, 6 digits, 30 s.
"""

import base64
from typing import Final

import orjson

from gateway.factors.totp import Oath
from gateway.keyring import KeyRing, Unsealable

_MARK: Final = b"oath:"


def seal_factor(keyring: KeyRing, oath: Oath, user: str, factor_id: str) -> bytes:
    """Seal a generator as one factor of one user, and of nobody else."""
    return _seal(keyring, oath, ("oath", user, factor_id))


def unseal_factor(keyring: KeyRing, sealed: bytes, user: str, factor_id: str) -> Oath:
    """The reverse of ``seal_factor``; raises ``Unsealable``."""
    if sealed.startswith(_MARK):
        return _unseal(keyring, sealed, ("oath", user, factor_id))
    return Oath(keyring.unseal(sealed, _context("totp", user, factor_id)))


def seal_stock(keyring: KeyRing, oath: Oath, serial: str) -> bytes:
    """Seal a generator that is nobody's yet."""
    return _seal(keyring, oath, ("stock", serial))


def unseal_stock(keyring: KeyRing, sealed: bytes, serial: str) -> Oath:
    """The reverse of ``seal_stock``; raises ``Unsealable``."""
    return _unseal(keyring, sealed, ("stock", serial))


def _seal(keyring: KeyRing, oath: Oath, place: tuple[str, ...]) -> bytes:
    secret = base64.b64encode(oath.secret).decode()
    plain = orjson.dumps([secret, oath.algorithm, oath.digits, oath.period_s])
    return _MARK + keyring.seal(plain, _context(*place))


def _unseal(keyring: KeyRing, sealed: bytes, place: tuple[str, ...]) -> Oath:
    plain = keyring.unseal(sealed.removeprefix(_MARK), _context(*place))
    try:
        secret, algorithm, digits, period_s = orjson.loads(plain)
        return Oath(base64.b64decode(secret), algorithm, digits, period_s)
    except (ValueError, TypeError) as fault:
        raise Unsealable("made by another version") from fault


def _context(*place: str) -> str:
    return orjson.dumps(place).decode()
