"""Hardware tokens in PSKC (RFC 6030): in the clear, under a pre-shared key, or under a passphrase (PBKDF2).

Rules of this file:

1. What is encrypted is opened only after its MAC was right: a wrong key and a changed file look the same.
2. What is not understood of how a key may be used (``Policy``) means that it may not (RFC 6030 section 5).
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from gateway.factors.token_files import Mistake, Read, Token, Wrong, checked, oath_of, serial_of
from gateway.factors.xml_tree import Element, NotXml, parse

TOTP: Final = "urn:ietf:params:xml:ns:keyprov:pskc:totp"
MOST_ITERATIONS: Final = 5_000_000
_BLOCK: Final = 16
_CIPHERS: Final[Mapping[str, int]] = MappingProxyType(
    {f"http://www.w3.org/2001/04/xmlenc#aes{bits}-cbc": bits // 8 for bits in (128, 192, 256)}
)
_MACS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "http://www.w3.org/2000/09/xmldsig#hmac-sha1": "sha1",
        **{f"http://www.w3.org/2001/04/xmldsig-more#hmac-sha{bits}": f"sha{bits}" for bits in (224, 256, 384, 512)},
    }
)
_WRONG_KEY: Final = "the key or passphrase is not that of this file, or the file was changed: ask the maker"


class KeyNeeded(Exception):
    """The file is encrypted: a key or a passphrase is needed. The message says which."""


@dataclass(frozen=True, slots=True)
class _Keys:
    secret: bytes
    mac: bytes
    mac_hash: str


def read_pskc(content: bytes, given: str | None = None) -> Read:
    """The tokens of a PSKC document; ``given``: its pre-shared key in hex, or its passphrase.

    Raises ``KeyNeeded`` where there is none and the file is encrypted.
    """
    try:
        root = parse(content)
    except NotXml as fault:
        return (), (Mistake(fault.line, str(fault)),)
    if root.name != "KeyContainer":
        return (), (Mistake(root.line, "this is no PSKC: its outermost element must be KeyContainer (RFC 6030)"),)
    try:
        keys = _keys_of(root, given)
    except Wrong as wrong:
        return (), (Mistake(root.line, str(wrong)),)
    tokens: list[Token] = []
    mistakes: list[Mistake] = []
    for package in root.all("KeyPackage"):
        for key in package.all("Key"):
            try:
                tokens.append(_token_of(package, key, keys))
            except Wrong as wrong:
                mistakes.append(Mistake(key.line, str(wrong)))
    return checked(tokens, mistakes)


def _keys_of(root: Element, given: str | None) -> _Keys | None:
    """What an encrypted file is opened with; ``None`` for one in the clear."""
    encryption = root.at("EncryptionKey")
    if encryption is None:
        return None
    derived = encryption.at("DerivedKey")
    if not given:
        raise KeyNeeded("a passphrase" if derived else "the pre-shared key, in hexadecimal")
    secret = _derived(derived, given) if derived else _pre_shared(given)
    method = root.at("MACMethod")
    sealed = method.at("MACKey") if method else None
    mac_hash = _MACS.get(method.attributes.get("Algorithm", "")) if method else None
    if sealed is None or mac_hash is None:
        raise Wrong(
            "it is encrypted without a MAC that is known, so a change would not be seen: ask for one with a MAC"
        )
    return _Keys(secret, _opened(secret, sealed), mac_hash)


def _pre_shared(given: str) -> bytes:
    try:
        key = bytes.fromhex(given.strip())
    except ValueError as fault:
        raise Wrong("the pre-shared key must be hexadecimal") from fault
    if len(key) not in _CIPHERS.values():
        raise Wrong("the pre-shared key must have 16, 24 or 32 bytes, in hexadecimal")
    return key


def _derived(derived: Element, given: str) -> bytes:
    """PBKDF2 (RFC 8018) with HMAC-SHA-1, as RFC 6030 section 6.2 has it."""
    method = derived.at("KeyDerivationMethod")
    terms = method.at("PBKDF2-params") if method else None
    salt = terms.at("Salt", "Specified") if terms else None
    count, length = (terms.at(name) if terms else None for name in ("IterationCount", "KeyLength"))
    if terms is None or salt is None or count is None:
        raise Wrong("the key is derived in a way that is not known: only PBKDF2 is")
    prf = terms.at("PRF")
    if prf is not None and prf.attributes.get("Algorithm", "hmac-sha1").lower().rpartition("#")[2] != "hmac-sha1":
        raise Wrong("the key is derived with a hash that is not known: only HMAC-SHA-1 is")
    size, rounds = _number(length.text) if length is not None else _BLOCK, _number(count.text)
    if size not in _CIPHERS.values() or not 1 <= rounds <= MOST_ITERATIONS:
        raise Wrong(f"the key must have 16, 24 or 32 bytes, made in at most {MOST_ITERATIONS} rounds")
    return hashlib.pbkdf2_hmac("sha1", given.encode("utf-8", "surrogateescape"), _decoded(salt.text), rounds, size)


def _number(text: str) -> int:
    """A small number; 0 where it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _BLOCK else 0


def _token_of(package: Element, key: Element, keys: _Keys | None) -> Token:
    if key.attributes.get("Algorithm") != TOTP:
        raise Wrong("this key makes no codes by the clock (TOTP): take it out")
    _check_policy(key)
    serial = package.at("DeviceInfo", "SerialNo")
    suite, form = key.at("AlgorithmParameters", "Suite"), key.at("AlgorithmParameters", "ResponseFormat")
    if form is None or form.attributes.get("Encoding", "").upper() != "DECIMAL":
        raise Wrong("the code must be in decimal digits: other tokens cannot be used")
    if form.attributes.get("CheckDigits", "false").lower() not in ("false", "0"):
        raise Wrong("the code has a check digit: such tokens cannot be used")
    interval, secret = key.at("Data", "TimeInterval"), key.at("Data", "Secret")
    if secret is None:
        raise Wrong("there is no secret in this key: ask the maker for the file again")
    period = _plain(interval) if interval is not None else ""
    oath = oath_of(_secret(secret, keys), suite.text if suite else "", form.attributes.get("Length", ""), period)
    return Token(serial_of(serial.text if serial else key.attributes.get("Id", "")), oath, key.line)


def _check_policy(key: Element) -> None:
    policy = key.at("Policy")
    if policy is not None and any(one.name != "KeyUsage" or one.text != "OTP" for one in policy.children):
        raise Wrong("a policy restricts this key (its dates, its PIN or its use), which is not kept here: take it out")


def _plain(element: Element) -> str:
    value = element.at("PlainValue")
    if value is None:
        raise Wrong("the period must be in the clear: ask the maker for another file")
    return value.text


def _secret(element: Element, keys: _Keys | None) -> bytes:
    plain, sealed, mac = (element.at(name) for name in ("PlainValue", "EncryptedValue", "ValueMAC"))
    if plain is not None:
        return _decoded(plain.text)
    if sealed is None:
        raise Wrong("there is no secret in this key: ask the maker for the file again")
    if keys is None:
        raise Wrong("the secret is encrypted, but the file does not say with what key: ask the maker")
    if mac is None:
        raise Wrong("the secret is encrypted without a MAC, so a change would not be seen: ask for one with a MAC")
    expected = hmac.new(keys.mac, _cipher_value(sealed), keys.mac_hash).digest()
    if not hmac.compare_digest(expected, _decoded(mac.text)):
        raise Wrong(_WRONG_KEY)
    return _opened(keys.secret, sealed)


def _opened(key: bytes, sealed: Element) -> bytes:
    """AES in CBC, the initialisation vector in front, padded (XML Encryption 1.1, section 5.2)."""
    method = sealed.at("EncryptionMethod")
    if method is None or method.attributes.get("Algorithm") not in _CIPHERS:
        raise Wrong("it is encrypted in a way that is not known: only AES-CBC is")
    value = _cipher_value(sealed)
    if len(value) < 2 * _BLOCK or len(value) % _BLOCK or len(key) != _CIPHERS[method.attributes["Algorithm"]]:
        raise Wrong(_WRONG_KEY)
    decryptor = Cipher(algorithms.AES(key), modes.CBC(value[:_BLOCK])).decryptor()
    padded = decryptor.update(value[_BLOCK:]) + decryptor.finalize()
    unpadder = PKCS7(8 * _BLOCK).unpadder()
    try:
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError as fault:
        raise Wrong(_WRONG_KEY) from fault


def _cipher_value(sealed: Element) -> bytes:
    value = sealed.at("CipherData", "CipherValue")
    return _decoded(value.text if value is not None else "")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError as fault:
        raise Wrong("a value is not in base 64: ask the maker for the file again") from fault
