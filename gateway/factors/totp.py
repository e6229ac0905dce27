"""Time-based one-time passwords (RFC 6238), pure: a secret, a code and a time give the step that matched.

Rules of this file:

1. A generator's clock may be wrong: its ``drift`` (RFC 6238 section 6), in steps, moves the step that is looked at.
2. Around the drifted step, ``WINDOW`` neighbours on either side are as good; up to ``REACH`` a code is only *known*.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import pyotp

PERIOD_S: Final = 30
DIGITS: Final = 6
WINDOW: Final = 1
"""RFC 6238 section 5.2: one neighbouring step, for clocks apart and slow hands."""

REACH: Final = 10
"""Within so many steps a right code tells that the generator's clock is wrong."""

ALGORITHMS: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256, "SHA512": hashlib.sha512}
)
CODE_LENGTHS: Final = (6, 8)
PERIODS_S: Final = (30, 60)


@dataclass(frozen=True, slots=True)
class Oath:
    """A code generator: its secret, and how it makes codes. The defaults are those of every telephone's application."""

    secret: bytes = field(repr=False)
    algorithm: str = "SHA1"
    digits: int = DIGITS
    period_s: int = PERIOD_S

    def __post_init__(self) -> None:
        """Refuse what no generator is."""
        if self.algorithm not in ALGORITHMS or self.digits not in CODE_LENGTHS or self.period_s not in PERIODS_S:
            raise ValueError("no such generator: SHA1, SHA256 or SHA512; 6 or 8 digits; 30 or 60 seconds")

    def step_at(self, now: float) -> int:
        """The step that a generator with a right clock is in."""
        return int(now // self.period_s)


def normalised(code: str) -> str | None:
    """The digits of a code as typed, with ASCII spaces left out; ``None`` where there is anything else."""
    digits = code.replace(" ", "")
    return digits if digits.isascii() and digits.isdigit() else None


def matching_step(
    oath: Oath, code: str, now: float, *, drift: int = 0, window: int = WINDOW, awaited: int | None = None
) -> int | None:
    """The time step whose code this is: of the drifted one and ``window`` neighbours on either side, or ``awaited``.

    Every candidate is compared, in constant time; the nearest to the drifted step wins.
    """
    typed = normalised(code)
    if typed is None or len(typed) != oath.digits:
        return None
    generator = pyotp.HOTP(
        base64.b32encode(oath.secret).decode(), digits=oath.digits, digest=ALGORITHMS[oath.algorithm]
    )
    centre = oath.step_at(now) + drift
    far_first = sorted(range(-window, window + 1), key=abs, reverse=True)
    candidates = [centre + distance for distance in far_first]
    matched: int | None = None
    for step in candidates if awaited is None else [awaited, *candidates]:
        if step >= 0 and hmac.compare_digest(generator.at(step), typed):
            matched = step
    return matched


def provisioning_uri(secret: bytes, account: str, issuer: str) -> str:
    """What an authenticator app reads from a QR code."""
    text = base64.b32encode(secret).decode()
    return str(pyotp.TOTP(text, digits=DIGITS, interval=PERIOD_S).provisioning_uri(name=account, issuer_name=issuer))
