"""Time-based one-time passwords (RFC 6238), pure: a secret, a code and a time give the step that matched."""

import base64
import hmac

import pyotp

PERIOD_S = 30
DIGITS = 6


def normalised(code: str) -> str | None:
    """The digits of a code as typed, with ASCII spaces left out; ``None`` where there is anything else."""
    digits = code.replace(" ", "")
    return digits if digits.isascii() and digits.isdigit() else None


def matching_step(
    secret: bytes, code: str, now: float, *, digits: int = DIGITS, period_s: int = PERIOD_S, window: int = 1
) -> int | None:
    """The time step whose code this is, of the current one and ``window`` neighbours on either side.

    Every candidate is compared, in constant time (RFC 6238 section 5.2: one neighbouring step for clocks apart).
    """
    typed = normalised(code)
    if typed is None or len(typed) != digits:
        return None
    generator = pyotp.HOTP(base64.b32encode(secret).decode(), digits=digits)
    current = int(now // period_s)
    matched: int | None = None
    for distance in sorted(range(-window, window + 1), key=abs, reverse=True):
        step = current + distance
        if step >= 0 and hmac.compare_digest(generator.at(step), typed):
            matched = step
    return matched


def provisioning_uri(secret: bytes, account: str, issuer: str) -> str:
    """What an authenticator app reads from a QR code."""
    text = base64.b32encode(secret).decode()
    return str(pyotp.TOTP(text, digits=DIGITS, interval=PERIOD_S).provisioning_uri(name=account, issuer_name=issuer))
