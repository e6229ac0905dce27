"""The gateway's keys: one file per purpose and id, the newest current, the others kept for what they once made.

Rules of this file:

1. Who is known by a keyed hash for long (users, tokens) is hashed with the *oldest* hash key, so that a rotation gives
   nobody a new budget; persons with the newest: after a rotation they count anew, never less.
2. A file that others may read is no secret: it is refused.
"""

import base64
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gateway.core.extraction import Identifier

SECRET_PURPOSES = ("hash", "seal", "ledger")
ASSERTION = "assertion"
PURPOSES = (*SECRET_PURPOSES, ASSERTION)
SECRET_BYTES = 32
NONCE_BYTES = 12
_NAME = re.compile(r"(hash|seal|ledger|assertion)-((\d{1,6})-[0-9a-f]{8})\.(key|pem)")


class KeyRingError(Exception):
    """A key file is missing, unreadable or open to others; the message names it and what to do."""


class Unsealable(Exception):
    """What was sealed is damaged, belongs to another context, or its key is gone."""


@dataclass(frozen=True, slots=True)
class AssertionKey:
    """A key that signs assertions (JWS ES256, RFC 7518 section 3.4); ``kid`` names it in the key set."""

    kid: str
    private: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def pem(self) -> bytes:
        """The private key as PKCS #8."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def public_jwk(self) -> dict[str, str]:
        """The public half (RFC 7517)."""
        numbers = self.private.public_key().public_numbers()
        point = {name: _b64(value.to_bytes(32, "big")) for name, value in (("x", numbers.x), ("y", numbers.y))}
        return {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid, **point}


class KeyRing:
    """Every key of the gateway, by purpose; the last of each is current."""

    def __init__(self, secrets_of: Mapping[str, Mapping[str, bytes]], assertion: tuple[AssertionKey, ...]) -> None:
        self._secrets = secrets_of
        self._assertion = assertion
        self._newest = {purpose: list(keys.items())[-1] for purpose, keys in secrets_of.items()}
        self._oldest_hash = next(iter(secrets_of["hash"].values()))
        self._recovery_key = blake2b(digest_size=32, key=self._oldest_hash, person=b"recovery").digest()
        self._letter_key = blake2b(digest_size=32, key=self._oldest_hash, person=b"letter").digest()
        self.person_hash = lru_cache(maxsize=65_536)(self._person_hash)

    @classmethod
    def create(cls, directory: Path) -> Self:
        """Make one key of each purpose in ``directory`` (mode 0700); raises ``KeyRingError`` where there are some."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _files(directory):
            raise KeyRingError(f"{directory} holds keys already: use another directory, or rotate them")
        for purpose in PURPOSES:
            rotate(directory, purpose)
        return cls.load(directory)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read every key; other files are left alone. Raises ``KeyRingError``."""
        found = _files(directory)
        for purpose in PURPOSES:
            if purpose not in found:
                raise KeyRingError(f"{directory}/{purpose}-*: no such key; make keys with: gateway init DIR")
        secrets_of = {
            purpose: {kid: _secret(path) for kid, path in found[purpose].items()} for purpose in SECRET_PURPOSES
        }
        return cls(secrets_of, tuple(_assertion_key(kid, path) for kid, path in found[ASSERTION].items()))

    def _person_hash(self, identifier: Identifier) -> bytes:
        """The 16 bytes under which a person's identifier is known in store and ledger."""
        text = f"{identifier.kind}\0{identifier.value}".encode("utf-8", "surrogatepass")
        return blake2b(text, digest_size=16, key=self._current("hash")[1], person=b"person").digest()

    @property
    def hash_kid(self) -> str:
        """The id of the key that persons are hashed with now."""
        return self._current("hash")[0]

    def user_id(self, issuer: str, sub: str) -> str:
        """The stable short id of a principal: who the issuer says, and no other claim.

        An issuer is an address from our own files, in which no control character stands (``config.addresses``): so
        whatever stands in ``sub``, the first NUL ends the issuer.
        """
        text = f"{issuer}\0{sub}".encode("utf-8", "surrogatepass")
        digest = blake2b(text, digest_size=15, key=self._oldest_hash, person=b"user").digest()
        return "u_" + base64.b32encode(digest).decode().lower()

    def token_hash(self, token: str) -> bytes:
        """What is kept of a token, a cookie or a code."""
        text = token.encode("utf-8", "surrogatepass")
        return blake2b(text, digest_size=32, key=self._oldest_hash, person=b"token").digest()

    def nonce(self, number: int) -> str:
        """What clients must name in what they sign within the span of time ``number``; the same on every node."""
        digest = blake2b(str(number).encode(), digest_size=18, key=self._oldest_hash, person=b"nonce").digest()
        return _b64(digest)

    def request_hash(self, method: bytes, host: str, target: bytes) -> str:
        """What is kept of the one request that a proof is made for: a target may hold a person's number."""
        text = b"\0".join((method, host.encode("utf-8", "surrogatepass"), target))
        return blake2b(text, digest_size=32, key=self._oldest_hash, person=b"request").hexdigest()

    def login_hash(self, partner: str, login: str) -> bytes:
        """Under what a login is found."""
        text = f"{partner}\0{login}".encode("utf-8", "surrogatepass")
        return blake2b(text, digest_size=32, key=self._oldest_hash, person=b"login").digest()

    def recovery_hash(self, user: str, code: str) -> bytes:
        """What is kept of a recovery code: HMAC-SHA-256 (RFC 2104) under a key that no store holds."""
        text = f"{user}\0{code}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._recovery_key, text, "sha256")

    def letter_hash(self, user: str, code: str) -> bytes:
        """What is kept of the code in a user's letter, in the same way."""
        text = f"{user}\0{code}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._letter_key, text, "sha256")

    def seal(self, plain: bytes, context: str) -> bytes:
        """Encrypt (AES-256-GCM) for one ``context``, in which alone it can be opened."""
        kid, key = self._current("seal")
        nonce = secrets.token_bytes(NONCE_BYTES)
        return kid.encode() + b":" + nonce + AESGCM(key).encrypt(nonce, plain, context.encode())

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """The reverse of ``seal``; raises ``Unsealable``."""
        kid, _, rest = sealed.partition(b":")
        key = self._secrets["seal"].get(kid.decode("ascii", "replace"))
        if key is None:
            raise Unsealable("sealed with a key that is not in the key ring")
        try:
            return AESGCM(key).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError) as fault:
            raise Unsealable("damaged, or sealed for another context") from fault

    def seal_with(self, half: str, plain: bytes, context: str) -> bytes:
        """Encrypt (AES-256-GCM) under a key of which ``half`` is somebody else's."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self._halved(half)).encrypt(nonce, plain, context.encode())

    def unseal_with(self, half: str, sealed: bytes, context: str) -> bytes:
        """The reverse of ``seal_with``; raises ``Unsealable``."""
        try:
            return AESGCM(self._halved(half)).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError) as fault:
            raise Unsealable("damaged, or another half or context") from fault

    def _halved(self, half: str) -> bytes:
        return blake2b(half.encode(), digest_size=32, key=self._oldest_hash, person=b"kept").digest()

    def ledger_key(self) -> bytes:
        """The current key of the ledger's chains."""
        return self._current("ledger")[1]

    @property
    def ledger_kid(self) -> str:
        """The id of the ledger's current key."""
        return self._current("ledger")[0]

    def ledger_keys(self) -> Mapping[str, bytes]:
        """Every key that a chain was ever made with, by id."""
        return self._secrets["ledger"]

    @property
    def assertion_key(self) -> AssertionKey:
        """The key that signs assertions now."""
        return self._assertion[-1]

    def jwks(self) -> dict[str, Any]:
        """The public keys of assertions, newest first (RFC 7517 section 5)."""
        return {"keys": [key.public_jwk() for key in reversed(self._assertion)]}

    def fingerprints(self) -> Mapping[str, str]:
        """By purpose, a digest of the oldest key: equal where key rings are one, and it tells nothing of the key."""
        oldest = {purpose: next(iter(kept.values())) for purpose, kept in self._secrets.items()}
        oldest[ASSERTION] = self._assertion[0].pem
        return {
            purpose: blake2b(secret, digest_size=16, person=b"fingerprint").hexdigest()
            for purpose, secret in oldest.items()
        }

    def _current(self, purpose: str) -> tuple[str, bytes]:
        return self._newest[purpose]


def rotate(directory: Path, purpose: str) -> Path:
    """Add a newer key of ``purpose``; the older ones stay. Returns its file."""
    number = max((int(kid.split("-")[0]) for kid in _files(directory).get(purpose, {})), default=0) + 1
    suffix, content = "key", base64.b64encode(secrets.token_bytes(SECRET_BYTES)) + b"\n"
    if purpose == ASSERTION:
        suffix, content = "pem", AssertionKey("", ec.generate_private_key(ec.SECP256R1())).pem
    path = directory / f"{purpose}-{number}-{secrets.token_hex(4)}.{suffix}"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return path


def _files(directory: Path) -> dict[str, dict[str, Path]]:
    """Purpose to id to file, oldest first."""
    try:
        names = [(match, path) for path in directory.iterdir() if (match := _NAME.fullmatch(path.name))]
    except OSError as fault:
        raise KeyRingError(f"{directory}: {fault.strerror}; make keys with: gateway init DIR") from fault
    found: dict[str, dict[str, Path]] = {}
    for match, path in sorted(names, key=lambda one: (int(one[0][3]), one[0][2])):
        found.setdefault(match[1], {})[match[2]] = path
    return found


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            content = file.read()
    except OSError as fault:
        raise KeyRingError(f"{path}: {fault.strerror}; let the gateway's user read it") from fault
    if mode & 0o077:
        raise KeyRingError(f"{path} has mode {mode:04o}, open to others: chmod 600 it, and replace it if it was read")
    return content


def _secret(path: Path) -> bytes:
    content = _read(path)
    try:
        secret = base64.b64decode(content.strip(), validate=True)
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise KeyRingError(f"{path} holds no key: restore it from where it was saved")
    return secret


def _assertion_key(kid: str, path: Path) -> AssertionKey:
    content = _read(path)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as fault:
        raise KeyRingError(f"{path} holds no key in PEM: restore it from where it was saved") from fault
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyRingError(f"{path} holds no key of the curve P-256: make one with: gateway init DIR")
    return AssertionKey(kid, key)


def _b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
